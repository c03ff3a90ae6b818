"""The commands of space: what they write, what they print, and what they refuse; and the bench of layers."""

from __future__ import annotations

import json
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
from fake_study import fake_base, fake_cube
from typer.testing import CliRunner

from soundit_geo.cli import app
from soundit_geo.cube import open_cube, save_cube
from soundit_geo.spatial import hexagons, hotspots, surface


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    save_cube(
        fake_cube(folder, [f"s{k:02d}" for k in range(30)], draws=2, failed=["s03"]), folder / "cube.zarr"
    )
    fake_base()["districts"].to_file(folder / "districts.geojson")
    return folder


def call(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)


COMMON = ("--variable", "lively", "--scenario", "plaza")


def test_a_surface_is_written_and_its_accuracy_printed(study, tmp_path):
    out = tmp_path / "lively.tif"
    done = call("surface", study, "--out", out, *COMMON, "--cell", 200, "--against", "as recorded")
    assert done.exit_code == 0, done.output
    for word in ("blocked", "random", "RMSE", "95 % interval", "nugget", "UTM zone", "29 places"):
        assert word in done.output
    expected = surface(open_cube(study), "lively", scenario="plaza", against="as recorded", cell=200)
    with rasterio.open(out) as raster:
        np.testing.assert_array_equal(raster.read(1), expected["value"])
    said = json.loads(call("surface", study, "--out", out, *COMMON, "--cell", 200, "--json").output)
    assert set(said["accuracy"]) == {"blocked", "random"}
    assert said["sill"] >= said["nugget"] >= 0
    assert len(said["variogram"]["lag"]) == len(said["variogram"]["semivariance"])


@pytest.mark.parametrize("suffix", ["parquet", "gpkg", "geojson"])
def test_hexagons_districts_and_hot_spots_are_written_as_tables(study, tmp_path, suffix):
    read = gpd.read_parquet if suffix == "parquet" else gpd.read_file
    cube = open_cube(study)
    out = tmp_path / f"a.{suffix}"
    done = call("hexagons", study, "--out", out, *COMMON, "--resolution", 8)
    assert "29 places" in done.output
    expected = hexagons(cube, "lively", scenario="plaza", resolution=8)
    np.testing.assert_allclose(read(out).set_index("hexagon")["mean"], expected["mean"])
    assert read(out).crs == "EPSG:4326"

    done = call("districts", study, study / "districts.geojson", "--out", out, *COMMON)
    assert "9 districts" in done.output
    assert set(read(out)["name"]) == set(fake_base()["districts"]["name"])

    done = call("hotspots", study, "--out", out, *COMMON, "--neighbours", 4)
    assert "Moran's I" in done.output
    assert "no value" in done.output
    found = read(out).set_index("site")
    assert (
        found["cluster"].tolist()
        == hotspots(cube, "lively", scenario="plaza", neighbours=4)["cluster"].tolist()
    )
    said = json.loads(call("hotspots", study, "--out", out, *COMMON, "--neighbours", 4, "--json").output)
    assert sum(said["cluster"].values()) == 30
    again = call("hexagons", out, "--variable", "getis_z", "--out", tmp_path / f"b.{suffix}", "--json")
    assert json.loads(again.output)["sites"] == 29


ORIGIN = {
    "model": "synthetic-city",
    "judges": json.dumps(dict.fromkeys(("elements", "scenes", "perception"), "synthetic-city")),
    "perception_scale": "0–10",
    "evidence": "stand-in: synthetic city",
}


def layer_metadata(path):
    return pyogrio.read_info(path)["layer_metadata"]


@pytest.mark.parametrize("layer", ["hexagons", "districts", "hotspots"])
def test_every_layer_says_whose_numbers_it_holds(study, tmp_path, layer):
    more = [study / "districts.geojson"] if layer == "districts" else []
    for suffix in ("gpkg", "parquet", "geojson"):
        out = tmp_path / f"a.{suffix}"
        done = call(layer, study, *more, "--out", out, *COMMON)
        assert "model synthetic-city" in done.output
        assert "stand-in" in done.output
        read = {"parquet": lambda path: gpd.read_parquet(path).attrs}.get(suffix, layer_metadata)
        about = read(out)
        assert "stand-in: synthetic city" in about.get("evidence", about.get("DESCRIPTION"))
        if suffix != "geojson":  # which has room for one description
            assert {name: about[name] for name in ORIGIN} == ORIGIN
            assert about["label"] == "lively, plaza"
        said = json.loads(call(layer, study, *more, "--out", out, *COMMON, "--json").output)
        assert said["judges"] == json.loads(ORIGIN["judges"])
        assert said["evidence"] == ORIGIN["evidence"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.geojson", "a.gpkg", "a.parquet"]


def test_a_raster_says_whose_numbers_it_holds_and_a_plain_table_says_nothing(study, tmp_path):
    out = tmp_path / "a.tif"
    done = call("surface", study, "--out", out, *COMMON, "--cell", 300)
    assert "stand-in: synthetic city" in done.output
    with rasterio.open(out) as raster:
        tags = raster.tags()
    assert {name: tags[name] for name in ORIGIN} == ORIGIN
    assert tags["label"] == "lively, plaza"
    call("hotspots", study, "--out", tmp_path / "b.gpkg", *COMMON)
    done = call("hexagons", tmp_path / "b.gpkg", "--variable", "getis_z", "--out", tmp_path / "c.gpkg")
    assert "model" not in done.output
    assert "model" not in layer_metadata(tmp_path / "c.gpkg")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["surface", "{study}", "--out", "x.png"], ".tif"),
        (["surface", "{study}", "--out", "x.tif"], "name one: 'as recorded', 'plaza'"),
        (["surface", "{study}", "--out", "x.tif", *COMMON, "--boundary", "none.geojson"], "does not exist"),
        (["hexagons", "{study}", "--out", "x.csv", *COMMON], ".gpkg"),
        (["hexagons", "none", "--out", "x.gpkg"], "does not exist"),
        (
            ["hexagons", "{study}/districts.geojson", "--out", "x.gpkg", "--variable", "name"],
            "not of numbers",
        ),
        (["hotspots", "{study}", "--out", "x.gpkg", "--variable", "noise", "--scenario", "plaza"], "'noise'"),
        (["hotspots", "{study}", "--out", "x.gpkg", *COMMON, "--neighbours", "40"], "Take fewer"),
    ],
)
def test_bad_input_gets_one_line_and_exit_2(study, tmp_path, arguments, word):
    words = [one.format(study=study) for one in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "soundit_geo.cli", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert word in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_bench_of_layers_prints_what_both_ways_agree_in():
    printed = json.loads(call("bench", "layers", "--sites", 300).output)
    assert (printed["sites"], printed["scenarios"], printed["draws"]) == (300, 3, 4)
    for task in ("difference", "hexagons"):
        ours, plain = printed[task].values()
        assert ours["says"] == plain["says"]
    for task in ("difference", "hexagons", "clusters", "GeoParquet"):
        for way in printed[task].values():
            assert way["cpu_seconds"] >= 0
            assert way["peak_mb"] >= 0
    ours, plain = printed["clusters"].values()
    assert ours["says"]["high-high"] == pytest.approx(plain["says"]["high-high"], rel=0.25, abs=5)
    assert {one["says"]["rows"] for one in printed["GeoParquet"].values()} == {300}
