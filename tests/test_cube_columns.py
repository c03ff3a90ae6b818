"""Columns of sites in a cube: whichever come, their values stay, and they can be grouped by."""

from __future__ import annotations

import datetime as dt
import logging

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from fake_study import fake_cube, fake_sites
from hypothesis import given
from random_cubes import random_columns

from soundit_geo import cube as cubes
from soundit_geo.cube.columns import RESERVED, columns_of_sites
from soundit_geo.errors import CubeError
from soundit_geo.scenarios import difference, districts_of, effect
from soundit_geo.spatial import hexagons

NAMES = [f"s{k:02d}" for k in range(14)]
DISTRICTS = ["Quay", "Mill End", ""] + ["Quay"] * 6 + ["Mill End"] * 5


@pytest.fixture
def sites(tmp_path):
    return fake_sites(NAMES, tmp_path).assign(
        district=[name or None for name in DISTRICTS],
        population=np.arange(14) * 100,
        slope=np.where(np.arange(14) == 2, np.nan, 0.5),
        quiet=np.arange(14) % 2 == 0,
        visits=pd.array([None, *range(13)], dtype="Int64"),
        time=pd.date_range("2026-05-04T10:00", periods=14, freq="h", tz="Europe/London"),
        kind=pd.Categorical(["street", "park"] * 7),
    )


@pytest.fixture
def cube(sites, tmp_path):
    return fake_cube(tmp_path, NAMES, sites=sites)


def test_a_cube_keeps_the_columns_of_its_sites_by_kind(sites, cube):
    names = ["district", "population", "slope", "quiet", "visits", "time", "kind"]
    assert cubes.site_columns(cube) == sorted(names)
    turned = cube.drop_vars(names).assign_coords({name: cube[name] for name in reversed(names)})
    assert cubes.site_columns(turned) == sorted(names)  # files keep no order
    assert cube["district"].to_numpy().tolist() == DISTRICTS
    assert cube["population"].dtype == np.int64
    np.testing.assert_array_equal(cube["slope"], sites["slope"])
    assert cube["quiet"].dtype == bool
    assert np.isnan(cube["visits"].to_numpy()[0])
    assert cube["visits"].to_numpy()[1:].tolist() == [*range(13)]
    assert cube["time"].to_numpy()[0] == np.datetime64("2026-05-04T09:00")  # summer time is an hour ahead
    assert cube["time"].attrs["long_name"] == "time (UTC)"
    assert cube["kind"].to_numpy().tolist() == ["street", "park"] * 7
    assert "audio" in cube.data_vars


@pytest.mark.parametrize("kind", ["nc", "zarr"])
def test_columns_survive_files(cube, tmp_path, kind):
    back = cubes.open_cube(cubes.export_cube(cube, tmp_path / f"cube.{kind}"))
    xr.testing.assert_identical(back, cube)
    for name in cubes.site_columns(cube):
        assert back[name].dtype == cube[name].dtype


@given(random_columns(3))
def test_any_columns_get_names_that_no_file_confuses(columns):
    points = gpd.GeoDataFrame(columns, geometry=[shapely.Point(0, 0)] * 3, crs=4326)
    found = columns_of_sites(points)
    assert len({name.casefold() for name in found}) == len(found)
    assert not {name.casefold() for name in found} & {name.casefold() for name in RESERVED}
    for name, (dim, values, told) in found.items():
        assert name == "".join(name.split()).strip("_")
        assert name
        assert "/" not in name
        assert (dim, len(values)) == ("site", 3)
        assert told["long_name"].removesuffix(" (UTC)") in [*map(str.strip, columns), "column without a name"]


def test_names_that_mean_something_in_a_cube_are_told_apart(tmp_path):
    names = ["status", "Lon", "site_lon", "Old name", "old_name", "scene", "x"]
    table = fake_sites(["a"], tmp_path).assign(**dict.fromkeys(names, 1))
    found = columns_of_sites(table)
    assert [*found] == [
        "site_status", "site_Lon", "site_lon_2", "Old_name", "old_name_2", "site_scene", "site_x"
    ]  # fmt: skip
    assert [told["long_name"] for _, _, told in found.values()] == names


def test_dates_are_text_and_far_times_too_and_what_is_not_plain_is_left_out(tmp_path, caplog):
    table = fake_sites(["a", "b"], tmp_path).assign(
        day=[dt.date(2026, 5, 4), None],
        far=np.array(["9999-01-01", "NaT"], "datetime64[s]"),
        lists=[[1], [2]],
        nul=["a\0", "b"],
        mixed=["a", 1],
        view=gpd.GeoSeries([shapely.Point(0, 0)] * 2).array,
        whole=[2**64 - 1, 0],
        empty=[None, None],
    )
    with caplog.at_level(logging.WARNING):
        found = columns_of_sites(table)
    assert found["day"][1].tolist() == ["2026-05-04", ""]
    assert found["far"][1].tolist() == ["9999-01-01T00:00:00", ""]
    assert found["whole"][1].dtype == float
    assert found["empty"][1].tolist() == ["", ""]
    for name in ("lists", "nul", "mixed", "view"):
        assert name not in found
        assert repr(name) in caplog.text


def test_an_effect_is_grouped_by_a_column_of_the_sites(cube, tmp_path):
    by = pd.Series(DISTRICTS, NAMES).replace("", None)
    found = effect(cube, "plaza", "as recorded", by="district", variables=["perception"])
    xr.testing.assert_identical(found, effect(cube, "plaza", "as recorded", by=by, variables=["perception"]))
    assert found["district"].to_numpy().tolist() == ["Mill End", "Quay"]
    assert found["perception_sites"].sel(percept="safe").to_numpy().tolist() == [6, 7]
    areas = gpd.GeoDataFrame({"district": ["all"]}, geometry=[shapely.box(-1, -1, 1, 1)], crs=4326)
    one = effect(cube, "plaza", "as recorded", by=districts_of(cube, areas, "district"))
    assert one["perception_sites"].max() == 14
    assert difference(cube, "plaza", "as recorded")["district"].to_numpy().tolist() == DISTRICTS


def test_columns_and_layers_stay_when_a_scenario_is_added_and_cells_are_written(cube, tmp_path):
    cube = cube.assign(noise=("site", np.arange(14.0), {"units": "dB"}))
    grown = cubes.with_scenario(cube, "park", pd.Series("a park", NAMES))
    for name in (*cubes.site_columns(cube), "noise"):
        xr.testing.assert_identical(grown[name].variable, cube[name].variable)
    cubes.save_cube(grown, tmp_path / "cube.zarr")
    block = grown.isel(site=slice(0, 2)).copy(deep=True)
    block["message"][:] = "seen"
    cubes.write_cells(tmp_path / "cube.zarr", block)
    back = cubes.open_cube(tmp_path / "cube.zarr")
    xr.testing.assert_identical(back["noise"].variable, cube["noise"].variable)
    assert back["message"].to_numpy()[:3].tolist() == ["seen", "seen", ""]
    with pytest.raises(CubeError, match="smell"):
        cubes.write_cells(tmp_path / "cube.zarr", block.assign(smell=block["noise"]))


@pytest.mark.parametrize("kind", ["gpkg", "parquet", "geojson", "csv"])
def test_tables_hold_the_columns(cube, sites, tmp_path, kind):
    path = cubes.export_cube(cube, tmp_path / f"sites.{kind}", scenarios="plaza")
    read = {"parquet": gpd.read_parquet, "csv": pd.read_csv}.get(kind, gpd.read_file)
    back = read(path).set_index("site")
    assert back["district"].fillna("").tolist() == DISTRICTS
    assert back["population"].tolist() == sites["population"].tolist()
    times = pd.to_datetime(back["time"]).dt.tz_localize(None)
    assert (times.to_numpy() == cube["time"].to_numpy()).all()
    assert back["kind"].tolist() == sites["kind"].tolist()


def test_numbers_among_the_columns_can_be_mapped(cube, sites):
    cells = hexagons(cube, "population", resolution=4)
    assert (cells["mean"] * cells["sites"]).sum() / cells["sites"].sum() == pytest.approx(
        sites["population"].mean()
    )
    with pytest.raises(CubeError, match="district"):
        hexagons(cube, "district")
