"""The generator: what a fresh one does, what moves it, and how the pipeline behaves."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from soundit_geo.encoders import ImageBindModel
from soundit_geo.errors import InputError, MissingFileError
from soundit_geo.soundit.autoencoder import FoldingAutoencoder
from soundit_geo.soundit.conditioning import (
    SceneContentMixer,
    SceneTimeMix,
    SoundscapeExperts,
    SoundscapeRouter,
)
from soundit_geo.soundit.pipeline import SounDiTPipeline
from soundit_geo.soundit.transformer import SIZES, SounDiTTransformer2DModel

TINY = {"sample_size": 4, "depth": 2, "width": 32, "heads": 2, "content_rank": 4, "expert_rank": 4}
DIMS = {"token_dim": 128, "summary_dim": 128, "scene_dim": 128}


def tiny(**config):
    torch.manual_seed(0)
    return SounDiTTransformer2DModel(**{**TINY, **DIMS, **config})


def like_dit(model):
    """Give the parts that DiT has random weights, as if DiT's had been loaded; gates of SounDiT stay zero."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "adaLN_modulation" in name or name.startswith("final_layer"):
            torch.nn.init.normal_(parameter, std=0.05)
    return model


def inputs(batch=3, length=3, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return {
        "sample": torch.randn(batch, 4, 4, 4, generator=generator),
        "timestep": torch.randint(1000, (batch,), generator=generator),
        "soundscape_tokens": torch.randn(batch, length, 128, generator=generator),
        "soundscape_summary": torch.randn(batch, 128, generator=generator),
        "scene": torch.randn(batch, 128, generator=generator),
    }


@pytest.fixture(scope="module")
def pipeline():
    torch.manual_seed(0)
    model = like_dit(tiny())
    for block in model.blocks:
        torch.nn.init.normal_(block.soundscape.gate.weight, std=0.2)
        block.content.alpha.data.fill_(0.5)
    encoder = ImageBindModel.mini(text_zero_embedding=False)
    vae = FoldingAutoencoder(fine_channels=16, coarse_channels=16, encoder_blocks=1, decoder_blocks=1)
    scheduler = DPMSolverMultistepScheduler(beta_schedule="linear", prediction_type="v_prediction")
    pipe = SounDiTPipeline(model.eval(), vae.eval(), scheduler, encoder.eval())
    pipe.set_progress_bar_config(disable=True)
    return pipe


def noise(seconds=2.0, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, int(16000 * seconds)).astype(np.float32)


# ------------------------------------------------------------------ fresh modules
@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 3), tokens=st.integers(1, 9), width=st.sampled_from([8, 16, 32]))
def test_fresh_modules_change_nothing(batch, tokens, width):
    x, time = torch.randn(batch, tokens, width), torch.randn(batch, width)
    scene, sound = torch.randn(batch, 6), torch.randn(batch, 2, 5)
    mixer = SceneContentMixer(width, 6, 3)
    experts = SoundscapeExperts(
        width, 2, 5, 5, experts=4, per_sample=2, rank=3, temperature=1.0, time_routing="modulated"
    )
    mix = SceneTimeMix(width, 6)
    assert torch.equal(mixer(x, scene), x)
    assert torch.equal(experts(x, sound, sound.mean(1), time), x)
    assert torch.equal(mix(time, scene), time)


def test_a_fresh_model_ignores_soundscape_and_scene():
    model, given_ = like_dit(tiny()), inputs()
    other = {**inputs(seed=9), "sample": given_["sample"], "timestep": given_["timestep"]}
    with torch.no_grad():
        assert torch.equal(model(**given_).sample, model(**other).sample)
        assert model(**given_).sample.abs().max() > 0.01


def test_every_parameter_receives_gradient_after_two_steps():
    model = like_dit(tiny())
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    given_ = inputs(batch=16)
    missing = torch.arange(16) % 4 == 0
    for _ in range(3):
        optimiser.zero_grad()
        target = torch.randn(16, 4, 4, 4, generator=torch.Generator().manual_seed(5))
        guess = model(**given_, soundscape_missing=missing, scene_missing=missing.roll(1)).sample
        (guess - target).square().mean().backward()
        optimiser.step()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert dead == []


# ----------------------------------------------------------------------- readings
def test_the_printed_router_cannot_see_time_and_the_modulated_one_can():
    summary = torch.randn(5, 12)
    one, two = torch.randn(5, 8), torch.randn(5, 8)
    for reading, same in (("as_printed", True), ("modulated", False)):
        router = SoundscapeRouter(8, 12, 4, 2, 1.0, reading)
        torch.nn.init.normal_(router.time.weight)
        close = torch.allclose(router.weights(summary, one), router.weights(summary, two), atol=1e-6)
        assert close is same


def test_slrcm_equals_its_formula_with_the_full_matrix():
    mixer = SceneContentMixer(16, 6, 3).double()
    mixer.alpha.data.fill_(0.7)
    x, scene = torch.randn(2, 5, 16).double(), torch.randn(2, 6).double()
    expected = []
    for row, embedding in zip(x, scene, strict=True):
        spectrum = torch.tanh(mixer.spectrum.weight @ embedding + mixer.spectrum.bias)
        matrix = mixer.query.weight.T @ torch.diag(spectrum) @ mixer.value.weight.T
        strength = torch.log1p(torch.exp(mixer.strength.weight @ embedding + mixer.strength.bias))
        centred = row - row.mean(-1, keepdim=True)
        norm = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        expected.append(row + strength * 0.5 * np.tanh(0.7) * norm @ matrix)
    torch.testing.assert_close(mixer(x, scene, 0.5), torch.stack(expected))


def test_experts_equal_a_loop_over_all_of_them_with_their_own_output_map():
    torch.manual_seed(3)
    experts = SoundscapeExperts(
        16, 2, 6, 6, experts=5, per_sample=2, rank=3, temperature=0.7, time_routing="modulated"
    ).double()
    torch.nn.init.normal_(experts.gate.weight)
    torch.nn.init.normal_(experts.router.log_temperature)
    x, tokens = torch.randn(3, 4, 16).double(), torch.randn(3, 7, 6).double()
    summary, time = torch.randn(3, 6).double(), torch.randn(3, 16).double()
    weights = experts.router.weights(summary, time)
    expected = x.clone()
    for b in range(3):
        order = weights[b].argsort(descending=True)[:2]
        score = torch.exp(weights[b][order] / experts.router.log_temperature[order].exp())
        for m, share in zip(order, score / score.sum(), strict=True):
            query = experts.norm(x[b]) @ experts.down[m] @ experts.up[m]
            key, value = experts.key(tokens[b]), experts.value(tokens[b])
            parts = []
            for h in range(2):
                cut = slice(8 * h, 8 * h + 8)
                score_h = torch.exp(query[:, cut] @ key[:, cut].T / 8**0.5)
                parts.append(score_h / score_h.sum(-1, keepdim=True) @ value[:, cut])
            z = experts.output(torch.cat(parts, dim=-1))
            expected[b] += torch.tanh(experts.gate(summary[b])) * share * z
    torch.testing.assert_close(experts(x, tokens, summary, time), expected)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_dits(name):
    depth, width, heads = {
        "mini": (6, 256, 4),
        "S/2": (12, 384, 6),
        "B/2": (12, 768, 12),
        "L/2": (24, 1024, 16),
        "XL/2": (28, 1152, 16),
    }[name]
    with torch.device("meta"):
        model = SounDiTTransformer2DModel.of_size(name)
    assert (len(model.blocks), model.config.width, model.config.heads) == (depth, width, heads)


@pytest.mark.parametrize(
    "config",
    [{"width": 30, "heads": 4}, {"experts_per_sample": 9}, {"sample_size": 5}, {"time_routing": "x"}],
)
def test_sizes_that_do_not_fit_are_refused(config):
    with pytest.raises(InputError):
        tiny(**config)


# ----------------------------------------------------------------------- pipeline
def test_the_same_seed_gives_the_same_picture_and_another_seed_another(pipeline):
    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return pipeline(
            [noise()], ["a park"], generator=generator, num_inference_steps=3, output_type="np"
        ).images

    assert np.array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


def test_a_batch_equals_its_members(pipeline):
    latents = torch.randn(3, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    sounds, scenes = [noise(seed=1), None, noise(seed=2)], ["a park", "a beach", None]
    common = {"num_inference_steps": 3, "output_type": "np"}
    together = pipeline(sounds, scenes, latents=latents, **common).images
    for index in range(3):
        alone = pipeline(
            [sounds[index]], [scenes[index]], latents=latents[index : index + 1], **common
        ).images
        np.testing.assert_allclose(alone[0], together[index], atol=1e-4)


def test_guidance_combines_the_predictions_as_its_formulas_say(pipeline):
    """The guided prediction of one step, against three calls of the transformer."""
    batch = pipeline._embed([noise()], ["a park"], None, None)
    latents = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    time, yes, no = torch.tensor(500), torch.tensor([True]), torch.tensor([False])

    def predict(soundscape_missing, scene_missing):
        return pipeline.transformer(
            latents,
            time,
            batch.tokens,
            batch.summary,
            batch.scene,
            soundscape_missing=soundscape_missing,
            scene_missing=scene_missing,
        ).sample

    with torch.no_grad():
        both, sound, none = predict(no, no), predict(no, yes), predict(yes, yes)
        assert (both - sound).abs().max() > 1e-5
        assert (sound - none).abs().max() > 1e-5
        for scale, separate, expected in (
            (1.0, (None, None), both),
            (3.0, (None, None), none + 3.0 * (both - none)),
            (9.0, (2.0, 5.0), none + 2.0 * (sound - none) + 5.0 * (both - sound)),
        ):
            guided = pipeline._guided(latents, time, batch, scale, separate, 1.0)
            torch.testing.assert_close(guided, expected, atol=1e-4, rtol=1e-4)


def test_scene_strength_zero_silences_slrcm_only(pipeline):
    latents = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    common = {"latents": latents, "num_inference_steps": 2, "guidance_scale": 1.0, "output_type": "latent"}
    two = [pipeline(scenes=[scene], scene_strength=0.0, **common).images for scene in ("a park", "a beach")]
    torch.testing.assert_close(*two)  # S-AdaLN's mix is zero in this fresh model
    two = [pipeline(scenes=[scene], **common).images for scene in ("a park", "a beach")]
    assert (two[0] - two[1]).abs().max() > 1e-6


@pytest.mark.parametrize("scheduler", [DDIMScheduler, EulerDiscreteScheduler])
def test_schedulers_can_be_swapped(pipeline, scheduler):
    other = SounDiTPipeline(
        **{**pipeline.components, "scheduler": scheduler.from_config(pipeline.scheduler.config)}
    )
    other.set_progress_bar_config(disable=True)
    images = other(scenes=["a park"], num_inference_steps=3, output_type="pt").images
    assert images.shape == (1, 3, 32, 32)
    assert torch.isfinite(images).all()


def test_saving_and_loading_gives_the_same_pictures(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "model")
    loaded = SounDiTPipeline.from_pretrained(tmp_path / "model")
    loaded.set_progress_bar_config(disable=True)
    assert not list((tmp_path / "model").rglob("*.bin"))
    latents = torch.randn(1, 4, 4, 4)
    common = {"latents": latents, "num_inference_steps": 2, "output_type": "np"}
    assert np.array_equal(
        pipeline([noise()], ["a park"], **common).images, loaded([noise()], ["a park"], **common).images
    )


def test_the_callback_sees_and_may_replace_the_latents(pipeline):
    seen = []

    def watch(_pipe, step, time, tensors):
        seen.append((step, int(time)))
        return {"latents": torch.zeros_like(tensors["latents"])}

    out = pipeline(
        scenes=["x"], num_inference_steps=3, callback_on_step_end=watch, output_type="latent"
    ).images
    assert [step for step, _ in seen] == [0, 1, 2]
    assert not out.any()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "Nothing to draw from"),
        ({"soundscapes": [noise()], "scenes": ["a", "b"]}, "Lengths disagree"),
        ({"soundscapes": noise()}, "list of soundscapes"),
        ({"scenes": ["a"], "latents": torch.zeros(1, 4, 5, 5)}, "latents have shape"),
        ({"scenes": ["a"], "scene_guidance_scale": 2.0}, "both"),
        ({"scenes": ["a"], "scene_embeds": torch.zeros(1, 128)}, "give one of them"),
        ({"scene_embeds": torch.zeros(1, 7)}, "this model expects"),
        ({"scenes": ["a"], "output_type": "jpeg"}, "output_type"),
        ({"scenes": ["a", "b"], "generator": [torch.Generator()]}, "generators"),
    ],
)
def test_bad_calls_get_one_clear_error(pipeline, arguments, said):
    with pytest.raises(InputError, match=said):
        pipeline(num_inference_steps=1, **arguments)


def test_an_unknown_model_is_refused_without_the_network():
    with pytest.raises(MissingFileError, match="synthetic-city"):
        SounDiTPipeline.from_pretrained("no-such-model")


def test_the_autoencoder_keeps_sizes_and_has_unit_posterior_deviation():
    vae = FoldingAutoencoder(fine_channels=16, coarse_channels=16)
    posterior = vae.encode(torch.zeros(2, 3, 64, 32)).latent_dist
    assert posterior.mean.shape == (2, 4, 8, 4)
    assert vae.decode(posterior.mean).sample.shape == (2, 3, 64, 32)
    torch.testing.assert_close(posterior.std, torch.full_like(posterior.std, 0.1))
