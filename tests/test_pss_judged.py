"""What is said of judges where everything is known: a perfect judge is called perfect, a guessing one is not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from soundit_geo.classes import PERCEPTIONS, PLACES365
from soundit_geo.cli import app
from soundit_geo.lab.city_data import SIZE, draw_places
from soundit_geo.lab.judged import measure_judges
from soundit_geo.pss import Judges
from soundit_geo.pss.elements import Elements
from soundit_geo.pss.perception import Perception
from soundit_geo.pss.scenes import Scenes
from soundit_geo.synthetic_city.perception import perceive
from soundit_geo.synthetic_city.picture import element_share, render_picture

PLACES = 24


class Knowing:
    """A judge that knows the places of a seed by heart; `turned`, it takes each for the next."""

    name, world, scale = "knowing", "synthetic city", (0.0, 10.0)

    def __init__(self, level, *, turned=0, factor=1.0):
        self.level, self.factor = level, factor
        places = draw_places(PLACES, 3)
        self.places = places[turned:] + places[:turned]
        self.masks = [render_picture(place, SIZE)[1] for place in self.places]

    def judge(self, pictures, *, batch_size=32, mask=False):  # noqa: ARG002
        inside = np.zeros(len(pictures), bool)
        share = np.stack([element_share(one) for one in self.masks]).astype(np.float32)
        if self.level == "elements":
            return Elements(share, inside, np.stack(self.masks) if mask else None)
        if self.level == "scenes":
            classes = [[PLACES365.index(place.scene), 0, 1, 2, 3] for place in self.places]
            return Scenes(np.array(classes, np.int16), np.full((PLACES, 5), 0.2, np.float32), inside)
        felt = [perceive(place, one) for place, one in zip(self.places, share, strict=True)]
        return Perception(self.factor * np.stack(felt), inside)


def measured(*levels, **options):
    # all pictures come in one batch, so that the judge may count on their order
    return measure_judges(Judges(**{level: Knowing(level, **options) for level in levels}), PLACES)


def test_a_judge_that_knows_everything_is_right_in_everything():
    found = measured("elements", "scenes", "perception")
    assert found["elements"]["mean_iou"] == found["elements"]["pixel_accuracy"] == 1
    assert found["scenes"]["accuracy"] == 1
    assert found["perception"]["r2"] == pytest.approx(dict.fromkeys(PERCEPTIONS, 1))
    assert found["perception"]["pair_accuracy"] == dict.fromkeys(PERCEPTIONS, 1)
    assert found["evidence"] == "stand-in judges: synthetic city"


def test_a_judge_that_takes_places_for_others_is_wrong():
    found = measured("elements", "scenes", "perception", turned=1)
    assert found["elements"]["mean_iou"] < 0.4
    assert found["scenes"]["accuracy"] == 0  # the twelve scenes come in turn
    assert max(found["perception"]["r2"].values()) < 0.5
    assert max(found["perception"]["pair_accuracy"].values()) < 0.75


def test_another_scale_is_wrong_by_points_and_right_by_order():
    found = measured("perception", factor=3.0)
    assert set(found) == {"places", "seed", "judges", "evidence", "perception", "outside"}
    assert max(found["perception"]["r2"].values()) < 0
    assert found["perception"]["pair_accuracy"] == dict.fromkeys(PERCEPTIONS, 1)


def test_the_embedded_judges_know_their_city():
    result = CliRunner().invoke(app, ["lab", "judges", "--places", "24"], catch_exceptions=False)
    said = json.loads(result.stdout)
    assert said["elements"]["mean_iou"] > 0.6
    assert said["scenes"]["accuracy"] > 0.9
    assert min(said["perception"]["r2"].values()) > 0.8
    assert min(said["perception"]["pair_accuracy"].values()) > 0.8
