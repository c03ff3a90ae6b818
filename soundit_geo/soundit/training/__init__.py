"""Training SounDiT: pairs of recording and photo are encoded once into a cache, then denoised in latent space.

=============  ==============================================================================
pairs.py       a list of recordings and photos, through encoder and autoencoder, into a cache
cache.py       the cache: latents and embeddings in shards of safetensors
config.py      the settings of a run, checked; ``configs/`` holds ``mini`` and ``paper``
stream.py      sample n of a run as a function of the seed and n alone
loop.py        the loop, on accelerate
checkpoint.py  what a run needs to go on exactly where it stopped
folder.py      what a run leaves behind
log.py         losses as CSV, for TensorBoard and beside the progress bar
samples.py     sample pictures, and the pipeline that a trained model becomes
=============  ==============================================================================
"""
