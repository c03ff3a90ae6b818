"""Urban indicators: their classes, their sums, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from soundit_geo.classes import ADE20K
from soundit_geo.errors import InputError
from soundit_geo.pss import INDICATORS, urban_indicators
from soundit_geo.pss.indicators import Indicator, indicator

# ids in ADE20K's own list, from 0, looked up by hand
IDS = {
    "green": {4, 9, 17, 29, 66, 72},
    "blue": {21, 26, 60, 104, 109, 113, 128},
    "sky_view": {2},
    "building": {1, 25, 48, 79, 84},
    "enclosure": {1, 25, 48, 79, 84, 0, 32, 42, 4, 72},
    "road": {6, 54},
    "vehicle": {20, 80, 83, 102, 116, 127},
    "people": {12},
}


def test_every_indicator_has_its_classes_and_says_what_it_means():
    assert {name: set(one.ids) for name, one in INDICATORS.items()} == IDS
    for one in INDICATORS.values():
        assert all(name in ADE20K for name in one.classes)
        assert one.definition
        assert "doi.org/10." in one.source


def test_indicators_are_sums_of_shares():
    share = np.random.default_rng(0).dirichlet(np.ones(150), size=7)
    found = urban_indicators(share)
    assert list(found) == list(IDS)
    for name, ids in IDS.items():
        assert np.allclose(found[name], share[:, sorted(ids)].sum(1))
        assert ((found[name] >= 0) & (found[name] <= 1)).all()


def test_a_street_of_known_shares():
    share = np.zeros(150, np.float32)
    share[[2, 1, 6, 4, 20, 12]] = 0.3, 0.25, 0.2, 0.15, 0.07, 0.03
    found = {name: round(float(value), 4) for name, value in urban_indicators(share).items()}
    assert found == {
        "green": 0.15,
        "blue": 0.0,
        "sky_view": 0.3,
        "building": 0.25,
        "enclosure": 0.4,
        "road": 0.2,
        "vehicle": 0.07,
        "people": 0.03,
    }


def test_any_leading_axes_and_nan_pass():
    share = np.full((2, 3, 4, 150), 1 / 150)
    share[1, 2, 3] = np.nan
    green = indicator("green", share)
    assert green.shape == (2, 3, 4)
    assert np.isnan(green[1, 2, 3])
    assert np.isfinite(green).sum() == 23


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("cosiness", np.zeros(150)),
        ("green", np.zeros(149)),
        ("green", np.float64(0.0)),
        ("green", np.full(150, -0.1)),
        ("green", np.full(150, 300.0)),
    ],
)
def test_what_is_no_share_is_refused(name, share):
    with pytest.raises(InputError):
        indicator(name, share)


@pytest.mark.parametrize("classes", [(), ("tree", "tree"), ("hedge",)])
def test_an_indicator_checks_its_classes(classes):
    with pytest.raises(InputError):
        Indicator(classes, "", "")
