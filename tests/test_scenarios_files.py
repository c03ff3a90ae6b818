"""Laws of scenarios in files: what is written is what is read, and a mistake is named by its line or feature."""

from __future__ import annotations

import json

import geopandas as gpd
import pytest
import shapely
import yaml
from fake_study import fake_sites
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soundit_geo.errors import CRSError, InputError, MissingFileError, ScenarioError
from soundit_geo.scenarios import Scenario, prompts_for, read_scenarios

WEST, EAST = shapely.box(-0.02, -0.02, 0, 0.02), shapely.box(0, -0.02, 0.02, 0.02)


def features(path, rows, crs=4326):
    gpd.GeoDataFrame(rows, crs=crs).to_file(path)
    return path


def geojson(path, *rows):
    parts = [
        {
            "type": "Feature",
            "properties": words,
            "geometry": None if shape is None else shape.__geo_interface__,
        }
        for words, shape in rows
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": parts}))
    return path


def yaml_file(folder, text):
    path = folder / "designs.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_yaml_file_says_what_python_says(tmp_path):
    features(tmp_path / "west.geojson", {"name": ["x"], "geometry": [WEST]})
    found = read_scenarios(
        yaml_file(
            tmp_path,
            "as recorded:\n"
            'inferred: "@inferred"\n'
            "plaza: a plaza  # with trees\n"
            "no: yes\n"
            "quay: {prompt: a quay, area: west.geojson, base: plaza}\n"
            f"hall: {{prompt: , area: '{EAST.wkt}'}}\n",
        )
    )
    assert [one.name for one in found] == ["as recorded", "inferred", "plaza", "no", "quay", "hall"]
    assert found[:4] == (
        Scenario("as recorded"),
        Scenario("inferred", "@inferred"),
        Scenario("plaza", "a plaza"),
        Scenario("no", "yes"),  # words, not truth values
    )
    assert (found[4].prompt, found[4].base) == ("a quay", "plaza")
    assert found[4].area.equals(WEST)
    assert found[5].prompt is None
    assert found[5].area.equals(EAST)


def test_the_same_polygons_mean_the_same_in_any_crs_and_format(tmp_path):
    rows = {"name": ["a", "a", "b"], "prompt": ["park", "plaza", None], "geometry": [WEST, EAST, EAST]}
    sites = fake_sites([f"s{k}" for k in range(20)], tmp_path)
    expected = None
    for name, crs in (("one.geojson", 4326), ("two.gpkg", 32631), ("three.shp", 3857)):
        table = gpd.GeoDataFrame(rows, crs=4326).to_crs(crs)
        table.to_file(tmp_path / name)
        found = read_scenarios(tmp_path / name)
        assert [one.name for one in found] == ["a", "b"]
        prompts = prompts_for(sites, found)
        west = sites.geometry.x < 0
        assert (prompts["a"] == west.map({True: "park", False: "plaza"})).all()
        assert (prompts["b"] == "").all()  # the sound alone east, no scene of their own west
        expected = prompts if expected is None else expected
        assert prompts.equals(expected)


def test_polygons_of_one_name_are_one_scenario_and_later_ones_lie_above(tmp_path):
    sites = fake_sites(["mid"], tmp_path).set_geometry([shapely.Point(-0.01, 0)], crs=4326)
    whole, inner = shapely.box(-0.02, -0.02, 0.02, 0.02), shapely.box(-0.015, -0.01, 0.0, 0.01)
    for rows, expected in (
        ([({"name": "a", "prompt": "trees"}, whole), ({"name": "a", "prompt": "plaza"}, inner)], "plaza"),
        ([({"name": "a", "prompt": "plaza"}, inner), ({"name": "a", "prompt": "trees"}, whole)], "trees"),
        ([({"name": "a", "prompt": "trees"}, EAST), ({"name": "a", "prompt": "trees"}, inner)], "trees"),
        ([({"name": "a", "prompt": "trees"}, EAST)], ""),
    ):
        found = read_scenarios(geojson(tmp_path / "x.geojson", *rows))
        assert prompts_for(sites, found)["a"].tolist() == [expected]
    listed = yaml_file(
        tmp_path,
        f"a:\n  - {{prompt: trees, area: '{whole.wkt}'}}\n  - {{prompt: plaza, area: '{inner.wkt}'}}\n",
    )
    assert prompts_for(sites, read_scenarios(listed))["a"].tolist() == ["plaza"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", ["line 1"]),
        ("a: x\na: y\n", ["line 2", "twice"]),
        ("- a\n", ["line 1", "mapping"]),
        ("a: x\n~: y\n", ["line 2", "name"]),
        ("a: x\nb:\n  promt: y\n", ["line 3", "'promt'", "prompt, area, base"]),
        ("a: x\nb:\n  area: west.geojson\n", ["line 3", "no prompt"]),
        ("a:\n  prompt: y\n  prompt: z\n", ["line 3", "twice"]),
        ("a: {prompt: y, area: absent.geojson}\n", ["line 1", "absent.geojson"]),
        ("a: {prompt: y, area: 'POLYGON ((0 0'}\n", ["line 1"]),
        ("a: {prompt: y, area: 'POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))'}\n", ["line 1", "Self-intersection"]),
        ("a: {prompt: y, area: 'POLYGON ((0 0, 500000 0, 0 500000, 0 0))'}\n", ["line 1", "degrees"]),
        ("a: {prompt: [y]}\n", ["line 1", "sequence"]),
        ("a: {prompt: y, base: b}\n", ["line 1", "no area"]),
        ("a:\n  - {prompt: y}\n", ["line 2", "area"]),
        ("a: []\n", ["line 1", "area"]),
        ("a: '@'\n", ["line 1", "column"]),
        ("", ["no scenarios"]),
        ("a: \x07\n", ["YAML"]),
        ("[" * 3000, ["YAML"]),
    ],
)
def test_a_mistake_in_yaml_is_named_by_its_line(tmp_path, text, words):
    with pytest.raises((ScenarioError, MissingFileError)) as caught:
        read_scenarios(yaml_file(tmp_path, text))
    said = str(caught.value)
    assert all(word in said for word in ["designs.yaml", *words]), said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [({"name": "a", "prompt": "x"}, WEST), ({"name": None, "prompt": "x"}, WEST)],
            ["feature 2", "name"],
        ),
        ([({"name": "a", "prompt": "x"}, WEST.boundary)], ["feature 1", "LineString", "polygon"]),
        (
            [({"name": "a", "prompt": "x"}, WEST), ({"name": "b", "prompt": "x"}, None)],
            ["feature 2", "no geometry"],
        ),
        ([({"title": "a"}, WEST)], ["'name'", "'prompt'", "title"]),
        (
            [({"name": "a", "prompt": "x"}, shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]))],
            ["feature 1", "'a'", "not valid"],
        ),
        (
            [
                ({"name": "a", "prompt": "x", "base": "b"}, WEST),
                ({"name": "a", "prompt": "y", "base": "c"}, EAST),
            ],
            ["feature 2", "'b', 'c'"],
        ),
        ([({"name": "a", "prompt": "x"}, shapely.box(-179, 0, 179, 1))], ["feature 1", "antimeridian"]),
    ],
)
def test_a_mistake_in_polygons_is_named_by_its_feature(tmp_path, rows, words):
    with pytest.raises(ScenarioError) as caught:
        read_scenarios(geojson(tmp_path / "designs.geojson", *rows))
    assert all(word in str(caught.value) for word in ["designs.geojson", *words]), str(caught.value)


def test_far_polygons_of_one_scenario_are_no_polygon_across_the_antimeridian(tmp_path):
    rows = [({"name": "a", "prompt": "x"}, shapely.box(lon, 0, lon + 1, 1)) for lon in (-120, 140)]
    assert len(read_scenarios(geojson(tmp_path / "x.geojson", *rows))[0].area.geoms) == 2


def test_no_file_no_crs_and_no_geometries_are_refused(tmp_path):
    with pytest.raises(MissingFileError):
        read_scenarios(tmp_path / "absent.yaml")
    with pytest.raises(MissingFileError):
        read_scenarios(tmp_path)
    features(tmp_path / "bare.shp", {"name": ["a"], "prompt": ["x"], "geometry": [WEST]}, crs=None)
    with pytest.raises(CRSError, match=r"bare\.shp"):
        read_scenarios(tmp_path / "bare.shp")
    (tmp_path / "table.csv").write_text("name,prompt\na,x\n")
    with pytest.raises(ScenarioError, match=r"table\.csv"):
        read_scenarios(tmp_path / "table.csv")
    (tmp_path / "noise.geojson").write_bytes(b"\x00\x01")
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_scenarios(tmp_path / "noise.geojson")


NAMES = (
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1).map(str.strip).filter(bool)
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, st.none() | NAMES.filter(lambda text: text != "@"), min_size=1))
def test_what_yaml_writes_is_read_back(tmp_path, prompts):
    path = yaml_file(tmp_path, yaml.safe_dump(prompts, allow_unicode=True, sort_keys=False))
    try:
        expected = tuple(Scenario(name, prompt) for name, prompt in prompts.items())
    except ScenarioError:  # "@" and blanks alone
        return
    assert read_scenarios(path) == expected


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60) | st.text("ab:-[]{}\n '\"@,&*!?|>#", max_size=60))
def test_any_text_is_read_or_refused_in_one_line(tmp_path, text):
    path = tmp_path / "designs.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    said = "designs.yaml"
    try:
        assert all(isinstance(one, Scenario) for one in read_scenarios(path))
    except (InputError, MissingFileError) as error:
        said = str(error)
    assert "designs.yaml" in said
    assert "\n" not in said
