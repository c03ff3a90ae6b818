"""Laws of the wide table and of its files, each read back by a program that knows nothing of cubes."""

from __future__ import annotations

import csv
import json
import math
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from fake_study import fake_cube
from hypothesis import given, settings
from hypothesis import strategies as st
from random_cubes import random_cubes

from soundit_geo import cube as cubes
from soundit_geo.classes import PERCEPTIONS, PLACES365
from soundit_geo.cube.fields import LONGEST, field_names
from soundit_geo.errors import CubeError, InputError, MissingFileError, ScenarioError, StudyError

PSS = ("pss_element", "pss_scene_top1", "pss_scene_top5", "pss_perception")
ELEMENTS = ("tree", "television receiver")
KINDS = ("gpkg", "parquet", "geojson", "csv")


@pytest.fixture
def cube(tmp_path):
    return fake_cube(tmp_path, names=["a", "ü 日本", "c"], failed=["c"], draws=3)


def literal(cube, elements=()):
    """The wide table, one cell at a time with Python's own statistics: (scenario, site, column) -> value."""
    truth = {}
    for i, site in enumerate(cube["site"].to_numpy()):
        for j, scenario in enumerate(cube["scenario"].to_numpy()):
            state = [int(cube["status"][i, j, k]) for k in range(cube.sizes["draw"])]
            done = [k for k, one in enumerate(state) if one == cubes.DONE]
            first = [int(cube["scene_class"][i, j, k, 0]) for k in done]
            row = {
                "prompt": str(cube["prompt"][i, j].item()),
                "draws": len(done),
                "failed": state.count(cubes.FAILED),
                "scene": PLACES365[Counter(first).most_common(1)[0][0]] if first else None,
            }
            scores = {
                name: [float(cube["perception"][i, j, k, place]) for k in done]
                for place, name in enumerate(PERCEPTIONS)
            }
            scores |= {name: [float(cube[name][i, j, k]) for k in done] for name in PSS}
            scores |= {
                f"share_{name.replace(' ', '_')}": [
                    float(cube["element_share"].sel(element=name)[i, j, k]) for k in done
                ]
                for name in elements
            }
            for name, values in scores.items():
                known = [value for value in values if not math.isnan(value)]
                row[name] = statistics.mean(known) if known else math.nan
                row[f"{name}_sd"] = statistics.stdev(known) if len(known) > 1 else math.nan
            truth[scenario, site] = row
    return truth


def check_literal(table, cube, elements=()):
    """The table's columns, scenario after scenario, are the literal ones."""
    truth = literal(cube, elements)
    start = 0
    for scenario in cube["scenario"].to_numpy():
        rows = [truth[scenario, site] for site in cube["site"].to_numpy()]
        for place, name in enumerate(rows[0]):
            column = table.iloc[:, start + place]
            expected = [row[name] for row in rows]
            if name in ("prompt", "scene"):
                assert [None if pd.isna(value) else value for value in column] == expected
            else:
                np.testing.assert_allclose(column.to_numpy(dtype=float), expected, rtol=1e-12, atol=1e-12)
        start += len(rows[0])


def check_table(found, table, missing=(None, "")):
    """Rows as a reader gives them (name -> values) equal the table, value for value."""
    plain = pd.DataFrame(table.drop(columns="geometry")).reset_index()
    assert [name for name in found if name in plain] == list(plain)
    for name in plain:
        for value, expected in zip(found[name], plain[name], strict=True):
            if pd.isna(expected):
                assert value in missing or pd.isna(value)
            elif isinstance(expected, str):
                assert value == expected
            elif isinstance(expected, pd.Timestamp):
                read = pd.Timestamp(value).tz_localize(None)
                assert abs(read - expected) < pd.Timedelta("1ms")  # GeoPackage keeps thousandths
            elif isinstance(expected, bool | np.bool_):
                assert str(value).casefold() in (("true", "1") if expected else ("false", "0"))
            else:
                assert float(value) == float(expected)  # to the last bit


def read_gpkg(path):
    frame = pyogrio.read_dataframe(path, layer="sites")
    assert frame.crs == "EPSG:4326"
    return {name: frame[name].tolist() for name in frame if name != "geometry"}, frame.geometry.to_numpy()


def read_parquet(path):
    arrow = pq.read_table(path)
    words = json.loads(arrow.schema.metadata[b"geo"])
    assert words["primary_column"] == "geometry"
    assert words["columns"]["geometry"]["geometry_types"] == ["Point"]
    assert words["columns"]["geometry"]["crs"]["id"] == {"authority": "EPSG", "code": 4326}
    columns = arrow.to_pydict()
    return columns, shapely.from_wkb(columns.pop("geometry"))


def read_geojson(path):
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert set(whole) == {"type", "features"}  # RFC 7946 knows no crs member
    rows = [feature["properties"] for feature in whole["features"]]
    points = [shapely.Point(feature["geometry"]["coordinates"]) for feature in whole["features"]]
    return {name: [row[name] for row in rows] for name in rows[0]}, np.array(points)


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    lon, lat = (np.array(columns.pop(name), dtype=float) for name in ("longitude", "latitude"))
    return columns, shapely.points(lon, lat)


READ = {"gpkg": read_gpkg, "parquet": read_parquet, "geojson": read_geojson, "csv": read_csv}


def check_file(path, cube, **options):
    columns, points = READ[path.suffix[1:]](path)
    check_table(columns, cubes.to_wide_geodataframe(cube, **options))
    np.testing.assert_array_equal(shapely.get_x(points), cube["lon"])
    np.testing.assert_array_equal(shapely.get_y(points), cube["lat"])


@given(random_cubes(), st.sampled_from([(), ELEMENTS]))
@settings(max_examples=25)
def test_the_wide_table_is_the_literal_one(cube, elements):
    table = cubes.to_wide_geodataframe(cube, elements=elements)
    assert isinstance(table, gpd.GeoDataFrame)
    assert table.crs == "EPSG:4326"
    assert table.index.tolist() == cube["site"].to_numpy().tolist()
    check_literal(table, cube, elements)
    np.testing.assert_array_equal(table["level"], cube["level"])
    assert table["message"].tolist() == cube["message"].to_numpy().tolist()


@given(random_cubes())
@settings(max_examples=25)
def test_field_names_fit_any_format_and_each_is_described(cube):
    table = cubes.to_wide_geodataframe(cube, elements=ELEMENTS)
    names = [name for name in table if name != "geometry"]
    assert len({name.casefold() for name in names}) == len(names)
    assert max(len(name.encode()) for name in names) <= 63
    assert not {"fid", "geom", "geometry", "site"} & set(names)
    assert set(table.attrs["fields"]) == set(names)
    assert all(table.attrs["fields"].values())


@given(random_cubes(), st.sampled_from(KINDS), st.sampled_from([(), ELEMENTS]))
@settings(max_examples=30)
def test_any_table_reads_back_value_for_value(cube, kind, elements):
    with tempfile.TemporaryDirectory() as folder:
        path = cubes.export_cube(cube, Path(folder) / f"sites.{kind}", elements=elements)
        check_file(path, cube, elements=elements)


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_some_scenarios_reads_back(tmp_path, cube, kind):
    path = cubes.export_cube(cube, tmp_path / f"sites.{kind}", scenarios="plaza")
    check_file(path, cube, scenarios="plaza")
    columns, _ = READ[kind](path)
    assert {"lively", "lively_sd", "prompt", "scene", "model", "judges", "evidence"} <= set(columns)
    assert [path.name for path in tmp_path.glob("*sites*")] == [f"sites.{kind}"]  # no draft, no journal


def test_scenarios_stand_in_the_names_when_there_are_several(cube):
    table = cubes.to_wide_geodataframe(cube)
    assert {"lively_as_recorded", "lively_sd_as_recorded", "lively_plaza", "draws_plaza"} <= set(table)
    np.testing.assert_array_equal(
        table["lively_plaza"], cubes.to_wide_geodataframe(cube, "plaza")["lively"].to_numpy()
    )
    assert "'plaza'" in table.attrs["fields"]["lively_plaza"]
    assert "0–10" in table.attrs["fields"]["lively_plaza"]


def test_the_means_are_those_of_the_long_table(cube):
    wide, long = (
        cubes.to_wide_geodataframe(cube, elements=["tree"]),
        cubes.to_geodataframe(cube, elements=["tree"]),
    )
    for scenario, tag in (("as recorded", "as_recorded"), ("plaza", "plaza")):
        one = long.xs(scenario, level="scenario")
        for name in (*PERCEPTIONS, "share_tree", "draws"):
            np.testing.assert_allclose(wide[f"{name}_{tag}"], one[name], rtol=1e-6)


def test_a_geopackage_says_what_its_fields_and_itself_are(tmp_path, cube):
    path = cubes.export_cube(cube, tmp_path / "sites.gpkg", elements=["tree"])
    table = cubes.to_wide_geodataframe(cube, elements=["tree"])
    info = pyogrio.read_info(path, layer="sites")
    assert (info["crs"], info["geometry_type"], info["features"]) == ("EPSG:4326", "Point", 3)
    assert {name: info["layer_metadata"][name] for name in cube.attrs} == {
        k: str(v) for k, v in cube.attrs.items()
    }
    assert pyogrio.list_layers(path)[:, 0].tolist() == ["sites"]
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert base.execute("PRAGMA foreign_key_check").fetchall() == []
        told = dict(base.execute("SELECT column_name, description FROM gpkg_data_columns"))
        extensions = dict(base.execute("SELECT table_name, extension_name FROM gpkg_extensions"))
        columns = [row[1] for row in base.execute("PRAGMA table_info(sites)")]
    assert told == table.attrs["fields"]
    assert set(told) <= set(columns)
    assert extensions["gpkg_data_columns"] == "gpkg_schema"


def test_a_geoparquet_keeps_its_descriptions_for_geopandas(tmp_path, cube):
    path = cubes.export_cube(cube, tmp_path / "sites.parquet")
    back = gpd.read_parquet(path)
    assert back.attrs["cube"] == cube.attrs
    assert back.attrs["fields"] == cubes.to_wide_geodataframe(cube).attrs["fields"]


def test_gdal_reads_the_geojson(tmp_path, cube):
    frame = pyogrio.read_dataframe(cubes.export_cube(cube, tmp_path / "sites.geojson"))
    assert frame.crs == "EPSG:4326"
    assert frame["site"].tolist() == ["a", "ü 日本", "c"]
    np.testing.assert_array_equal(frame["lively_plaza"], cubes.to_wide_geodataframe(cube)["lively_plaza"])


@given(st.lists(st.text(max_size=80), max_size=12), st.lists(st.text(max_size=5), max_size=3))
def test_clean_names_are_short_unique_and_stay_as_they_are(wanted, taken):
    names = field_names(wanted, taken=taken)
    assert len(names) == len(wanted)
    assert len({name.casefold() for name in (*names, *taken)}) == len(names) + len(
        {t.casefold() for t in taken}
    )
    assert all(0 < len(name.encode()) <= LONGEST for name in names)
    assert all(sign.isalnum() or sign == "_" or not sign.isascii() for name in names for sign in name)


def test_names_that_are_clean_already_stay_and_twins_are_counted():
    assert field_names(["lively", "pss_scene_top1_sd"]) == ["lively", "pss_scene_top1_sd"]
    assert field_names(["Plaza!", "plaza", "PLAZA "]) == ["plaza", "plaza_2", "plaza_3"]
    assert field_names(["日本 広場", "", "fid"], taken=["FID"]) == ["日本_広場", "x", "fid_2"]
    long = field_names(["é" * 40, "é" * 41])
    assert long == ["é" * 31, "é" * 30 + "_2"]


def test_what_cannot_be_exported_is_refused(tmp_path, cube):
    with pytest.raises(InputError, match=r"\.gpkg"):
        cubes.export_cube(cube, tmp_path / "sites.shp")
    with pytest.raises(ScenarioError, match="forest"):
        cubes.export_cube(cube, tmp_path / "sites.csv", scenarios=["forest"])
    with pytest.raises(ScenarioError, match="once"):
        cubes.export_cube(cube, tmp_path / "sites.csv", scenarios=["plaza", "plaza"])
    with pytest.raises(ScenarioError, match="one or more"):
        cubes.export_cube(cube, tmp_path / "sites.csv", scenarios=[])
    with pytest.raises(CubeError, match="unicorn"):
        cubes.export_cube(cube, tmp_path / "sites.csv", elements=["unicorn"])
    for kind in KINDS:
        (tmp_path / f"f.{kind}").mkdir()
        (tmp_path / f"f.{kind}" / "dear.txt").write_text("mine")
        with pytest.raises(StudyError, match="a folder is there"):
            cubes.export_cube(cube, tmp_path / f"f.{kind}")
        assert (tmp_path / f"f.{kind}" / "dear.txt").read_text() == "mine"


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_export_leaves_the_old_file_and_nothing_beside_it(tmp_path, cube, kind, monkeypatch):
    path = cubes.export_cube(cube, tmp_path / "out" / f"sites.{kind}")
    before = path.read_bytes()

    def dying(*args, **kwargs):
        raise RuntimeError("no space")

    for owner, name in (
        (pyogrio, "write_dataframe"),
        (gpd.GeoDataFrame, "to_parquet"),
        (gpd.GeoDataFrame, "to_json"),
        (pd.DataFrame, "to_csv"),
    ):
        monkeypatch.setattr(owner, name, dying)
    with pytest.raises(StudyError, match="no space"):
        cubes.export_cube(cube, path)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_the_accessor_hands_on(tmp_path, cube):
    import soundit_geo.accessors  # noqa: F401

    pd.testing.assert_frame_equal(cube.soundit.to_wide_geodataframe(), cubes.to_wide_geodataframe(cube))
    check_file(cube.soundit.export(tmp_path / "a.csv", elements=["tree"]), cube, elements=["tree"])


def test_the_command_exports_a_study_without_torch(tmp_path, cube):
    cubes.save_cube(cube, tmp_path / "study" / "cube.zarr")
    code = """
import sys
from soundit_geo.cli import main
try:
    main()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""

    def run(*words):
        return subprocess.run(
            [sys.executable, "-c", code, "export", *words], capture_output=True, text=True, check=False
        )

    out = str(tmp_path / "sites.gpkg")
    told = run(str(tmp_path / "study"), "--out", out, "--scenario", "plaza", "--elements", "tree")
    assert (told.returncode, told.stdout, told.stderr) == (0, f"{out}\n", "False\n")
    check_file(Path(out), cube, scenarios=["plaza"], elements=["tree"])
    told = run(str(tmp_path / "study"), "--out", str(tmp_path / "sites.shp"))
    assert told.returncode == 2
    assert told.stderr.startswith("error: ")
    assert len(told.stderr.splitlines()) == 2


def test_a_study_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="nowhere"):
        cubes.open_cube(tmp_path / "nowhere")
