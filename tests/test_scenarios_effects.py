"""Laws of what a scenario changes, at each site, over sites, by district and by goal."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from fake_study import fake_base, fake_cube
from scipy import stats

from soundit_geo import cube as cubes
from soundit_geo.classes import PERCEPTIONS
from soundit_geo.errors import CRSError, CubeError, InputError, ScenarioError
from soundit_geo.intervals import FEWEST, interval_of_mean
from soundit_geo.scenarios import (
    AS_RECORDED,
    COMPARED,
    difference,
    districts_of,
    draws_needed,
    effect,
    rank,
)
from soundit_geo.scenarios.effects import Paired, _bonett_price, mcnemar

THREE = {"as recorded": None, "plaza": "a plaza", "park": "a park"}


def uneven(tmp_path, names=24, draws=5, **more):
    """A cube whose sites have 1 to all draws done."""
    cube = fake_cube(tmp_path, [f"s{k:02d}" for k in range(names)], draws=draws, seed=4, **more)
    rng = np.random.default_rng(1)
    for site in range(names):
        cube["status"][site, rng.integers(cube.sizes["scenario"]), rng.integers(1, draws + 1) :] = (
            cubes.PENDING
        )
    return cube


def pairs_of(cube, a, b, site, percept):
    """The paired scores of a site, one by one."""
    kept = [
        draw
        for draw in range(cube.sizes["draw"])
        if all(cube["status"].loc[site, scenario, draw] == cubes.DONE for scenario in (a, b))
    ]
    scores = cube["perception"].sel(site=site, percept=percept)
    return tuple(scores.sel(scenario=one).to_numpy()[kept].astype(float) for one in (a, b))


def test_the_difference_equals_the_one_that_pandas_computes_by_hand(tmp_path):
    cube = fake_cube(tmp_path, draws=4, failed=["site 03"])
    cube["status"][5, 1, 2] = cubes.FAILED  # one draw of one scenario: it leaves no pair
    cube["status"][6, 0, 1:] = cubes.PENDING  # one pair is left
    found = difference(cube, "plaza", AS_RECORDED)
    long = cube[["perception", "status"]].to_dataframe().reset_index()
    long = long[long["status"] == cubes.DONE]
    wide = (
        long.pivot_table(index=["site", "percept", "draw"], columns="scenario", values="perception")
        .dropna()
        .astype(float)
    )
    change = (wide["plaza"] - wide[AS_RECORDED]).groupby(["site", "percept"])
    expected = pd.DataFrame({"mean": change.mean(), "se": change.sem(), "n": change.size()})
    for site in cube["site"].to_numpy():
        one = found.sel(site=site)
        for name in PERCEPTIONS:
            if (site, name) not in expected.index:
                assert site == "site 03"
                assert np.isnan(one["perception"].sel(percept=name))
                assert one["draws"] == 0
                continue
            row = expected.loc[(site, name)]
            assert one["perception"].sel(percept=name).item() == pytest.approx(row["mean"], abs=1e-6)
            assert one["perception_se"].sel(percept=name).item() == pytest.approx(
                row["se"], abs=1e-6, nan_ok=True
            )
            assert one["draws"].item() == row["n"]
    assert np.isnan(found["perception_se"].sel(site="site 06")).all()
    assert found.xindexes["geometry"].crs == "EPSG:4326"
    assert found.attrs["difference"] == "plaza minus as recorded"


def test_one_draw_gives_a_mean_but_no_standard_error(tmp_path):
    found = difference(fake_cube(tmp_path, draws=1), "plaza", AS_RECORDED)
    assert np.isfinite(found["perception"]).all()
    assert np.isnan(found["perception_se"]).all()


def test_a_difference_turns_its_sign_with_its_order_and_is_nothing_with_itself(tmp_path):
    cube = fake_cube(tmp_path)
    one, other = difference(cube, "plaza", AS_RECORDED), difference(cube, AS_RECORDED, "plaza")
    xr.testing.assert_allclose(one["element_share"], -other["element_share"])
    xr.testing.assert_allclose(one["perception_se"], other["perception_se"])
    assert (difference(cube, "plaza", "plaza")["perception"] == 0).all()


def test_an_unknown_scenario_names_those_that_are_known(tmp_path):
    with pytest.raises(ScenarioError, match="'as recorded', 'plaza'"):
        difference(fake_cube(tmp_path), "plaza", "forest")


def test_intervals_and_p_values_are_those_of_scipys_paired_t_test(tmp_path):
    cube = uneven(tmp_path)
    found = difference(cube, "plaza", AS_RECORDED, confidence=0.9)
    judged = 0
    for site in cube["site"].to_numpy():
        for percept in PERCEPTIONS:
            first, second = pairs_of(cube, "plaza", AS_RECORDED, site, percept)
            one = found.sel(site=site, percept=percept)
            if len(first) < 2:
                assert all(np.isnan(one[f"perception_{name}"]) for name in ("se", "low", "high", "p", "q"))
                assert not one["perception_significant"]
                continue
            truth = stats.ttest_rel(first, second)
            low, high = truth.confidence_interval(0.9)
            assert one["perception_low"].item() == pytest.approx(low)
            assert one["perception_high"].item() == pytest.approx(high)
            assert one["perception_p"].item() == pytest.approx(truth.pvalue)
            judged += 1
    assert judged > 60


def yes_or_no(tmp_path, names=24, draws=8):
    """A cube whose scenes agree with the photo in some draws, in two sites in none and all."""
    cube = uneven(tmp_path, names=names, draws=draws)
    rng = np.random.default_rng(8)
    cube["pss_scene_top1"][:] = rng.random(cube["status"].shape) < 0.5
    cube["pss_scene_top1"][0] = 1
    cube["pss_scene_top1"][1] = [np.zeros(draws), np.ones(draws)]
    cube["status"][:2] = cubes.DONE
    return cube


def test_scenes_that_agree_or_not_are_judged_by_mcnemars_exact_test(tmp_path):
    cube = yes_or_no(tmp_path)
    found = difference(cube, "plaza", AS_RECORDED, variables=["pss_scene_top1"])
    judged = 0
    for site in cube["site"].to_numpy():
        done = (cube["status"].sel(site=site) == cubes.DONE).all("scenario").to_numpy()
        new, old = (
            cube["pss_scene_top1"].sel(site=site, scenario=one).to_numpy()[done]
            for one in ("plaza", AS_RECORDED)
        )
        up, down, n = int((new > old).sum()), int((new < old).sum()), len(new)
        row = {
            end: found[f"pss_scene_top1{end}"].sel(site=site).item() for end in ("", "_low", "_high", "_p")
        }
        assert row[""] == pytest.approx((up - down) / n)
        if n < 2 or up + down == 0:
            assert np.isnan([row["_low"], row["_high"], row["_p"]]).all()
            continue
        judged += 1
        assert row["_p"] == pytest.approx(stats.binomtest(up, up + down).pvalue)
        more, less = (up + 1) / (n + 2), (down + 1) / (n + 2)
        half = stats.norm.ppf(0.975) * np.sqrt((more + less - (more - less) ** 2) / (n + 2))
        assert row["_low"] == pytest.approx(max(-1, more - less - half))
        assert row["_high"] == pytest.approx(min(1, more - less + half))
    assert judged > 10
    sure = found["pss_scene_top1_p"].to_numpy()[
        1
    ]  # eight pairs that all go one way: no spread, and yet judged
    assert sure == pytest.approx(2 * 0.5**8)
    assert np.isnan(found["pss_scene_top1_q"].to_numpy()[0])


@pytest.mark.parametrize("pairs", [4, 8, 16])
def test_the_interval_of_a_yes_or_no_holds_the_truth_by_counting_every_outcome(pairs):
    for up, down in ((0.1, 0.1), (0.3, 0.05), (0.5, 0.4), (0.8, 0.1), (0.05, 0.6)):
        outcomes = [(b, c) for b in range(pairs + 1) for c in range(pairs + 1 - b) if b + c]
        weight = np.array(
            [
                stats.multinomial.pmf([b, c, pairs - b - c], pairs, [up, down, 1 - up - down])
                for b, c in outcomes
            ]
        )
        change = np.array([(b - c) / pairs for b, c in outcomes])
        square = np.array([(b + c) / pairs for b, c in outcomes])
        variance = (square - change**2) / (pairs - 1)
        count = np.full(len(outcomes), pairs)
        low, high = _bonett_price(Paired(change, variance, count), 0.95)
        p = mcnemar(change, variance, count)
        held = weight[(low <= up - down) & (up - down <= high)].sum() / weight.sum()
        assert held > 0.9
        if up == down:
            assert weight[p <= 0.05].sum() <= 0.05  # exact: never more often than it says


def test_false_discoveries_are_controlled_over_the_sites_of_each_variable_as_the_procedure_is_written(
    tmp_path,
):
    cube = uneven(tmp_path)
    found = difference(cube, "plaza", AS_RECORDED, false_discovery=0.1)
    for percept in PERCEPTIONS:
        p = found["perception_p"].sel(percept=percept).to_series().dropna().sort_values()
        m = len(p)
        passing = [k for k in range(1, m + 1) if p.iloc[k - 1] <= 0.1 * k / m]
        called = set(p.index[: max(passing, default=0)])
        significant = found["perception_significant"].sel(percept=percept).to_series()
        assert set(significant[significant].index) == called
        q = [min(m * p.iloc[j] / (j + 1) for j in range(k, m)) for k in range(m)]
        np.testing.assert_allclose(
            found["perception_q"].sel(percept=percept).to_series()[p.index], np.minimum(q, 1)
        )
    assert found["perception_significant"].any()


def test_a_site_without_variation_is_not_judged_and_does_not_weigh_on_the_others(tmp_path):
    cube = uneven(tmp_path, names=10)
    alone = difference(cube.isel(site=slice(1, None)), "plaza", AS_RECORDED)
    for shift in (0.0, 0.7):
        cube["status"][0] = cubes.DONE
        cube["perception"][0, 1] = cube["perception"][0, 0] + np.float32(shift)
        cube["perception"][0, 0] = np.float32(4)
        cube["perception"][0, 1] = np.float32(4 + shift)
        found = difference(cube, "plaza", AS_RECORDED)
        one = found.isel(site=0)
        np.testing.assert_allclose(one["perception"], shift, atol=1e-6)
        assert (one["perception_se"] == 0).all()
        assert all(one[f"perception_{name}"].isnull().all() for name in ("low", "high", "p", "q"))
        assert not one["perception_significant"].any()
        xr.testing.assert_allclose(found["perception_q"].isel(site=slice(1, None)), alone["perception_q"])


def test_only_the_variables_that_were_asked_for_are_compared_and_unknown_ones_are_refused(tmp_path):
    cube = fake_cube(tmp_path)
    found = difference(cube, "plaza", AS_RECORDED, variables=["perception"])
    assert not [name for name in found if name.startswith("element")]
    whole = difference(cube, "plaza", AS_RECORDED)
    assert set(COMPARED) <= set(whole)
    xr.testing.assert_identical(found["perception_q"], whole["perception_q"])
    for wrong in ({"variables": ["picture"]}, {"confidence": 95}, {"false_discovery": 0.0}):
        with pytest.raises(InputError):
            difference(cube, "plaza", AS_RECORDED, **wrong)


# ------------------------------------------------------------------------------------------------ over sites


def test_the_effect_is_the_mean_over_sites_of_their_means_whatever_their_draws(tmp_path):
    cube = uneven(tmp_path, failed=["s03"])
    found = effect(cube, "plaza", AS_RECORDED)
    each = difference(cube, "plaza", AS_RECORDED)
    for percept in PERCEPTIONS:
        means = each["perception"].sel(percept=percept).dropna("site").to_numpy()
        one = found.sel(percept=percept)
        assert one["perception"].item() == pytest.approx(means.mean())
        assert one["perception_se"].item() == pytest.approx(stats.sem(means))
        assert one["perception_sites"].item() == len(means) == 23
        assert one["perception_low"] < one["perception"] < one["perception_high"]
    assert found["reason"].item() == ""
    assert found["pss_element"].isnull()
    assert found["pss_element_sites"] == 0


def test_the_bootstraps_ends_are_scipys_percentiles_taken_further_out():
    values = np.random.default_rng(2).gamma(2.0, size=(15, 1))
    low, high = interval_of_mean(values, 0.95, np.random.default_rng(0))
    tail = stats.norm.cdf(np.sqrt(15 / 14) * stats.t.ppf(0.025, 14))
    theirs = stats.bootstrap(
        (values[:, 0],),
        np.mean,
        method="percentile",
        confidence_level=1 - 2 * tail,
        n_resamples=40_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    half = (theirs.high - theirs.low) / 2
    np.testing.assert_allclose([low.item(), high.item()], [theirs.low, theirs.high], atol=0.08 * half)
    plain = stats.norm.interval(0.95, values.mean(), values.std() / np.sqrt(15))
    assert high - low > plain[1] - plain[0]


def test_at_these_sites_only_draws_are_chance(tmp_path):
    cube = uneven(tmp_path)
    found = effect(cube, "plaza", AS_RECORDED, of="these sites")
    for percept in PERCEPTIONS:
        changes = [
            np.subtract(*pairs_of(cube, "plaza", AS_RECORDED, site, percept)) for site in cube["site"].values
        ]
        several = [change for change in changes if len(change) > 1]
        noise = np.mean([change.var(ddof=1) for change in several])
        parts = [(change.var(ddof=1) if len(change) > 1 else noise) / len(change) for change in changes]
        freedom = sum(change.var(ddof=1) / len(change) for change in several) ** 2 / sum(
            (change.var(ddof=1) / len(change)) ** 2 / (len(change) - 1) for change in several
        )
        se = np.sqrt(sum(parts)) / len(changes)
        one = found.sel(percept=percept)
        assert one["perception_se"].item() == pytest.approx(se, rel=1e-6)
        half = stats.t.ppf(0.975, freedom) * se
        assert (one["perception_high"] - one["perception"]).item() == pytest.approx(half, rel=1e-6)


def test_the_effect_at_these_sites_is_surer_where_sites_differ_and_draws_do_not(tmp_path):
    cube = fake_cube(tmp_path, [f"s{k}" for k in range(20)], draws=4)
    rng = np.random.default_rng(0)
    shift = rng.normal(0.5, 1.0, (20, 1, 6))
    noise = rng.normal(0, 0.01, (20, 4, 6))
    cube["perception"][:, 1] = (cube["perception"][:, 0].to_numpy() + shift + noise).astype("f4")
    wide, narrow = (
        effect(cube, "plaza", AS_RECORDED, of=of, variables=["perception"])
        for of in ("population", "these sites")
    )
    ratio = wide["perception_se"] / narrow["perception_se"]
    assert (ratio > 20).all()
    xr.testing.assert_allclose(wide["perception"], narrow["perception"])


def test_sites_that_a_scenario_leaves_alone_count_only_where_they_shall(tmp_path):
    cube = fake_cube(tmp_path, [f"s{k}" for k in range(16)], draws=3)
    cube["perception"][:8, 1] = cube["perception"][:8, 0]
    cube["element_share"][:8, 1] = cube["element_share"][:8, 0]
    inside, whole = (effect(cube, "plaza", AS_RECORDED, unchanged=count) for count in (False, True))
    assert (inside["perception_sites"] == 8).all()
    assert (whole["perception_sites"] == 16).all()
    np.testing.assert_allclose(inside["perception"], 2 * whole["perception"])
    nothing = effect(cube, "plaza", "plaza")
    assert nothing["perception"].isnull().all()
    assert "no site differs" in nothing["reason"].item()


def test_with_few_sites_there_is_a_mean_and_a_reason_but_no_interval(tmp_path):
    for count in (1, 2, FEWEST - 1, FEWEST):
        cube = fake_cube(tmp_path / str(count), [f"s{k}" for k in range(count)])
        for of in ("population", "these sites"):
            found = effect(cube, "plaza", AS_RECORDED, of=of, variables=["perception"])
            assert np.isfinite(found["perception"]).all()
            assert found["perception_low"].isnull().all() == (count < FEWEST)
            assert (found["reason"].item() == "") == (count >= FEWEST)
    with pytest.raises(InputError, match="these sites"):
        effect(cube, "plaza", AS_RECORDED, of="sample")


def test_districts_are_each_what_the_effect_is_on_their_sites_alone(tmp_path):
    cube = uneven(tmp_path, names=40)
    polygons = fake_base()["districts"]
    names = districts_of(cube, polygons.to_crs(3857), "name")
    points = gpd.GeoSeries(gpd.points_from_xy(cube["lon"], cube["lat"]), index=cube["site"].values, crs=4326)
    for site, point in points.items():
        inside = polygons["name"][polygons.contains(point)].tolist()
        assert (names[site],) == (tuple(inside) or (None,))
    found = effect(cube, "plaza", AS_RECORDED, by=names, seed=3)
    assert found["district"].to_numpy().tolist() == sorted(names.dropna().unique())
    for district in found["district"].to_numpy():
        part = cube.sel(site=names.index[names == district])
        alone = effect(part, "plaza", AS_RECORDED, by=names, seed=3).sel(district=district)
        xr.testing.assert_identical(found.sel(district=district), alone)  # the others change nothing
    with_column = cube.assign(quarter=("site", names.fillna("none").to_numpy(dtype=object)))
    by_name = effect(with_column, "plaza", AS_RECORDED, by="quarter", seed=3)
    xr.testing.assert_allclose(by_name["perception"].sel(district=found["district"]), found["perception"])


def test_a_site_on_a_border_goes_to_the_first_district(tmp_path):
    cube = fake_cube(tmp_path, ["one"])
    lon, lat = cube["lon"].item(), cube["lat"].item()
    frame = gpd.GeoDataFrame(
        {"name": ["b", "a"]},
        geometry=[shapely.box(lon, lat - 1, lon + 1, lat + 1), shapely.box(lon - 1, lat - 1, lon, lat + 1)],
        crs=4326,
    )
    assert districts_of(cube, frame, "name").tolist() == ["b"]
    for wrong, error in (
        (lambda: districts_of(cube, frame, "title"), InputError),
        (lambda: districts_of(cube, frame.set_crs(None, allow_override=True), "name"), CRSError),
        (lambda: effect(cube, "plaza", AS_RECORDED, by="quarter"), InputError),
        (lambda: effect(cube, "plaza", AS_RECORDED, by=pd.Series(["a"], index=["two"])), InputError),
    ):
        with pytest.raises(error):
            wrong()


# -------------------------------------------------------------------------------------------- goals and draws


def test_a_rank_is_the_weighted_mean_of_differences_in_standard_deviations_of_today(tmp_path):
    cube = fake_cube(tmp_path, [f"s{k}" for k in range(15)], THREE, draws=3, failed=["s3"])
    goal = {"lively": 2.0, "depressing": -1.0}
    table = rank(cube, goal)
    means = cube["perception"].where(cubes.done(cube)).mean("draw").dropna("site")
    for name in THREE:
        score = 0.0
        for percept, weight in goal.items():
            today = means.sel(scenario=AS_RECORDED, percept=percept).to_numpy()
            change = means.sel(scenario=name, percept=percept).to_numpy() - today
            score += weight * change.mean() / today.std(ddof=1) / 3
            assert np.sign(table.loc[name, percept]) == np.sign(weight * change.mean())
        assert table.loc[name, "score"] == pytest.approx(score, abs=1e-6)
    assert table.index.tolist() == ["park", "plaza", "as recorded"]
    assert table["rank"].tolist() == [1, 2, 3]
    assert (table["sites"] == 14).all()
    assert table["probability_best"].sum() == pytest.approx(1)
    assert table.loc[AS_RECORDED, "score"] == 0
    assert np.isnan(table.loc[AS_RECORDED, "low"])
    assert (table["low"] < table["score"]).iloc[:2].all()
    worst = rank(cube, {name: -weight for name, weight in goal.items()})
    assert worst.index.tolist() == table.index.tolist()[::-1]
    pd.testing.assert_frame_equal(rank(cube, {"lively": 20, "depressing": -10}), table)


def test_two_equal_scenarios_are_best_equally_often(tmp_path):
    cube = fake_cube(tmp_path, scenarios=THREE)
    cube["perception"][:, 1] = cube["perception"][:, 2]
    table = rank(cube, {"lively": 1})
    assert (
        table.loc["plaza", "probability_best"] == table.loc["park", "probability_best"] == pytest.approx(0.5)
    )
    assert table["rank"].tolist() == [1, 1, 3]


def test_the_probability_of_being_best_is_that_of_the_normal_distribution_for_many_sites(tmp_path):
    cube = fake_cube(tmp_path, [f"s{k}" for k in range(60)], draws=1)
    rng = np.random.default_rng(5)
    change = rng.normal(0, 1, 60)
    change += 0.12 - change.mean()
    cube["perception"][:, 1] = cube["perception"][:, 0] + change[:, None, None].astype("f4")
    table = rank(cube, {"safe": 1})
    expected = stats.norm.cdf(0.12 / (change.std() / np.sqrt(60)))
    assert table.loc["plaza", "probability_best"] == pytest.approx(expected, abs=0.03)


def test_a_goal_or_a_cube_that_cannot_be_ranked_is_refused(tmp_path):
    cube = fake_cube(tmp_path)
    for goal in ({}, {"nice": 1}, {"lively": float("nan")}, {"lively": 0}):
        with pytest.raises(InputError, match="goal"):
            rank(cube, goal)
    with pytest.raises(ScenarioError, match="alone"):
        rank(cube.isel(scenario=[0]), {"lively": 1})
    with pytest.raises(ScenarioError, match="forest"):
        rank(cube, {"lively": 1}, base="forest")
    with pytest.raises(CubeError, match="two or more"):
        rank(cube.isel(site=[0]), {"lively": 1})
    cube["perception"].loc[{"scenario": AS_RECORDED, "percept": "lively"}] = 5
    with pytest.raises(CubeError, match="lively"):
        rank(cube, {"lively": 1})
    assert len(rank(cube, {"lively": 1}, base="plaza")) == 2


def test_as_many_draws_as_are_needed_bring_the_standard_error_down(tmp_path):
    names = [f"s{k}" for k in range(300)]
    cube = fake_cube(tmp_path, names[:2], draws=6).isel(site=np.zeros(300, int)).assign_coords(site=names)
    rng = np.random.default_rng(0)
    scores = 5 + rng.normal(0, [0.2, 0.4, 0.6, 0.8, 1.0, 1.2], (300, 2, 6, 6))
    cube["perception"] = (cube["perception"].dims, scores.astype("f4"))
    table = draws_needed(cube, 0.25)
    np.testing.assert_allclose(table["sd"], [0.2, 0.4, 0.6, 0.8, 1.0, 1.2], rtol=0.05)
    np.testing.assert_array_equal(table["draws"], np.maximum(2, np.ceil((table["sd"] / 0.25) ** 2)))
    assert (table["draws_high"] >= table["draws"]).all()
    both = draws_needed(cube, 0.25, compare=("plaza", AS_RECORDED))
    np.testing.assert_allclose(both["sd"], table["sd"] * np.sqrt(2), rtol=0.05)  # nothing shared here
    for percept, sd in both["sd"].items():
        one = difference(cube, "plaza", AS_RECORDED, variables=["perception"])["perception_se"].sel(
            percept=percept
        )
        assert np.sqrt((one**2).mean()).item() == pytest.approx(sd / np.sqrt(6), rel=1e-5)


def test_one_draw_cannot_say_how_many_are_needed(tmp_path):
    cube = fake_cube(tmp_path, draws=1)
    with pytest.raises(CubeError, match="draws=4"):
        draws_needed(cube, 0.1)
    for wrong in (0, -1, float("nan")):
        with pytest.raises(InputError, match="se is"):
            draws_needed(cube, wrong)


def test_the_accessor_hands_on(tmp_path):
    from soundit_geo import accessors

    cube = fake_cube(tmp_path, scenarios=THREE)
    assert (
        accessors.SounditAccessor(cube)
        .difference("plaza", AS_RECORDED)
        .identical(difference(cube, "plaza", AS_RECORDED))
    )
    xr.testing.assert_identical(
        cube.soundit.effect("plaza", AS_RECORDED, seed=1), effect(cube, "plaza", AS_RECORDED, seed=1)
    )
    pd.testing.assert_frame_equal(cube.soundit.rank({"lively": 1}), rank(cube, {"lively": 1}))
    pd.testing.assert_frame_equal(cube.soundit.draws_needed(0.3), draws_needed(cube, 0.3))
