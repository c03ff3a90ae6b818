"""The trip as a whole: resumable, reproducible, honest about what it is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import soundit_geo as sg
from soundit_geo.cube import DONE, open_cube
from soundit_geo.errors import InputError, OutsideWorldWarning, SitesError, StudyError
from soundit_geo.study import first_noise
from soundit_geo.synthetic_city.writing import write_city

pytestmark = pytest.mark.filterwarnings(
    "ignore::soundit_geo.errors.OutsideWorldWarning"
)  # few steps, foreign pictures

SCENARIOS = {"as recorded": None, "park": "a park", "sound alone": None}
SETTINGS = {"draws": 2, "seed": 3, "steps": 3, "scenarios": SCENARIOS, "batch_size": 4}


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    folder = tmp_path_factory.mktemp("city")
    write_city(folder, 5, 2, workers=1)
    return folder / "sites.geojson"


@pytest.fixture(scope="module")
def whole(city, tmp_path_factory):
    study = sg.Study(city, out=tmp_path_factory.mktemp("study") / "whole", **SETTINGS)
    return study, study.run(progress=False)


def pictures(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*.png"))}


def test_every_cell_is_done_and_its_values_are_in_range(whole):
    study, cube = whole
    assert dict(cube.sizes) == {"site": 5, "scenario": 3, "draw": 2, "element": 150, "percept": 6, "rank": 5}
    assert (cube["status"] == DONE).all()
    np.testing.assert_allclose(cube["element_share"].sum("element"), 1, atol=1e-5)
    assert ((cube["perception"] >= 0) & (cube["perception"] <= 10)).all()
    assert ((cube["pss_element"] >= 0) & (cube["pss_element"] <= 1.0001)).all()
    assert set(np.unique(cube["pss_scene_top1"])) <= {0, 1}
    assert len(pictures(study.out)) == 30
    for name in cube["picture"].values.ravel():
        assert Image.open(study.out / name).size == (128, 128)


def test_the_cube_says_what_it_rests_on(whole):
    _, cube = whole
    assert cube.attrs["evidence"] == "stand-in: synthetic city"
    assert cube.attrs["model"] == "synthetic-city"
    assert cube.attrs["seed"] == 3
    assert list(cube["prompt"].sel(site="S001").values) == ["a street", "a park", ""]


def test_a_second_run_draws_nothing(whole):
    study, _ = whole
    before = {path: path.stat().st_mtime_ns for path in study.out.rglob("*.png")}
    study.run(progress=False)
    assert {path: path.stat().st_mtime_ns for path in study.out.rglob("*.png")} == before


def test_scenarios_share_their_noise_and_draws_do_not():
    shape = (4, 16, 16)
    assert (first_noise(1, "a", 0, shape) == first_noise(1, "a", 0, shape)).all()
    others = [first_noise(2, "a", 0, shape), first_noise(1, "b", 0, shape), first_noise(1, "a", 1, shape)]
    assert all((other != first_noise(1, "a", 0, shape)).any() for other in others)


def test_one_prompt_under_two_names_gives_one_picture(city, tmp_path):
    twins = {"one": "a park", "two": "a park"}
    study = sg.Study(city, out=tmp_path, **{**SETTINGS, "scenarios": twins, "draws": 1})
    study.run(progress=False)
    for site in study.sites.index:
        one, two = (Image.open(tmp_path / f"pictures/{site}/{name}_00.png") for name in twins)
        assert np.abs(np.asarray(one, int) - np.asarray(two, int)).max() <= 1


@pytest.mark.slow
def test_killed_and_gone_on_with_equals_undisturbed(city, whole, tmp_path):
    study, cube = whole
    program = (
        "import soundit_geo as sg\n"
        f"sg.Study({str(city)!r}, out={str(tmp_path / 'cut')!r}, **{SETTINGS!r}).run(progress=False)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 240
    while len(list((tmp_path / "cut" / "pictures").glob("*/*.png"))) < 7:  # in the middle of the second block
        assert child.poll() is None, "the study ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    left = open_cube(tmp_path / "cut" / "cube.zarr")
    assert not (left["status"] == DONE).all()
    resumed = sg.Study(city, out=tmp_path / "cut", **SETTINGS).run(progress=False)
    assert pictures(tmp_path / "cut") == pictures(study.out)
    assert not list((tmp_path / "cut").rglob("*.draft"))
    for name in cube.data_vars:
        if name not in {"photo", "audio"}:
            np.testing.assert_array_equal(resumed[name], cube[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 8])
def test_the_batch_size_changes_nothing_but_rounding(city, whole, tmp_path, batch_size):
    study, _ = whole
    sg.Study(city, out=tmp_path, **{**SETTINGS, "batch_size": batch_size}).run(progress=False)
    for name in pictures(study.out):
        one, two = (np.asarray(Image.open(folder / name), int) for folder in (study.out, tmp_path))
        assert np.abs(one - two).max() <= 2


def test_a_folder_of_another_study_is_refused(whole, city):
    study, _ = whole
    with pytest.raises(StudyError, match=r"seed \(3, now 4\)"):
        sg.Study(city, out=study.out, **{**SETTINGS, "seed": 4}).run(progress=False)


def test_moved_sites_and_other_photos_are_another_study(whole, city):
    study, _ = whole
    for change in ("geometry", "photo"):
        sites = sg.read_sites(city)
        if change == "geometry":
            sites = sites.set_geometry(sites.geometry.translate(0.001))
        else:
            sites["photo"] = sites["photo"].to_numpy()[::-1]
        with pytest.raises(StudyError, match="sites"):
            sg.Study(sites, out=study.out, **SETTINGS).run(progress=False)


def test_a_foreign_photo_is_told(city, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(city.parent / "noise.png")
    sites = sg.read_sites(city).iloc[:1].copy()
    sites["photo"] = str(city.parent / "noise.png")
    study = sg.Study(sites, out=tmp_path / "out", draws=1, steps=2)
    with pytest.warns(OutsideWorldWarning, match="1 of 1 photos"):
        cube = study.run(progress=False)
    assert "photo" in cube["message"].item()


@pytest.mark.parametrize(
    "change", [{"draws": 0}, {"batch_size": 0}, {"steps": 0}, {"guidance": float("nan")}]
)
def test_numbers_out_of_range_are_refused(city, tmp_path, change):
    with pytest.raises(InputError, match=next(iter(change))):
        sg.Study(city, out=tmp_path, **{**SETTINGS, **change})


def test_judges_that_do_not_score_all_six_perceptions_are_refused_before_drawing(city, tmp_path):
    study = sg.Study(city, out=tmp_path / "s", **{**SETTINGS, "judges": "synthetic-city,perception=none"})
    with pytest.raises(InputError, match="all six perceptions"):
        study.run(progress=False)
    assert not pictures(tmp_path)


def test_no_sites_no_study(city, tmp_path):
    with pytest.raises(SitesError, match="no sites"):
        sg.Study(sg.read_sites(city).iloc[:0], out=tmp_path)


def test_the_map_finds_pictures_and_sounds_of_the_study(whole, tmp_path):
    study, cube = whole
    study.map().save(tmp_path / "one.html")
    cube.soundit.map(variable="safe", compare=("as recorded", "park")).save(tmp_path / "two.html")
    for name in ("one.html", "two.html"):
        page = (tmp_path / name).read_text()
        assert page.count("data:audio/ogg") == 5
        assert "stand-in" in page


@pytest.mark.slow
def test_real_recordings_at_one_coordinate_make_a_study(shared_data, tmp_path):
    study = sg.Study(
        sg.read_sites(shared_data / "camden" / "sites.geojson"),
        out=tmp_path,
        scenarios={"as recorded": None, "plaza": "a pedestrian plaza with trees"},
        draws=1,
        steps=3,
    )
    cube = study.run(progress=False)
    assert (cube["status"] == DONE).all()
    assert cube["pss_element"].isnull().all()  # no photos: not a number, never 0
    np.testing.assert_allclose(cube["lon"], -0.142624)


def test_sites_open_a_study_of_their_own(city, tmp_path):
    study = sg.read_sites(city).soundit.study(tmp_path / "own", **SETTINGS)
    assert study.describe() == sg.Study(city, out=tmp_path / "own", **SETTINGS).describe()


def test_samplers_that_add_noise_pair_scenarios_and_repeat_themselves(city, tmp_path):
    """Their later noise too comes from seed, site and draw alone, whatever the batch."""
    from diffusers import DDPMScheduler

    def drawn(name, scenarios, batch_size):
        settings = {**SETTINGS, "scenarios": scenarios, "batch_size": batch_size, "draws": 1}
        study = sg.Study(city, out=tmp_path / name, **settings)
        pipeline, judges = study.load()
        pipeline.scheduler = DDPMScheduler.from_config(pipeline.scheduler.config)
        for _ in study.advance((pipeline, judges)):
            pass
        cube = open_cube(study.cube_path)
        return np.stack(
            [
                np.asarray(Image.open(study.out / name), int)
                for name in cube["picture"].sel(scenario="park").values[:, 0]
            ]
        )

    alone = drawn("alone", {"park": "a park"}, 4)
    together = drawn("together", {"street": "a street", "park": "a park"}, 3)
    assert abs(alone - together).max() <= 2
    assert abs(alone[0] - alone[1]).max() > 20
