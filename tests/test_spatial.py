"""Laws of the door to space, of planes and of areas."""

from __future__ import annotations

import subprocess
import sys

import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import pyproj
import pytest
import scipy.stats
import shapely
from fake_study import fake_cube
from hypothesis import given, settings
from hypothesis import strategies as st

from soundit_geo import cube as cubes
from soundit_geo.classes import ADE20K
from soundit_geo.errors import CRSError, CubeError, InputError, ScenarioError, SitesError
from soundit_geo.pss.indicators import INDICATORS
from soundit_geo.scenarios import difference
from soundit_geo.spatial import districts, hexagons, projected_crs, site_values
from soundit_geo.spatial.projection import project
from soundit_geo.spatial.values import places_of


def points(lon, lat, crs=4326, **columns):
    columns = columns or {"value": np.arange(len(lon), dtype=float)}
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(lon, lat, crs=crs))


def scattered(n=200, *, lon=9.0, lat=51.5, spread=0.05, seed=0):
    rng = np.random.default_rng(seed)
    east, north = rng.uniform(-spread, spread, (2, n))
    return points(lon + east, lat + north, z=rng.normal(size=n))


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    found = fake_cube(tmp_path_factory.mktemp("study"), draws=4, failed=["site 03"])
    found["status"][5, 1, 2] = cubes.FAILED
    found["status"][6, 0, 1:] = cubes.PENDING
    return found


# ---------------------------------------------------------------------------------------------------- values


def test_a_value_is_the_mean_over_the_draws_that_are_done(cube):
    found = site_values(cube, "lively", scenario="plaza")
    for number, site in enumerate(cube["site"].to_numpy()):
        draws = cube["perception"].to_numpy()[number, 1, :, 1][
            cube["status"].to_numpy()[number, 1] == cubes.DONE
        ]
        if site == "site 03":
            assert np.isnan(found["value"][site])
        else:
            assert found["value"][site] == pytest.approx(draws.astype(float).mean(), abs=1e-9)
    assert found.crs == "EPSG:4326"
    assert found.attrs["label"] == "lively, plaza"
    assert (found.geometry.x.to_numpy() == cube["lon"].to_numpy()).all()


def test_a_value_against_another_scenario_is_the_paired_difference(cube):
    paired = difference(cube, "plaza", "as recorded")
    for name, expected in (
        ("boring", paired["perception"].sel(percept="boring")),
        ("car", paired["element_share"].sel(element="car")),
        (
            "green",
            paired["element_share"]
            .sel(element=list(INDICATORS["green"].classes))
            .sum("element", skipna=False),
        ),
    ):
        found = site_values(cube, name, scenario="plaza", against="as recorded")
        np.testing.assert_allclose(found["value"], expected.to_numpy(), atol=1e-6)
    assert found.attrs["label"] == "green, plaza minus as recorded"


def test_an_indicator_and_the_element_of_its_name_are_told_apart(cube):
    shares = (
        cube["element_share"].sel(scenario="plaza").where(cube["status"].sel(scenario="plaza") == cubes.DONE)
    )
    shares = shares.mean("draw")
    indicator = site_values(cube, "building", scenario="plaza")["value"]
    element = site_values(cube, "element:building", scenario="plaza")["value"]
    classes = list(INDICATORS["building"].classes)
    assert len(classes) > 1
    np.testing.assert_allclose(indicator, shares.sel(element=classes).sum("element", skipna=False), atol=1e-6)
    np.testing.assert_allclose(element, shares.sel(element="building"), atol=1e-6)


def test_what_a_cube_holds_by_site_needs_no_scenario(cube):
    with_level = cube.assign(level=("site", np.linspace(-30, -20, cube.sizes["site"]), {"units": "dB"}))
    found = site_values(with_level, "level")
    np.testing.assert_array_equal(found["value"], with_level["level"])
    assert found.attrs["units"] == "dB"
    with pytest.raises(ScenarioError, match="every scenario"):
        site_values(with_level, "level", scenario="plaza")
    one = cube.sel(scenario=["plaza"])
    np.testing.assert_array_equal(
        site_values(one, "safe")["value"], site_values(cube, "safe", scenario="plaza")["value"]
    )


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        ({"variable": "lively"}, ScenarioError, "name one: 'as recorded', 'plaza'"),
        ({"variable": "lively", "scenario": "forest"}, ScenarioError, "'plaza'"),
        ({"variable": "lively", "scenario": "plaza", "against": "forest"}, ScenarioError, "'as recorded'"),
        ({"variable": "noise", "scenario": "plaza"}, CubeError, "'noise'"),
        ({"variable": "status", "scenario": "plaza"}, CubeError, "perceptions"),
        ({"variable": "picture", "scenario": "plaza"}, CubeError, "indicators"),
    ],
)
def test_an_unknown_name_is_told_what_there_is(cube, arguments, error, word):
    with pytest.raises(error, match=word):
        site_values(cube, **arguments)


def test_a_table_gives_any_column_of_numbers_in_any_crs():
    table = scattered(5)
    found = site_values(table.to_crs(3857), "z")
    np.testing.assert_array_equal(found["value"], table["z"])
    np.testing.assert_allclose(found.geometry.x, table.geometry.x, atol=1e-9)
    whole = site_values(table.assign(n=pd.array([1, 2, None, 4, 5], dtype="Int64")), "n")["value"]
    np.testing.assert_array_equal(whole, [1, 2, np.nan, 4, 5])
    assert site_values(points([190.0], [0.0], z=[1.0]), "z").geometry.x[0] == pytest.approx(-170)


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        (lambda t: t.assign(z="a"), SitesError, "not of numbers"),
        (lambda t: t.assign(z=True), SitesError, "not of numbers"),
        (lambda t: t.drop(columns="z"), SitesError, "does not exist"),
        (lambda t: t.assign(z=np.inf), SitesError, "infinite"),
        (lambda t: t.set_crs(None, allow_override=True), CRSError, "no CRS"),
        (lambda t: t.set_geometry([shapely.box(0, 0, 1, 1)] * 5, crs=4326), SitesError, "Polygon"),
        (lambda t: t.set_geometry(gpd.points_from_xy([0] * 5, [95] * 5, crs=4326)), CRSError, "latitude"),
        (lambda t: pd.DataFrame(t.drop(columns="geometry")), SitesError, "no geometry"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(change, error, word):
    with pytest.raises(error, match=word):
        site_values(change(scattered(5)), "z")
    with pytest.raises(InputError, match="no scenarios"):
        site_values(scattered(5), "z", scenario="plaza")


# ---------------------------------------------------------------------------------------------------- places


def test_coincident_sites_are_one_place_with_their_mean_and_count():
    table = points([9, 9, 9, 9.1, 9.1, 9.2], [51, 51, 51, 51, 51, 51], z=[1.0, 2.0, np.nan, 5.0, 7.0, np.nan])
    places = places_of(site_values(table, "z"))
    assert places.value.tolist() == [1.5, 6.0]
    assert places.sites.tolist() == [2, 2]
    assert places.place_of.tolist() == [0, 0, -1, 1, 1, -1]
    assert places.counts == {"sites": 4, "places": 2, "without_value": 2}


def test_two_metres_apart_are_two_places_and_the_antimeridian_parts_none():
    two = points([9, 9 + 2 / 70_000], [51, 51], z=[1.0, 2.0])
    assert len(places_of(site_values(two, "z"))) == 2
    seam = points([180.0, -180.0], [10, 10], z=[1.0, 2.0])
    assert len(places_of(site_values(seam, "z"))) == 1
    pole = points([0.0, 90.0], [90, 90], z=[1.0, 2.0])
    assert len(places_of(site_values(pole, "z"))) == 1


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([-180.0, -179.9, 0.0, 9.0, 179.9, 180.0]) | st.floats(-180, 180),
            st.sampled_from([-90.0, 0.0, 51.0, 90.0]) | st.floats(-90, 90),
            st.floats(-1e6, 1e6) | st.just(np.nan),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_no_value_is_lost_between_sites_and_places(rows):
    lon, lat, value = map(np.array, zip(*rows, strict=True))
    places = places_of(site_values(points(lon, lat, z=value.astype(float)), "z"))
    known = np.isfinite(value)
    assert ((places.place_of >= 0) == known).all()
    assert places.sites.sum() == known.sum()
    assert (places.value * places.sites).sum() == pytest.approx(value[known].sum(), rel=1e-9, abs=1e-6)
    assert len({tuple(at) for at in np.round(places.xyz, 6).tolist()}) == len(places)


# ---------------------------------------------------------------------------------------------------- planes


@pytest.mark.parametrize(
    ("lon", "lat", "name", "why"),
    [
        (9.0, 51.5, "UTM zone 32N", "central meridian"),
        (-70.6, -33.4, "UTM zone 19S", "central meridian"),
        (180.0, -17.0, "azimuthal", "antimeridian"),
        (20.0, 89.9, "azimuthal", "84° north"),
        (20.0, -88.0, "azimuthal", "80° south"),
    ],
)
def test_the_plane_suits_the_place_and_keeps_its_distances(lon, lat, name, why):
    rng = np.random.default_rng(0)
    geod = pyproj.Geod(ellps="WGS84")
    n = 20
    lons, lats, _ = geod.fwd([lon] * n, [lat] * n, rng.uniform(0, 360, n), rng.uniform(0, 20_000, n))
    crs, said = projected_crs(lons, lats)
    assert name in crs.name
    assert why in said
    assert crs.is_projected
    xy = project(lons, lats, crs)
    for a in range(n):
        _, _, expected = geod.inv([lons[a]] * n, [lats[a]] * n, lons, lats)
        np.testing.assert_allclose(np.hypot(*(xy - xy[a]).T), expected, rtol=5e-4, atol=1e-3)


def test_a_wide_area_gets_an_equal_area_plane_and_the_world_none():
    lon, lat = np.meshgrid(np.linspace(-10, 30, 9), np.linspace(36, 68, 9))
    crs, why = projected_crs(lon.ravel(), lat.ravel())
    assert "Lambert azimuthal equal-area" in crs.name
    assert "central meridian" in why
    box = shapely.segmentize(shapely.box(8, 50, 12, 54), 0.05)
    area, _ = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(box)
    assert gpd.GeoSeries([box], crs=4326).to_crs(crs).area[0] == pytest.approx(abs(area), rel=1e-3)
    with pytest.raises(SitesError, match="their middle"):
        projected_crs([0, 120, 240 - 360], [0, 0, 0])
    with pytest.raises(SitesError, match="their middle"):
        projected_crs([0, 100], [0, 0])


# ---------------------------------------------------------------------------------------------------- areas


def by_hand(value, group):
    """Mean and Student's interval of each group, by pandas and scipy."""
    rows = {}
    for name, part in pd.Series(value).groupby(np.asarray(group)):
        low, high = np.nan, np.nan
        if len(part) > 1:
            low, high = scipy.stats.t.interval(0.95, len(part) - 1, part.mean(), part.sem())
        rows[name] = (part.mean(), low, high, len(part))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high", "places"])


def test_hexagon_means_are_those_of_groupby():
    table = scattered(400)
    found = hexagons(table, "z", resolution=8)
    cells = [h3.latlng_to_cell(p.y, p.x, 8) for p in table.geometry]
    expected = by_hand(table["z"], cells).loc[found.index]
    assert len(found) == len(set(cells))
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9)
    assert found["places"].sum() == 400
    assert found.crs == "EPSG:4326"
    assert found.attrs["resolution"] == 8


def test_below_the_minimum_there_is_a_count_and_no_mean():
    found = hexagons(scattered(400), "z", resolution=8, minimum=4)
    few = found["places"] < 4
    assert few.any()
    assert not few.all()
    assert (found["mean"].isna() == few).all()
    assert (found["low"].isna() == few).all()


def test_equal_values_have_an_interval_of_no_width_and_one_place_has_none():
    table = points([9.0, 9.0001, 9.5], [51, 51, 51], z=[3.0, 3.0, 3.0])
    found = hexagons(table, "z", resolution=7).sort_values("places")
    assert found["mean"].tolist() == [3.0, 3.0]
    assert found["low"].isna().tolist() == [True, False]
    assert found["high"].iloc[1] == 3.0


def test_hexagons_are_chosen_by_the_spacing_and_one_place_has_none():
    lon, lat = np.meshgrid(np.arange(10) * 0.001, np.arange(10) * 0.001)
    grid = points(lon.ravel(), lat.ravel())
    level = hexagons(grid, "value").attrs["resolution"]
    edge = h3.average_hexagon_edge_length(level, unit="m")
    finer = h3.average_hexagon_edge_length(level + 1, unit="m")
    assert edge >= 2 * 110.5 > finer
    tiny = points(9 + np.arange(20) * 2 / 70_000, [51] * 20)
    found = hexagons(tiny, "value")
    assert 2 * 2 < h3.average_hexagon_edge_length(found.attrs["resolution"], unit="m") < 2 * 2 * 2.7
    assert found["sites"].sum() == 20
    with pytest.raises(SitesError, match="resolution="):
        hexagons(grid.iloc[:1], "value")
    assert hexagons(grid.iloc[:1], "value", resolution=9)["mean"].tolist() == [0.0]
    with pytest.raises(SitesError, match="None of the"):
        hexagons(grid.assign(value=np.nan), "value")
    for wrong in (-1, 16):
        with pytest.raises(InputError, match="resolution"):
            hexagons(grid, "value", resolution=wrong)
    with pytest.raises(InputError, match="minimum"):
        hexagons(grid, "value", minimum=0)


@pytest.mark.parametrize(
    ("lon", "lat"), [(180.0, -17.0), (-179.99, 65.0), (0.0, 90.0), (40.0, -89.99), (9.0, 51.0)]
)
@pytest.mark.parametrize("resolution", [1, 3, 6])
def test_a_hexagon_covers_its_sites_and_has_its_area_wherever_it_lies(lon, lat, resolution):
    rng = np.random.default_rng(1)
    east = (lon + rng.uniform(-3, 3, 100) + 180) % 360 - 180
    north = np.clip(lat + rng.uniform(-1, 1, 100), -90, 90)
    found = hexagons(points(east, north), "value", resolution=resolution)
    assert found.geometry.is_valid.all()
    west, south, right, top = found.total_bounds
    assert west >= -180
    assert right <= 180
    assert south >= -90
    assert top <= 90
    for x, y in zip(east, north, strict=True):
        cell = h3.latlng_to_cell(y, x, resolution)
        assert found.geometry[cell].distance(shapely.Point(x, y)) < 1e-3  # drawn edges are nearly H3's
    geod = pyproj.Geod(ellps="WGS84")
    for cell, shape in found.geometry.items():
        dense = shapely.segmentize(shape, 0.05)
        area = abs(geod.geometry_area_perimeter(dense)[0])
        assert area == pytest.approx(h3.cell_area(cell, unit="m^2"), rel=0.02)


@settings(max_examples=150)
@given(
    st.sampled_from([0.0, 180.0, -180.0, 54.5]) | st.floats(-180, 180),
    st.floats(-12, 1).map(lambda power: 10.0**power) | st.just(0.0),
    st.sampled_from([-90.0, 90.0, 0.0, -2.43]) | st.floats(-90, 90),
    st.integers(0, 15),
)
def test_any_hexagon_is_a_valid_area_of_the_world_around_its_site(lon, off, lat, resolution):
    lon, lat = (lon + off + 180) % 360 - 180, float(np.clip(lat - off, -90, 90))
    shape = hexagons(points([lon], [lat]), "value", resolution=resolution).geometry.iloc[0]
    assert shape.is_valid
    assert shape.area > 0
    west, south, east, north = shape.bounds
    assert -180 <= west < east <= 180
    assert -90 <= south < north <= 90
    assert shape.distance(shapely.Point(lon, lat)) < (1e-3 if resolution > 1 else 0.3)


def test_a_hexagon_across_the_antimeridian_has_a_part_on_either_side():
    found = hexagons(points([180.0], [-17.0]), "value", resolution=4)
    shape = found.geometry.iloc[0]
    assert shape.geom_type == "MultiPolygon"
    assert sorted(np.sign(part.centroid.x) for part in shape.geoms) == [-1, 1]
    assert max(part.bounds[2] - part.bounds[0] for part in shape.geoms) < 1


def test_district_means_are_those_of_a_spatial_join():
    table = scattered(300).to_crs(32632)
    x0, y0, x1, y1 = table.total_bounds + np.array([-1, -1, 1, 1])
    cells = [
        shapely.box(a, b, a + (x1 - x0) / 4, b + (y1 - y0) / 4)
        for a in np.linspace(x0, x1, 5)
        for b in np.linspace(y0, y1, 5)
    ]
    areas = gpd.GeoDataFrame({"name": [f"d{k}" for k in range(25)]}, geometry=cells, crs=32632).set_index(
        "name"
    )
    found = districts(table.to_crs(4326), "z", areas)
    joined = gpd.sjoin(table, areas, predicate="intersects")
    expected = by_hand(joined["z"].to_numpy(), joined["name"])
    assert found.index.tolist() == areas.index.tolist()
    assert found.crs == "EPSG:4326"
    empty = ~found.index.isin(expected.index)
    assert empty.any()
    assert (found.loc[empty, "places"] == 0).all()
    assert found.loc[empty, "mean"].isna().all()
    for name in expected:
        np.testing.assert_allclose(found.loc[expected.index, name], expected[name], rtol=1e-9)


def test_a_border_counts_on_both_sides_and_what_is_outside_is_counted():
    areas = gpd.GeoSeries([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)], crs=4326)
    found = districts(points([0.5, 1.0, 5.0], [0.5, 0.5, 5.0]), "value", areas)
    assert found["places"].tolist() == [2, 1]
    assert found["mean"].tolist() == [0.5, 1.0]
    assert found.attrs["outside"] == 1


def test_districts_count_sites_and_weigh_places():
    table = points([0.5] * 9 + [0.6], [0.5] * 10, z=[1.0] * 9 + [3.0])
    areas = gpd.GeoDataFrame({"kind": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    found = districts(table, "z", areas).iloc[0]
    assert (found["mean"], found["places"], found["sites"], found["kind"]) == (2.0, 2, 10, "a")


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        (lambda a: a.set_crs(None, allow_override=True), CRSError, "no CRS"),
        (lambda a: a.set_geometry(a.centroid), InputError, "Point"),
        (lambda a: a.assign(mean=1), InputError, "mean"),
        (lambda a: a.iloc[:0], InputError, "0 areas"),
        (
            lambda a: a.set_geometry(
                gpd.GeoSeries([shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])], crs=a.crs)
            ),
            InputError,
            "1 of them invalid",
        ),
    ],
)
def test_areas_that_cannot_be_used_are_refused(change, error, word):
    areas = gpd.GeoDataFrame({"kind": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=3857)
    with pytest.raises(error, match=word):
        districts(scattered(5), "z", change(areas))


def test_the_accessor_hands_on_and_space_needs_no_torch(cube):
    import soundit_geo.accessors  # noqa: F401 - registers the accessor

    found = cube.soundit.hexagons("lively", scenario="plaza", resolution=8)
    pd.testing.assert_frame_equal(found, hexagons(cube, "lively", scenario="plaza", resolution=8))
    code = (
        "import sys, geopandas as gpd, numpy as np, soundit_geo as sg\n"
        "x, y = np.random.default_rng(0).uniform(0, .05, (2, 40))\n"
        "t = gpd.GeoDataFrame({'z': x}, geometry=gpd.points_from_xy(x, y, crs=4326))\n"
        "sg.surface(t, 'z'), sg.hexagons(t, 'z'), sg.hotspots(t, 'z')\n"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_element_has_a_value(cube):
    for name in (ADE20K[1], ADE20K[-1]):
        assert site_values(cube, f"element:{name}", scenario="plaza")["value"].notna().sum() == 11
