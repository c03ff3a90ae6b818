"""Laws of clusters: statistics against their formulas, p values against every case, false finds at their level."""

from __future__ import annotations

from itertools import combinations

import geopandas as gpd
import numpy as np
import pytest
import scipy.stats
from esda.moran import Moran_Local
from fake_study import fake_cube
from libpysal.graph import Graph

from soundit_geo.errors import InputError, SitesError
from soundit_geo.spatial import hotspots, site_values
from soundit_geo.spatial.randomisation import neighbourhood_p


def table(lon, lat, z):
    return gpd.GeoDataFrame({"z": z}, geometry=gpd.points_from_xy(lon, lat, crs=4326))


def lattice(side=20, *, lon=9.0, lat=51.0, step=0.002):
    """A grid of sites, a little shaken, so that no two neighbours are equally far."""
    rng = np.random.default_rng(5)
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    x, y = (axis.ravel() + rng.uniform(-0.2, 0.2, side**2) for axis in (x, y))
    return lon + step * x, lat + step * y


def neighbours_by_hand(sites, k):
    """The k nearest of each site, by distances on a plane."""
    xy = sites.to_crs(32632).geometry
    xy = np.column_stack((xy.x, xy.y))
    distance = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1)[:, :k]


# ---------------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize("shift", [0.0, -50.0, 1e4])
def test_statistics_are_those_of_their_formulas_whatever_the_zero(shift):
    lon, lat = lattice(8)
    rng = np.random.default_rng(0)
    value = np.sin(300 * lon) + 0.5 * rng.normal(size=64)
    sites = table(lon, lat, value + shift)
    found = hotspots(sites, "z", neighbours=5)
    near = neighbours_by_hand(sites, 5)
    n, z = 64, value - value.mean()
    lag = z[near].mean(axis=1)
    # Moran 1950 and Anselin 1995, weights of 1/k
    assert found.attrs["moran"] == pytest.approx((z @ lag) / (z @ z), abs=1e-9)
    assert found.attrs["moran_expected"] == pytest.approx(-1 / 63)
    np.testing.assert_allclose(found["local_moran"], (n - 1) * z * lag / (z @ z), atol=1e-6)
    np.testing.assert_allclose(found["around"], value[near].mean(axis=1) + shift, atol=1e-6)
    # Ord & Getis 1995, eq. 14, the site among its neighbours
    total, w = z[near].sum(axis=1) + z, 6
    deviation = np.sqrt((z @ z) / n)
    expected = total / (deviation * np.sqrt((n * w - w**2) / (n - 1)))
    np.testing.assert_allclose(found["getis_z"], expected, atol=1e-6)


def test_local_moran_is_esdas_and_its_p_twice_esdas_one_sided_p():
    lon, lat = lattice(12)
    rng = np.random.default_rng(1)
    value = np.exp(np.cos(200 * lat) + 0.7 * rng.normal(size=144))
    sites = table(lon, lat, value)
    found = hotspots(sites, "z", neighbours=6, permutations=50_000)
    near = neighbours_by_hand(sites, 6)
    graph = Graph.from_arrays(np.repeat(np.arange(144), 6), near.ravel(), np.ones(144 * 6))
    theirs = Moran_Local(value, graph, permutations=4999, seed=3)
    np.testing.assert_allclose(found["local_moran"], theirs.Is, atol=1e-9)
    error = np.sqrt(theirs.p_sim * (1 - theirs.p_sim) / 5000)
    assert (np.abs(found["moran_p"] / 2 - theirs.p_sim) < 5 * error + 0.001).all()


@pytest.mark.parametrize("conditional", [True, False])
def test_p_values_are_the_shares_of_all_possible_neighbourhoods(conditional):
    rng = np.random.default_rng(2)
    value = np.append(rng.normal(size=11), 9.0)  # one stands out: it is not in its own null
    size = np.array([1, 2, 3] * 4)
    own = np.arange(12)
    observed = np.array([value[rng.choice(np.delete(own, i), size[i], replace=False)].sum() for i in own])
    found, _ = neighbourhood_p(value, observed, size, conditional=conditional, permutations=60_000, rng=rng)
    for i in own:
        others = np.delete(value, i) if conditional else value
        every = np.array([sum(some) for some in combinations(others, size[i])])
        one_side = min((every >= observed[i] - 1e-9).mean(), (every <= observed[i] + 1e-9).mean())
        assert found[i] == pytest.approx(min(1.0, 2 * one_side), abs=0.02)


def test_no_p_value_is_nought_and_the_least_serves_one_find_among_all():
    value = np.append(np.full(60, 5.0), np.random.default_rng(0).normal(size=940))
    observed = np.append(np.full(60, 40.0), np.zeros(940))
    options = {"conditional": True, "rng": np.random.default_rng(0)}
    found, drawn = neighbourhood_p(value, observed, np.full(1000, 8), permutations=40_000, **options)
    assert 0 < found.min() <= 2.01 / 40_000
    assert (drawn >= 40_000 * 0.99).all()
    lon, lat = lattice(20)
    sites = table(lon, lat, np.random.default_rng(0).normal(size=400))
    attrs = hotspots(sites, "z").attrs
    assert 2 / (attrs["permutations"] + 1) <= 1.01 * attrs["alpha"] / 400


def test_equal_neighbourhoods_are_ties_and_no_finds():
    value = np.tile([0.1, 0.2, 0.7], 40)  # sums that differ in their last digits only
    observed = np.full(120, 0.1 + 0.2 + 0.7 + 0.1 + 0.2 + 0.7)
    rng = np.random.default_rng(0)
    found, _ = neighbourhood_p(
        value, observed, np.full(120, 6), conditional=False, permutations=5000, rng=rng
    )
    every = np.array([rng.choice(value, 6, replace=False).sum() for _ in range(5000)])
    assert found[0] == pytest.approx(
        min(1, 2 * min((every >= 1.999).mean(), (every <= 2.001).mean())), abs=0.05
    )


# ---------------------------------------------------------------------------------------------------- finds


@pytest.mark.slow
def test_on_pure_noise_nothing_is_found_beyond_the_level():
    """200 cities of noise, some of it skewed: false-discovery control finds anything in at most α of them."""
    lon, lat = np.random.default_rng(0).uniform(0, 0.1, (2, 120))
    finds = {"cluster": 0, "hotspot": 0, "moran": 0}
    p = []
    for seed in range(200):
        rng = np.random.default_rng([9, seed])
        value = rng.normal(size=120) if seed % 2 else rng.exponential(size=120)
        found = hotspots(table(9 + lon, 51 + lat, value), "z", neighbours=6, seed=seed)
        finds["cluster"] += bool((found["cluster"] != "not significant").any())
        finds["hotspot"] += bool((found["getis_q"] <= 0.05).any())
        finds["moran"] += found.attrs["moran_p"] <= 0.05
        p.append(found["moran_p"].to_numpy())
    most = scipy.stats.binom.ppf(0.999, 200, 0.05)  # of 200 at the level 0.05
    assert all(count <= most for count in finds.values()), finds
    assert np.mean(np.concatenate(p) <= 0.05) == pytest.approx(0.05, abs=0.01)


def planted(lon, lat, seed=0):
    """Noise with a high patch around one site of the lattice and a low one around another, a lone site in each."""
    value = 0.3 * np.random.default_rng(seed).normal(size=400)
    x, y = np.meshgrid(np.arange(20), np.arange(20))
    x, y = x.ravel(), y.ravel()
    high, low = np.hypot(x - 4, y - 4) < 3.5, np.hypot(x - 15, y - 14) < 3.5
    value[high] += 3
    value[low] -= 3
    return table(lon, lat, value), high, low, (x, y)


def test_planted_clusters_are_found_with_their_classes_and_little_else():
    sites, high, low, (x, y) = planted(*lattice())
    outlier = (x == 4) & (y == 4)
    sites.loc[outlier, "z"] = -2.0
    found = hotspots(sites, "z")
    assert (found["cluster"][high & ~outlier] == "high-high").mean() > 0.9
    assert (found["cluster"][low] == "low-low").mean() > 0.9
    assert found["cluster"][outlier].tolist() == ["low-high"]
    far = (np.hypot(x - 4, y - 4) > 5.5) & (np.hypot(x - 15, y - 14) > 5.5)
    assert (found["cluster"][far] != "not significant").mean() <= 0.05
    assert found["hotspot"][high].str.startswith("hot").mean() > 0.9
    assert found["hotspot"][low].str.startswith("cold").mean() > 0.9
    assert (found["hotspot"][far] != "not significant").mean() <= 0.1
    assert found.attrs["moran_p"] <= 0.01
    for level, words in ((0.01, "99 %"), (0.05, "95 %"), (0.1, "90 %")):
        named = found["hotspot"].isin([f"hot {words}", f"cold {words}"])
        assert (found["getis_q"][named] <= level).all()
    turned = hotspots(sites.assign(z=-sites["z"]), "z")
    assert (
        turned["hotspot"][high].str.startswith("cold") == found["hotspot"][high].str.startswith("hot")
    ).all()


def test_seeds_decide_and_q_is_benjamini_and_hochbergs():
    sites, *_ = planted(*lattice())
    found = hotspots(sites, "z", seed=4)
    assert found.equals(hotspots(sites, "z", seed=4))
    assert not np.array_equal(found["moran_p"], hotspots(sites, "z", seed=5)["moran_p"])
    for name in ("moran", "getis"):
        p = found[f"{name}_p"].to_numpy()
        order = np.argsort(p)
        q = np.empty(400)
        least = 1.0
        for rank in range(400, 0, -1):
            least = min(least, p[order[rank - 1]] * 400 / rank)
            q[order[rank - 1]] = least
        np.testing.assert_allclose(found[f"{name}_q"], q)


def test_a_stricter_level_finds_no_more():
    sites, *_ = planted(*lattice())
    sites["z"] += np.random.default_rng(0).normal(size=400)
    strict, loose = (hotspots(sites, "z", alpha=alpha)["cluster"] for alpha in (0.001, 0.2))
    assert (loose[strict != "not significant"] != "not significant").all()
    assert (loose != "not significant").sum() > (strict != "not significant").sum()


# ---------------------------------------------------------------------------------------------------- places


@pytest.mark.parametrize("turn", [171.0, -9.0, 120.0])
def test_turning_the_earth_changes_nothing(turn):
    lon, lat = lattice()
    home, *_ = planted(lon, lat)
    there = (lon + turn + 180) % 360 - 180
    moved = table(there, lat, home["z"])
    if turn == 171.0:
        assert np.ptp(moved.geometry.x) > 300  # on both sides of the antimeridian
    a, b = hotspots(home, "z"), hotspots(moved, "z")
    np.testing.assert_allclose(a["around"], b["around"])
    assert (a["cluster"] == b["cluster"]).all()


def test_neighbours_across_a_pole_are_neighbours():
    lon = np.arange(0, 360, 30) - 180.0
    sites = table(
        np.append(lon, 0.0), np.append(np.full(12, 89.9), 90.0), np.append(np.tile([0.0, 1.0], 6), 100.0)
    )
    found = hotspots(sites, "z", neighbours=5)
    assert (found["around"].iloc[:12] >= 20).all()  # two on either side, and the pole
    across = hotspots(sites, "z", distance=22_500)
    assert (across["neighbours"] == 12).all()


def test_sites_of_one_place_share_its_figures_and_are_not_their_own_neighbours():
    lon, lat = lattice(6)
    value = np.random.default_rng(0).normal(size=36)
    once = hotspots(table(lon, lat, value), "z", neighbours=4)
    again = table(
        np.append(lon, [lon[7]] * 9), np.append(lat, [lat[7]] * 9), np.append(value, [value[7]] * 9)
    )
    found = hotspots(again, "z", neighbours=4)
    assert (found.attrs["sites"], found.attrs["places"]) == (45, 36)
    np.testing.assert_allclose(found["around"].iloc[:36], once["around"])
    np.testing.assert_array_equal(found["moran_p"].iloc[:36], once["moran_p"])
    assert found["moran_q"].iloc[36:].tolist() == [once["moran_q"].iloc[7]] * 9


def test_sites_without_value_or_neighbour_take_no_part_and_say_so():
    lon, lat = lattice(6)
    value = np.random.default_rng(0).normal(size=36)
    some = table(
        np.append(lon, [20.0, 9.001]), np.append(lat, [10.0, 51.001]), np.append(value, [50.0, np.nan])
    )
    found = hotspots(some, "z", distance=300)
    plain = hotspots(table(lon, lat, value), "z", distance=300)
    assert found["cluster"].iloc[36:].tolist() == ["no neighbour", "no value"]
    assert found["hotspot"].iloc[36:].tolist() == ["no neighbour", "no value"]
    assert found["neighbours"].iloc[36:].tolist() == [0, 0]
    assert found[["around", "moran_p", "getis_z"]].iloc[36:].isna().all(axis=None)
    np.testing.assert_array_equal(found["moran_p"].iloc[:36], plain["moran_p"])
    assert found.attrs["moran"] == plain.attrs["moran"]
    assert (found.attrs["without_neighbour"], found.attrs["without_value"]) == (1, 1)


def test_two_metres_apart_are_neighbours_within_three():
    row = table(9 + np.arange(30) * 2 / 70_000, np.full(30, 51.0), np.arange(30.0) % 7)
    found = hotspots(row, "z", distance=3)
    assert found["neighbours"].tolist() == [1, *[2] * 28, 1]


@pytest.mark.parametrize(
    ("change", "options", "error", "word"),
    [
        (lambda t: t.iloc[:1], {}, SitesError, "there are 1"),
        (lambda t: t.iloc[:9], {}, SitesError, "at least 10"),
        (lambda t: t.assign(z=2.0), {}, SitesError, "all 36 places have the value 2"),
        (lambda t: t.assign(z=np.nan), {}, SitesError, "36 have none"),
        (lambda t: t, {"distance": 1.0}, SitesError, "within 1.0 m"),
        (lambda t: t, {"neighbours": 36}, InputError, "Take fewer"),
        (lambda t: t, {"neighbours": 0}, InputError, "neighbours is 0"),
        (lambda t: t, {"distance": -1}, InputError, "distance is -1"),
        (lambda t: t, {"alpha": 5}, InputError, "alpha is 5"),
        (lambda t: t, {"permutations": 5}, InputError, "99"),
    ],
)
def test_what_has_no_clusters_to_speak_of_is_refused(change, options, error, word):
    lon, lat = lattice(6)
    sites = table(lon, lat, np.random.default_rng(0).normal(size=36))
    with pytest.raises(error, match=word):
        hotspots(change(sites), "z", **options)


def test_a_cube_is_taken_by_variable_and_scenario(tmp_path):
    cube = fake_cube(tmp_path, [f"s{k}" for k in range(25)], draws=2, failed=["s4"])
    found = hotspots(cube, "lively", scenario="plaza", against="as recorded", neighbours=4)
    assert found.index.name == "site"
    assert found["cluster"]["s4"] == "no value"
    expected = site_values(cube, "lively", scenario="plaza", against="as recorded")
    np.testing.assert_array_equal(found["value"], expected["value"])
    assert found.attrs["label"] == "lively, plaza minus as recorded"
