"""Measures beside predictions in one cube: put there, kept by files, and correlated as SciPy does."""

import base64
import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
from fake_study import fake_cube, fake_sites
from typer.testing import CliRunner

import soundit_geo as sg
from soundit_geo.acoustics import MEASURES
from soundit_geo.cli import app
from soundit_geo.correlation import _correlate, add_acoustics, correlate
from soundit_geo.cube import open_cube, save_cube, sites_per_chunk, to_geodataframe, validate
from soundit_geo.errors import CubeError, InputError, ScenarioError, SounditError
from soundit_geo.maps.columns import columns_of
from soundit_geo.spatial.values import site_values

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


# -------------------------------------------------------------------------------------- measures in a study's cube


@pytest.fixture
def study(tmp_path):
    """A study folder of four sites, one of whose recordings is lost."""
    sites = fake_sites(NAMES[:4], tmp_path / "study").assign(
        gain=[120.0, 110.0, np.nan, 100.0], aci=[1, 2, 3, 4]
    )
    cube = fake_cube(tmp_path / "study", NAMES[:4], sites=sites)
    save_cube(cube, tmp_path / "study" / "cube.zarr", sites_per_chunk=3)
    (tmp_path / "study" / "audio" / "003.wav").unlink()
    return tmp_path / "study"


def command(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_a_studys_recordings_are_measured_into_its_cube(study):
    before = open_cube(study)
    done = command("add-acoustics", study, "--quiet")
    assert done.exit_code == 1, done.output  # one recording is lost
    assert "not calibrated: levels are re full scale (dBFS)" in done.output
    after = open_cube(study)
    table = sg.acoustics(sg.read_sites(study_sites(before, study), absent="keep"))
    for name, (unit, words) in MEASURES.items():
        np.testing.assert_array_equal(after[name], table[name])
        assert after[name].attrs == {
            "units": unit,
            "long_name": words,
            "source": "measured in the recording",
        }
    assert "uncalibrated" in after["level_dbfs"].attrs["long_name"]
    assert np.isfinite(after["level_dbfs"]).to_numpy().tolist() == [True, True, True, False]
    assert after["laeq"].isnull().all()
    assert after["site_aci"].to_numpy().tolist() == [1, 2, 3, 4]  # the sites' own column gave way
    assert sites_per_chunk(study / "cube.zarr") == 3
    for name in before.data_vars:
        xr.testing.assert_identical(after[name].variable, before[name].variable)
    again = json.loads(command("add-acoustics", study, "--quiet", "--calibration", "gain", "--json").stdout)
    assert again["calibrated_sites"] == 2
    assert again["measured"]["level_dbfs"] == 3
    shift = open_cube(study)["laeq"] - open_cube(study)["gain"]
    np.testing.assert_array_equal(shift.isnull(), [False, False, True, True])


def study_sites(cube, folder):
    paths = [str(folder / one) for one in cube["audio"].to_numpy()]
    points = gpd.points_from_xy(cube["lon"].to_numpy(), cube["lat"].to_numpy())
    index = pd.Index(cube["site"].to_numpy(), name="site")
    sites = gpd.GeoDataFrame({"audio": paths}, index=index, geometry=points, crs=4326)
    sites.attrs["audio_root"] = folder
    return sites


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_of_measures_goes_into_a_new_cube_and_leaves_the_old(study, measured, tmp_path, kind):
    path = tmp_path / f"measures.{kind}"
    measured.to_csv(path) if kind == "csv" else measured.to_parquet(path)
    before = open_cube(study)
    done = command("add-acoustics", study, "--table", path, "--out", tmp_path / "new.nc")
    assert done.exit_code == 0, done.output
    assert "4 of 4 sites have calibrated levels" in done.output
    new = open_cube(tmp_path / "new.nc")
    for name in MEASURES:
        np.testing.assert_allclose(new[name], measured[name].iloc[:4], rtol=1e-12)
    xr.testing.assert_identical(open_cube(study), before)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--table", "absent.csv"], "absent.csv"),
        (["--table", "{words}"], "not of numbers"),
        (["--table", "{words}", "--calibration", "120"], "table or a calibration"),
        (["--calibration", "loudness"], "loudness"),
        (["--out", "x.gpkg"], ".nc or .zarr"),
    ],
)
def test_measures_that_do_not_fit_are_refused_and_the_cube_stays(study, tmp_path, more, word):
    (tmp_path / "words.csv").write_text("site,laeq\ns00,loud\n")
    before = open_cube(study)
    done = command("add-acoustics", study, *[one.format(words=tmp_path / "words.csv") for one in more])
    assert isinstance(done.exception, SounditError)
    assert word in str(done.exception)
    xr.testing.assert_identical(open_cube(study), before)


def test_maps_and_surfaces_offer_what_was_measured(cube, measured):
    whole = add_acoustics(cube, measured.assign(laeq=np.nan))
    data = columns_of(whole, "level_dbfs", (0, 1))
    found = {one["key"]: one for one in data["variables"] if one["group"] == "Measured in the recording"}
    assert set(found) == set(MEASURES) - {"laeq"}  # known nowhere
    assert "uncalibrated" in found["level_dbfs"]["label"]
    level = found["level_dbfs"]
    for column in level["values"]:  # the same in every scenario
        codes = np.frombuffer(base64.b64decode(column), "<u2")[1:]  # the first site failed
        np.testing.assert_allclose(
            level["low"] + level["step"] * codes, measured["level_dbfs"].iloc[1:], atol=level["step"]
        )
    assert "errors" not in level
    values = site_values(whole, "level_dbfs")
    assert values.attrs["units"] == "dB"
    np.testing.assert_array_equal(values["value"], measured["level_dbfs"])
