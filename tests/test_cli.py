"""The command line as a user meets it: quick help, one clear line for bad input, the right exit code."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from fake_study import fake_cube
from PIL import Image

from soundit_geo.cli import main
from soundit_geo.cube import save_cube
from soundit_geo.weights import preset_path


def call(*arguments, timeout=300):
    return subprocess.run(
        [sys.executable, "-m", "soundit_geo.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


@pytest.fixture
def ask(capsys, monkeypatch):
    """As `call`, in this process, which has loaded torch already: for many commands in a row."""

    def asked(*arguments):
        monkeypatch.setattr(sys, "argv", ["soundit-geo", *map(str, arguments)])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, end.value.code or 0, out, err)

    return asked


def tone(path, seconds=1.0, level=0.1):
    time = np.arange(int(16000 * seconds)) / 16000
    soundfile.write(path, level * np.sin(2 * np.pi * 440 * time), 16000)


def csv(folder, rows, header="site,lon,lat,audio"):
    path = folder / "sites.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_importing_the_package_loads_nothing_heavy():
    program = (
        "import sys, soundit_geo, soundit_geo.cli; "
        "print(sorted({'torch', 'geopandas', 'pandas', 'xarray', 'numpy', 'diffusers', 'folium'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def saved_study(tmp_path_factory):
    """A study folder with a saved cube, made without any model."""
    folder = tmp_path_factory.mktemp("saved")
    cube = fake_cube(folder, ["one", "two"])
    save_cube(cube, folder / "cube.zarr")
    return folder, [str(name) for name in cube["scenario"].to_numpy()]


def test_a_saved_cube_is_mapped_without_torch(saved_study):
    folder, _ = saved_study
    program = (
        "import sys, soundit_geo as sg\n"
        f"sg.open_cube({str(folder / 'cube.zarr')!r}).soundit.map().save({str(folder / 'free.html')!r})\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert (folder / "free.html").stat().st_size > 100_000


def test_map_draws_a_study_and_refuses_what_it_has_not(saved_study, tmp_path, ask):
    folder, names = saved_study
    done = call("map", folder, "--out", tmp_path / "m.html", "--variable", "safe", "--compare", *names[:2])
    assert done.returncode == 0, done.stderr
    assert "<html" in (tmp_path / "m.html").read_text()
    assert call("export", folder, "--out", tmp_path / "cube.nc").returncode == 0
    assert call("map", tmp_path / "cube.nc").returncode == 0
    assert "<html" in (tmp_path / "map.html").read_text()
    for arguments in (
        [folder, "--compare", "nowhere", names[0]],
        [folder, "--variable", "smell"],
        [tmp_path / "absent"],
    ):
        done = ask("map", *arguments)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1


def test_synth_then_score_in_json(tmp_path):
    done = call("synth", "--sites", "2", "--seed", "5", "--out", tmp_path / "city")
    assert done.returncode == 0, done.stderr
    photos = tmp_path / "city" / "photos"
    done = call("score", "--real", photos, "--generated", photos, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["mean"]["pss_element"] == pytest.approx(1)
    assert answer["mean"]["pss_perception"] == pytest.approx(0, abs=1e-6)
    assert set(answer["judges"].values()) == {"synthetic-city"}


def test_score_with_one_judge_a_table_and_a_broken_picture(tmp_path, ask):
    """Exit code 1: it ran, and what could not be scored is listed; run again, the folder goes on."""
    for name, red in (("one", 10), ("two", 200)):
        Image.new("RGB", (40, 30), (red, 90, 90)).save(tmp_path / f"{name}.png")
    (tmp_path / "bad.png").write_text("a poem")
    table = tmp_path / "pairs.csv"
    table.write_text("label,real,generated\na,one.png,one.png\nb,one.png,two.png\nc,one.png,bad.png\n")
    scenes = Path(preset_path("synthetic-city")) / "judges" / "scenes"
    command = ("score", "--pairs", table, "--scenes", scenes, "--out", tmp_path / "run", "--json", "--quiet")
    for _ in range(2):
        done = call(*command)
        assert done.returncode == 1, done.stderr
        answer = json.loads(done.stdout)
        assert list(answer["judges"]) == ["scenes"]
        assert answer["mean"]["pss_element"] is None
        assert answer["pairs"] == 3
        assert list(answer["failed"]) == ["c"]
        assert "bad.png" in done.stderr
    assert pd.read_csv(tmp_path / "run" / "scores.csv")["pss_scene_top1"].iloc[0] == 1.0
    for wrong in (["score"], ["score", "--real", tmp_path], ["score", "--pairs", table, "--real", tmp_path]):
        done = ask(*wrong)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_negative_seed_is_refused(tmp_path):
    done = call("synth", "--sites", "1", "--seed", "-1", "--out", tmp_path / "city")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", [[], ["run"], ["demo"], ["map"], ["score"], ["synth"], ["train", "preset"]]
)
def test_every_command_explains_itself(command):
    done = call(*command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def bad_inputs():
    def no_crs(folder):
        import geopandas as gpd
        from shapely import Point

        tone(folder / "a.wav")
        frame = gpd.GeoDataFrame({"audio": ["a.wav"]}, geometry=[Point(0, 0)])
        frame.to_file(folder / "sites.gpkg")
        return folder / "sites.gpkg", "CRS"

    def polygon(folder):
        import geopandas as gpd
        from shapely import box

        tone(folder / "a.wav")
        frame = gpd.GeoDataFrame({"audio": ["a.wav"]}, geometry=[box(0, 0, 1, 1)], crs=4326)
        frame.to_file(folder / "sites.geojson")
        return folder / "sites.geojson", "Polygon"

    def latitude(folder):
        tone(folder / "a.wav")
        return csv(folder, ["s,5,95,a.wav"]), "95"

    def twice(folder):
        tone(folder / "a.wav")
        return csv(folder, ["s,0,0,a.wav", "s,1,1,a.wav"]), "'s'"

    def outside(folder):
        tone(folder.parent / "a.wav")
        return csv(folder, ["s,0,0,../a.wav"]), "outside"

    def absent(folder):
        return folder / "none.geojson", "does not exist"

    return [no_crs, polygon, latitude, twice, outside, absent]


@pytest.mark.parametrize("make", bad_inputs(), ids=lambda make: make.__name__)
def test_bad_sites_get_one_line_and_exit_2(tmp_path, make, ask):
    folder = tmp_path / "in"
    folder.mkdir()
    path, said = make(folder)
    done = ask("run", path, "--out", tmp_path / "out", "-q")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_scenario_without_an_equals_sign_an_unknown_model_and_a_bad_folder(tmp_path, ask):
    tone(tmp_path / "a.wav")
    path = csv(tmp_path, ["s,0,0,a.wav"])
    (tmp_path / "file").write_text("x")
    for arguments, said in (
        (["--scenario", "plaza"], "NAME=PROMPT"),
        (["--scenario", "=x"], "no name"),
        (["--scenario", "a=x", "--scenario", "a=y"], "2 times"),
        (["--scenario", "as recorded=x"], "always there"),
        (["--model", "no-such-model"], "synthetic-city"),
        (["--model", "models/mine"], "synthetic-city"),
        (["--judges", "no-such-judges"], "synthetic-city"),
        (["--device", "no-such-device"], "no-such-device"),
        (["--draws", "0"], "draws"),
        (["--out", str(tmp_path / "file" / "deeper")], "cannot be written"),
    ):
        out = [] if "--out" in arguments else ["--out", tmp_path / "out"]
        done = ask("run", path, *out, "-q", *arguments)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert said in done.stderr


@pytest.mark.slow
def test_unusable_recordings_fail_alone_and_the_rest_is_done(tmp_path):
    """One good site among six bad ones, one with a hostile name; exit 1, the good one mapped."""
    tone(tmp_path / "good.wav")
    (tmp_path / "text.wav").write_text("not a sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    tone(tmp_path / "short.wav", 0.1)
    soundfile.write(tmp_path / "nan.wav", np.full(16000, np.nan, np.float32), 16000, subtype="FLOAT")
    hostile = "<img src=x onerror=alert(1)>{{7*7}}"
    path = csv(
        tmp_path,
        [
            f"{hostile},0,0,good.wav",
            *(f"{name},0,0,{name}.wav" for name in ("text", "empty", "silent", "short", "nan", "absent")),
        ],
    )
    out = tmp_path / "out"
    done = call("run", path, "--out", out, "-q", "--draws", "1", "--steps", "2", "--json")
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert answer["sites"] == {"done": 1, "failed": 6, "pending": 0}
    for name in ("text", "empty", "silent", "short", "nan", "absent"):
        assert sum(line.startswith(f"{name}: ") for line in done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert hostile not in (out / "map.html").read_text()

    from soundit_geo.cube import DONE, FAILED, open_cube

    cube = open_cube(out / "cube.zarr")
    assert (cube["status"].sel(site=hostile) == DONE).all()
    assert (cube["status"].sel(site="nan") == FAILED).all()
    assert cube["perception"].sel(site="nan").isnull().all()

    only_bad = csv(tmp_path, ["silent,0,0,silent.wav"])
    done = call("run", only_bad, "--out", tmp_path / "out2", "-q", "--draws", "1", "--steps", "1")
    assert done.returncode == 2
