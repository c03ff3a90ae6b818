"""What is measured of the embedded preset, and what its card says of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from soundit_geo.lab import city_data, dose
from soundit_geo.lab.card import aims, card
from soundit_geo.lab.drawing import Draughtsman
from soundit_geo.lab.evaluate import evaluate
from soundit_geo.lab.reckoning import mean_and_interval
from soundit_geo.synthetic_city.place import SCENES
from soundit_geo.weights import preset_path

pytestmark = pytest.mark.filterwarnings("ignore::soundit_geo.errors.OutsideWorldWarning")


def test_a_mean_comes_with_an_interval_that_holds_it_and_narrows_with_places():
    rng = np.random.default_rng(3)
    few, many = rng.normal(5.0, 1.0, 20), rng.normal(5.0, 1.0, 2000)
    widths = []
    for values in (few, many):
        mean, low, high = mean_and_interval(values)
        assert mean == pytest.approx(values.mean(), abs=1e-4)
        assert low < mean < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 5
    assert len(mean_and_interval([True] * 20)) == 1


def test_a_response_that_rises_with_every_dose_counts_one_and_one_that_never_changes_counts_nothing():
    share = np.array(
        [[0.1, 0.2, 0.3, 0.5, 0.9], [0.9, 0.5, 0.3, 0.2, 0.1], [0.4] * 5, [0.1, 0.3, 0.2, 0.4, 0.5]]
    )
    found = dose.same_place(share)
    assert found[:3].tolist() == pytest.approx([1.0, -1.0, 0.0])
    assert found[3] == pytest.approx(spearmanr(range(5), share[3])[0])
    assert dose.any_place(share[:1]) == pytest.approx(1.0)
    assert dose.any_place(share[:2]) == pytest.approx(0.0, abs=1e-12)
    assert dose.any_place(share[2:3]) == 0.0


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The whole measurement on twelve places."""
    folder = tmp_path_factory.mktemp("measured")
    preset = folder / "preset"
    shutil.copytree(preset_path("synthetic-city"), preset)
    test = folder / "test"
    city_data.make_pictures(test, len(SCENES), seed=5)
    city_data.make_sounds(test, len(SCENES))
    figures = evaluate(preset, test, folder / "sheet.png", places=len(SCENES), doses=1)
    return preset, test, figures


def test_the_measurement_writes_what_it_gives_back(measured):
    preset, _, figures = measured
    assert json.loads((preset / "figures.json").read_text()) == figures
    assert (preset / "README.md").read_text() == card(figures)
    assert set(figures["dose_and_response"]) == {"traffic", "greenery", "water"}
    for found in figures["dose_and_response"].values():
        assert -1 <= found["any_place"] <= 1
        assert set(found["by_scene"]) <= set(SCENES)


def test_the_card_says_which_aims_are_missed(measured):
    _, _, figures = measured
    text = card(figures)
    assert "**stand-in**" in text
    went_on = any(key.endswith("_before") for part in figures["parts"].values() for key in part)
    assert ("steps_before" in text) == went_on
    for what, got, least in aims(figures):
        line = next(line for line in text.splitlines() if what in line)
        assert line.endswith("| yes |" if got >= least else "| **no** |")
    worse = json.loads(json.dumps(figures))
    worse["sound_alone"]["pss_scene_top1"] = [0.1]
    assert "sound alone: PSS scene @1 | 0.55 | 0.100 | **no** |" in card(worse)


def test_a_row_draws_the_same_whatever_stands_beside_it(measured):
    preset, test, _ = measured
    hand = Draughtsman(preset, steps=2)
    sounds = hand.hear(np.load(test / "fbanks.npy")[:3])
    both = hand.draw(sounds, ["a park"] * 3, "three", [5, 5, 6])
    alone = hand.draw(hand.hear(np.load(test / "fbanks.npy")[1:2]), ["a park"], "one", [5])
    assert np.abs(both[1].astype(int) - alone[0]).max() <= 2
    assert np.abs(both[1].astype(int) - both[2]).max() > 20


def test_the_autoencoder_gives_back_about_what_came(measured):
    preset, test, _ = measured
    pictures = list(np.load(test / "pictures.npy")[:3])
    again = Draughtsman(preset, steps=2).reconstruct(pictures)
    for picture, other in zip(pictures, again, strict=True):
        assert picture.shape == other.shape
        assert np.abs(picture.astype(int) - other).mean() < 12
    assert Path(preset).is_dir()
