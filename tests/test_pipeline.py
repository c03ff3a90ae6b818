"""The pipeline: how it behaves for those who know diffusers."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
    ModelMixin,
    UniPCMultistepScheduler,
)
from diffusers.callbacks import PipelineCallback
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from safetensors.torch import load_file, save_file

from soundit_geo.encoders import ImageBindModel, SoundscapeEmbeds
from soundit_geo.errors import InputError, MissingFileError, SounditError, WeightsError
from soundit_geo.lab import paper_size
from soundit_geo.soundit import guidance
from soundit_geo.soundit.autoencoder import FoldingAutoencoder
from soundit_geo.soundit.pipeline import SounDiTPipeline
from soundit_geo.soundit.transformer import SounDiTTransformer2DModel
from soundit_geo.weights import preset_path

DIM = 16
ENCODER = {
    "modalities": ["audio", "text"],
    "joint_dim": DIM,
    "audio_width": 32,
    "audio_blocks": 1,
    "text_width": 32,
    "text_blocks": 1,
    "text_zero_embedding": False,
}
TRANSFORMER = {
    "sample_size": 4,
    "depth": 2,
    "width": 32,
    "heads": 2,
    "content_rank": 4,
    "expert_rank": 4,
    "token_dim": DIM,
    "summary_dim": DIM,
    "scene_dim": DIM,
}
SCHEDULERS = [
    DDPMScheduler,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    EulerAncestralDiscreteScheduler,
    UniPCMultistepScheduler,
    HeunDiscreteScheduler,
]


def make_transformer(**config):
    """Small, random, and moved by soundscape and scene: a fresh one would ignore both."""
    torch.manual_seed(0)
    model = SounDiTTransformer2DModel(**{**TRANSFORMER, **config})
    for name, parameter in model.named_parameters():
        if "adaLN_modulation" in name or name.startswith("final_layer"):
            torch.nn.init.normal_(parameter, std=0.05)
    for block in model.blocks:
        torch.nn.init.normal_(block.soundscape.gate.weight, std=0.2)
        block.content.alpha.data.fill_(0.5)
    return model.eval()


def make_vae():
    torch.manual_seed(1)
    vae = FoldingAutoencoder(
        fine_channels=8, coarse_channels=8, encoder_blocks=1, decoder_blocks=1, scaling_factor=0.7
    )
    return vae.eval()


def make_scheduler(kind=DPMSolverMultistepScheduler, **config):
    settings = {"beta_schedule": "linear", "beta_start": 1e-4, "prediction_type": "v_prediction", **config}
    return kind(**settings)


def quiet(pipe):
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(2)
    return ImageBindModel.mini(**ENCODER).eval()


@pytest.fixture
def pipeline(encoder):
    return quiet(SounDiTPipeline(make_transformer(), make_vae(), make_scheduler(), encoder))


@pytest.fixture(scope="module")
def folder(encoder, tmp_path_factory):
    """A saved pipeline; not to be changed."""
    target = tmp_path_factory.mktemp("saved") / "model"
    SounDiTPipeline(make_transformer(), make_vae(), make_scheduler(), encoder).save_pretrained(target)
    return target


@pytest.fixture
def copy(folder, tmp_path):
    """A saved pipeline, to be damaged."""
    target = tmp_path / "model"
    subprocess.run(["cp", "-r", folder, target], check=True)
    return target


def noise(seconds=2.0, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, int(16000 * seconds)).astype(np.float32)


def first(count=1, seed=0):
    return torch.randn(count, 4, 4, 4, generator=torch.Generator().manual_seed(seed))


def embeds(count=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return SoundscapeEmbeds(
        torch.randn(count, 3, DIM, generator=generator), torch.randn(count, DIM, generator=generator)
    )


# -------------------------------------------------------------------------------------------------- drawing
def test_the_same_seed_gives_the_same_picture_and_another_seed_another(pipeline):
    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return pipeline(
            [noise()], ["a park"], generator=generator, num_inference_steps=2, output_type="np"
        ).images

    assert np.array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


@pytest.mark.parametrize("kind", [DDIMScheduler, EulerAncestralDiscreteScheduler])
def test_a_list_of_generators_gives_each_picture_its_own_seed(pipeline, kind):
    pipeline.scheduler = make_scheduler(kind)
    common = {"num_inference_steps": 3, "output_type": "np"}
    seeds = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    together = pipeline(scenes=["a park", "a beach"], generator=seeds, **common).images
    for index, (seed, scene) in enumerate([(5, "a park"), (6, "a beach")]):
        generator = torch.Generator().manual_seed(seed)
        alone = pipeline(scenes=[scene], generator=generator, **common).images
        np.testing.assert_allclose(alone[0], together[index], atol=1e-4)


def test_a_batch_equals_its_members(pipeline):
    latents = first(3)
    sounds, scenes = [noise(seed=1), None, noise(seed=2)], ["a park", "a beach", None]
    common = {"num_inference_steps": 3, "output_type": "np"}
    together = pipeline(sounds, scenes, latents=latents, **common).images
    for index in range(3):
        alone = pipeline(
            [sounds[index]], [scenes[index]], latents=latents[index : index + 1], **common
        ).images
        np.testing.assert_allclose(alone[0], together[index], atol=1e-4)


def test_several_pictures_of_a_prompt_follow_one_another(pipeline):
    common = {"latents": first(4), "num_inference_steps": 2, "output_type": "np"}
    several = pipeline(scenes=["a park", "a beach"], num_images_per_prompt=2, **common).images
    spelled = pipeline(scenes=["a park", "a park", "a beach", "a beach"], **common).images
    np.testing.assert_allclose(several, spelled, atol=1e-5)


def test_pictures_come_in_the_form_that_was_asked_for(pipeline):
    def draw(**options):
        return pipeline(scenes=["x", "y"], latents=first(2), num_inference_steps=1, **options)

    pil, array, tensor, latent = (draw(output_type=kind).images for kind in ("pil", "np", "pt", "latent"))
    assert [image.size for image in pil] == [(32, 32), (32, 32)]
    assert array.shape == (2, 32, 32, 3)
    assert array.min() >= 0
    assert array.max() <= 1
    np.testing.assert_allclose(tensor.permute(0, 2, 3, 1), array, atol=1e-6)
    assert np.abs(np.asarray(pil[1], dtype=float) - 255 * array[1]).max() <= 0.51
    assert latent.shape == (2, 4, 4, 4)
    assert isinstance(draw(return_dict=False), tuple)
    assert torch.equal(draw(return_dict=False, output_type="latent")[0], latent)


@pytest.mark.parametrize("guided", [{}, {"soundscape_guidance_scale": 2.0, "scene_guidance_scale": 5.0}])
def test_the_pipeline_is_the_literal_loop(pipeline, guided):
    """DDIM written out, one transformer call per branch and step, in the form that prepares nothing."""
    pipeline.scheduler = make_scheduler(DDIMScheduler)
    given = pipeline.encode([noise()], ["a park"])
    embedded, scene = given["soundscape_embeds"], given["scene_embeds"]
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    yes, no = torch.tensor([True]), torch.tensor([False])

    def predict(z, t, no_sound, no_scene):
        with torch.no_grad():
            out = pipeline.transformer(
                z,
                torch.tensor([t]),
                *embedded,
                scene,
                soundscape_missing=no_sound,
                scene_missing=no_scene,
                scene_strength=0.8,
            )
        return out.sample

    z = first()
    for t in (750, 500, 250, 0):
        both, sound, none = predict(z, t, no, no), predict(z, t, no, yes), predict(z, t, yes, yes)
        assert (both - sound).abs().max() > 1e-5
        assert (sound - none).abs().max() > 1e-5
        velocity = (
            none + 2.0 * (sound - none) + 5.0 * (both - sound) if guided else none + 4.0 * (both - none)
        )
        a, last = kept[t], kept[t - 250] if t else 1.0
        clean = a**0.5 * z - (1 - a) ** 0.5 * velocity
        added = a**0.5 * velocity + (1 - a) ** 0.5 * z
        z = last**0.5 * clean + (1 - last) ** 0.5 * added
    drawn = pipeline(
        **given, latents=first(), num_inference_steps=4, scene_strength=0.8, output_type="latent", **guided
    ).images
    torch.testing.assert_close(drawn, z, atol=2e-4, rtol=2e-4)


# ------------------------------------------------------------------------------------------------- guidance
def test_joint_guidance_of_one_and_zero_are_its_two_predictions():
    both, neither = first(seed=1), first(seed=2)
    torch.testing.assert_close(guidance.joint(both, neither, 1.0), both)
    assert torch.equal(guidance.joint(both, neither, 0.0), neither)


def test_separate_guidance_with_equal_scales_is_joint():
    both, sound, neither = (first(seed=seed) for seed in range(3))
    one, other = guidance.separate(both, sound, neither, 3.0, 3.0), guidance.joint(both, neither, 3.0)
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_guidance_scale_one_calls_the_transformer_for_one_branch(pipeline):
    sizes = []
    pipeline.transformer.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    for guided in (
        {"guidance_scale": 1.0},
        {},
        {"soundscape_guidance_scale": 2.0, "scene_guidance_scale": 3.0},
    ):
        pipeline(scenes=["x", "y"], num_inference_steps=1, output_type="latent", **guided)
    assert sizes == [2, 4, 6]


def test_conditions_are_prepared_once_per_call(pipeline, monkeypatch):
    calls = []
    prepare = pipeline.transformer.prepare
    monkeypatch.setattr(
        pipeline.transformer, "prepare", lambda given: calls.append(len(given.scene)) or prepare(given)
    )
    pipeline(scenes=["x", "y"], num_inference_steps=5, output_type="latent")
    assert calls == [4]  # two pictures, two branches


def test_a_callback_may_change_the_guidance_as_in_diffusers(pipeline):
    common = {"scenes": ["a park"], "latents": first(), "num_inference_steps": 2, "output_type": "latent"}

    def let_go(pipe, _step, _time, _tensors):
        pipe._guidance_scale = 1.0
        return {}

    pipeline.scheduler = make_scheduler(DDIMScheduler)
    half = []
    pipeline(**common, callback_on_step_end=lambda _p, _i, _t, tensors: half.append(tensors["latents"]) or {})
    changed = pipeline(**common, callback_on_step_end=let_go).images
    time = pipeline.scheduler.timesteps[1]
    with torch.no_grad():
        given = pipeline.encode(scenes=["a park"])
        alone = pipeline.transformer(
            half[0],
            time,
            *given["soundscape_embeds"],
            given["scene_embeds"],
            soundscape_missing=given["soundscape_missing"],
        )
    expected = pipeline.scheduler.step(alone.sample, time, half[0]).prev_sample
    torch.testing.assert_close(changed, expected, atol=1e-4, rtol=1e-4)


# ------------------------------------------------------------------------------------------- scene strength
def test_scene_strength_zero_silences_slrcm(pipeline):
    common = {"latents": first(), "num_inference_steps": 2, "guidance_scale": 1.0, "output_type": "latent"}
    two = [pipeline(scenes=[scene], scene_strength=0.0, **common).images for scene in ("a park", "a beach")]
    torch.testing.assert_close(*two)  # S-AdaLN's mix is zero in this fresh model
    two = [pipeline(scenes=[scene], **common).images for scene in ("a park", "a beach")]
    assert (two[0] - two[1]).abs().max() > 1e-6
    silenced = pipeline(scenes=["a park"], scene_strength=0.0, **common).images
    for block in pipeline.transformer.blocks:
        block.content.alpha.data.zero_()
    torch.testing.assert_close(pipeline(scenes=["a park"], **common).images, silenced)


def test_the_scenes_share_grows_linearly_with_its_strength(encoder):
    """To first order, through one block and one step: everything behind SLRCM is smooth."""
    model = make_transformer(depth=1)
    model.blocks[0].content.value.weight.data *= 100  # well above rounding
    pipe = quiet(SounDiTPipeline(model, make_vae(), make_scheduler(DDIMScheduler), encoder))

    def draw(strength):
        common = {"guidance_scale": 1.0, "num_inference_steps": 1, "output_type": "latent"}
        return pipe(scenes=["a park"], latents=first(), scene_strength=strength, **common).images

    base = draw(0.0)
    one, two, back = (draw(strength) - base for strength in (0.01, 0.02, -0.01))
    close = 0.05 * float(one.abs().max())
    assert close > 2e-6
    torch.testing.assert_close(two, 2 * one, atol=close, rtol=0)
    torch.testing.assert_close(back, -one, atol=close, rtol=0)


# ------------------------------------------------------------------------------------------------ schedulers
class Oracle(ModelMixin, ConfigMixin):
    """A denoiser that knows the clean latent, and so predicts without error."""

    @register_to_config
    def __init__(self, prediction):
        super().__init__()
        self.prediction = prediction
        self.register_to_config(in_channels=4, sample_size=4, token_dim=DIM, summary_dim=DIM, scene_dim=DIM)
        self.clean = torch.nn.Parameter(3 * first(2, seed=9))  # beyond ±1, where clipping would show
        kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
        self.sigmas = ((1 - kept) / kept) ** 0.5

    def conditions(self, *_embedded, **_masks):
        return None

    def prepare(self, given):
        return given

    def forward(self, sample, timestep, prepared):
        assert prepared is None
        sigma = np.interp(float(timestep), np.arange(1000), self.sigmas)  # between steps, as samplers do
        signal, spread = (1 + sigma**2) ** -0.5, sigma * (1 + sigma**2) ** -0.5
        clean = self.clean.repeat(len(sample) // 2, 1, 1, 1)
        added = (sample - signal * clean) / spread
        velocity = signal * added - spread * clean
        answer = {"epsilon": added, "v_prediction": velocity, "sample": clean}[self.prediction]
        return Transformer2DModelOutput(sample=answer)


@pytest.mark.parametrize("steps", [1, 6])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("kind", SCHEDULERS)
def test_every_sampler_lands_on_what_a_perfect_denoiser_knows(encoder, kind, prediction, steps):
    oracle = Oracle(prediction)
    pipe = quiet(
        SounDiTPipeline(oracle, make_vae(), make_scheduler(kind, prediction_type=prediction), encoder)
    )
    drawn = pipe(
        scenes=["x", "y"],
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(3),
        output_type="latent",
    ).images
    torch.testing.assert_close(drawn, oracle.clean.data, atol=0.02, rtol=0.005)


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_samplers_can_be_swapped(pipeline, kind):
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    images = pipeline([noise()], ["a park"], num_inference_steps=3, output_type="pt").images
    assert images.shape == (1, 3, 32, 32)
    assert torch.isfinite(images).all()
    assert images.std() > 0


def test_latents_are_never_clipped_to_the_range_of_pixels(pipeline):
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    assert pipeline.scheduler.config.clip_sample  # diffusers' default
    pipeline(scenes=["x"], num_inference_steps=1, output_type="latent")
    assert not pipeline.scheduler.config.clip_sample


@pytest.mark.parametrize(
    "scheduler",
    [
        FlowMatchEulerDiscreteScheduler(),
        EDMEulerScheduler(),
        DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True),
        DDPMScheduler(variance_type="learned_range"),
    ],
)
def test_samplers_of_another_kind_are_refused(pipeline, scheduler):
    with pytest.raises(InputError, match=r"fixed_small|from_config"):
        SounDiTPipeline(**{**pipeline.components, "scheduler": scheduler})
    pipeline.scheduler = scheduler
    with pytest.raises(InputError, match=type(scheduler).__name__):
        pipeline(scenes=["x"])


def test_own_timesteps_and_noise_levels_are_taken_by_samplers_that_know_them(pipeline):
    common = {"scenes": ["x"], "latents": first(), "output_type": "latent"}
    pipeline.scheduler = make_scheduler(DDPMScheduler)
    pipeline(timesteps=[900, 400, 100], **common)
    assert pipeline.scheduler.timesteps.tolist() == [900, 400, 100]
    pipeline.scheduler = make_scheduler(EulerDiscreteScheduler)
    usual = pipeline(num_inference_steps=4, **common).images
    sigmas = pipeline.scheduler.sigmas.tolist()
    torch.testing.assert_close(pipeline(sigmas=sigmas, **common).images, usual, atol=1e-3, rtol=1e-3)
    pipeline.scheduler = make_scheduler(DDIMScheduler)
    for name in ("timesteps", "sigmas"):
        with pytest.raises(InputError, match="DDIMScheduler takes no list"):
            pipeline(**common, **{name: [3, 2, 1]})


# ------------------------------------------------------------------------------------------------- callbacks
def test_the_callback_sees_and_may_replace_the_latents(pipeline):
    seen = []

    def watch(pipe, step, time, tensors):
        seen.append((step, int(time), pipe.num_timesteps))
        return {"latents": torch.zeros_like(tensors["latents"])}

    out = pipeline(scenes=["x"], num_inference_steps=3, callback_on_step_end=watch, output_type="latent")
    assert [step for step, *_ in seen] == [0, 1, 2]
    assert [time for _, time, _ in seen] == pipeline.scheduler.timesteps.tolist()
    assert {total for *_, total in seen} == {3}
    assert not out.images.any()


def test_a_callback_can_interrupt_and_the_next_call_is_whole_again(pipeline):
    steps = []

    def stop(pipe, step, _time, _tensors):
        steps.append(step)
        pipe._interrupt = step == 1
        return {}

    pipeline(scenes=["x"], num_inference_steps=6, callback_on_step_end=stop)
    assert steps == [0, 1]
    pipeline(
        scenes=["x"],
        num_inference_steps=3,
        callback_on_step_end=lambda _pipe, step, *_rest: steps.append(step) or {},
    )
    assert steps == [0, 1, 0, 1, 2]


def test_diffusers_callback_objects_are_taken(pipeline):
    class Halve(PipelineCallback):
        tensor_inputs = ("latents",)

        def callback_fn(self, _pipeline, _step, _time, tensors):
            return {"latents": 0.0 * tensors["latents"]}

    halve = Halve(cutoff_step_ratio=None, cutoff_step_index=0)
    out = pipeline(scenes=["x"], num_inference_steps=2, callback_on_step_end=halve, output_type="latent")
    assert not out.images.any()


def test_the_progress_bar_can_be_configured(pipeline, capfd):
    pipeline.set_progress_bar_config(disable=False, desc="landscapes")
    pipeline(scenes=["x"], num_inference_steps=2)
    assert "landscapes: 100%" in capfd.readouterr().err


# ------------------------------------------------------------------------------------ embeddings in advance
def test_drawing_from_encoded_prompts_equals_drawing_from_the_prompts(pipeline):
    sounds, scenes = [noise(seed=1), None, noise(seed=2), None], ["a park", "a beach", None, None]
    given = pipeline.encode(sounds, scenes)
    assert given["soundscape_missing"].tolist() == [False, True, False, True]
    assert given["scene_missing"].tolist() == [False, False, True, True]
    common = {"latents": first(4), "num_inference_steps": 2, "output_type": "latent"}
    assert torch.equal(pipeline(sounds, scenes, **common).images, pipeline(**given, **common).images)
    only = pipeline.encode(scenes="a park")
    common["latents"] = first()
    assert torch.equal(pipeline(scenes="a park", **common).images, pipeline(**only, **common).images)


def test_the_encoders_own_embeddings_are_taken_together_with_prompts(pipeline, encoder):
    heard = encoder.encode_soundscapes([noise(), noise(seed=1)])
    common = {"latents": first(2), "num_inference_steps": 2, "output_type": "latent"}
    raw = pipeline([noise(), noise(seed=1)], "a park", **common).images
    assert torch.equal(pipeline(soundscape_embeds=heard, scenes="a park", **common).images, raw)
    read = encoder.encode_scenes(["a park", "a park"])
    torch.testing.assert_close(
        pipeline([noise(), noise(seed=1)], scene_embeds=read, **common).images, raw, atol=1e-5, rtol=1e-5
    )


def test_what_is_missing_is_not_read(pipeline):
    """Under a mask any finite values do."""
    common = {"latents": first(), "num_inference_steps": 2, "output_type": "latent", "scenes": ["x"]}
    two = [
        pipeline(soundscape_embeds=embeds(seed=seed), soundscape_missing=[True], **common).images
        for seed in (1, 2)
    ]
    torch.testing.assert_close(*two)
    torch.testing.assert_close(two[0], pipeline(**common).images)


@pytest.mark.parametrize("kind", ["pooled", "clips", "patches"])
def test_every_kind_of_tokens_is_asked_for_and_drawn_from(encoder, kind):
    model = make_transformer(token_dim=encoder.token_width(kind))
    pipe = quiet(SounDiTPipeline(model, make_vae(), make_scheduler(), encoder, soundscape_tokens=kind))
    tokens = pipe.encode([noise()])["soundscape_embeds"].tokens
    torch.testing.assert_close(tokens, encoder.encode_soundscapes([noise()], kind).tokens)
    assert torch.isfinite(pipe([noise(), None], num_inference_steps=1, output_type="pt").images).all()


def test_without_an_encoder_embeddings_still_draw(pipeline, folder):
    given = pipeline.encode([noise()], ["a park"])
    alone = quiet(SounDiTPipeline.from_pretrained(folder, encoder=None))
    common = {"latents": first(), "num_inference_steps": 2, "output_type": "latent"}
    torch.testing.assert_close(alone(**given, **common).images, pipeline(**given, **common).images)
    with pytest.raises(InputError, match="no encoder"):
        alone([noise()])


# ------------------------------------------------------------------------------------------ saving, loading
def test_saving_and_loading_gives_the_same_pictures(pipeline, folder):
    loaded = quiet(SounDiTPipeline.from_pretrained(folder))
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".json", ".safetensors"}
    for part in ("transformer", "vae", "encoder"):
        ours, theirs = getattr(pipeline, part).state_dict(), getattr(loaded, part).state_dict()
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
        assert not getattr(loaded, part).training
    settings = {key: value for key, value in pipeline.scheduler.config.items() if key[0] != "_"}
    assert settings.items() <= loaded.scheduler.config.items()
    common = {"latents": first(), "num_inference_steps": 2, "output_type": "pt"}
    one, other = (pipe([noise()], ["a park"], **common).images for pipe in (pipeline, loaded))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    assert loaded.name_or_path == str(folder)


def test_a_variant_is_saved_and_loaded_in_half_precision(copy, pipeline):
    SounDiTPipeline.from_pretrained(copy, torch_dtype=torch.float16).save_pretrained(copy, variant="fp16")
    assert load_file(copy / "vae" / "diffusion_pytorch_model.fp16.safetensors").popitem()[1].itemsize == 2
    (copy / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    half = SounDiTPipeline.from_pretrained(copy, variant="fp16", torch_dtype=torch.float16)
    assert {half.transformer.dtype, half.vae.dtype, half.encoder.dtype} == {torch.float16}
    full = quiet(SounDiTPipeline.from_pretrained(copy, variant="fp16"))
    common = {"scenes": ["a park"], "latents": first(), "num_inference_steps": 2, "output_type": "latent"}
    torch.testing.assert_close(full(**common).images, pipeline(**common).images, atol=0.05, rtol=0.05)
    with pytest.raises(WeightsError, match="safetensors"):
        SounDiTPipeline.from_pretrained(copy)
    with pytest.raises(WeightsError, match="no weights as safetensors"):
        SounDiTPipeline.from_pretrained(copy, variant="bf16")


def test_bfloat16_draws_on_the_cpu_about_the_same_picture(pipeline, folder):
    common = {"latents": first(), "num_inference_steps": 3, "output_type": "pt"}
    exact = pipeline([noise()], ["a park"], **common).images
    loaded = quiet(SounDiTPipeline.from_pretrained(folder, torch_dtype=torch.bfloat16))
    assert loaded.dtype == torch.bfloat16
    moved = quiet(SounDiTPipeline.from_pretrained(folder)).to("cpu", torch.bfloat16)
    for pipe in (loaded, moved):
        images = pipe([noise()], ["a park"], **common).images
        assert images.dtype == torch.float32
        torch.testing.assert_close(images, exact, atol=0.1, rtol=0)


def test_a_device_map_and_own_components_are_taken(folder):
    mapped = quiet(SounDiTPipeline.from_pretrained(folder, device_map="cpu"))
    assert torch.isfinite(mapped(scenes=["x"], num_inference_steps=1, output_type="pt").images).all()
    vae, scheduler = make_vae(), make_scheduler(DDIMScheduler)
    own = SounDiTPipeline.from_pretrained(folder, vae=vae, scheduler=scheduler)
    assert own.vae is vae
    assert own.scheduler is scheduler


def test_a_pipeline_made_from_another_shares_its_components(pipeline):
    other = SounDiTPipeline.from_pipe(pipeline, scheduler=make_scheduler(DDIMScheduler))
    assert all(getattr(other, name) is getattr(pipeline, name) for name in ("transformer", "vae", "encoder"))
    assert isinstance(other.scheduler, DDIMScheduler)
    assert isinstance(pipeline.scheduler, DPMSolverMultistepScheduler)


PLAIN = """
import sys
from diffusers import DiffusionPipeline
try:
    DiffusionPipeline.from_pretrained(sys.argv[1])
except AttributeError as error:
    assert "SounDiTPipeline" in str(error)
else:
    raise SystemExit("opened without the library")

from soundit_geo import SounDiTPipeline
from soundit_geo.errors import WeightsError
for place in sys.argv[1:]:
    for kind in (DiffusionPipeline, SounDiTPipeline):
        pipe = kind.from_pretrained(place)
        assert type(pipe) is SounDiTPipeline, type(pipe)
        assert pipe.name_or_path == place, pipe.name_or_path
        assert pipe(scenes="a park", num_inference_steps=1).images[0].mode == "RGB"
try:
    SounDiTPipeline.from_pretrained("someone/else")
except WeightsError as error:
    assert "someone/else" in str(error)
else:
    raise SystemExit("opened what is not there")
"""


@pytest.mark.slow
def test_plain_diffusers_opens_folder_preset_and_hub_once_the_pipeline_is_imported(folder, tmp_path):
    """In a process of its own: importing the class makes it known. The hub's own client asks a hub made here."""
    with hub(folder) as address:
        subprocess.run(
            [sys.executable, "-c", PLAIN, str(folder), str(preset_path("synthetic-city")), "someone/city"],
            check=True,
            env={
                **os.environ,
                "HF_ENDPOINT": address,
                "HF_HOME": str(tmp_path),
                "HF_HUB_OFFLINE": "0",
                "NO_PROXY": "127.0.0.1",
            },
        )


class hub:  # noqa: N801 - used as a function
    """A model hub with one repository, ``someone/city``, for as long as the block lasts."""

    def __init__(self, folder):
        files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
        about = {"id": "someone/city", "sha": "a" * 40, "siblings": [{"rfilename": name} for name in files]}
        tree = [
            {"type": "file", "path": name, "size": file.stat().st_size, "oid": "0" * 40}
            for name, file in files.items()
        ]

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                path = self.path.split("?")[0]
                name = path.partition(f"/resolve/{'a' * 40}/")[2]
                if path.startswith("/api/models/someone/city"):
                    return self.answer(json.dumps(tree if "/tree/" in path else about).encode())
                if path.startswith("/someone/city/") and name in files:
                    return self.answer(files[name].read_bytes(), ETag=f'"{name}"')
                return self.answer(b"", 404, **{"X-Error-Code": "RepoNotFound"})

            do_HEAD = do_GET  # noqa: N815

            def answer(self, body, status=200, **headers):
                self.send_response(status)
                headers |= {"Content-Length": str(len(body)), "X-Repo-Commit": "a" * 40}
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


# -------------------------------------------------------------------------------------------- damaged models
def test_an_unknown_model_is_refused_without_the_network():
    for name in ("no-such-model", "./no/such", "/no/such/folder", "../no-such"):
        with pytest.raises(MissingFileError, match="synthetic-city"):
            SounDiTPipeline.from_pretrained(name)


def with_vae(folder, vae):
    """The folder, its autoencoder replaced."""
    for file in (folder / "vae").iterdir():
        file.unlink()
    vae.save_pretrained(folder / "vae")
    index = json.loads((folder / "model_index.json").read_text())
    index["vae"] = ["diffusers", type(vae).__name__]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize("part", ["transformer", "vae", "encoder", "diffusers"])
@pytest.mark.parametrize("harm", ["renamed", "reshaped", "lacking", "truncated", "no safetensors"])
def test_damaged_weights_are_refused_by_name(copy, part, harm):
    if part == "diffusers":
        with_vae(copy, kl())
        part = "vae"
    file = copy / part / "diffusion_pytorch_model.safetensors"
    content, raw = load_file(file), file.read_bytes()
    key = min(key for key, value in content.items() if value.ndim > 1)
    if harm == "renamed":
        content[f"strange_{key}"] = content.pop(key)
    elif harm == "reshaped":
        content[key] = content[key].repeat(*[1] * (content[key].ndim - 1), 2)
    elif harm == "lacking":
        del content[key]
    save_file(content, file)
    said = key.replace(".", r"\.")
    if harm == "truncated":
        file.write_bytes(raw[:-100])
        said = "intact|safetensors|load"
    elif harm == "no safetensors":
        file.rename(file.with_suffix(".bin"))
        said = "safetensors"
    with pytest.raises(WeightsError, match=said):
        SounDiTPipeline.from_pretrained(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"_class_name": "StableDiffusionPipeline"}, "StableDiffusionPipeline"),
        ({"vae": ["os", "system"]}, "os.system"),
        ({"vae": ["soundit_geo.lab.preset", "Workshop"]}, "Workshop"),
        ({"vae": ["diffusers", "NoSuchClass"]}, "NoSuchClass"),
        ({"soundscape_tokens": "whole"}, "whole"),
        ({"colour": 3}, "colour"),
    ],
)
def test_an_index_that_names_something_else_is_refused(copy, change, said):
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps({**index, **change}))
    with pytest.raises(SounditError, match=said):
        SounDiTPipeline.from_pretrained(copy)


def test_code_in_a_folder_never_runs(copy, tmp_path):
    index = json.loads((copy / "model_index.json").read_text())
    mark = tmp_path / "ran"
    (copy / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass SounDiTPipeline: pass\n")
    (copy / "pipeline.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (copy / "model_index.json").write_text(json.dumps({**index, "_class_name": ["evil", "SounDiTPipeline"]}))
    with pytest.raises(WeightsError, match="evil"):
        SounDiTPipeline.from_pretrained(copy)
    (copy / "model_index.json").write_text(json.dumps({**index, "vae": ["evil", "FoldingAutoencoder"]}))
    (copy / "vae" / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n")
    with pytest.raises(WeightsError, match="evil"):
        SounDiTPipeline.from_pretrained(copy)
    assert not mark.exists()


def test_a_lacking_component_is_named(copy):
    subprocess.run(["rm", "-r", copy / "vae"], check=True)
    with pytest.raises(WeightsError, match="vae"):
        SounDiTPipeline.from_pretrained(copy)


# ---------------------------------------------------------------------------------------------- autoencoders
def kl(**config):
    torch.manual_seed(4)
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        sample_size=32,
        **config,
    ).eval()


def tiny_vae(**config):
    torch.manual_seed(5)
    widths = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
    return AutoencoderTiny(**widths, **config).eval()


VAES = {
    "kl": (kl, 0.18215, 0.0),
    "kl, shifted": (lambda: kl(scaling_factor=0.36, shift_factor=0.12), 0.36, 0.12),
    "tiny": (tiny_vae, 1.0, 0.0),
    "folding": (make_vae, 0.7, 0.0),
}


@pytest.mark.parametrize("name", VAES)
def test_latents_are_decoded_at_the_scale_of_the_autoencoder(encoder, name):
    make, scale, shift = VAES[name]
    vae = make()
    pipe = quiet(SounDiTPipeline(make_transformer(), vae, make_scheduler(), encoder))
    common = {"scenes": ["x", "y"], "latents": first(2), "num_inference_steps": 2}
    latents = pipe(**common, output_type="latent").images
    with torch.no_grad():
        pixels = vae.decode(latents / scale + shift).sample
    expected = (pixels / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(pipe(**common, output_type="pt").images, expected, atol=1e-5, rtol=0)
    assert [image.size for image in pipe(**common).images] == [(32, 32)] * 2
    vae.enable_slicing()
    torch.testing.assert_close(pipe(**common, output_type="pt").images, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["kl", "tiny"])
def test_diffusers_autoencoders_are_saved_and_loaded(encoder, tmp_path, name):
    pipe = quiet(SounDiTPipeline(make_transformer(), VAES[name][0](), make_scheduler(), encoder))
    pipe.save_pretrained(tmp_path / "model")
    loaded = quiet(SounDiTPipeline.from_pretrained(tmp_path / "model"))
    assert type(loaded.vae) is type(pipe.vae)
    assert loaded.vae.config.scaling_factor == VAES[name][1]
    common = {"scenes": ["x"], "latents": first(), "num_inference_steps": 1, "output_type": "pt"}
    torch.testing.assert_close(loaded(**common).images, pipe(**common).images, atol=1e-5, rtol=0)


def test_an_autoencoder_with_stable_diffusions_first_names_is_taken(copy):
    vae = kl()
    file = with_vae(copy, vae) / "vae" / "diffusion_pytorch_model.safetensors"
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    content = {}
    for key, value in load_file(file).items():
        new = key
        for now, then in names.items():
            new = new.replace(f"attentions.0.{now}.", f"attentions.0.{then}.")
        content[new] = value
    assert sum("proj_attn" in key for key in content) == 4
    save_file(content, file)
    loaded = SounDiTPipeline.from_pretrained(copy).vae
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), vae.parameters(), strict=True))


def test_tiling_is_the_autoencoders_own(encoder):
    pipe = quiet(SounDiTPipeline(make_transformer(sample_size=16), kl(), make_scheduler(), encoder))
    calls = []
    pipe.vae.decoder.register_forward_pre_hook(lambda _, given: calls.append(tuple(given[0].shape[-2:])))
    pipe.vae.tile_latent_min_size, pipe.vae.tile_sample_min_size = 8, 64
    common = {"scenes": ["x"], "num_inference_steps": 1, "output_type": "pt"}
    assert pipe(**common).images.shape == (1, 3, 128, 128)
    assert calls == [(16, 16)]
    pipe.vae.enable_tiling()
    assert pipe(**common).images.shape == (1, 3, 128, 128)
    assert set(calls[1:]) <= {(8, 8), (8, 4), (4, 8), (4, 4)}


def test_the_autoencoder_keeps_sizes_and_has_unit_posterior_deviation():
    vae = FoldingAutoencoder(fine_channels=16, coarse_channels=16)
    posterior = vae.encode(torch.zeros(2, 3, 64, 32)).latent_dist
    assert posterior.mean.shape == (2, 4, 8, 4)
    assert vae.decode(posterior.mean).sample.shape == (2, 3, 64, 32)
    torch.testing.assert_close(posterior.std, torch.full_like(posterior.std, 0.1))


def test_slicing_takes_pictures_one_by_one_and_changes_nothing():
    vae, pictures, sizes = make_vae(), torch.randn(3, 3, 32, 32), []
    for part in (vae.encoder, vae.decoder):
        part.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    with torch.no_grad():
        whole = vae.encode(pictures).latent_dist.mean
        again = vae.decode(whole).sample
        vae.enable_slicing()
        torch.testing.assert_close(vae.encode(pictures).latent_dist.mean, whole)
        torch.testing.assert_close(vae.decode(whole).sample, again)
    assert sizes == [3, 3, 1, 1, 1, 1, 1, 1]
    with pytest.raises(NotImplementedError, match="FoldingAutoencoder"):
        vae.enable_tiling()


# --------------------------------------------------------------------------------------------------- offload
def test_under_model_offload_every_component_is_fetched_before_it_works(pipeline, monkeypatch):
    """With the CPU standing in for the accelerator: the hooks are diffusers' and accelerate's own."""
    common = {"latents": first(), "num_inference_steps": 2, "output_type": "np"}
    plain = pipeline([noise()], ["a park"], **common).images
    pipeline.enable_model_cpu_offload(device="cpu")
    woken = []
    for name in ("encoder", "transformer", "vae"):
        module = getattr(pipeline, name)
        original = module._hf_hook.pre_forward

        def fetch(woken_one, *given, _name=name, _original=original, **options):
            woken.append(_name)
            return _original(woken_one, *given, **options)

        module._hf_hook.pre_forward = fetch
    work = {
        "encoder": (pipeline.encoder, "encode_fbanks"),
        "transformer": (pipeline.transformer, "prepare"),
        "vae": (pipeline.vae, "_sliced"),
    }
    for name, (module, method) in work.items():
        original = getattr(module, method)

        def check(*given, _name=name, _original=original, **options):
            assert woken[-1] == _name
            return _original(*given, **options)

        monkeypatch.setattr(module, method, check)
    assert np.array_equal(pipeline([noise()], ["a park"], **common).images, plain)
    assert list(dict.fromkeys(woken)) == ["encoder", "transformer", "vae"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is an accelerator")
def test_model_offload_without_an_accelerator_is_refused_by_diffusers(pipeline):
    with pytest.raises(RuntimeError, match="requires accelerator"):
        pipeline.enable_model_cpu_offload()


@pytest.mark.parametrize("name", ["enable_sequential_cpu_offload", "enable_group_offload"])
def test_offload_of_parts_of_a_model_is_refused_with_a_way_out(pipeline, name):
    with pytest.raises(NotImplementedError, match="enable_model_cpu_offload"):
        getattr(pipeline, name)(device="cpu")


def test_attention_slicing_changes_nothing(pipeline):
    common = {"scenes": ["x"], "latents": first(), "num_inference_steps": 1, "output_type": "latent"}
    plain = pipeline(**common).images
    pipeline.enable_attention_slicing()
    assert torch.equal(pipeline(**common).images, plain)


# ------------------------------------------------------------------------------------------------- bad input
NAN = float("nan")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "Nothing to draw from"),
        ({"scenes": []}, "Nothing to draw from"),
        ({"soundscapes": [], "scenes": []}, "Nothing to draw from"),
        ({"soundscapes": [noise()], "scenes": ["a", "b"]}, "Lengths disagree: 1 soundscapes, 2 scenes"),
        ({"soundscapes": noise()}, "list of soundscapes"),
        ({"soundscapes": {"street": noise()}}, "soundscapes is a dict"),
        ({"soundscapes": 3}, "soundscapes is a int"),
        ({"scenes": {"a": "park"}}, "scenes is a dict"),
        ({"scenes": {"a", "b"}}, "scenes is a set"),
        ({"scenes": ["a", 3]}, "A scene is a int"),
        ({"scenes": ["a"], "latents": torch.zeros(1, 4, 5, 5)}, "shape of latents"),
        ({"scenes": ["a"], "latents": torch.zeros(2, 4, 4, 4)}, "shape of latents"),
        ({"scenes": ["a"], "latents": torch.zeros(1, 4, 4, 4, dtype=torch.int64)}, "latents .*int64"),
        ({"scenes": ["a"], "latents": np.zeros((1, 4, 4, 4))}, "latents .*ndarray"),
        ({"scenes": ["a"], "latents": torch.full((1, 4, 4, 4), NAN)}, "latents .*NaN"),
        ({"scenes": ["a"], "scene_guidance_scale": 2.0}, "both"),
        ({"scenes": ["a"], "guidance_scale": NAN}, "guidance_scale is nan"),
        ({"scenes": ["a"], "guidance_scale": "4"}, "guidance_scale is '4'"),
        ({"scenes": ["a"], "scene_strength": float("inf")}, "scene_strength is inf"),
        ({"scenes": ["a"], "scene_embeds": torch.zeros(1, DIM)}, "give one of them"),
        ({"soundscapes": [None], "soundscape_embeds": embeds()}, "give one of them"),
        ({"scene_embeds": torch.zeros(1, 7)}, "this model expects"),
        ({"scene_embeds": torch.zeros(1, 1, DIM)}, "this model expects"),
        ({"scene_embeds": torch.full((1, DIM), NAN)}, "scene embeddings .*NaN"),
        ({"scene_embeds": [[0.0] * DIM]}, "scene embeddings .*list"),
        ({"scene_embeds": torch.zeros(1, DIM).long()}, "scene embeddings .*int64"),
        ({"soundscape_embeds": {"tokens": 1}}, "soundscape_embeds is a dict"),
        ({"soundscape_embeds": embeds()._replace(tokens=torch.zeros(1, 0, DIM))}, "soundscape tokens"),
        ({"soundscape_embeds": embeds()._replace(tokens=torch.zeros(2, 3, DIM))}, "soundscape tokens"),
        ({"soundscape_embeds": embeds()._replace(tokens=torch.zeros(1, 3, 5))}, "soundscape tokens"),
        ({"soundscape_embeds": embeds()._replace(summary=torch.zeros(1, 5))}, "soundscape summary"),
        ({"soundscape_embeds": embeds(2), "scenes": ["a"]}, "Lengths disagree"),
        ({"soundscape_embeds": embeds(), "soundscape_missing": [True, False]}, "soundscape_missing"),
        ({"soundscape_embeds": embeds(), "soundscape_missing": torch.zeros(1)}, "soundscape_missing"),
        ({"soundscapes": [None], "soundscape_missing": [True]}, "goes with soundscape_embeds"),
        ({"scenes": ["a"], "output_type": "jpeg"}, "output_type"),
        ({"scenes": ["a", "b"], "generator": [torch.Generator()]}, "1 generators came for 2"),
        ({"scenes": ["a"], "generator": 7}, "generator is a int"),
        ({"scenes": ["a"], "num_inference_steps": 0}, "num_inference_steps is 0"),
        ({"scenes": ["a"], "num_inference_steps": 1001}, "num_inference_steps is 1001"),
        ({"scenes": ["a"], "num_inference_steps": 2.5}, "num_inference_steps is 2.5"),
        ({"scenes": ["a"], "num_images_per_prompt": 0}, "num_images_per_prompt is 0"),
        ({"scenes": ["a"], "timesteps": [5, 9]}, "timesteps are"),
        ({"scenes": ["a"], "timesteps": [1000, 9]}, "timesteps are"),
        ({"scenes": ["a"], "timesteps": [9], "sigmas": [1.0]}, "Both timesteps and sigmas"),
        ({"scenes": ["a"], "callback_on_step_end_tensor_inputs": ["noise"]}, "noise"),
    ],
)
def test_bad_calls_get_one_clear_error(pipeline, arguments, said):
    with pytest.raises(InputError, match=said):
        pipeline(**{"num_inference_steps": 1, **arguments})


def test_components_that_do_not_fit_are_refused_at_once(pipeline):
    parts = pipeline.components
    wide = ImageBindModel.mini(**{**ENCODER, "joint_dim": 24})
    for change, said in (
        ({"encoder": wide}, "joint_dim 24"),
        (
            {"vae": FoldingAutoencoder(latent_channels=16, fine_channels=8, coarse_channels=8)},
            "latent_channels 16",
        ),
        ({"soundscape_tokens": "patches"}, "'patches' tokens have width 32"),
        ({"soundscape_tokens": "whole"}, "'whole'; expected one of pooled, clips, patches"),
    ):
        with pytest.raises(InputError, match=said):
            SounDiTPipeline(**{**parts, **change})


def test_the_library_leaves_diffusers_as_it_was_but_for_its_names():
    assert diffusers.SounDiTPipeline is SounDiTPipeline
    assert diffusers.DiffusionPipeline is not SounDiTPipeline
    assert Path(diffusers.__file__).name == "__init__.py"


# ------------------------------------------------------------------------------------------- the paper's size
def test_the_papers_parts_have_the_published_sizes():
    with torch.device("meta"):
        vae = paper_size.stable_diffusion_vae()
    assert sum(value.numel() for value in vae.parameters()) == 83_653_863
    assert vae.config.scaling_factor == 0.18215


def test_the_paper_size_run_tells_what_it_did(monkeypatch):
    """With small parts in place of the full ones; the command itself takes two minutes and 7 GB."""
    small = make_transformer(token_dim=DIM)
    monkeypatch.setattr(SounDiTTransformer2DModel, "of_size", lambda _name: small)
    monkeypatch.setattr(ImageBindModel, "huge", lambda **_: ImageBindModel.mini(**ENCODER))
    monkeypatch.setattr(paper_size, "stable_diffusion_vae", kl)
    before = paper_size.peak_memory()
    told = paper_size.paper_size(steps=2)
    assert told["parameters"]["transformer"] == sum(value.numel() for value in small.parameters())
    assert told["picture"] == [32, 32, 3]
    assert told["guidance_scale"] == 4.0
    assert told["peak_memory_bytes"] >= before > 50e6


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no Linux")
def test_peak_memory_is_what_the_system_says():
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    said = 1024 * int(lines["VmHWM"].split()[0])
    assert abs(paper_size.peak_memory() - said) < 0.02 * said


def test_an_encoder_split_by_modality_is_a_component_as_it_is(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "model")
    for file in (tmp_path / "model/encoder").iterdir():
        file.unlink()
    pipeline.encoder.save_parts(tmp_path / "model/encoder")
    loaded = SounDiTPipeline.from_pretrained(tmp_path / "model")
    for name, value in pipeline.encoder.state_dict().items():
        assert torch.equal(loaded.encoder.state_dict()[name], value)
    (tmp_path / "model/encoder/text.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"text\.safetensors"):
        SounDiTPipeline.from_pretrained(tmp_path / "model")
