"""Laws of scenarios: which prompt a site gets, and differences that are paired over draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from fake_study import fake_cube, fake_sites

from soundit_geo import cube as cubes
from soundit_geo.classes import PERCEPTIONS
from soundit_geo.errors import CRSError, ScenarioError, SitesError
from soundit_geo.scenarios import AS_RECORDED, Scenario, as_scenarios, difference, parse_scenario, prompts_for


def test_a_scenario_is_read_from_name_and_prompt():
    assert parse_scenario("plaza=a pedestrian plaza with trees") == Scenario(
        "plaza", "a pedestrian plaza with trees"
    )
    assert parse_scenario(" plaza = x = y ") == Scenario("plaza", "x = y")
    assert parse_scenario("as recorded=") == Scenario("as recorded", None)


@pytest.mark.parametrize(
    ("text", "word"), [("plaza", "'='"), ("=a plaza", "name"), ("  =a plaza", "name"), ("", "'='")]
)
def test_a_malformed_scenario_says_what_was_expected(text, word):
    with pytest.raises(ScenarioError, match=word):
        parse_scenario(text)


def test_scenarios_are_taken_in_every_way_they_are_written():
    expected = (Scenario("as recorded"), Scenario("plaza", "a plaza"))
    assert as_scenarios({"as recorded": None, "plaza": "a plaza"}) == expected
    assert as_scenarios(["as recorded=", "plaza=a plaza"]) == expected
    assert as_scenarios(expected) == expected
    for wrong in ([], {}, ["a=1", "a=2"], [3], {"": "x"}, {"a": 3}):
        with pytest.raises(ScenarioError):
            as_scenarios(wrong)
    with pytest.raises(ScenarioError, match="polygon"):
        Scenario("a", "b", shapely.Point(0, 0))


def test_as_recorded_uses_the_sites_own_scene_and_others_their_prompt(tmp_path):
    sites = fake_sites(["a", "b", "c"], tmp_path)
    sites["scene"] = ["a street", None, float("nan")]
    table = prompts_for(sites, {AS_RECORDED: None, "sound": None, "plaza": "a plaza"})
    assert table.index.tolist() == ["a", "b", "c"]
    assert table[AS_RECORDED].tolist() == ["a street", "", ""]
    assert table["sound"].tolist() == ["", "", ""]
    assert table["plaza"].tolist() == ["a plaza"] * 3
    assert prompts_for(sites.drop(columns="scene"), ["as recorded="])[AS_RECORDED].tolist() == [""] * 3
    with pytest.raises(SitesError):
        prompts_for(sites.set_axis(["a", "a", "b"]), {AS_RECORDED: None})


def test_outside_its_area_a_scenario_leaves_the_base_scenario(tmp_path):
    sites = fake_sites(["in", "out"], tmp_path)
    sites["scene"] = ["street", "park"]
    area = sites.geometry.iloc[0].buffer(1e-4)
    table = prompts_for(sites.to_crs(3857), [Scenario("plaza", "a plaza", area)])
    assert table["plaza"].tolist() == ["a plaza", "park"]
    with pytest.raises(CRSError):
        prompts_for(sites.set_crs(None, allow_override=True), [Scenario("plaza", "a plaza", area)])


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
