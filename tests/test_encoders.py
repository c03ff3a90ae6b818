"""ImageBind: layout, arithmetic and preprocessing, against laws and literal second computations."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from diffusers import ConfigMixin, DiffusionPipeline, ModelMixin
from PIL import Image
from torch import nn

from soundit_geo.encoders import (
    ImageBindModel,
    clip_spans,
    fbanks_of,
    fbanks_of_channels,
    fbanks_of_file,
    imagebind,
    pixels_of,
    preprocessing,
    tokenize,
)
from soundit_geo.encoders.imagebind import Attention, TextPreprocessor, Trunk
from soundit_geo.errors import AudioError, InputError, MissingFileError, PictureError

PARTS = ("audio", "text", "vision")


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(16_000 * seconds)) + 0.05).astype(np.float32)


@pytest.fixture(scope="module")
def mini() -> ImageBindModel:
    torch.manual_seed(0)
    return ImageBindModel.mini().eval()


@pytest.fixture(scope="module")
def huge() -> ImageBindModel:
    with torch.device("meta"):
        return ImageBindModel.huge()


# --------------------------------------------------------------------------------------------------- layout


def block_keys(trunk: str, width: int, *, bias_kv: bool) -> dict[str, tuple[int, ...]]:
    keys = {
        "attn.in_proj_weight": (3 * width, width),
        "attn.in_proj_bias": (3 * width,),
        "attn.out_proj.weight": (width, width),
        "attn.out_proj.bias": (width,),
        "norm_1.weight": (width,),
        "norm_1.bias": (width,),
        "norm_2.weight": (width,),
        "norm_2.bias": (width,),
        "mlp.fc1.weight": (4 * width, width),
        "mlp.fc1.bias": (4 * width,),
        "mlp.fc2.weight": (width, 4 * width),
        "mlp.fc2.bias": (width,),
    }
    if bias_kv:
        keys |= {"attn.bias_k": (1, 1, width), "attn.bias_v": (1, 1, width)}
    return {f"modality_trunks.{trunk}.blocks.{{}}.{key}": shape for key, shape in keys.items()}


PUBLISHED = {
    "audio": {
        "modality_preprocessors.audio.cls_token": (1, 1, 768),
        "modality_preprocessors.audio.rgbt_stem.proj.weight": (768, 1, 16, 16),
        "modality_preprocessors.audio.rgbt_stem.norm_layer.weight": (768,),
        "modality_preprocessors.audio.rgbt_stem.norm_layer.bias": (768,),
        "modality_preprocessors.audio.pos_embedding_helper.pos_embed": (1, 229, 768),
        "modality_heads.audio.0.weight": (768,),
        "modality_heads.audio.0.bias": (768,),
        "modality_heads.audio.2.weight": (1024, 768),
        "modality_postprocessors.audio.1.log_logit_scale": (),
    }
    | {
        key.format(n): shape
        for n in range(12)
        for key, shape in block_keys("audio", 768, bias_kv=True).items()
    },
    "text": {
        "modality_preprocessors.text.token_embedding.weight": (49408, 1024),
        "modality_preprocessors.text.pos_embed": (1, 77, 1024),
        "modality_preprocessors.text.mask": (77, 77),
        "modality_heads.text.proj.0.weight": (1024,),
        "modality_heads.text.proj.0.bias": (1024,),
        "modality_heads.text.proj.1.weight": (1024, 1024),
        "modality_postprocessors.text.1.log_logit_scale": (),
    }
    | {
        key.format(n): shape
        for n in range(24)
        for key, shape in block_keys("text", 1024, bias_kv=False).items()
    },
    "vision": {
        "modality_preprocessors.vision.cls_token": (1, 1, 1280),
        "modality_preprocessors.vision.rgbt_stem.proj.1.weight": (1280, 3, 2, 14, 14),
        "modality_preprocessors.vision.pos_embedding_helper.pos_embed": (1, 257, 1280),
        "modality_trunks.vision.pre_transformer_layer.0.weight": (1280,),
        "modality_trunks.vision.pre_transformer_layer.0.bias": (1280,),
        "modality_heads.vision.0.weight": (1280,),
        "modality_heads.vision.0.bias": (1280,),
        "modality_heads.vision.2.weight": (1024, 1280),
    }
    | {
        key.format(n): shape
        for n in range(32)
        for key, shape in block_keys("vision", 1280, bias_kv=False).items()
    },
}


@pytest.mark.parametrize("part", PARTS)
def test_huge_has_the_published_keys_and_shapes(huge, part):
    ours = {key: tuple(value.shape) for key, value in huge.state_dict().items() if f".{part}." in key}
    assert ours == PUBLISHED[part]


@pytest.mark.parametrize(
    ("part", "count"), [("audio", 86_235_648), ("text", 354_032_641), ("vision", 632_829_440)]
)
def test_huge_has_the_published_number_of_parameters(huge, part, count):
    assert sum(p.numel() for name, p in huge.named_parameters() if f".{part}." in name) == count


def test_the_audio_scale_is_a_buffer_and_the_text_scale_a_parameter(mini):
    parameters = dict(mini.named_parameters())
    assert "modality_postprocessors.text.1.log_logit_scale" in parameters
    assert "modality_postprocessors.audio.1.log_logit_scale" not in parameters
    learnable = ImageBindModel.mini(modalities=["audio"], audio_scale_learnable=True)
    assert "modality_postprocessors.audio.1.log_logit_scale" in dict(learnable.named_parameters())
    assert set(learnable.state_dict()) == {key for key in mini.state_dict() if ".audio." in key}


def test_a_model_holds_only_the_modalities_asked_for():
    model = ImageBindModel.mini(modalities=["audio", "text"])
    assert not any(".vision." in key for key in model.state_dict())
    with pytest.raises(InputError, match="holds audio, text, not vision"):
        model.encode_pictures([np.zeros((8, 8, 3), np.uint8)])
    with pytest.raises(InputError, match="not audio"):
        ImageBindModel.mini(modalities=["text"]).encode_soundscapes([noise(1)])
    with pytest.raises(InputError, match="not text"):
        ImageBindModel.mini(modalities=["audio"]).encode_scenes(["a park"])


@pytest.mark.parametrize("modalities", [["audio", "smell"], [], "audio"])
def test_unknown_modalities_are_refused(modalities):
    with pytest.raises(InputError, match="expected one or more of audio, text, vision"):
        ImageBindModel.mini(modalities=modalities)


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(InputError, match="audio_width 130 cannot be shared out among 4"):
        ImageBindModel.mini(audio_width=130)


# ---------------------------------------------------------------------------------------------------- files


def sizes(model: ImageBindModel) -> dict[str, object]:
    return {
        key: value for key, value in json.loads(model.to_json_string()).items() if not key.startswith("_")
    }


def test_a_saved_model_comes_back_the_same(mini, tmp_path):
    mini.save_pretrained(tmp_path)
    assert list(tmp_path.glob("*.safetensors"))
    back = ImageBindModel.from_pretrained(tmp_path)
    assert sizes(back) == sizes(mini)
    assert back.state_dict().keys() == mini.state_dict().keys()
    assert all(torch.equal(value, mini.state_dict()[key]) for key, value in back.state_dict().items())
    assert torch.equal(back.encode_scenes(["a park"]), mini.encode_scenes(["a park"]))


class Carrier(DiffusionPipeline):
    def __init__(self, encoder: ImageBindModel) -> None:
        super().__init__()
        self.register_modules(encoder=encoder)


def test_a_diffusers_pipeline_carries_it(mini, tmp_path):
    assert imagebind.ModelMixin is ModelMixin
    assert imagebind.ConfigMixin is ConfigMixin
    Carrier(mini).save_pretrained(tmp_path)
    back = Carrier.from_pretrained(tmp_path).encoder
    assert isinstance(back, ImageBindModel)
    assert all(torch.equal(value, mini.state_dict()[key]) for key, value in back.state_dict().items())


def test_it_runs_in_half_precision(mini, tmp_path):
    mini.save_pretrained(tmp_path)
    half = ImageBindModel.from_pretrained(tmp_path, torch_dtype=torch.bfloat16)
    exact, rough = mini.encode_soundscapes([noise(3)]).summary, half.encode_soundscapes([noise(3)]).summary
    assert rough.dtype == torch.bfloat16
    assert torch.nn.functional.cosine_similarity(exact, rough.float()).item() > 0.99


# ----------------------------------------------------------------------------------------------- embeddings


@pytest.mark.parametrize(
    ("kind", "length", "width"), [("pooled", 1, 128), ("clips", 3, 128), ("patches", 3 * 97, 128)]
)
def test_each_kind_of_tokens_has_its_shape(mini, kind, length, width):
    embeds = mini.encode_soundscapes([noise(1), noise(7)], kind)
    assert embeds.tokens.shape == (2, length, width)
    assert embeds.summary.shape == (2, 128)
    assert mini.token_width(kind) == width


def test_token_widths_of_huge(huge):
    assert [huge.token_width(kind) for kind in ("pooled", "clips", "patches")] == [1024, 1024, 768]
    assert huge.joint_dim == 1024


def test_clips_are_averaged_after_scaling(mini):
    embeds = mini.encode_soundscapes([noise(10)])
    norms = embeds.tokens.norm(dim=-1)
    torch.testing.assert_close(norms, torch.full_like(norms, 20.0))
    torch.testing.assert_close(embeds.summary, embeds.tokens.mean(dim=1))
    assert embeds.summary.norm() < 20.0
    pooled = mini.encode_soundscapes([noise(10)], "pooled")
    torch.testing.assert_close(pooled.tokens[:, 0], embeds.summary)


def test_the_class_patch_token_of_each_clip_carries_its_joint_vector(mini):
    patches = mini.encode_soundscapes([noise(10)], "patches").tokens.unflatten(1, (3, 97))
    joint = torch.nn.functional.normalize(mini.modality_heads["audio"][2](patches[:, :, 0]), dim=-1) * 20
    torch.testing.assert_close(joint, mini.encode_soundscapes([noise(10)]).tokens)


def test_scales_of_text_and_vision(mini):
    assert mini.encode_scenes(["a park"]).norm().item() == pytest.approx(1 / 0.07, rel=1e-5)
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    assert mini.encode_pictures([picture]).norm().item() == pytest.approx(1.0, rel=1e-5)


def test_a_scale_is_clipped_at_100():
    scale = imagebind.Scale(5000.0, learnable=True)
    assert scale(torch.ones(1)).item() == pytest.approx(100.0)


def test_what_shares_a_batch_changes_nothing(mini):
    sounds = [noise(0.5, 1), noise(3, 2), noise(10, 3)]
    together = mini.encode_soundscapes(sounds)
    in_twos = mini.encode_soundscapes(sounds, batch_size=2)
    for row, sound in enumerate(sounds):
        alone = mini.encode_soundscapes([sound])
        torch.testing.assert_close(together.tokens[row], alone.tokens[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(in_twos.tokens[row], alone.tokens[0], atol=1e-5, rtol=0)
    pictures = [np.full((40, 40, 3), shade, np.uint8) for shade in (0, 90, 255)]
    rows = torch.cat([mini.encode_pictures([picture]) for picture in pictures])
    torch.testing.assert_close(mini.encode_pictures(pictures, batch_size=2), rows, atol=1e-5, rtol=0)


def test_a_path_and_its_samples_give_the_same(mini, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(3), 16_000, subtype="FLOAT")
    from_path = mini.encode_soundscapes([tmp_path / "a.wav", str(tmp_path / "a.wav")])
    from_samples = mini.encode_soundscapes([noise(3), torch.from_numpy(noise(3))])
    assert torch.equal(from_path.tokens, from_samples.tokens)


def test_every_parameter_receives_gradient():
    torch.manual_seed(0)
    model = ImageBindModel.mini()
    ids = tokenize(["a park by the river", "a busy street"])
    joint = model(fbanks=torch.randn(2, 2, 1, 128, 204), ids=ids, pixels=torch.randn(2, 3, 128, 128))
    assert set(joint) == set(PARTS)
    target = torch.randn(2, 128)
    sum((value * target).sum() for value in joint.values()).backward()
    # A vector's length is fixed, so the scale's own gradient can be small, never absent.
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_raw_inputs_carry_no_gradient(mini):
    assert not mini.encode_soundscapes([noise(1)]).summary.requires_grad
    assert not mini.encode_scenes(["a park"]).requires_grad


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: m.encode_fbanks(torch.zeros(2, 3, 128, 204)),
            r"fbanks has shape .*expected \(B, S, 1, 128, 204\)",
        ),
        (lambda m: m.encode_pixels(torch.zeros(2, 3, 224, 224)), r"expected \(B, 3, 128, 128\)"),
        (lambda m: m.encode_tokens(torch.zeros(2, 78, dtype=torch.long)), "at most 77"),
        (lambda m: m.encode_tokens(torch.zeros(2, 9)), "float32"),
        (lambda m: m.encode_soundscapes([noise(1)], "words"), "none of pooled, clips, patches"),
        (lambda m: m.encode_soundscapes(noise(1)), "give a list"),
        (lambda m: m.encode_soundscapes("street.ogg"), "give a list"),
        (lambda m: m.encode_soundscapes([]), "empty"),
        (lambda m: m.encode_scenes("a park"), "give a list"),
        (lambda m: m.encode_scenes(["a park", None]), "Prompt 1 is NoneType"),
        (lambda m: m.encode_pictures(np.zeros((8, 8, 3), np.uint8)), "give a list"),
        (lambda m: m.encode_pictures([]), "empty"),
    ],
)
def test_what_cannot_be_embedded_is_refused(mini, call, message):
    with pytest.raises(InputError, match=message):
        call(mini)


# ------------------------------------------------------------------------------------------------ attention


@pytest.mark.parametrize(("bias_kv", "causal"), [(True, False), (False, True), (False, False)])
def test_attention_is_torchs_multihead_attention(bias_kv, causal):
    torch.manual_seed(1)
    reference = nn.MultiheadAttention(24, 4, add_bias_kv=bias_kv, batch_first=True)
    nn.init.normal_(reference.in_proj_bias)
    ours = Attention(24, 4, bias_kv=bias_kv)
    ours.load_state_dict(reference.state_dict())
    x = torch.randn(2, 9, 24)
    mask = torch.full((9, 9), -math.inf).triu(1) if causal else None
    expected = reference(x, x, x, need_weights=False, attn_mask=mask)[0]
    torch.testing.assert_close(ours(x, causal=causal), expected, atol=1e-6, rtol=1e-5)


def literal_text(model: ImageBindModel, ids: torch.Tensor) -> torch.Tensor:
    """All 77 positions, the mask of the state dict, softmax by hand."""
    enter, trunk, head = (
        getattr(model, f"modality_{part}")["text"] for part in ("preprocessors", "trunks", "heads")
    )
    x = enter.token_embedding(ids) + enter.pos_embed
    for block in trunk.blocks:
        attn, y = block.attn, block.norm_1(x)
        q, k, v = (y @ attn.in_proj_weight.T + attn.in_proj_bias).chunk(3, dim=-1)
        q, k, v = (t.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for t in (q, k, v))
        w = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + enter.mask, dim=-1)
        x = x + attn.out_proj((w @ v).transpose(1, 2).flatten(2))
        x = x + block.mlp(block.norm_2(x))
    x = head.proj(x[torch.arange(len(ids)), ids.argmax(dim=-1)])
    return model.modality_postprocessors["text"](x)


@torch.no_grad()
def test_cutting_prompts_at_the_longest_is_exact(mini):
    torch.manual_seed(2)
    model = ImageBindModel.mini(modalities=["text"], text_zero_embedding=False).eval()
    ids = tokenize(["a park", "a pedestrian plaza with trees and a fountain", ""])
    expected = literal_text(model, ids)
    torch.testing.assert_close(model.encode_tokens(ids), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.encode_tokens(ids[:1]), expected[:1], atol=1e-5, rtol=0)
    longest = tokenize(["word " * 200])
    torch.testing.assert_close(model.encode_tokens(longest), literal_text(model, longest), atol=1e-5, rtol=0)


def test_unseen_words_are_neutral_where_embeddings_start_at_zero():
    torch.manual_seed(3)
    model = ImageBindModel.mini(modalities=["text"])
    table = model.modality_preprocessors["text"].token_embedding.weight
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    seen = tokenize(["a park by the river"])
    for _ in range(2):
        optimiser.zero_grad()
        model.encode_tokens(seen)[:, 0].sum().backward()
        optimiser.step()
    assert set(table.abs().sum(dim=1).nonzero().flatten().tolist()) == set(seen[seen > 0].tolist())
    unseen = model.encode_scenes(["a tree", "a bench", "a river"])
    torch.testing.assert_close(unseen[0], unseen[1])
    assert not torch.allclose(unseen[0], unseen[2])


def test_words_start_random_where_published():
    assert not TextPreprocessor(20, 5, 8, zero=True).token_embedding.weight.any()
    assert TextPreprocessor(20, 5, 8, zero=False).token_embedding.weight.all()


def test_a_trunk_normalises_first_only_where_told():
    assert not any("pre_transformer" in key for key in Trunk(8, 1, 2).state_dict())
    assert any("pre_transformer" in key for key in Trunk(8, 1, 2, norm_first=True).state_dict())


# ---------------------------------------------------------------------------------------------------- sound


@pytest.mark.parametrize(
    ("seconds", "starts", "length"),
    [
        (0.5, (0, 0, 0), 0.5),
        (2, (0, 0, 0), 2),
        (3, (0, 0.5, 1), 2),
        (5.9, (0, 1.95, 3.9), 2),
        (10, (0, 4, 8), 2),
        (61, (0, 29.5, 59), 2),
    ],
)
def test_clips_lie_at_the_start_the_middle_and_the_end(seconds, starts, length):
    spans = clip_spans(round(seconds * 16_000))
    for (first, last), start in zip(spans, starts, strict=True):
        assert abs(first - start * 16_000) <= 1
        assert abs(last - first - length * 16_000) <= 1
        assert last <= seconds * 16_000


def literal_fbank(clip: np.ndarray, bands: int = 128) -> np.ndarray:
    """Kaldi's filter banks in float64, written from its definition."""
    clip = clip.astype(np.float64)
    frames = 1 + (len(clip) - 400) // 160
    windows = np.stack([clip[160 * n : 160 * n + 400] for n in range(frames)])
    windows = windows - windows.mean(axis=1, keepdims=True)
    previous = np.concatenate([windows[:, :1], windows[:, :-1]], axis=1)
    windows = (windows - 0.97 * previous) * np.hanning(400)
    power = np.abs(np.fft.rfft(windows, 512)) ** 2
    mel = lambda f: 1127.0 * np.log(1 + f / 700.0)  # noqa: E731
    edges = np.linspace(mel(20.0), mel(8000.0), bands + 2)
    at = mel(np.arange(256) * 16_000 / 512)
    rise = (at - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - at) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.clip(np.minimum(rise, fall), 0, None)
    return np.log(np.maximum(power[:, :256] @ weights.T, np.finfo(np.float32).eps)).T


@pytest.mark.parametrize("seconds", [0.5, 2, 3, 5.9, 10])
def test_filter_banks_are_kaldis_with_the_means_taken_one_after_the_other(seconds):
    sound = noise(seconds)
    shifted = sound.copy()
    expected = np.zeros((3, 1, 128, 204))
    for n, (first, last) in enumerate(clip_spans(len(sound))):
        shifted[first:last] -= shifted[first:last].mean()
        bank = literal_fbank(shifted[first:last])
        expected[n, 0, :, : bank.shape[1]] = bank
    np.testing.assert_allclose(fbanks_of(sound).numpy(), (expected + 4.268) / 9.138, atol=2e-4)


@pytest.mark.parametrize(("seconds", "frames"), [(0.5, 48), (2, 198), (10, 198)])
def test_padding_comes_before_normalising(seconds, frames):
    bank = fbanks_of(noise(seconds)).numpy()
    assert bank.shape == (3, 1, 128, 204)
    np.testing.assert_allclose(bank[..., frames:], 4.268 / 9.138, rtol=1e-6)
    assert np.abs(bank[..., frames - 1] - 4.268 / 9.138).max() > 0.1


def test_one_channel_among_channels_is_mono():
    assert torch.equal(fbanks_of_channels(noise(3)[None]), fbanks_of(noise(3)))
    both = np.stack([noise(3, 1), noise(3, 2)])
    torch.testing.assert_close(fbanks_of_channels(both), fbanks_of(both[0]), atol=0.05, rtol=0)
    with pytest.raises(AudioError, match="expected \\(channels, samples\\)"):
        fbanks_of_channels(noise(3))


def test_the_callers_samples_stay_as_they_are():
    sound = noise(3)
    before = sound.copy()
    fbanks_of(sound)
    tensor = torch.from_numpy(sound)
    fbanks_of(tensor)
    np.testing.assert_array_equal(sound, before)


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (np.zeros((2, 16_000), np.float32), "shape"),
        (noise(0.1), "at least 0.25 s"),
        (np.zeros(16_000, np.float32), "silent"),
        (np.full(16_000, 0.3, np.float32), "silent"),
        (np.where(np.arange(16_000) == 5, np.nan, noise(1)), "not finite"),
        (np.zeros(16_000, np.int16), "int16"),
        (np.zeros(0, np.float32), "0 samples"),
        (torch.ones(16_000, dtype=torch.int16), "int16"),
        (np.array(["a"] * 9000), "floating point"),
        (None, "shape"),
    ],
)
def test_a_waveform_that_cannot_be_heard_is_refused(sound, message):
    with pytest.raises(AudioError, match=message):
        fbanks_of(sound)


def test_of_a_long_file_only_the_clips_are_read(tmp_path, monkeypatch):
    rng = np.random.default_rng(4)
    soundfile.write(tmp_path / "long.wav", 0.1 * rng.standard_normal((44_100 * 9, 2)), 44_100)
    whole = fbanks_of_file(tmp_path / "long.wav")
    read = []
    monkeypatch.setattr(preprocessing, "LONG_SECONDS", 6)
    reader = preprocessing.read_recording
    monkeypatch.setattr(preprocessing, "read_recording", lambda *a, **k: read.append(k) or reader(*a, **k))
    parts = fbanks_of_file(tmp_path / "long.wav")
    assert [part["seconds"] for part in read] == [2, 2, 2]
    torch.testing.assert_close(parts, whole, atol=1e-3, rtol=0)


def test_an_unusable_file_is_explained(tmp_path, mini):
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(AudioError, match=r"text\.wav"):
        mini.encode_soundscapes([tmp_path / "text.wav"])
    with pytest.raises(MissingFileError):
        mini.encode_soundscapes([tmp_path / "absent.wav"])


# ----------------------------------------------------------------------------------------------------- text


def test_tokens_of_a_prompt_are_clips():
    row = tokenize(["a photo of a cat"])[0]
    assert row[:7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert not row[7:].any()
    assert row.shape == (77,)
    assert row.dtype == torch.long


def test_a_prompt_that_is_too_long_keeps_its_end():
    row = tokenize(["tree " * 300])[0]
    assert row[0] == 49406
    assert row[-1] == 49407
    assert len(set(row[1:-1].tolist())) == 1
    assert torch.equal(row, tokenize(["tree " * 75])[0])


@pytest.mark.parametrize(
    ("messy", "clean"),
    [
        ("A  Park\n\tby the\u00a0SEA ", "a park by the sea"),
        ("fish &amp;amp; chips", "fish & chips"),
        ("cafÃ©", "café"),
        ("", "   "),
    ],
)
def test_text_is_mended_before_it_is_cut_into_tokens(messy, clean):
    assert torch.equal(tokenize([messy]), tokenize([clean]))


def test_the_marks_are_spelled_as_imagebind_spells_them():
    assert tokenize(["a <|endoftext|>"])[0, :4].tolist() == [49406, 320, 49407, 49407]
    assert tokenize(["<end_of_text>"])[0].tolist().count(49407) == 1


# ------------------------------------------------------------------------------------------------- pictures


def test_pixels_are_centred_and_normalised():
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 100:200] = (255, 128, 0)
    pixels = pixels_of(picture, 128)
    assert pixels.shape == (3, 128, 128)
    middle = pixels[:, 64, 64] * torch.tensor(preprocessing.PICTURE_STD) + torch.tensor(
        preprocessing.PICTURE_MEAN
    )
    torch.testing.assert_close(middle, torch.tensor([1.0, 128 / 255, 0.0]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(37, 91), (300, 224), (224, 224), (501, 333)])
def test_pixels_are_torchvisions(size):
    from torchvision import transforms

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    reference = transforms.Compose(
        [
            transforms.Resize(224, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(preprocessing.PICTURE_MEAN, preprocessing.PICTURE_STD),
        ]
    )
    torch.testing.assert_close(pixels_of(picture), reference(picture), atol=1e-6, rtol=0)
    torch.testing.assert_close(pixels_of(np.asarray(picture)), reference(picture), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8), "street.png", None],
)
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(PictureError):
        pixels_of(picture)


# -------------------------------------------------------------------------------------------------- imports


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import soundit_geo.encoders", "torch"),
        ("from soundit_geo.encoders import tokenize; tokenize(['a park'])", "open_clip"),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_used(code, absent):
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint({absent!r} in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "False"
