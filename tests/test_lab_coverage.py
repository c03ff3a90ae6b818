"""Intervals against simulated truth: they hold it as often as they say, and false discoveries keep their level."""

from __future__ import annotations

import numpy as np
import pytest

from soundit_geo.lab.coverage import DISTRIBUTIONS, MEAN, blank_cube, covered, discoveries, simulate
from soundit_geo.scenarios import difference

SIMULATIONS = 100
STUDIES = 6 * SIMULATIONS  # the six perceptions are drawn independently
ERROR = np.sqrt(0.95 * 0.05 / STUDIES)  # binomial, of a coverage of 95 %


@pytest.mark.slow
@pytest.mark.parametrize("kind", DISTRIBUTIONS)
def test_intervals_hold_a_known_effect_in_93_to_97_percent_of_studies(kind):
    rng = np.random.default_rng(11)
    blank = blank_cube(24, 6)
    rows = [covered(blank, DISTRIBUTIONS[kind], rng, others=False) for _ in range(SIMULATIONS)]
    for name in rows[0]:
        share = np.mean([row[name] for row in rows])
        assert 0.93 - 2 * ERROR <= share <= 0.97 + 2 * ERROR, (kind, name, share)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DISTRIBUTIONS)
def test_intervals_of_difference_hold_a_known_effect_in_93_to_97_percent_of_400_simulations(kind):
    rng = np.random.default_rng(10)
    blank, sample = blank_cube(24, 6), DISTRIBUTIONS[kind]
    held = []
    for _ in range(400):
        truth = MEAN + sample(rng, (24, 6))
        found = difference(
            simulate(blank, truth, sample, rng), "design", "as recorded", variables=["perception"]
        )
        held.append(((found["perception_low"] <= truth) & (truth <= found["perception_high"])).mean())
    assert 0.93 <= np.mean(held) <= 0.97  # no allowance for chance


@pytest.mark.slow
def test_taking_draws_for_independent_sites_would_not_hold_it():
    rng = np.random.default_rng(12)
    blank = blank_cube(24, 6)
    rows = [covered(blank, DISTRIBUTIONS["normal"], rng)["not taken"] for _ in range(40)]
    name = "population, Student's t over all pairs as if independent"
    assert np.mean([row[name] for row in rows]) < 0.9


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_false_discoveries_keep_their_level(share):
    rng = np.random.default_rng(13)
    blank = blank_cube(24, 6)
    rows = [discoveries(blank, share, rng) for _ in range(SIMULATIONS)]
    level = 0.05 * (1 - share)  # Benjamini and Hochberg: the share of sites without an effect, times q
    found = np.mean([row["false among those called"] for row in rows])
    spread = np.std([row["false among those called"] for row in rows]) / np.sqrt(SIMULATIONS)
    assert found <= level + 3 * max(spread, ERROR)
    assert np.mean([row["without control"] for row in rows]) > found + 3 * spread


def test_a_simulated_study_has_the_effect_that_it_was_given():
    rng = np.random.default_rng(14)
    change = np.linspace(-3, 3, 60).reshape(10, 6)
    blank = blank_cube(10, 400)
    cube = simulate(blank, change, DISTRIBUTIONS["skewed"], rng)
    found = difference(cube, "design", "as recorded", variables=["perception"])
    assert np.unique(found["draws"]).size > 3  # as many draws as chance will have it
    assert (np.abs(found["perception"] - change) < 5 * found["perception_se"]).all()


@pytest.mark.parametrize("kind", DISTRIBUTIONS)
def test_every_distribution_has_mean_0_and_variance_1(kind):
    values = DISTRIBUTIONS[kind](np.random.default_rng(15), (200_000,))
    assert abs(values.mean()) < 0.01
    assert abs(values.var() - 1) < 0.03
