"""Measures beside predictions in one cube: put there, kept by files, and correlated as SciPy does."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
from fake_study import fake_cube

import soundit_geo as sg
from soundit_geo.acoustics import MEASURES
from soundit_geo.correlation import _correlate, add_acoustics, correlate
from soundit_geo.cube import open_cube, save_cube, to_geodataframe, validate
from soundit_geo.errors import CubeError, InputError, ScenarioError

NAMES = [f"s{k:02d}" for k in range(24)]


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    return fake_cube(tmp_path_factory.mktemp("cube"), NAMES, failed=NAMES[:1])


@pytest.fixture
def measured():
    rng = np.random.default_rng(1)
    values = {name: rng.normal(size=len(NAMES)) for name in MEASURES}
    return pd.DataFrame({**values, "rate": 48_000, "message": ""}, index=pd.Index(NAMES, name="site"))


def test_measures_stand_beside_predictions_with_their_units(cube, measured):
    whole = add_acoustics(cube, measured.iloc[::-1])
    assert validate(whole) is whole
    for name, (unit, _) in MEASURES.items():
        assert whole[name].dims == ("site",)
        assert whole[name].attrs["units"] == unit
        assert whole[name].to_numpy().tolist() == measured[name].tolist()
    assert "laeq" not in cube
    assert "message" in whole
    assert (whole["message"] == cube["message"]).all()


def test_a_cube_with_measures_survives_its_file(cube, measured, tmp_path):
    whole = add_acoustics(cube, measured)
    save_cube(whole, tmp_path / "cube.zarr")
    xr.testing.assert_identical(open_cube(tmp_path / "cube.zarr")[list(MEASURES)], whole[list(MEASURES)])


def test_absent_sites_are_nan_and_strangers_ignored(cube, measured):
    table = pd.concat([measured.iloc[3:], measured.iloc[:1].set_axis(["elsewhere"])])
    whole = add_acoustics(cube, table)
    assert whole["aci"].isnull().to_numpy().nonzero()[0].tolist() == [0, 1, 2]
    assert whole.sizes["site"] == len(NAMES)


def test_tables_that_do_not_fit_are_refused(cube, measured):
    for wrong, word in (
        (measured[["message"]], "holds none of"),
        (pd.concat([measured, measured.iloc[:1]]), "twice"),
        (measured.set_axis([f"x{k}" for k in range(24)]), "none of the cube's"),
    ):
        with pytest.raises(CubeError, match=word):
            add_acoustics(cube, wrong)


def test_coefficients_are_scipys_over_sites_that_have_both(cube, measured):
    measured.loc["s05", "laeq"] = np.nan
    whole = add_acoustics(cube, measured)
    found = correlate(whole, ["laeq", "aci"], ["lively", "boring", "share_tree"], scenario="plaza")
    assert list(found.table.index) == [
        (x, y) for x in ("laeq", "aci") for y in ("lively", "boring", "share_tree")
    ]
    for x, y in found.table.index:
        both = found.scatter[[x, y]].dropna()
        row = found.table.loc[(x, y)]
        assert row["n"] == len(both) == (22 if x == "laeq" else 23)  # s00 failed
        assert row["pearson"] == pytest.approx(scipy.stats.pearsonr(both[x], both[y])[0])
        assert row["spearman"] == pytest.approx(scipy.stats.spearmanr(both[x], both[y])[0])
        assert row["pearson_low"] < row["pearson"] < row["pearson_high"]
        assert row["spearman_low"] < row["spearman"] < row["spearman_high"]


def test_the_scatter_holds_the_values_of_the_cube(cube, measured):
    found = sg.correlate(add_acoustics(cube, measured), "bi", "lively")
    assert found.scenario == "as recorded"
    table = to_geodataframe(cube, "as recorded")
    pd.testing.assert_series_equal(found.scatter["lively"], table["lively"])
    pd.testing.assert_series_equal(
        found.scatter["bi"], measured["bi"], check_names=False, check_index_type=False
    )


def test_a_law_is_found_and_its_interval_narrow(cube, measured):
    measured["laeq"] = 60 - 3 * to_geodataframe(cube, "as recorded")["lively"]
    measured["aci"] = np.exp(measured["laeq"] / 10)  # one order, no line
    table = correlate(add_acoustics(cube, measured), ["laeq", "aci"], "lively").table
    assert table.loc[
        ("laeq", "lively"), ["pearson", "pearson_low", "pearson_high"]
    ].tolist() == pytest.approx([-1] * 3)
    assert table.loc[("aci", "lively"), "spearman_high"] == pytest.approx(-1)
    assert table.loc[("aci", "lively"), "pearson"] > -0.999


def test_the_same_seed_gives_the_same_interval(cube, measured):
    whole = add_acoustics(cube, measured)
    one, two, other = (correlate(whole, "aci", "safe", seed=seed).table for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert one["pearson_low"].iloc[0] != other["pearson_low"].iloc[0]


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([], []),
        ([1.0], [2.0]),
        ([1.0, 2.0], [3.0, 4.0]),
        ([1.0] * 9, list(range(9))),
        ([np.nan] * 5, [1.0] * 5),
    ],
)
def test_what_is_undefined_is_nan(x, y):
    row = _correlate(np.array(x), np.array(y, dtype=float), 0.95, 50, 0)
    assert np.isnan([value for name, value in row.items() if name != "n"]).all()


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """200 simulated studies of 40 sites with a correlation of 0.5: a percentile bootstrap covers about 93 %."""
    rng = np.random.default_rng(7)
    inside = 0
    for study in range(200):
        x = rng.normal(size=40)
        y = 0.5 * x + np.sqrt(0.75) * rng.normal(size=40)
        row = _correlate(x, y, 0.95, 300, study)
        inside += row["pearson_low"] <= 0.5 <= row["pearson_high"]
    assert 0.88 <= inside / 200 <= 0.98


def test_questions_that_the_cube_cannot_answer_are_refused(cube, measured):
    whole = add_acoustics(cube, measured)
    for x, y, options, error in (
        ("loudness", "lively", {}, CubeError),
        ("audio", "lively", {}, CubeError),
        ("perception", "lively", {}, CubeError),
        ("aci", "smell", {}, CubeError),
        ("aci", "prompt", {}, CubeError),
        ("aci", "share_unicorn", {}, CubeError),
        ("aci", "lively", {"scenario": "moon"}, ScenarioError),
        ("aci", "lively", {"confidence": 1.0}, InputError),
        ("aci", "lively", {"resamples": 0}, InputError),
    ):
        with pytest.raises(error):
            correlate(whole, x, y, **options)
