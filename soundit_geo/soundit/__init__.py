"""The generator: denoiser, its conditioning, a small autoencoder, the pipeline. Torch and diffusers only."""
