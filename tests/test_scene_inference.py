"""Laws of scenes inferred from sound: cosines to probabilities, failures named, and a scenario that uses them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_study import fake_sites

import soundit_geo as sg
from soundit_geo import cli
from soundit_geo.encoders import ImageBindModel, imagebind, load_encoder
from soundit_geo.errors import InputError, MissingFileError, WeightsError
from soundit_geo.scenarios import prompts_for
from soundit_geo.scene_inference import infer_scenes, read_scenes, scene_probabilities
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


@pytest.fixture(scope="module")
def mini():
    torch.manual_seed(3)
    return ImageBindModel.mini().eval()


PAIR = ["a park", "a street"]


def test_an_encoder_is_the_same_from_a_folder_its_parts_a_checkpoint_and_the_cache(
    mini, tmp_path, monkeypatch
):
    mini.save_pretrained(tmp_path / "pipeline" / "encoder")
    mini.save_parts(tmp_path / "parts")
    (tmp_path / "parts" / "vision.safetensors").unlink()  # sound and text are enough
    torch.save(mini.state_dict(), tmp_path / "huge.pth")
    monkeypatch.setattr(imagebind, "HUGE", imagebind.MINI)  # the published file is 4.8 GB
    monkeypatch.setattr("soundit_geo.registry.cached", {"imagebind-huge": tmp_path / "huge.pth"}.get)
    folders = (tmp_path / "pipeline", tmp_path / "pipeline" / "encoder", tmp_path / "parts")
    for model in (*folders, tmp_path / "huge.pth", "imagebind-huge"):
        found = load_encoder(model, ["audio", "text"])
        assert not found.training
        weights = found.state_dict()
        assert {key for key in mini.state_dict() if ".vision." not in key} <= set(weights)
        assert all(torch.equal(value, mini.state_dict()[key]) for key, value in weights.items())


def test_weights_that_are_absent_or_of_another_model_are_told_in_one_error(
    sites, mini, tmp_path, monkeypatch
):
    monkeypatch.setenv("SOUNDIT_GEO_CACHE", str(tmp_path / "empty"))
    with pytest.raises(MissingFileError, match="soundit-geo weights pull imagebind-huge"):
        scene_probabilities(sites, PAIR, "imagebind-huge")
    with pytest.raises(MissingFileError, match=r"absent/huge\.pth"):
        scene_probabilities(sites, PAIR, "absent/huge.pth")
    with pytest.raises(MissingFileError, match="imagebind-huge"):
        scene_probabilities(sites, PAIR, "imagebind-hug")
    torch.save(mini.state_dict(), tmp_path / "mini.pth")
    with pytest.raises(WeightsError, match="does not fit"):
        scene_probabilities(sites, PAIR, tmp_path / "mini.pth")
    ImageBindModel.mini(modalities=("vision", "text")).save_pretrained(tmp_path / "blind")
    with pytest.raises(WeightsError, match="audio"):
        scene_probabilities(sites, PAIR, tmp_path / "blind")


def test_scenes_are_read_from_lines_and_from_yaml(tmp_path):
    (tmp_path / "a.txt").write_text("# green\na park\n\n a street \n", encoding="utf-8")
    assert read_scenes(tmp_path / "a.txt") == PAIR
    (tmp_path / "b.yaml").write_text("[a park, a street]")
    assert read_scenes(tmp_path / "b.yaml") == PAIR
    (tmp_path / "c.yml").write_text("green: [a park, a garden]\ngrey: a street")
    assert read_scenes(tmp_path / "c.yml") == {"green": ["a park", "a garden"], "grey": "a street"}
    (tmp_path / "d.yaml").write_text("a park")
    (tmp_path / "e.yaml").write_text("a: [")
    (tmp_path / "f.txt").write_bytes(b"\xff\xfe\xfa")
    for wrong in "d.yaml", "e.yaml", "f.txt":
        with pytest.raises(InputError, match=wrong):
            read_scenes(tmp_path / wrong)
    with pytest.raises(MissingFileError):
        read_scenes(tmp_path / "absent.txt")


def command(capsys, monkeypatch, *arguments):
    """Run the command line in this process: code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["soundit-geo", "infer-scenes", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code or 0, *capsys.readouterr()


@pytest.mark.parametrize("kind", ["gpkg", "geojson", "parquet", "csv"])
def test_the_command_writes_sites_that_a_study_reads(sites, ear, tmp_path, capsys, monkeypatch, kind):
    monkeypatch.setattr("soundit_geo.encoders.loading.load_encoder", lambda *_given: ear)
    (tmp_path / "scenes.txt").write_text("\n".join(PAIR))
    source, out = tmp_path / "sites.gpkg", tmp_path / f"heard.{kind}"
    sites.assign(note=["x", None]).to_crs(3857).to_file(source)
    code, said, _ = command(
        capsys, monkeypatch, source, "--out", out, "--scenes", tmp_path / "scenes.txt", "--quiet"
    )
    assert code == 0
    assert "stand-in" in said
    back = sg.read_sites(out)
    assert back["audio"].tolist() == sites["audio"].tolist()
    assert back["note"].fillna("").tolist() == ["x", ""]
    np.testing.assert_allclose(back.to_crs(4326).geometry.x, sites.geometry.x, atol=1e-8)
    assert prompts_for(back, {"heard": "@inferred"})["heard"].tolist() == PAIR
    before = out.read_bytes()
    code, _, error = command(capsys, monkeypatch, source, "--out", out, "--scene", "x", "--scene", "y")
    assert (code, out.read_bytes()) == (2, before)
    assert "--overwrite" in error


def test_the_command_says_which_recordings_could_not_be_used(
    sites, ear, tmp_path, capsys, monkeypatch, caplog
):
    monkeypatch.setattr("soundit_geo.encoders.loading.load_encoder", lambda *_given: ear)
    sites["audio"] = [sites["audio"].iloc[0], str(tmp_path / "audio" / "absent.wav")]
    sites.to_file(tmp_path / "sites.geojson")
    listed = ("--scene", PAIR[0], "--scene", PAIR[1], "--json", "--quiet", "--overwrite")
    out = tmp_path / "heard.geojson"
    code, said, _ = command(capsys, monkeypatch, tmp_path / "sites.geojson", "--out", out, *listed)
    assert code == 1
    assert json.loads(said)["inferred"] == 1
    assert json.loads(said)["scenes"] == {"a park": 1}
    assert "Site b" in caplog.text
    sites.iloc[1:].to_file(tmp_path / "sites.geojson")
    code, said, _ = command(capsys, monkeypatch, tmp_path / "sites.geojson", "--out", out, *listed)
    assert (code, json.loads(said)["probability"]) == (2, None)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ([], "--scenes FILE"),
        (["--scene", "a park"], "two or more"),
        (["--scene", "a park", "--scene", "a street", "--model", "imagebind-huge"], "weights pull"),
        (["--scene", "a park", "--scene", "a street", "--model", "none.pth"], "none.pth"),
        (["--scenes", "absent.txt"], "absent.txt"),
    ],
)
def test_the_command_refuses_in_one_line(sites, tmp_path, capsys, monkeypatch, more, word):
    monkeypatch.setenv("SOUNDIT_GEO_CACHE", str(tmp_path / "empty"))
    sites.to_file(tmp_path / "sites.gpkg")
    code, _, error = command(
        capsys, monkeypatch, tmp_path / "sites.gpkg", "--out", tmp_path / "x.gpkg", *more, "--quiet"
    )
    assert code == 2
    assert word in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "x.gpkg").exists()


@pytest.mark.slow
def test_the_embedded_encoder_hears_the_scenes_of_the_synthetic_city(tmp_path):
    city = write_city(tmp_path, 12, 7, workers=1)
    scenes = {scene: [f"a {name}" for name in NAMES[scene]] for scene in SCENES}
    found = infer_scenes(tmp_path / "sites.geojson", scenes)
    right = [found.loc[site, "inferred"] == place.scene for site, place in city.places.items()]
    assert np.mean(right) >= 0.5  # by chance one in twelve


def test_listening_is_imported_only_where_it_is_asked_for(tmp_path):
    program = "import sys, soundit_geo.scenarios, soundit_geo.accessors; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
