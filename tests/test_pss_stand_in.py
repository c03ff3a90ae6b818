"""A stand-in says that it is one: judges by their world, a model by its card; in words, JSON and tables."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fake_study import fake_cube
from test_pss import Colours
from typer.testing import CliRunner

import soundit_geo as sg
from soundit_geo.cli import app
from soundit_geo.evaluation.spaces import load_space
from soundit_geo.maps.provenance import provenance
from soundit_geo.pss import Judges, load_judges
from soundit_geo.pss.pairs import Pairs
from soundit_geo.pss.run import score_pairs
from soundit_geo.study.description import cube_attrs
from soundit_geo.weights import is_stand_in, preset_path

TRAINED = Judges(Colours("elements"), Colours("scenes"), Colours("perception"))
SETTINGS = {"judges": "", "seed": 0, "draws": 1, "guidance": 4.0, "steps": 2}


@pytest.fixture(scope="module")
def embedded():
    return load_judges("synthetic-city")


@pytest.fixture
def mixed(embedded):
    return Judges(Colours("elements"), embedded.scenes, Colours("perception"))


@pytest.fixture
def copy(tmp_path):
    """A copy of the preset under another name, with its card; the weights do not matter here."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("README.md", "model_index.json"):
        shutil.copy(preset_path("synthetic-city") / name, folder)
    return folder


def score(judges):
    picture = np.full((16, 16, 3), 90, np.uint8)
    return score_pairs(Pairs(("a", "b"), (picture, picture), (picture, picture)), judges)


@pytest.mark.filterwarnings("ignore::soundit_geo.errors.OutsideWorldWarning")
def test_a_score_by_stand_ins_says_so_in_words_json_and_tables(embedded, tmp_path):
    result = score(embedded)
    assert "stand-in judges: synthetic city: these figures" in str(result)
    assert result.to_dict()["evidence"] == "stand-in judges: synthetic city"
    assert set(result.to_dict()["worlds"].values()) == {"synthetic city"}
    table = pd.read_csv(result.save(tmp_path / "scores.csv"))
    assert set(table["evidence"]) == {"stand-in judges: synthetic city"}
    about = pq.read_schema(result.save(tmp_path / "scores.parquet")).metadata[b"soundit_geo"]
    assert json.loads(about)["evidence"].startswith("stand-in")


@pytest.mark.filterwarnings("ignore::soundit_geo.errors.OutsideWorldWarning")
def test_a_score_names_the_levels_that_are_stand_ins_and_nobody_else_is_called_one(mixed):
    assert score(mixed).evidence == "stand-in judges: synthetic city (scenes)"
    assert "stand-in judges: synthetic city (scenes)" in str(score(mixed))
    assert score(TRAINED).evidence == "trained judges"
    assert "stand-in" not in str(score(TRAINED))


@pytest.mark.filterwarnings("ignore::soundit_geo.errors.OutsideWorldWarning")
def test_the_command_says_it_too(repository):
    photos = str(repository / "sample_data" / "photos")
    command = ["score", "--real", photos, "--generated", photos, "--scenes", "synthetic-city", "--quiet"]
    said = CliRunner().invoke(app, command, catch_exceptions=False).stdout
    assert "stand-in judges: synthetic city" in said
    whole = json.loads(CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False).stdout)
    assert whole["evidence"] == "stand-in judges: synthetic city"
    assert whole["worlds"] == {"scenes": "synthetic city"}


def test_a_model_is_a_stand_in_by_its_own_files_whatever_it_is_called(copy, tmp_path):
    (copy / "encoder").mkdir()
    (tmp_path / "other").mkdir()
    assert is_stand_in("synthetic-city")
    assert is_stand_in(preset_path("synthetic-city"))
    assert is_stand_in(copy)
    assert is_stand_in(copy / "encoder")
    assert not is_stand_in(tmp_path / "other")
    assert not is_stand_in(tmp_path / "none")
    (copy / "README.md").write_text("# A model of Leeds\n\nTrained on 40,000 recordings.\n")
    assert is_stand_in(copy)  # its parts say so still
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps({**index, "world": None}))
    assert not is_stand_in(copy)


def test_a_stand_in_that_is_saved_anew_is_still_one(tmp_path):
    sg.SounDiTPipeline.from_pretrained("synthetic-city").save_pretrained(tmp_path / "mine")
    assert is_stand_in(tmp_path / "mine")


def test_a_space_from_the_copy_of_a_preset_is_a_stand_in(tmp_path):
    preset = preset_path("synthetic-city")
    shutil.copytree(preset / "encoder", tmp_path / "mine" / "encoder")
    shutil.copy(preset / "README.md", tmp_path / "mine")
    assert load_space(tmp_path / "mine").stand_in


def test_a_study_describes_model_and_judges_each_by_what_it_is(embedded, mixed, copy):
    def said(model, judges):
        return cube_attrs({**SETTINGS, "model": str(model)}, judges)["evidence"]

    assert said("synthetic-city", embedded) == said(copy, embedded) == "stand-in: synthetic city"
    assert said(copy, TRAINED) == "stand-in model: synthetic city; trained judges"
    assert said(copy, mixed) == "stand-in model: synthetic city; stand-in judges: synthetic city (scenes)"
    assert said("somebody/model", embedded) == "stand-in judges: synthetic city; trained model"
    assert said("somebody/model", TRAINED) == "trained model"


@pytest.mark.parametrize(
    ("evidence", "shown"),
    [
        ("stand-in: synthetic city", "stand-in model: synthetic city"),
        ("stand-in model: synthetic city; trained judges", "stand-in model: synthetic city; trained judges"),
        ("stand-in judges: synthetic city; trained model", "stand-in judges: synthetic city; trained model"),
    ],
)
def test_a_map_shows_each_of_them_as_a_stand_in(tmp_path, evidence, shown):
    found = provenance(fake_cube(tmp_path).assign_attrs(evidence=evidence))
    assert (found["stand_in"], found["evidence"]) == (True, shown)
