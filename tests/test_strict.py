"""Models load completely or not at all, alone and as components of a pipeline."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from diffusers import DiffusionPipeline
from diffusers.configuration_utils import register_to_config
from safetensors.torch import load_file, save_file
from torch import nn

from soundit_geo.encoders import ImageBindModel
from soundit_geo.errors import InputError, WeightsError
from soundit_geo.pss.elements import EmbeddedElementJudge
from soundit_geo.pss.perception import EmbeddedPerceptionJudge
from soundit_geo.pss.scenes import EmbeddedSceneJudge
from soundit_geo.soundit.autoencoder import FoldingAutoencoder
from soundit_geo.soundit.pipeline import SounDiTPipeline
from soundit_geo.soundit.transformer import SounDiTTransformer2DModel
from soundit_geo.strict import StrictModelMixin
from soundit_geo.weights import preset_path

WEIGHTS, CONFIG = "diffusion_pytorch_model.safetensors", "config.json"
MODELS = [
    SounDiTTransformer2DModel,
    FoldingAutoencoder,
    ImageBindModel,
    EmbeddedElementJudge,
    EmbeddedSceneJudge,
    EmbeddedPerceptionJudge,
]


class Toy(StrictModelMixin):
    """Two layers and a buffer that is never finite."""

    @register_to_config
    def __init__(self, width: int = 3, depth: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.register_buffer("mask", torch.full((2,), -torch.inf))


@pytest.fixture
def folder(tmp_path):
    Toy().save_pretrained(tmp_path)
    return tmp_path


def change_weights(folder, change):
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS, {"format": "pt"})


def change_config(folder, **changes):
    path = folder / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def rename_one(state):
    state["layers.0.heft"] = state.pop("layers.0.weight")


def lose_one(state):
    del state["layers.1.bias"]


def gain_one(state):
    state["layers.2.bias"] = torch.zeros(3)


def reshape_one(state):
    state["layers.0.weight"] = torch.zeros(4, 3)


def spoil_one(state):
    state["layers.1.weight"][2, 1] = torch.nan


@pytest.mark.parametrize("low_cpu_mem_usage", [True, False])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rename_one, "1 missing: layers.0.weight; 1 unknown: layers.0.heft"),
        (lose_one, "1 missing: layers.1.bias"),
        (gain_one, "1 unknown: layers.2.bias"),
        (reshape_one, "layers.0.weight"),
        (spoil_one, "layers.1.weight"),
    ],
)
def test_a_parameter_amiss_is_named(folder, change, said, low_cpu_mem_usage):
    change_weights(folder, change)
    with pytest.raises(WeightsError, match=re.escape(said)):
        Toy.from_pretrained(folder, low_cpu_mem_usage=low_cpu_mem_usage)


def test_other_shapes_are_refused_even_where_diffusers_would_be_told_to_ignore_them(folder):
    change_weights(folder, reshape_one)
    with pytest.raises(WeightsError, match=r"layers\.0\.weight is \(4, 3\), expected \(3, 3\)"):
        Toy.from_pretrained(folder, low_cpu_mem_usage=False, ignore_mismatched_sizes=True)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.99])
def test_a_file_cut_short_is_named(folder, share):
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match=WEIGHTS):
        Toy.from_pretrained(folder)


class Writer:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


@pytest.mark.parametrize("name", [WEIGHTS, "diffusion_pytorch_model.bin"])
def test_no_code_from_a_folder_runs(folder, name):
    (folder / WEIGHTS).unlink()
    target = folder / "written"
    torch.save({**Toy().state_dict(), "evil": Writer(target)}, folder / name)
    with pytest.raises(WeightsError, match=re.escape(name)):
        Toy.from_pretrained(folder)
    assert not target.exists()


@pytest.mark.parametrize("config", ["{", "", "\x00", '{"width": "three"}', '{"width": -1}', '{"depth": 3}'])
def test_a_config_that_does_not_fit_is_refused(folder, config):
    (folder / CONFIG).write_text(config)
    with pytest.raises(WeightsError, match="Toy"):
        Toy.from_pretrained(folder)


def test_absent_folders_and_files_are_refused(folder, tmp_path, monkeypatch):
    (folder / WEIGHTS).unlink()
    with pytest.raises(WeightsError, match="cannot be loaded"):
        Toy.from_pretrained(folder)
    with pytest.raises(WeightsError, match="absent"):
        Toy.from_pretrained(tmp_path / "absent", local_files_only=True)


def test_what_fits_is_loaded_as_diffusers_does(folder):
    model = Toy.from_pretrained(folder)
    assert not model.training
    assert Toy.from_pretrained(folder, torch_dtype=torch.bfloat16).layers[0].weight.dtype is torch.bfloat16
    same, information = Toy.from_pretrained(str(folder), output_loading_info=True)
    assert information["missing_keys"] == []
    assert torch.equal(same.layers[0].weight, model.layers[0].weight)
    model.save_pretrained(folder, variant="fp16")
    assert Toy.from_pretrained(folder, variant="fp16").config.width == 3


def test_a_model_is_remade_from_its_own_settings(folder):
    model = Toy.from_pretrained(folder)
    assert Toy.from_config(model.config).config.width == 3
    assert Toy.from_config(model.config, width=5).config.width == 5
    assert Toy.from_config(dict(model.config), return_unused_kwargs=True)[0].config.depth == 2


def test_an_unknown_setting_is_refused_by_name_wherever_it_comes_from(folder):
    for attempt in (
        lambda: Toy.from_config({"wdth": 3}),
        lambda: Toy.from_config({"width": 3}, wdth=4),
        lambda: Toy.from_pretrained(folder, wdth=4),
    ):
        with pytest.raises(InputError, match=r"Toy has no setting 'wdth'\. It has width, depth"):
            attempt()
    with pytest.raises(InputError, match="a list"):
        Toy.from_config([1])
    change_config(folder, wdth=3)
    with pytest.raises(InputError, match="'wdth'"):
        Toy.from_pretrained(folder)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_of_ours_is_strict(model):
    assert issubclass(model, StrictModelMixin)
    with pytest.raises(InputError, match="'banana'"):
        model.from_config({"banana": 1})


def test_a_named_size_refuses_unknown_settings():
    with pytest.raises(InputError, match=r"'expert'.*experts_per_sample"):
        SounDiTTransformer2DModel.of_size("mini", expert=3)


def lose_half(state):
    for key in sorted(state)[::2]:
        del state[key]


@pytest.mark.parametrize("pipeline", [SounDiTPipeline, DiffusionPipeline])
@pytest.mark.parametrize("component", ["transformer", "vae", "encoder"])
def test_a_pipeline_refuses_a_component_that_is_not_whole(tmp_path, pipeline, component):
    copy = tmp_path / "model"
    shutil.copytree(preset_path("synthetic-city"), copy)
    pipeline.from_pretrained(copy)
    change_weights(copy / component, lose_half)
    with pytest.raises(WeightsError, match="missing"):
        pipeline.from_pretrained(copy)
    shutil.copytree(preset_path("synthetic-city") / component, copy / component, dirs_exist_ok=True)
    change_config(copy / component, banana=3)
    with pytest.raises(InputError, match="'banana'"):
        pipeline.from_pretrained(copy)
