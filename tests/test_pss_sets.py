"""Sets of judges by name, by level and in any mix."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from soundit_geo import registry
from soundit_geo.errors import InputError, MissingFileError, SounditWarning, WeightsError
from soundit_geo.pss import EmbeddedSceneJudge, Judges, PlacesJudge, load_judges, pss
from soundit_geo.pss.judges import PUBLISHED, SETS
from soundit_geo.pss.places import wide_resnet18


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDIT_GEO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "wide.safetensors"
    torch.manual_seed(0)
    save_file(wide_resnet18().state_dict(), path)
    return path


def test_every_published_judge_is_in_the_registry_and_every_set_is_made_of_them():
    known = {entry.name for entry in registry.entries()}
    single = {name for name in PUBLISHED if name != "placepulse-resnet50"}
    assert single <= known
    assert {name for name in known if name.startswith("placepulse-resnet50-")} == {
        f"placepulse-resnet50-{name}"
        for name in ("safe", "lively", "beautiful", "wealthy", "depressing", "boring")
    }
    for chosen in SETS.values():
        assert all(PUBLISHED[name] == level for level, name in chosen.items())
    licence = registry.find(SETS["open"]["elements"]).licence
    assert licence.terms == "open"


def test_a_level_by_path_name_and_object(wide):
    scenes = PlacesJudge.from_checkpoint(wide)
    judges = load_judges(elements="synthetic-city", scenes=scenes)
    assert judges.names == {"elements": "synthetic-city", "scenes": "wide"}
    assert judges.worlds == {"elements": "synthetic city", "scenes": "Places365 photographs"}
    assert judges.scenes is scenes
    assert judges.perception is None
    again = load_judges(scenes=wide)
    assert again.names == {"scenes": "wide"}
    picture = Image.new("RGB", (64, 64), (90, 120, 200))
    assert np.array_equal(
        again.score([picture]).scene_class, Judges(scenes=scenes).score([picture]).scene_class
    )
    assert np.isnan(again.score([picture]).element_share).all()


def test_levels_take_the_place_of_those_of_a_set(wide):
    judges = load_judges("synthetic-city", scenes=wide, perception=None)
    assert judges.names == {"elements": "synthetic-city", "scenes": "wide"}


def test_a_mix_may_be_written_in_one_string(wide):
    judges = load_judges(f"synthetic-city,scenes={wide}, perception = none")
    assert judges.names == {"elements": "synthetic-city", "scenes": "wide"}
    assert load_judges(f"scenes={wide}").names == {"scenes": "wide"}
    assert load_judges(f"scenes={wide}", perception="synthetic-city").names["perception"] == "synthetic-city"
    pictures = [Image.new("RGB", (32, 32), (10, 20 * k, 30)) for k in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert pss(pictures, pictures, f"scenes={wide}").mean["pss_scene_top1"] == 1.0
    for wrong in (
        "scene=x",
        "scenes=",
        "scenes=a,scenes=b",
        "scenes=x,open",
        "open,paper,scenes=x",
        "open,,scenes=x",
    ):
        with pytest.raises(InputError, match="is no judge"):
            load_judges(wrong)


def test_nothing_asked_for_is_an_error():
    with pytest.raises(InputError, match=r"synthetic-city, open, paper"):
        load_judges()


def test_published_weights_come_from_the_cache_under_their_name(wide, monkeypatch):
    def cached(name):
        if name != "wideresnet18-places365":
            raise MissingFileError(name)
        return wide

    monkeypatch.setattr(registry, "cached", cached)
    judges = load_judges(scenes="wideresnet18-places365")
    assert judges.names == {"scenes": "wideresnet18-places365"}
    with pytest.raises(MissingFileError) as told:
        load_judges("open")
    assert "wideresnet18" not in str(told.value)
    assert "soundit-geo weights pull upernet-convnext-tiny-ade20k placepulse-resnet50-safe" in str(told.value)
    assert load_judges("open", elements=None, perception=None).names == judges.names


def test_absent_weights_name_one_command_for_all():
    with pytest.raises(MissingFileError, match=r"weights pull segformer-b0-ade20k wideresnet18-places365$"):
        load_judges(elements="segformer-b0-ade20k", scenes="wideresnet18-places365")


def test_the_papers_set_says_that_its_perception_judge_is_to_be_trained():
    with pytest.warns(SounditWarning, match="train perception"), pytest.raises(MissingFileError):
        load_judges("paper")
    for perception in (None, "synthetic-city"):
        with pytest.raises(MissingFileError, match=r"pull deeplabv3-r50-ade20k resnet50-places365$"):
            load_judges("paper", perception=perception)


def test_unknown_names_list_the_known_ones(wide, tmp_path):
    with pytest.raises(WeightsError, match=r"Sets: synthetic-city, open, paper.*deeplabv3-r50-ade20k"):
        load_judges("wideresnet18-places365")
    with pytest.raises(WeightsError, match=r"neither a judge for scenes.*resnet50-places365"):
        load_judges(scenes="resnet51-places365")
    with pytest.raises(WeightsError, match="judges scenes, not elements"):
        load_judges(elements="wideresnet18-places365")
    with pytest.raises(WeightsError, match="judge for elements"):
        load_judges(elements=wide)


def test_a_folder_may_mix_embedded_and_published_judges(wide, tmp_path):
    embedded = EmbeddedSceneJudge((1, 2, 3))
    embedded.save_pretrained(tmp_path / "set" / "scenes")
    with pytest.raises(WeightsError, match="elements, perception"):
        load_judges(tmp_path / "set")
    assert load_judges(tmp_path / "set", elements=None, perception=None).names == {"scenes": "synthetic-city"}
    (tmp_path / "other" / "scenes").mkdir(parents=True)
    os.link(wide, tmp_path / "other" / "scenes" / "wide.safetensors")
    judges = load_judges(tmp_path / "other", elements=None, perception=None)
    assert isinstance(judges.scenes, PlacesJudge)


def test_a_device_moves_what_is_given(wide):
    scenes = PlacesJudge.from_checkpoint(wide)
    judges = load_judges("synthetic-city", "cpu", scenes=scenes)
    assert judges.scenes.device == torch.device("cpu")
    assert judges.elements.device == torch.device("cpu")


def test_no_judge_at_all_and_a_device_that_is_not_there_are_refused():
    with pytest.raises(InputError, match="No level"):
        load_judges("elements=none")
    with pytest.raises(InputError, match="cudaa"):
        load_judges("synthetic-city", "cudaa")
