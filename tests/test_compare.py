"""The commands about scenarios as a user meets them: run with a file of scenarios, compare, lab."""

import json
import os
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pytest
import shapely
from fake_study import fake_base, fake_cube

import soundit_geo as sg
from soundit_geo import cli
from soundit_geo.cli.tables import read_table
from soundit_geo.cube import save_cube
from soundit_geo.errors import InputError, MissingFileError
from soundit_geo.scenarios import difference, districts_of, draws_needed, effect, rank
from soundit_geo.synthetic_city.writing import write_city

A, B = "plaza", "as recorded"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    scenarios = {"as recorded": None, "plaza": "a plaza", "park": "a park"}
    cube = fake_cube(folder, [f"s{k:02d}" for k in range(30)], scenarios, draws=3, failed=["s03"])
    save_cube(cube, folder / "cube.zarr")
    fake_base()["districts"].to_file(folder / "districts.geojson")
    return folder, cube


def say(capsys, monkeypatch, *arguments):
    """Run the command line in this process: code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["soundit-geo", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code or 0, *capsys.readouterr()


def test_compare_prints_what_the_functions_return(study, capsys, monkeypatch):
    folder, cube = study
    districts = folder / "districts.geojson"
    code, out, _ = say(
        capsys, monkeypatch, "compare", folder, A, B, "--goal", "lively=1", "--goal", "depressing=-1",
        "--districts", districts, "--by", "name", "--se", "0.2", "--json",
    )  # fmt: skip
    assert code == 0
    said = json.loads(out)
    whole, each = effect(cube, A, B), difference(cube, A, B)
    by = effect(cube, A, B, by=districts_of(cube, gpd.read_file(districts), "name"))
    for percept in sg.PERCEPTIONS:
        row = said["overall"][percept]
        for key, suffix in (
            ("mean", ""),
            ("se", "_se"),
            ("low", "_low"),
            ("high", "_high"),
            ("sites", "_sites"),
        ):
            assert row[key] == pytest.approx(whole[f"perception{suffix}"].sel(percept=percept).item())
        called = each["perception_significant"].sel(percept=percept).to_numpy()
        sign = each["perception"].sel(percept=percept).to_numpy()
        assert said["significant_sites"][percept] == {
            "higher": (called & (sign > 0)).sum(),
            "lower": (called & (sign < 0)).sum(),
            "judged": 29,
        }
    assert [*said["districts"]] == by["district"].to_numpy().tolist()
    for name, rows in said["districts"].items():
        assert rows["safe"]["mean"] == pytest.approx(
            by["perception"].sel(district=name, percept="safe").item()
        )
        assert ("reason" in rows) == (rows["safe"]["low"] is None)
    assert "pss_element" not in said["overall"]  # no photos
    table = rank(cube, {"lively": 1, "depressing": -1})
    assert [*said["ranking"]] == table.index.tolist()
    assert said["ranking"]["park"]["score"] == pytest.approx(table.loc["park", "score"])
    assert said["ranking"][B]["low"] is None
    needed = draws_needed(cube, 0.2, compare=(A, B))
    assert said["draws_needed"]["safe"]["draws"] == needed.loc["safe", "draws"]
    assert said["evidence"].startswith("stand-in")
    assert said["model"] == "synthetic-city"
    assert said["judges"]["perception"] == "synthetic-city"


def test_compare_speaks_to_people_and_says_whose_interval_it_is(study, capsys, monkeypatch):
    folder, _ = study
    code, out, _ = say(capsys, monkeypatch, "compare", folder, A, B, "--these-sites")
    assert code == 0
    assert "for these sites" in out
    assert "model synthetic-city, judges synthetic-city; perception 0–10; stand-in" in out
    assert "lively" in out
    code, out, _ = say(capsys, monkeypatch, "compare", folder, A, A)
    assert code == 0
    assert "no site differs" in out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["plaza", "forest"], "forest"),
        ([A, B, "--goal", "lively"], "PERCEPTION=WEIGHT"),
        ([A, B, "--goal", "nice=1"], "nice"),
        ([A, B, "--districts", "absent.geojson", "--by", "name"], "absent.geojson"),
        ([A, B, "--by", "quarter"], "quarter"),
        ([A, B, "--se", "0"], "above 0"),
    ],
)
def test_compare_refuses_in_one_line(study, capsys, monkeypatch, arguments, word):
    code, _, error = say(capsys, monkeypatch, "compare", study[0], *arguments)
    assert code == 2
    assert word in error
    assert len(error.strip().splitlines()) == 1


def test_compare_needs_the_column_of_the_districts_names(study, capsys, monkeypatch):
    folder, _ = study
    for more, word in (([], "--by"), (["--by", "title"], "title")):
        code, _, error = say(
            capsys, monkeypatch, "compare", folder, A, B, "--districts", folder / "districts.geojson", *more
        )
        assert code == 2
        assert word in error


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    folder = tmp_path_factory.mktemp("city")
    write_city(folder, 3, 2, workers=1)
    return folder


@pytest.mark.slow
def test_run_takes_scenarios_from_a_file_and_draws_one_prompt_once(city, tmp_path):
    sites = gpd.read_file(city / "sites.geojson")
    area = sites.geometry.iloc[0].buffer(1e-6).wkt
    designs = tmp_path / "designs.yaml"
    designs.write_text(f"as recorded:\nplaza: {{prompt: a plaza, area: '{area}'}}\nheard: '@words'\n")
    sites["words"] = ["a park", None, "a beach"]
    table = city / "with_words.geojson"
    sites.to_file(table)
    command = [sys.executable, "-m", "soundit_geo.cli", "run", table, "--out", tmp_path / "out"]
    command += [
        "--scenarios",
        designs,
        "--scenario",
        "park=a park",
        "--draws",
        "1",
        "--steps",
        "2",
        "--quiet",
    ]
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    cube = sg.open_cube(tmp_path / "out")
    assert cube["scenario"].to_numpy().tolist() == ["as recorded", "plaza", "heard", "park"]
    own = sites["scene"].tolist()
    assert cube["prompt"].sel(scenario="plaza").to_numpy().tolist() == ["a plaza", *own[1:]]
    assert cube["prompt"].sel(scenario="heard").to_numpy().tolist() == ["a park", "", "a beach"]
    same = cube.sel(scenario="plaza").isel(site=slice(1, None))
    base = cube.sel(scenario="as recorded").isel(site=slice(1, None))
    for name in ("perception", "element_share", "scene_probability", "pss_element"):
        np.testing.assert_array_equal(same[name], base[name])  # not nearly: the same landscape
    for one, other in zip(
        same["picture"].to_numpy().ravel(), base["picture"].to_numpy().ravel(), strict=True
    ):
        assert (tmp_path / "out" / one).read_bytes() == (tmp_path / "out" / other).read_bytes()
    assert effect(cube, "plaza", "as recorded")["perception_sites"].to_numpy().tolist() == [1] * 6


def test_run_refuses_a_file_that_redefines_the_base_and_one_that_is_not_there(
    city, tmp_path, capsys, monkeypatch
):
    (tmp_path / "x.yaml").write_text("as recorded: a park\n")
    for file, word in (("x.yaml", "always there"), ("absent.yaml", "absent.yaml")):
        code, _, error = say(
            capsys,
            monkeypatch,
            "run",
            city / "sites.geojson",
            "--out",
            tmp_path / "o",
            "--scenarios",
            tmp_path / file,
        )
        assert code == 2
        assert word in error


def test_lab_coverage_prints_json(capsys, monkeypatch):
    code, out, _ = say(capsys, monkeypatch, "lab", "coverage", "--simulations", "2", "--sites", "8")
    assert code == 0
    said = json.loads(out)
    assert set(said["coverage"]) == {"normal", "heavy-tailed", "skewed"}
    assert 0 <= said["coverage"]["normal"]["site"] <= 1


def test_districts_come_as_geoparquet_too(tmp_path):
    districts = gpd.GeoDataFrame({"name": ["old town"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    districts.to_parquet(tmp_path / "districts.parquet")
    assert read_table(tmp_path / "districts.parquet").equals(districts)
    (tmp_path / "bare.csv").write_text("name\nold town\n")
    with pytest.raises(InputError, match="no geometries"):
        read_table(tmp_path / "bare.csv")
    with pytest.raises(MissingFileError, match="absent"):
        read_table(tmp_path / "absent.gpkg")
