"""Laws of surfaces: kriging and Gaussian processes against literal solves, accuracy, masks and files."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.warp
import shapely
from fake_study import fake_cube
from scipy.spatial.distance import cdist

from soundit_geo.errors import CRSError, InputError, SitesError, StudyError
from soundit_geo.spatial import site_values, surface, write_raster
from soundit_geo.spatial.accuracy import FOLDS, blocked_folds, crossvalidate, random_folds
from soundit_geo.spatial.interpolation import WHOLE, Kriging, fit_gaussian_process, fit_kriging
from soundit_geo.spatial.surfaces import crs_of
from soundit_geo.spatial.variogram import Variogram, experimental_variogram, fit_variogram

UTM = 32632
METHODS = ("kriging", "gaussian process")


def field(n, seed=0, *, side=4000.0, reach=1500.0, nugget=0.2):
    """Sites of a Gaussian field of sill 1 + nugget and exponential variogram: where they are, what they show."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, side, (n, 2))
    root = np.linalg.cholesky(np.exp(-3 * cdist(xy, xy) / reach) + 1e-9 * np.eye(n))
    return xy, root @ rng.normal(size=n) + np.sqrt(nugget) * rng.normal(size=n)


def table(xy, value, crs=UTM):
    return gpd.GeoDataFrame(
        {"z": value}, geometry=gpd.points_from_xy(xy[:, 0] + 500_000, xy[:, 1] + 5_700_000, crs=crs)
    )


def given(model="exponential", nugget=0.2, sill=1.2, reach=1500.0):
    return Variogram(model, nugget, sill, reach, np.array([1.0]), np.array([1.0]), np.array([1]))


# ---------------------------------------------------------------------------------------------------- variogram


def test_the_experimental_variogram_is_half_the_mean_squared_difference_by_distance():
    xy, value = field(40)
    lag, semivariance, pairs = experimental_variogram(xy, value, np.random.default_rng(0))
    every = [
        (float(np.hypot(*(xy[i] - xy[j]))), 0.5 * float(value[i] - value[j]) ** 2)
        for i in range(40)
        for j in range(i)
    ]
    farthest = max(d for d, _ in every) / 2
    bins = len(every) // 50
    for k in range(bins):
        inside = [(d, g) for d, g in every if k * farthest / bins <= d < (k + 1) * farthest / bins]
        assert pairs[k] == len(inside)
        assert lag[k] == pytest.approx(np.mean([d for d, _ in inside]))
        assert semivariance[k] == pytest.approx(np.mean([g for _, g in inside]))


def test_the_fitted_variogram_finds_a_simulated_truth():
    found = [fit_variogram(*field(500, seed, side=8000), np.random.default_rng(0)) for seed in range(8)]
    assert np.median([one.nugget for one in found]) == pytest.approx(0.2, abs=0.12)
    assert np.median([one.sill for one in found]) == pytest.approx(1.2, abs=0.25)
    assert np.median([one.range for one in found]) == pytest.approx(1500, rel=0.4)
    distance = np.array([0.0, 500.0])
    for one in found:
        assert one(distance)[0] == pytest.approx(one.nugget)
        assert one(np.array([1e9]))[0] == pytest.approx(one.sill)
        assert 0 <= one.nugget <= one.sill


def test_noise_alone_makes_a_flat_surface_as_uncertain_as_the_noise():
    rng = np.random.default_rng(3)
    xy, value = rng.uniform(0, 4000, (300, 2)), rng.normal(size=300)
    predicted, deviation = fit_kriging(xy, value, rng).predict(rng.uniform(0, 4000, (200, 2)))
    assert predicted.std() < 0.35
    assert deviation.mean() == pytest.approx(1.0, abs=0.12)


# ---------------------------------------------------------------------------------------------------- predictions


@pytest.mark.parametrize("model", ["exponential", "spherical"])
def test_kriging_is_the_solution_of_the_kriging_system(model):
    xy, value = field(12)
    points = np.vstack((np.random.default_rng(1).uniform(0, 4000, (20, 2)), xy[:2]))
    variogram = given(model)

    def gamma(distance):
        if model == "exponential":
            return 0.2 + 1.0 * (1 - np.exp(-3 * distance / 1500))
        near = np.minimum(distance / 1500, 1)
        return 0.2 + 1.0 * (1.5 * near - 0.5 * near**3)

    predicted, deviation = Kriging(xy, value, variogram).predict(points)
    for at, point in enumerate(points):
        # Σ_j λ_j γ(s_i, s_j) + μ = γ(s_i, s), Σ λ = 1; γ of a site with itself is 0
        left = np.ones((13, 13))
        left[:12, :12] = gamma(cdist(xy, xy)) * (1 - np.eye(12))
        left[12, 12] = 0
        right = np.append(gamma(np.hypot(*(xy - point).T)), 1)
        weights = np.linalg.solve(left, right)
        assert predicted[at] == pytest.approx(weights[:12] @ value, abs=1e-8)
        assert deviation[at] ** 2 == pytest.approx(weights @ right, abs=1e-8)


def test_a_moving_window_says_nearly_what_all_places_say():
    xy, value = field(700, nugget=0.1)
    assert len(xy) > WHOLE
    points = np.random.default_rng(1).uniform(200, 3800, (300, 2))
    variogram = given(nugget=0.1, sill=1.1)
    moving, spread = Kriging(xy, value, variogram).predict(points)
    distance = cdist(xy, xy)
    left = np.ones((701, 701))
    left[:700, :700] = (0.1 + 1 - np.exp(-3 * distance / 1500)) * (distance > 0)
    left[700, 700] = 0
    right = np.vstack((1.1 - np.exp(-3 * cdist(xy, points) / 1500), np.ones(300)))
    weights = np.linalg.solve(left, right)
    np.testing.assert_allclose(moving, weights[:700].T @ value, atol=0.05)
    np.testing.assert_allclose(spread, np.sqrt((weights * right).sum(axis=0)), rtol=0.02)


def test_a_gaussian_process_is_the_conditional_normal_of_its_kernel():
    xy, value = field(60)
    points = np.random.default_rng(1).uniform(0, 4000, (15, 2))
    model = fit_gaussian_process(xy, value, np.random.default_rng(0))
    predicted, deviation = model.predict(points)
    learned = model.variogram
    signal = learned.sill - learned.nugget

    def covariance(a, b):  # Matérn 3/2 from the variogram that is shown
        x = 4.7438645 * cdist(a, b) / learned.range
        return signal * (1 + x) * np.exp(-x)

    inverse = np.linalg.inv(covariance(xy, xy) + learned.nugget * np.eye(60))
    cross = covariance(points, xy)
    mean = value.mean() + cross @ inverse @ (value - value.mean())
    variance = learned.sill - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    np.testing.assert_allclose(predicted, mean, atol=1e-5)
    np.testing.assert_allclose(deviation, np.sqrt(variance), rtol=1e-4)


# ---------------------------------------------------------------------------------------------------- accuracy


def test_folds_are_about_equal_and_blocks_stay_whole():
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 4000, (203, 2))
    counts = np.bincount(random_folds(203, rng), minlength=FOLDS)
    assert counts.max() - counts.min() <= 1
    fold, side = blocked_folds(xy, 1500.0)
    assert set(fold) == set(range(FOLDS))
    assert 1500 / side in (1, 2, 4, 8)
    corner = xy.min(axis=0)
    block = [tuple(at) for at in np.floor((xy - corner) / side).astype(int)]
    for name in set(block):
        assert len({fold[k] for k in range(203) if block[k] == name}) == 1
    assert len(set(block)) >= 2 * FOLDS


@pytest.mark.parametrize("method", [fit_kriging, fit_gaussian_process])
def test_ninety_five_of_a_hundred_held_out_sites_lie_within_the_interval(method):
    random, blocked = [], []
    for seed in range(4):
        xy, value = field(120, seed)
        rng = np.random.default_rng(seed)
        random.append(crossvalidate(method, xy, value, random_folds(len(xy), rng), rng))
        blocked.append(crossvalidate(method, xy, value, blocked_folds(xy, 1500)[0], rng))
    # 480 held-out sites: the standard error of a share of 0.95 is 0.01, and neighbours are alike
    assert np.mean([one.coverage for one in random]) == pytest.approx(0.95, abs=0.035)
    assert np.mean([one.coverage for one in blocked]) == pytest.approx(0.95, abs=0.06)
    assert np.mean([one.rmse for one in blocked]) > np.mean([one.rmse for one in random])
    assert np.mean([one.r2 for one in random]) > 0.2


def test_accuracy_is_what_it_says():
    class Halfway:
        def __init__(self, value):
            self.value = value

        def predict(self, points):
            return np.full(len(points), self.value.mean()), np.full(len(points), 1.0)

    xy, value = field(30)
    fold = random_folds(30, np.random.default_rng(0))
    found = crossvalidate(lambda _, known, __: Halfway(known), xy, value, fold, np.random.default_rng(0))
    error = np.array([value[fold != fold[k]].mean() - value[k] for k in range(30)])
    assert found.rmse == pytest.approx(np.sqrt(np.mean(error**2)))
    assert found.r2 == pytest.approx(1 - np.sum(error**2) / np.sum((value - value.mean()) ** 2))
    assert found.r2 < 0
    assert found.coverage == pytest.approx(np.mean(np.abs(error) <= 1.96))


def test_what_alone_differs_can_be_held_out():
    xy = np.random.default_rng(0).uniform(0, 100, (20, 2))
    value = np.zeros(20)
    value[7] = 1.0
    found = crossvalidate(fit_kriging, xy, value, np.arange(20) % FOLDS, np.random.default_rng(0))
    assert 0 < found.rmse < 1


# ---------------------------------------------------------------------------------------------------- surfaces


@pytest.fixture(scope="module")
def simulated():
    xy, value = field(150)
    return table(xy, value)


@pytest.fixture(scope="module")
def kriged(simulated):
    return surface(simulated, "z", cell=100)


@pytest.mark.parametrize("method", METHODS)
def test_a_surface_holds_predictions_at_the_centres_of_its_cells(simulated, method):
    found = surface(simulated, "z", cell=200, method=method)
    xy = np.column_stack((simulated.geometry.x, simulated.geometry.y))
    fit = {"kriging": fit_kriging, "gaussian process": fit_gaussian_process}[method]
    model = fit(xy, simulated["z"].to_numpy(), np.random.default_rng(0))
    x, y = np.meshgrid(found["x"], found["y"])
    value, deviation = model.predict(np.column_stack((x.ravel(), y.ravel())))
    inside = np.isfinite(found["value"].to_numpy())
    np.testing.assert_allclose(found["value"].to_numpy()[inside], value.reshape(x.shape)[inside], atol=2e-3)
    np.testing.assert_allclose(
        found["standard_deviation"].to_numpy()[inside], deviation.reshape(x.shape)[inside], rtol=5e-3
    )
    assert (np.isfinite(found["standard_deviation"].to_numpy()) == inside).all()
    np.testing.assert_allclose(found["fitted"], model.variogram(found["lag"].to_numpy()), rtol=1e-3)


def test_a_surface_says_its_crs_its_variogram_and_its_accuracy(kriged, simulated):
    assert crs_of(kriged) == pyproj.CRS(UTM)
    assert "central meridian" in kriged.attrs["crs_chosen_because"]
    assert (np.diff(kriged["x"]) == 100).all()
    assert (np.diff(kriged["y"]) == -100).all()
    assert {"variogram", "nugget", "sill", "range", "block", "validation_seed"} <= set(kriged.attrs)
    assert kriged.attrs["places"] == kriged.attrs["sites"] == len(simulated)
    assert kriged["validation"].to_numpy().tolist() == ["blocked", "random"]
    for name in ("rmse", "r2", "coverage"):
        assert np.isfinite(kriged[name]).all()
    assert kriged["value"].attrs["grid_mapping"] == "spatial_ref"
    same = surface(simulated, "z", cell=100)
    assert kriged.identical(same)


def test_cells_are_filled_within_reach_of_a_place_and_inside_the_boundary(simulated):
    middle = shapely.Point(502_000, 5_702_000)
    ring = middle.buffer(1200).difference(middle.buffer(400))
    boundary = gpd.GeoSeries([ring], crs=UTM).to_crs(4326)
    found = surface(simulated, "z", cell=50, reach=150, boundary=boundary)
    x, y = np.meshgrid(found["x"], found["y"])
    cells = np.column_stack((x.ravel(), y.ravel()))
    places = np.column_stack((simulated.geometry.x, simulated.geometry.y))
    near = cdist(cells, places).min(axis=1).reshape(x.shape)
    away = shapely.distance(ring, shapely.points(cells)).reshape(x.shape)
    filled = np.isfinite(found["value"].to_numpy())
    assert filled.any()
    assert (near[filled] <= 150).all()
    assert (away[filled] < 0.1).all()
    inner = shapely.distance(ring.boundary, shapely.points(cells)).reshape(x.shape) > 0.1
    assert filled[(near < 150) & (away == 0) & inner].all()
    bare = surface(simulated, "z", cell=50, reach=150, boundary=boundary.iloc[0])
    np.testing.assert_array_equal(bare["value"], found["value"])


def test_coincident_sites_make_the_surface_of_their_means():
    xy, value = field(60)
    apart = table(np.vstack((xy, xy[:20])), np.append(value + 0.0, value[:20] + 1.0))
    joined = table(xy, np.append(value[:20] + 0.5, value[20:]))
    several, once = surface(apart, "z", cell=300), surface(joined, "z", cell=300)
    np.testing.assert_allclose(several["value"], once["value"], atol=1e-4)
    assert (several.attrs["sites"], several.attrs["places"]) == (80, 60)


def test_sites_without_a_value_are_left_out_and_counted(simulated):
    some = simulated["z"].where(np.arange(150) % 3 > 0)
    found = surface(simulated.assign(z=some), "z", cell=300)
    assert (found.attrs["sites"], found.attrs["without_value"]) == (100, 50)
    np.testing.assert_array_equal(found["value"], surface(simulated[some.notna()], "z", cell=300)["value"])


@pytest.mark.parametrize(("lon", "lat"), [(180.0, -17.0), (0.0, 90.0), (9.0, 0.0)])
def test_the_surface_of_a_pattern_is_the_same_wherever_it_lies(lon, lat):
    xy, value = field(60)
    home, _ = pyproj.CRS(UTM), None
    around = pyproj.CRS.from_proj4(f"+proj=aeqd +lat_0={lat} +lon_0={lon} +datum=WGS84")
    moved = gpd.GeoDataFrame({"z": value}, geometry=gpd.points_from_xy(*(xy - 2000).T, crs=around)).to_crs(
        4326
    )
    if abs(lon) == 180:
        assert np.ptp(moved.geometry.x) > 300
    there = surface(moved, "z", cell=200)
    here = surface(table(xy, value, home), "z", cell=200)
    assert there.attrs["range"] == pytest.approx(here.attrs["range"], rel=0.02)
    assert there.attrs["sill"] == pytest.approx(here.attrs["sill"], rel=0.02)
    assert there.sizes["x"] == pytest.approx(here.sizes["x"], abs=4)  # north may point elsewhere on the plane
    np.testing.assert_allclose(np.nanmean(there["value"]), np.nanmean(here["value"]), atol=0.05)


def test_sites_two_metres_apart_make_a_surface():
    xy, value = field(40, side=12, reach=5)
    found = surface(table(xy, value), "z")
    assert 0 < found.attrs["cell"] < 2
    assert 0 < found.attrs["range"] < 40
    assert np.isfinite(found["value"]).sum() > 50


@pytest.mark.parametrize("method", METHODS)
def test_the_scale_of_values_does_not_matter(simulated, method):
    some = simulated.iloc[:50]
    plain = surface(some, "z", cell=400, method=method)
    scaled = surface(some.assign(z=1e-6 * some["z"] + 1), "z", cell=400, method=method)
    spread = np.nanstd(plain["standard_deviation"]) + np.nanmean(plain["standard_deviation"])
    np.testing.assert_allclose((scaled["value"] - 1) * 1e6, plain["value"], atol=0.1 * spread)
    np.testing.assert_allclose(scaled["standard_deviation"] * 1e6, plain["standard_deviation"], rtol=0.05)


@pytest.mark.parametrize(
    ("change", "options", "error", "word"),
    [
        (lambda t: t.iloc[:1], {}, SitesError, "there are 1"),
        (lambda t: t.iloc[:9], {}, SitesError, "at least 10 places"),
        (lambda t: t.assign(z=np.nan), {}, SitesError, "150 have none"),
        (lambda t: t.assign(z=3.25), {}, SitesError, "all 150 places have the value 3.25"),
        (lambda t: t.assign(z=0.0), {}, SitesError, "the value 0"),
        (lambda t: t, {"method": "idw"}, InputError, "kriging"),
        (lambda t: t, {"cell": 0}, InputError, "cell is 0"),
        (lambda t: t, {"reach": -5}, InputError, "reach is -5"),
        (lambda t: t, {"cell": 0.1}, InputError, "larger cells"),
        (lambda t: t, {"boundary": shapely.box(20, 0, 21, 1)}, InputError, "nothing is left"),
        (lambda t: t, {"boundary": shapely.Point(9, 51)}, InputError, "no area"),
        (lambda t: t, {"boundary": gpd.GeoSeries([shapely.box(0, 0, 1, 1)])}, CRSError, "no CRS"),
        (
            lambda _: gpd.GeoDataFrame(
                {"z": range(12)}, geometry=gpd.points_from_xy(np.arange(-180, 180, 30), [0] * 12, crs=4326)
            ),
            {},
            SitesError,
            "their middle",
        ),
    ],
)
def test_what_makes_no_surface_is_refused(simulated, change, options, error, word):
    with pytest.raises(error, match=word):
        surface(change(simulated), "z", **options)


def test_a_gaussian_process_refuses_more_places_than_it_can_take():
    rng = np.random.default_rng(0)
    with pytest.raises(SitesError, match="kriging"):
        fit_gaussian_process(rng.uniform(size=(3001, 2)), rng.normal(size=3001), rng)


def test_the_surface_of_a_cube_says_where_it_comes_from(tmp_path):
    cube = fake_cube(tmp_path, [f"s{k}" for k in range(30)], draws=2, failed=["s3"])
    found = cube_surface = surface(cube, "lively", scenario="plaza", cell=200)
    assert found.attrs["variogram"] in ("spherical", "exponential")
    assert found.attrs["label"] == "lively, plaza"
    assert found.attrs["evidence"] == cube.attrs["evidence"]
    assert found["scenario"].item() == "plaza"
    assert found.attrs["without_value"] == 1
    values = site_values(cube, "lively", scenario="plaza")
    np.testing.assert_array_equal(surface(values, "value", cell=200)["value"], cube_surface["value"])
    change = surface(cube, "lively", scenario="plaza", against="as recorded", cell=200)
    assert "scenario" not in change.coords


# ---------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("cloud_optimised", [True, False])
def test_a_geotiff_reads_back_as_it_was(kriged, tmp_path, cloud_optimised):
    path = write_raster(kriged, tmp_path / "new" / "z.tif", cloud_optimised=cloud_optimised)
    with rasterio.open(path) as raster:
        assert raster.count == 2
        assert raster.dtypes == ("float32", "float32")
        assert np.isnan(raster.nodata)
        assert raster.crs.to_epsg() == UTM
        assert raster.descriptions == ("z", "standard deviation of z")
        assert raster.transform.a == 100
        assert raster.transform.e == -100
        np.testing.assert_array_equal(raster.read(1), kriged["value"])
        np.testing.assert_array_equal(raster.read(2), kriged["standard_deviation"])
        x, y = kriged["x"].to_numpy(), kriged["y"].to_numpy()
        assert raster.xy(0, 0) == pytest.approx((x[0], y[0]))
        assert raster.xy(len(y) - 1, len(x) - 1) == pytest.approx((x[-1], y[-1]))
        assert float(raster.tags()["rmse_blocked"]) == pytest.approx(kriged["rmse"].to_numpy()[0], rel=1e-3)
        layout = raster.tags(ns="IMAGE_STRUCTURE").get("LAYOUT")
        assert (layout == "COG") == cloud_optimised
    assert [one.name for one in path.parent.iterdir()] == ["z.tif"]


def test_a_site_finds_its_value_in_the_file_by_longitude_and_latitude(kriged, simulated, tmp_path):
    path = write_raster(kriged, tmp_path / "z.tif")
    with rasterio.open(path) as raster:
        degrees = simulated.to_crs(4326).geometry
        x, y = rasterio.warp.transform("EPSG:4326", raster.crs, degrees.x, degrees.y)
        read = np.array([one[0] for one in raster.sample(zip(x, y, strict=True))])
        to_plane = pyproj.Transformer.from_crs(4326, UTM, always_xy=True)
        there = np.column_stack(to_plane.transform(degrees.x, degrees.y))
    expected = [kriged["value"].sel(x=east, y=north, method="nearest").item() for east, north in there]
    np.testing.assert_array_equal(read, expected)
    assert np.isfinite(read).all()


@pytest.mark.parametrize(("lon", "lat"), [(180.0, -17.0), (30.0, 89.9)])
def test_a_file_across_the_antimeridian_or_a_pole_keeps_its_plane(lon, lat, tmp_path):
    rng = np.random.default_rng(0)
    east, north, _ = pyproj.Geod(ellps="WGS84").fwd(
        [lon] * 40, [lat] * 40, rng.uniform(0, 360, 40), rng.uniform(0, 20_000, 40)
    )
    sites = gpd.GeoDataFrame({"z": rng.normal(size=40)}, geometry=gpd.points_from_xy(east, north, crs=4326))
    found = surface(sites, "z", cell=1000)
    with rasterio.open(write_raster(found, tmp_path / "z.tif")) as raster:
        assert (
            pyproj.CRS(raster.crs.to_wkt()).coordinate_operation.method_name == "Lambert Azimuthal Equal Area"
        )
        x, y = rasterio.warp.transform("EPSG:4326", raster.crs, east, north)
        values = np.array([one[0] for one in raster.sample(zip(x, y, strict=True))])
    assert np.isfinite(values).all()


def test_no_half_file_is_left_and_wrong_names_are_refused(kriged, tmp_path):
    with pytest.raises(InputError, match=r"\.tif"):
        write_raster(kriged, tmp_path / "z.png")
    with pytest.raises(InputError, match="north up"):
        write_raster(kriged.sortby("y"), tmp_path / "z.tif")
    with pytest.raises(InputError, match="no surface"):
        write_raster(kriged.drop_vars("value"), tmp_path / "z.tif")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StudyError, match="cannot be written"):
        write_raster(kriged, tmp_path / "file" / "z.tif")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
