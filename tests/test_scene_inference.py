"""Laws of scenes inferred from sound: cosines to probabilities, failures named, and a scenario that uses them."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_study import fake_sites

import soundit_geo as sg
from soundit_geo.errors import InputError, MissingFileError
from soundit_geo.scenarios import prompts_for
from soundit_geo.scene_inference import infer_scenes, scene_probabilities
from soundit_geo.synthetic_city.place import SCENES
from soundit_geo.synthetic_city.words import NAMES
from soundit_geo.synthetic_city.writing import write_city

WORDS = {"a park": [1, 0, 0], "a garden": [0.8, 0.6, 0], "a street": [0, 0, 7], "a motorway": [0, 0.6, 0.8]}


class Ear:
    """An encoder that knows four prompts, and hears in each file the vector that is written for it."""

    def __init__(self, heard):
        self.heard = heard

    def encode_scenes(self, prompts):
        return torch.tensor([WORDS[prompt] for prompt in prompts], dtype=torch.float32)

    def encode_soundscapes(self, paths, _tokens):
        return SimpleNamespace(
            summary=torch.tensor([self.heard[path] for path in paths], dtype=torch.float32)
        )


@pytest.fixture
def sites(tmp_path):
    return sg.read_sites(fake_sites(["a", "b"], tmp_path), audio_root=tmp_path)


@pytest.fixture
def ear(sites):
    return Ear(dict(zip(sites["audio"], [[3.0, 0.5, 0.1], [0.0, 0.1, 0.2]], strict=True)))


def test_probabilities_are_the_softmax_of_twenty_cosines(sites, ear):
    table = scene_probabilities(sites, ["a park", "a street"], ear)
    for site, path in sites["audio"].items():
        sound = np.array(ear.heard[path])
        cosines = [np.dot(sound, WORDS[n]) / np.linalg.norm(sound) / np.linalg.norm(WORDS[n]) for n in table]
        weights = np.exp(20 * np.array(cosines))
        np.testing.assert_allclose(table.loc[site], weights / weights.sum(), rtol=1e-4)


def test_several_prompts_stand_for_a_scene_by_the_mean_of_their_directions(sites, ear):
    scenes = {"green": ["a park", "a garden"], "grey": ["a street", "a motorway"]}
    table = scene_probabilities(sites, scenes, ear)
    means = {}
    for name, prompts in scenes.items():
        directions = [np.array(WORDS[one]) / np.linalg.norm(WORDS[one]) for one in prompts]
        means[name] = np.mean(directions, axis=0) / np.linalg.norm(np.mean(directions, axis=0))
    sound = np.array(ear.heard[sites["audio"].iloc[0]])
    odds = np.exp(20 * (sound / np.linalg.norm(sound)) @ (means["green"] - means["grey"]))
    assert table["green"].iloc[0] / table["grey"].iloc[0] == pytest.approx(odds, rel=1e-3)


def test_the_most_probable_scene_becomes_a_column_that_a_scenario_can_name(sites, ear):
    found = infer_scenes(sites, ["a park", "a street"], ear)
    assert found["inferred"].tolist() == ["a park", "a street"]
    table = scene_probabilities(sites, ["a park", "a street"], ear)
    np.testing.assert_allclose(found["inferred_probability"], table.max(axis=1))
    assert prompts_for(found, {"inferred": "@inferred"})["inferred"].tolist() == ["a park", "a street"]
    assert "inferred" not in sites
    assert (
        sg.read_sites(sites)
        .soundit.infer_scenes(["a park", "a street"], ear)["inferred"]
        .equals(found["inferred"])
    )


def test_a_recording_that_cannot_be_used_has_no_scene_and_is_told(sites, ear, caplog):
    sites.loc["b", "audio"] = str(sites.loc["b", "audio"]) + ".absent"
    with caplog.at_level(logging.WARNING):
        found = infer_scenes(sites, ["a park", "a street"], ear)
    assert found.loc["a", "inferred"] == "a park"
    assert found.loc["b", "inferred"] is None
    assert np.isnan(found.loc["b", "inferred_probability"])
    assert "Site b" in caplog.text
    assert prompts_for(found, {"inferred": "@inferred"})["inferred"].tolist() == ["a park", ""]
    nothing = infer_scenes(sites.loc[["b"]], ["a park", "a street"], ear)
    assert nothing["inferred"].tolist() == [None]


def test_fewer_than_two_scenes_wordless_ones_and_unknown_models_are_refused(sites, ear):
    for wrong in (
        [],
        ["a park"],
        ["a park", "a park"],
        ["a park", " "],
        {"a park": [], "a street": ["x"]},
        "a park",
        3,
    ):
        with pytest.raises(InputError):
            scene_probabilities(sites, wrong, ear)
    with pytest.raises(MissingFileError, match="nowhere"):
        scene_probabilities(sites, ["a park", "a street"], "nowhere")


@pytest.mark.slow
def test_the_embedded_encoder_hears_the_scenes_of_the_synthetic_city(tmp_path):
    city = write_city(tmp_path, 12, 7, workers=1)
    scenes = {scene: [f"a {name}" for name in NAMES[scene]] for scene in SCENES}
    found = infer_scenes(tmp_path / "sites.geojson", scenes)
    right = [found.loc[site, "inferred"] == place.scene for site, place in city.places.items()]
    assert np.mean(right) >= 0.5  # by chance one in twelve


def test_listening_is_imported_only_where_it_is_asked_for(tmp_path):
    import subprocess
    import sys

    program = "import sys, soundit_geo.scenarios, soundit_geo.accessors; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
