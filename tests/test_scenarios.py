"""Laws of scenarios: how they are written, and which prompt a site gets."""

from __future__ import annotations

import pytest
import shapely
from fake_study import fake_sites

from soundit_geo.errors import CRSError, ScenarioError, SitesError
from soundit_geo.scenarios import AS_RECORDED, Scenario, as_scenarios, parse_scenario, prompts_for


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


def test_a_column_gives_each_site_its_own_words_and_an_empty_cell_the_sound_alone(tmp_path):
    sites = fake_sites(["a", "b", "c"], tmp_path)
    sites["inferred"] = ["a street", None, " a park "]
    sites["floor"] = [1, 2, 3]
    table = prompts_for(sites, ["x=@inferred", Scenario("y", "@floor")])
    assert table["x"].tolist() == ["a street", "", "a park"]
    assert table["y"].tolist() == ["1", "2", "3"]
    with pytest.raises(ScenarioError, match=r"'z'.*'words'.*audio, geometry, inferred, floor"):
        prompts_for(sites, {"z": "@words"})
    with pytest.raises(ScenarioError, match="column"):
        Scenario("z", "@ ")


def test_outside_its_area_a_scenario_leaves_the_base_that_it_names(tmp_path):
    sites = fake_sites(["in", "out"], tmp_path)
    sites["scene"] = ["street", "park"]
    area = sites.geometry.iloc[0].buffer(1e-4)
    trees = Scenario("trees", "trees")
    scenarios = [
        Scenario("plaza", "a plaza", area, base="trees"),
        trees,
        Scenario("market", "stalls", area, "plaza"),
    ]
    table = prompts_for(sites, scenarios)
    assert table["plaza"].tolist() == ["a plaza", "trees"]
    assert table["market"].tolist() == ["stalls", "trees"]
    nested = Scenario("two", "b", area, Scenario("two", "a", sites.geometry.iloc[1].buffer(1e-4)))
    assert prompts_for(sites, [nested])["two"].tolist() == ["b", "a"]
    mine = Scenario(AS_RECORDED, "dusk", area)
    assert prompts_for(sites, [mine, Scenario("plaza", "p", sites.geometry.iloc[1].buffer(1e-4))]).loc[
        "in"
    ].tolist() == [
        "dusk",
        "dusk",
    ]
    assert prompts_for(sites, [mine]).loc["out"].tolist() == ["park"]


def test_a_base_that_is_absent_or_comes_back_to_itself_is_refused(tmp_path):
    sites = fake_sites(["a"], tmp_path)
    area = shapely.box(-1, -1, 1, 1)
    with pytest.raises(ScenarioError, match="none of the scenarios: 'plaza'"):
        prompts_for(sites, [Scenario("plaza", "p", area, "forest")])
    for ring in (["x", "y"], ["x", "y", "z"], ["x"]):
        round_trip = [
            Scenario(name, "p", area, follower)
            for name, follower in zip(ring, ring[1:] + ring[:1], strict=True)
        ]
        with pytest.raises(ScenarioError, match=r"x.* over .*x"):
            prompts_for(sites, round_trip)
    with pytest.raises(ScenarioError, match="no area"):
        Scenario("plaza", "p", base="trees")


def test_an_area_off_the_globe_or_across_its_edge_is_refused():
    for area, word in (
        (shapely.box(500000, 0, 500100, 100), "degrees"),
        (shapely.box(-179, -10, 179, 10), "antimeridian"),
        (shapely.Polygon(), "empty"),
        (shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "not valid"),
    ):
        with pytest.raises(ScenarioError, match=word):
            Scenario("a", "b", area)
    far = shapely.MultiPolygon([shapely.box(-120, 0, -119, 1), shapely.box(140, 0, 141, 1)])
    assert Scenario("a", "b", far).area is far


def test_one_text_is_no_list_of_scenarios():
    with pytest.raises(ScenarioError, match="one text"):
        as_scenarios("plaza=a plaza")
