"""PSS over pairs: pairing, floor, result; and what the embedded judges say of their own world."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import soundit_geo.pss
from soundit_geo.errors import InputError, OutsideWorldWarning
from soundit_geo.pss import Judges, Scores, compare, element_similarity, floor, load_judges, pss
from soundit_geo.pss.elements import Elements
from soundit_geo.pss.perception import Perception
from soundit_geo.pss.pictures import to_array
from soundit_geo.pss.scenes import Scenes
from soundit_geo.synthetic_city.picture import render_picture
from soundit_geo.synthetic_city.place import SCENES, draw_place

PHOTOS = Path(__file__).parents[2] / "shared" / "data" / "soundit_samples" / "photo"


class Colours:
    """A judge of flat pictures: everything follows from the red of the picture."""

    name, world, scale = "colours", "flat pictures", (0.0, 255.0)

    def __init__(self, level):
        self.level = level

    def judge(self, pictures, *, batch_size=32):  # noqa: ARG002
        red = to_array(pictures, 1)[:, 0, 0, 0].astype(int)
        inside = np.zeros(len(red), bool)
        if self.level == "elements":
            return Elements(np.eye(150, dtype=np.float32)[red % 150], inside)
        if self.level == "scenes":
            classes = (red[:, None] + np.arange(5)).astype(np.int16)
            return Scenes(classes, np.full((len(red), 5), 0.2, np.float32), inside)
        return Perception(np.repeat(red[:, None], 6, axis=1).astype(np.float32), inside)


@pytest.fixture(scope="module")
def colours():
    return Judges(Colours("elements"), Colours("scenes"), Colours("perception"))


def _flat(reds):
    return [np.full((4, 4, 3), red, np.uint8) for red in reds]


def test_the_same_pictures_are_the_same_place(colours):
    pictures = _flat([0, 10, 20, 30])
    result = pss(pictures, pictures, colours)
    assert result.mean == {
        "pss_element": 1.0,
        "pss_scene_top1": 1.0,
        "pss_scene_top5": 1.0,
        "pss_perception": 0.0,
    }
    assert result.floor["pss_element"] == result.floor["pss_scene_top5"] == 0.0


def test_values_are_those_of_each_pair(colours):
    result = pss(_flat([0, 10, 20]), _flat([0, 13, 50]), colours, labels=["a", "b", "c"])
    assert result.labels == ("a", "b", "c")
    assert result.values["pss_element"].tolist() == [1, 0, 0]
    assert result.values["pss_scene_top1"].tolist() == [1, 0, 0]
    assert result.values["pss_scene_top5"].tolist() == [1, 1, 0]
    assert result.values["pss_perception"].tolist() == [0, 3, 30]
    assert result.mean["pss_perception"] == 11.0


def test_the_floor_is_the_mean_over_all_wrong_pairs(colours):
    real, generated = [0, 7, 30, 44], [2, 8, 90, 41]
    wrong = [abs(real[i] - generated[j]) for i, j in itertools.permutations(range(4), 2)]
    for seed in range(3):
        result = pss(_flat(real), _flat(generated), colours, seed=seed)
        assert result.floor["pss_perception"] == pytest.approx(np.mean(wrong))


def test_the_floor_of_many_pairs_never_meets_a_true_pair():
    share = np.eye(150, dtype=np.float32)
    scores = Scores(
        share,
        np.repeat(np.arange(150, dtype=np.int16)[:, None] * 10, 5, axis=1),
        np.zeros((150, 5), np.float32),
        np.zeros((150, 6), np.float32),
        np.zeros(150, bool),
    )
    assert compare(scores, scores)["pss_element"].tolist() == [1.0] * 150
    assert floor(scores, scores, seed=3)["pss_element"] == 0.0
    assert floor(scores, scores, seed=3) == floor(scores, scores, seed=3)


def test_one_pair_has_no_floor_and_the_dictionary_is_json(colours):
    result = pss(_flat([1]), _flat([2]), colours)
    said = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(said["floor"].values()) == {None}
    assert said["pairs"] == 1
    assert said["per_pair"][0]["pss_perception"] == 1.0
    assert said["judges"] == {"elements": "colours", "scenes": "colours", "perception": "colours"}
    assert said["perception_scale"].startswith("0 to 255")
    assert "colours" in str(result)


def test_a_level_without_judge_is_not_scored(colours):
    result = pss(_flat([1, 2]), _flat([1, 2]), Judges(scenes=colours.scenes))
    assert np.isnan(result.mean["pss_element"])
    assert np.isnan(result.floor["pss_perception"])
    assert result.mean["pss_scene_top1"] == 1.0
    assert str(result).count("not scored") == 2
    assert "nan" not in str(result)


def test_folders_pair_by_stem(tmp_path, colours):
    for folder, ending in (("real", "png"), ("generated", "bmp")):
        (tmp_path / folder).mkdir()
        for red in (30, 5, 90):
            Image.new("RGB", (4, 4), (red, 0, 0)).save(tmp_path / folder / f"site-{red}.{ending}")
    result = pss(str(tmp_path / "real"), tmp_path / "generated", colours)
    assert result.labels == ("site-30", "site-5", "site-90")
    assert result.mean["pss_perception"] == 0.0
    (tmp_path / "real" / "site-30.png").unlink()
    with pytest.raises(InputError, match="site-30"):
        pss(tmp_path / "real", tmp_path / "generated", colours)


def test_what_cannot_be_paired_is_refused(tmp_path, colours):
    with pytest.raises(InputError, match="2 real and 1"):
        pss(_flat([1, 2]), _flat([1]), colours)
    with pytest.raises(InputError, match="at least one"):
        pss([], [], colours)
    with pytest.raises(InputError, match="two folders"):
        pss(tmp_path, _flat([1]), colours)
    with pytest.raises(InputError, match="labels"):
        pss(_flat([1]), _flat([1]), colours, labels=["a", "b"])
    with pytest.raises(InputError, match="stem"):
        pss(tmp_path, tmp_path, colours, labels=["a"])


def test_the_package_can_be_called(colours):
    pictures = _flat([1, 2])
    assert soundit_geo.pss(real=pictures, generated=pictures, judges=colours).mean["pss_element"] == 1.0
    assert "frechet_distance" in dir(soundit_geo.pss)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = soundit_geo.pss.nonsense


# The embedded judges


@pytest.fixture(scope="module")
def city():
    return load_judges("synthetic-city")


@pytest.fixture(scope="module")
def places():
    """Two per scene, in weather and light as they come, and their pictures twice: the state drawn anew."""
    rng = np.random.default_rng(2024)
    drawn = [draw_place(rng, scene) for scene in SCENES for _ in range(2)]
    return drawn, [
        [render_picture(place, size=256, variant=variant) for place in drawn] for variant in (0, 1)
    ]


def test_two_pictures_of_one_place_score_high_and_far_above_the_floor(city, places):
    _, (first, second) = places
    result = pss([picture for picture, _ in first], [picture for picture, _ in second], city)
    assert not result.outside.any()
    assert result.mean["pss_element"] > max(0.85, result.floor["pss_element"])
    assert result.mean["pss_scene_top1"] > 0.7 > result.floor["pss_scene_top1"]
    assert result.mean["pss_perception"] < 0.7 * result.floor["pss_perception"]


def test_the_embedded_element_judge_sees_the_true_shares(city, places):
    _, (first, _) = places
    share = city.elements.judge([picture for picture, _ in first]).share
    truth = np.stack([np.bincount(mask.ravel(), minlength=150) / mask.size for _, mask in first])
    assert np.mean(element_similarity(share, truth)) > 0.95


def test_the_embedded_judges_know_that_a_photograph_is_another_world(city):
    if not PHOTOS.is_dir():
        pytest.skip("the sample photographs are not beside this checkout")
    photos = sorted(PHOTOS.iterdir())
    with pytest.warns(OutsideWorldWarning, match="synthetic-city"):
        scores = city.score(photos)
    assert scores.outside.all()
