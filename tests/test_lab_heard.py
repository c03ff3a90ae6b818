"""What a model hears in recordings that it was not trained on, and what it draws."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from soundit_geo.cli import app
from soundit_geo.errors import InputError
from soundit_geo.lab.heard import listen, recordings_in
from soundit_geo.synthetic_city.place import SCENES, draw_place
from soundit_geo.synthetic_city.sound import render_sound


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk")
    rng = np.random.default_rng(8)
    for scene in ("beach", "highway"):
        soundfile.write(folder / f"{scene}.wav", render_sound(draw_place(rng, scene)), 16000)
    (folder / "notes.txt").write_text("no sound")
    return folder


def test_folders_are_looked_through_and_what_is_no_recording_is_left(folder):
    assert [path.name for path in recordings_in([folder])] == ["beach.wav", "highway.wav"]
    assert recordings_in([folder / "beach.wav"]) == [folder / "beach.wav"]
    with pytest.raises(InputError, match="neither a file nor a folder"):
        recordings_in([folder / "absent.wav"])
    (folder / "empty").mkdir(exist_ok=True)
    with pytest.raises(InputError, match="no recording"):
        recordings_in([folder / "empty"])


def test_it_says_what_was_heard_what_was_drawn_and_that_it_is_a_stand_in(folder, tmp_path):
    sheet = tmp_path / "sheet.png"
    found = listen(recordings_in([folder]), draws=2, steps=2, sheet=sheet)
    assert found["evidence"].startswith("stand-in")
    assert found["judges_evidence"].startswith("stand-in")
    for name, said in found["recordings"].items():
        cosines = [cosine for _, cosine in said["nearest"]]
        assert cosines == sorted(cosines, reverse=True)
        assert said["nearest"][0][0] == Path(name).stem  # two scenes that are hard to mistake
        assert len(said["drawn"]) == len(said["outside"]) == 2
        assert set(said["drawn"]) <= set(SCENES)
    with Image.open(sheet) as picture:
        assert picture.width >= 2 * 128
        assert picture.height >= 2 * 128


def test_the_command_prints_the_same(folder):
    printed = CliRunner().invoke(
        app, ["lab", "listen", str(folder), "--draws", "1", "--steps", "1", "--quiet"]
    )
    assert printed.exit_code == 0
    told = json.loads(printed.stdout)
    assert told == listen(recordings_in([folder]), draws=1, steps=1)
