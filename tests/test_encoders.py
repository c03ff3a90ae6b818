"""ImageBind: layout, arithmetic and preprocessing, against laws and literal second computations."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import soundfile
import torch
from diffusers import DiffusionPipeline, ModelMixin
from hypothesis import strategies as st
from imagebind_layout import BUFFERS, ENTRIES, OTHERS, PARAMETERS, PARAMETERS_OF, PUBLISHED, published
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from soundit_geo import cli
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
from soundit_geo.encoders.checkpoint import modality_of, select
from soundit_geo.encoders.layers import Attention, TextPreprocessor, Trunk
from soundit_geo.errors import AudioError, InputError, MissingFileError, PictureError, WeightsError
from soundit_geo.weights import check_layout

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


def test_the_published_list_has_the_published_numbers():
    assert len(published()) == ENTRIES
    counts = {
        part: sum(math.prod(shape) for key, shape in shapes.items() if key not in BUFFERS)
        for part, shapes in PUBLISHED.items()
    }
    assert counts == PARAMETERS_OF
    assert sum(counts.values()) == PARAMETERS


@pytest.mark.parametrize("part", PARTS)
def test_huge_has_the_published_keys_and_shapes(huge, part):
    ours = {key: tuple(value.shape) for key, value in huge.state_dict().items() if f".{part}." in key}
    assert ours == PUBLISHED[part]


@pytest.mark.parametrize("part", PARTS)
def test_huge_has_the_published_number_of_parameters(huge, part):
    count = sum(p.numel() for name, p in huge.named_parameters() if f".{part}." in name)
    assert count == PARAMETERS_OF[part]


@pytest.mark.parametrize("parts", [None, ["audio"], ["text"], ["vision"], ["vision", "audio"]])
def test_of_the_published_list_the_parts_in_use_are_taken(parts):
    with torch.device("meta"):
        model = ImageBindModel.huge(modalities=parts or PARTS)
    taken, held = select(published(), parts)
    assert held == list(parts or PARTS)
    check_layout(taken, model.state_dict())
    assert len(taken) == sum(len(PUBLISHED[part]) for part in held)


@pytest.mark.parametrize(
    ("key", "modality"),
    [
        ("modality_trunks.audio.blocks.0.norm_1.weight", "audio"),
        ("modality_preprocessors.imu.pos_embed", "imu"),
        ("modality_heads.text.proj.0.bias", "text"),
        ("modality_trunks.smell.blocks.0.norm_1.weight", None),
        ("trunks.audio.blocks.0.norm_1.weight", None),
        ("modality_trunks.audio", None),
    ],
)
def test_a_name_tells_its_modality(key, modality):
    assert modality_of(key) == modality


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


@pytest.mark.parametrize("modalities", [["audio", "smell"], ["audio", "audio"], [], "audio"])
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
    assert imagebind.ModelMixin is ModelMixin  # diffusers looks for it there
    Carrier(mini).save_pretrained(tmp_path)
    back = Carrier.from_pretrained(tmp_path).encoder
    assert isinstance(back, ImageBindModel)
    assert all(torch.equal(value, mini.state_dict()[key]) for key, value in back.state_dict().items())


@pytest.mark.parametrize("settings", [{"typo": 1}, {"audio_widht": 128, "typo": 1}])
def test_unknown_settings_are_refused_by_name(mini, tmp_path, settings):
    name = f"no setting {next(iter(settings))!r}"
    with pytest.raises(InputError, match=name):
        ImageBindModel.huge(**settings)
    with pytest.raises(InputError, match=name):
        ImageBindModel.mini(**settings)
    with pytest.raises(InputError, match=name):
        ImageBindModel.from_config(dict(mini.config) | settings)
    mini.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | settings))
    with pytest.raises(InputError, match=name):
        ImageBindModel.from_pretrained(tmp_path)


# ------------------------------------------------------------------------------------ the published weights

SMALL = {
    "joint_dim": 12,
    "audio_stride": 16,
    "audio_width": 16,
    "audio_blocks": 2,
    "audio_heads": 2,
    "text_width": 16,
    "text_blocks": 2,
    "text_heads": 2,
    "vision_size": 28,
    "vision_width": 16,
    "vision_blocks": 2,
    "vision_heads": 2,
}


@pytest.fixture(scope="module")
def small() -> ImageBindModel:
    torch.manual_seed(0)
    model = ImageBindModel(**SMALL).eval()
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return model


@pytest.fixture(scope="module")
def whole(small) -> dict[str, torch.Tensor]:
    """A small model's weights as published: with those of the modalities that have no use here."""
    others = {key: torch.zeros(3) for part in OTHERS for key in PUBLISHED[part]}
    return {key: value.clone() for key, value in small.state_dict().items()} | others


@pytest.fixture(scope="module", params=[".pth", ".safetensors", "several", "folder"])
def stored(request, small, whole, tmp_path_factory):
    """The same weights in each form that can be read."""
    folder = tmp_path_factory.mktemp("stored")
    if request.param == ".pth":
        torch.save(whole, folder / "imagebind.pth")
        return folder / "imagebind.pth"
    if request.param == ".safetensors":
        save_file(whole, folder / "imagebind.safetensors")
        return str(folder / "imagebind.safetensors")
    small.save_parts(folder)
    return sorted(folder.glob("*.safetensors")) if request.param == "several" else folder


def same(model: ImageBindModel, whole: dict[str, torch.Tensor]) -> bool:
    held = model.state_dict()
    return bool(held) and all(torch.equal(value, whole[key]) for key, value in held.items())


@pytest.mark.parametrize("parts", [None, ["audio"], ["text"], ["vision"], ["text", "audio"]])
def test_stored_weights_load_whole_or_in_part(stored, small, whole, parts):
    model = ImageBindModel.from_checkpoint(stored, parts, **SMALL)
    assert model.config.modalities == list(parts or PARTS)
    assert set(model.state_dict()) == {
        key for key in small.state_dict() if modality_of(key) in (parts or PARTS)
    }
    assert same(model, whole)
    assert not model.training
    assert all(value.requires_grad and value.device.type == "cpu" for value in model.parameters())
    if "audio" in (parts or PARTS):
        heard = model.encode_soundscapes([noise(3)]).tokens
        assert torch.equal(heard, small.encode_soundscapes([noise(3)]).tokens)


def test_writing_to_a_loaded_model_leaves_the_file_as_it_was(whole, tmp_path):
    for name in ("a.pth", "a.safetensors"):
        torch.save(whole, tmp_path / name) if name == "a.pth" else save_file(whole, tmp_path / name)
        before = (tmp_path / name).read_bytes()
        model = ImageBindModel.from_checkpoint(tmp_path / name, **SMALL)
        with torch.no_grad():
            for value in model.parameters():
                value.zero_()
        assert (tmp_path / name).read_bytes() == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_what_is_not_asked_for_stays_on_the_disk(whole, tmp_path, name):
    heavy = whole | {"modality_trunks.vision.blocks.9.norm_1.weight": torch.ones(60_000_000)}  # 240 MB
    torch.save(heavy, tmp_path / name) if name == "a.pth" else save_file(heavy, tmp_path / name)
    del heavy

    def resident() -> int:
        return next(
            int(line.split()[1]) // 1024
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )

    before = resident()  # MB
    model = ImageBindModel.from_checkpoint(tmp_path / name, ["audio"], **SMALL)
    assert resident() - before < 60
    assert same(model, whole)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_modality_that_is_not_there_is_named(small, tmp_path, name):
    audio = {key: value for key, value in small.state_dict().items() if ".audio." in key}
    torch.save(audio, tmp_path / name) if name == "a.pth" else save_file(audio, tmp_path / name)
    assert ImageBindModel.from_checkpoint(tmp_path / name, **SMALL).config.modalities == ["audio"]
    with pytest.raises(WeightsError, match=r"holds no vision and no text.*holds: audio"):
        ImageBindModel.from_checkpoint(tmp_path / name, ["vision", "audio", "text"], **SMALL)
    with pytest.raises(InputError, match="expected one or more of audio, text, vision"):
        ImageBindModel.from_checkpoint(tmp_path / name, ["depth"], **SMALL)
    depth = {key: torch.zeros(3) for key in PUBLISHED["depth"]}
    torch.save(depth, tmp_path / "depth.pth")
    with pytest.raises(WeightsError, match=r"no modality of ImageBind.*holds: none"):
        ImageBindModel.from_checkpoint(tmp_path / "depth.pth", **SMALL)


@hypothesis.given(data=st.data())
@hypothesis.settings(
    max_examples=20, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture], deadline=None
)
def test_an_entry_that_disagrees_is_named(whole, tmp_path, data):
    key = data.draw(st.sampled_from(sorted(key for key in whole if modality_of(key) in PARTS)))
    what = data.draw(st.sampled_from(["lost", "renamed", "reshaped", "added"]))
    changed = dict(whole)
    if what in {"lost", "renamed"}:
        del changed[key]
    if what in {"renamed", "added"}:
        changed[f"{key}_2"] = whole[key]
    if what == "reshaped":
        changed[key] = torch.zeros(*whole[key].shape, 2)
    torch.save(changed, tmp_path / "changed.pth")
    with pytest.raises(WeightsError) as refused:
        ImageBindModel.from_checkpoint(tmp_path / "changed.pth", PARTS, **SMALL)
    expected = {
        "lost": f"1 missing: {key}",
        "renamed": f"1 missing: {key}; 1 unknown: {key}_2",
        "added": f"1 unknown: {key}_2",
        "reshaped": f"{key} is {tuple(changed.get(key, torch.zeros(0)).shape)}, expected {tuple(whole[key].shape)}",
    }
    assert expected[what] in str(refused.value)


def test_names_of_no_modality_are_not_passed_over(whole, tmp_path):
    torch.save(whole | {"modality_trunks.smell.blocks.0.norm_1.bias": torch.zeros(3)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"1 unknown: modality_trunks\.smell"):
        ImageBindModel.from_checkpoint(tmp_path / "a.pth", ["audio"], **SMALL)


def test_another_size_is_refused(small, tmp_path):
    small.save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=r"of another shape: .*is \(1, 1, 16\), expected \(1, 1, 768\)"):
        ImageBindModel.from_checkpoint(next(tmp_path.glob("*.safetensors")), ["audio"])


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


def test_a_file_that_would_run_code_is_refused(whole, tmp_path):
    torch.save(whole | {"modality_heads.audio.2.weight": Bomb()}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="run code"):
        ImageBindModel.from_checkpoint(tmp_path / "a.pth", ["audio"], **SMALL)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_that_breaks_off_is_refused(whole, tmp_path, name, share):
    path = tmp_path / name
    torch.save(whole, path) if name == "a.pth" else save_file(whole, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(WeightsError, match=name):
        ImageBindModel.from_checkpoint(path, ["audio"], **SMALL)


@pytest.mark.parametrize(("value", "dtype"), [(math.nan, torch.float32), (1e6, torch.float16)])
def test_weights_that_are_not_finite_are_refused(whole, tmp_path, value, dtype):
    key = "modality_heads.audio.2.weight"
    torch.save(whole | {key: torch.full_like(whole[key], value)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=key):
        ImageBindModel.from_checkpoint(tmp_path / "a.pth", ["audio"], dtype=dtype, **SMALL)
    ImageBindModel.from_checkpoint(tmp_path / "a.pth", ["text"], dtype=dtype, **SMALL)


def test_sources_that_cannot_be_are_refused(small, tmp_path):
    with pytest.raises(MissingFileError, match="no checkpoint"):
        ImageBindModel.from_checkpoint(tmp_path / "absent.pth")
    with pytest.raises(MissingFileError, match=r"has no audio\.safetensors"):
        ImageBindModel.from_checkpoint(tmp_path)
    with pytest.raises(WeightsError, match="no modality"):
        ImageBindModel.from_checkpoint([])
    paths = [part.path for part in small.save_parts(tmp_path).values()]
    with pytest.raises(WeightsError, match="that another file holds"):
        ImageBindModel.from_checkpoint([*paths, paths[0]], **SMALL)
    with pytest.raises(InputError, match=r"dtype is torch\.int8"):
        ImageBindModel.from_checkpoint(tmp_path, dtype=torch.int8)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(WeightsError, match="no settings in JSON"):
        ImageBindModel.from_checkpoint(tmp_path)


def test_parts_are_files_of_their_own(small, whole, tmp_path):
    parts = small.save_parts(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "audio.safetensors",
        "text.safetensors",
        "vision.safetensors",
        "config.json",
        "diffusion_pytorch_model.safetensors.index.json",
    }
    assert list(parts) == list(PARTS)
    for modality, part in parts.items():
        held = {key: value for key, value in small.state_dict().items() if modality_of(key) == modality}
        assert part.path == tmp_path / f"{modality}.safetensors"
        assert part.numbers == sum(value.numel() for value in held.values())
        assert part.size == part.path.stat().st_size > 4 * part.numbers
        with safe_open(part.path, "pt") as file:
            assert set(file.keys()) == set(held)
            assert "CC BY-NC-SA 4.0" in file.metadata().values()
    back = ImageBindModel.from_pretrained(tmp_path)
    assert same(back, whole)
    assert sizes(back) == sizes(small)
    parts["text"].path.unlink()
    parts["vision"].path.unlink()
    assert ImageBindModel.from_checkpoint(tmp_path).config.modalities == ["audio"]
    with pytest.raises(MissingFileError, match=r"text\.safetensors"):
        ImageBindModel.from_checkpoint(tmp_path, ["audio", "text"])
    with pytest.raises(WeightsError):
        ImageBindModel.from_pretrained(tmp_path)


def test_the_command_splits_the_published_file(small, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(imagebind, "HUGE", SMALL)  # the published file is 4.8 GB
    torch.save(whole, tmp_path / "imagebind_huge.pth")
    command = [
        "weights",
        "split-imagebind",
        str(tmp_path / "imagebind_huge.pth"),
        "--out",
        str(tmp_path / "parts"),
    ]
    said = CliRunner().invoke(cli.app, [*command, "--modalities", "audio, text", "--dtype", "float16"])
    assert said.exit_code == 0, said.output
    assert "CC BY-NC-SA 4.0" in said.output
    numbers = sum(value.numel() for key, value in small.state_dict().items() if ".audio." in key)
    assert f"{numbers:,} numbers" in said.output
    assert not (tmp_path / "parts" / "vision.safetensors").exists()
    back = ImageBindModel.from_pretrained(tmp_path / "parts", torch_dtype=torch.float16)
    assert back.config.modalities == ["audio", "text"]
    assert all(torch.equal(v, whole[k].to(v.dtype)) for k, v in back.state_dict().items())
    assert CliRunner().invoke(cli.app, command).exit_code == 0
    assert same(ImageBindModel.from_pretrained(tmp_path / "parts"), whole)
    for wrong in (["--modalities", "audio,smell"], ["--dtype", "float12"]):
        assert isinstance(CliRunner().invoke(cli.app, [*command, *wrong]).exception, InputError)


# ----------------------------------------------------------------------------------------- half precision


@pytest.mark.parametrize(("dtype", "closeness"), [(torch.float16, 0.9999), (torch.bfloat16, 0.99)])
def test_it_runs_in_half_precision(mini, tmp_path, dtype, closeness):
    mini.save_parts(tmp_path)
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)

    def embed(model: ImageBindModel) -> list[torch.Tensor]:
        heard = model.encode_soundscapes([noise(3), noise(7)], "patches")
        clips = model.encode_soundscapes([noise(3), noise(7)]).tokens
        return [
            heard.tokens,
            clips,
            heard.summary,
            model.encode_scenes(["a"]),
            model.encode_pictures([picture]),
        ]

    exact = embed(mini)
    for half in (
        ImageBindModel.from_pretrained(tmp_path, torch_dtype=dtype),
        ImageBindModel.from_checkpoint(tmp_path, dtype=dtype),
    ):
        assert half.dtype == dtype
        rough = embed(half)
        assert {value.dtype for value in rough} == {dtype}
        for fine, coarse in zip(exact, rough, strict=True):
            cosines = torch.nn.functional.cosine_similarity(fine, coarse.float(), dim=-1)
            assert cosines.min() > closeness
        for part in ("audio", "text"):  # in half precision 20 would become 20.09
            given, kept = (model.modality_postprocessors[part][1].log_logit_scale for model in (mini, half))
            assert torch.equal(given, kept)
            assert kept.dtype == torch.float32


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


def stereo(path, seconds: float = 5.0, rate: int = 16_000) -> np.ndarray:
    """Two different channels with different means, in a file and as read from it."""
    rng = np.random.default_rng(8)
    sound = 0.1 * rng.standard_normal((round(seconds * rate), 2)) + [0.2, -0.1]
    soundfile.write(path, sound, rate, subtype="FLOAT")
    return sound.astype(np.float32)


def test_of_stereo_the_mean_or_the_first_channel_is_heard(tmp_path):
    sound = stereo(tmp_path / "a.wav")
    mean, first = (fbanks_of_file(tmp_path / "a.wav", channel=channel) for channel in ("mean", "first"))
    assert torch.equal(fbanks_of_file(tmp_path / "a.wav"), mean)
    torch.testing.assert_close(mean, fbanks_of(sound.mean(axis=1)), atol=1e-5, rtol=0)
    assert torch.equal(first, fbanks_of_channels(sound.T))
    assert (mean - first).abs().max() > 0.01


def test_of_mono_the_mean_is_the_first_channel(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(3), 44_100, subtype="FLOAT")
    mean, first = (fbanks_of_file(tmp_path / "a.wav", channel=channel) for channel in ("mean", "first"))
    torch.testing.assert_close(first, mean, atol=1e-4, rtol=0)


def test_the_model_says_which_channel_is_heard(mini, tmp_path):
    stereo(tmp_path / "a.wav")
    first = ImageBindModel.mini(audio_channel="first").eval()
    first.load_state_dict(mini.state_dict())
    first.save_pretrained(tmp_path / "first")
    back = ImageBindModel.from_pretrained(tmp_path / "first")
    expected = mini.encode_fbanks(fbanks_of_file(tmp_path / "a.wav", channel="first")[None]).tokens
    assert torch.equal(back.encode_soundscapes([tmp_path / "a.wav"]).tokens, expected)
    assert not torch.allclose(mini.encode_soundscapes([tmp_path / "a.wav"]).tokens, expected)
    with pytest.raises(InputError, match="none of mean, first"):
        ImageBindModel.mini(audio_channel="left")
    with pytest.raises(InputError, match="none of mean, first"):
        fbanks_of_file(tmp_path / "a.wav", channel="left")


def test_channels_that_cancel_are_heard_as_the_first(tmp_path):
    sound = noise(3) - 0.05
    soundfile.write(tmp_path / "a.wav", np.stack([sound, -sound], axis=1), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="cancel"):
        fbanks_of_file(tmp_path / "a.wav")
    assert fbanks_of_file(tmp_path / "a.wav", channel="first").isfinite().all()
    soundfile.write(tmp_path / "b.wav", np.stack([sound, 0 * sound], axis=1), 16_000, subtype="FLOAT")
    assert fbanks_of_file(tmp_path / "b.wav", channel="first").isfinite().all()
    soundfile.write(tmp_path / "c.wav", np.stack([0 * sound, sound], axis=1), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"c\.wav .*silent"):
        fbanks_of_file(tmp_path / "c.wav", channel="first")


def test_a_file_whose_first_channel_cannot_be_had_is_explained(tmp_path):
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(AudioError, match=r"text\.wav is no audio"):
        fbanks_of_file(tmp_path / "text.wav", channel="first")
    with pytest.raises(MissingFileError):
        fbanks_of_file(tmp_path / "absent.wav", channel="first")
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), 16_000)
    with pytest.raises(AudioError, match="no samples"):
        fbanks_of_file(tmp_path / "empty.wav", channel="first")
    soundfile.write(tmp_path / "odd.wav", noise(1), 16_001)
    with pytest.raises(AudioError, match="too little in common"):
        fbanks_of_file(tmp_path / "odd.wav", channel="first")


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
