"""Scenarios that join a study later, sketches of a prompt, and runs that are left half-way."""

import json

import numpy as np
import pytest
import xarray as xr
from fake_study import fake_cube, fake_sites
from PIL import Image

import soundit_geo as sg
from soundit_geo.cube import DONE, FAILED, PENDING, new_cube, open_cube, with_scenario
from soundit_geo.errors import AudioError, CubeError, ScenarioError, SitesError, StudyError
from soundit_geo.scenarios import prompts_for
from soundit_geo.study import SKETCH
from soundit_geo.synthetic_city.writing import write_city

pytestmark = pytest.mark.filterwarnings("ignore::soundit_geo.errors.OutsideWorldWarning")

SETTINGS = {"draws": 2, "seed": 3, "steps": 2, "batch_size": 4, "scenarios": {"as recorded": None}}


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    folder = tmp_path_factory.mktemp("city")
    write_city(folder, 4, 2, workers=1)
    return folder / "sites.geojson"


def pictures(study):
    return {str(path.relative_to(study.out)): path.read_bytes() for path in study.out.rglob("*.png")}


def test_a_grown_cube_is_a_new_cube_of_all_scenarios(tmp_path):
    sites = fake_sites(["a", "b"], tmp_path)
    every = {"one": None, "two": "a park"}
    prompts = prompts_for(sites, every)
    small = new_cube(sites, ["one"], 3, prompts, {"seed": 1})
    xr.testing.assert_identical(
        with_scenario(small, "two", prompts["two"]), new_cube(sites, ["one", "two"], 3, prompts, {"seed": 1})
    )


def test_a_grown_cube_keeps_what_it_held(tmp_path):
    cube = fake_cube(tmp_path, ["a", "b"], failed=["b"])
    grown = with_scenario(cube, "sea", cube["prompt"].isel(scenario=1).to_series())
    xr.testing.assert_identical(grown.isel(scenario=slice(2)), cube)
    assert (grown["status"].sel(scenario="sea") == PENDING).all()
    with pytest.raises(ScenarioError, match="has a scenario 'plaza'"):
        with_scenario(cube, "plaza", cube["prompt"].isel(scenario=0).to_series())
    with pytest.raises(CubeError, match="prompts lack"):
        with_scenario(cube, "sea", cube["prompt"].isel(scenario=0, site=[0]).to_series())


def test_a_scenario_added_later_gives_what_it_would_have_given_from_the_start(city, tmp_path):
    whole = sg.Study(
        city, out=tmp_path / "whole", **{**SETTINGS, "scenarios": {"as recorded": None, "park": "a park"}}
    )
    expected = whole.run(progress=False)
    study = sg.Study(city, out=tmp_path / "grown", **SETTINGS)
    before = study.run(progress=False)
    kept = {path: path.stat().st_mtime_ns for path in study.out.rglob("*.png")}
    study.add_scenario("park", "a park")
    cube = study.run(progress=False)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert pictures(study).keys() == pictures(whole).keys()
    xr.testing.assert_identical(cube.sel(scenario=["as recorded"]), before)
    assert (cube["status"] == DONE).all()
    for name, content in pictures(whole).items():
        one, two = (np.asarray(Image.open(path), int) for path in (whole.out / name, study.out / name))
        assert np.abs(one - two).max() <= 2, len(content)
    np.testing.assert_allclose(cube["perception"], expected["perception"], atol=0.2)
    np.testing.assert_array_equal(cube["prompt"], expected["prompt"])


def test_a_prompt_that_is_there_under_another_name_is_not_drawn_again(city, tmp_path):
    study = sg.Study(city, out=tmp_path, **{**SETTINGS, "scenarios": {"park": "a park"}})
    study.run(progress=False)
    study.add_scenario("twin", "a park")
    at = list(study.advance())[-1]
    assert (at.done, at.total, at.drawn) == (16, 16, 0)
    cube = open_cube(tmp_path)
    for name in ("perception", "element_share", "pss_element", "status", "scene_class"):
        np.testing.assert_array_equal(cube[name].sel(scenario="twin"), cube[name].sel(scenario="park"))
    for one, two in cube["picture"].transpose("scenario", ...).to_numpy().reshape(2, -1).T:
        assert (tmp_path / one).read_bytes() == (tmp_path / two).read_bytes()


def test_the_study_as_first_written_takes_up_what_was_added(city, tmp_path):
    sg.Study(city, out=tmp_path, **SETTINGS).add_scenario("park", "a park")
    again = sg.Study(city, out=tmp_path, **SETTINGS)
    cube = again.run(progress=False)
    assert list(cube["scenario"].to_numpy()) == ["as recorded", "park"]
    assert [one.name for one in again.scenarios] == ["as recorded", "park"]
    named = {**SETTINGS, "scenarios": {"as recorded": None, "park": "a park"}}
    xr.testing.assert_identical(sg.Study(city, out=tmp_path, **named).run(progress=False), cube)
    with pytest.raises(StudyError, match="another study"):
        sg.Study(
            city, out=tmp_path, **{**SETTINGS, "scenarios": {"as recorded": None, "park": "a harbour"}}
        ).run(progress=False)


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("as recorded", "a park"),
        (" ", "a park"),
        ("x", "@nowhere"),
        ("x", "nul\0"),
        ("half\ud800", "a park"),
    ],
)
def test_a_scenario_that_cannot_be_leaves_the_study_as_it_was(city, tmp_path, name, prompt):
    study = sg.Study(city, out=tmp_path, **SETTINGS)
    study.add_scenario("park", "a park")
    before = (tmp_path / "study.json").read_bytes()
    with pytest.raises(ScenarioError):
        study.add_scenario(name, prompt)
    assert (tmp_path / "study.json").read_bytes() == before
    assert len(study.scenarios) == 2


def test_a_run_that_is_left_keeps_what_it_drew_and_goes_on(city, tmp_path):
    whole = sg.Study(city, out=tmp_path / "whole", **SETTINGS)
    cube = whole.run(progress=False)
    study = sg.Study(city, out=tmp_path / "left", **SETTINGS)
    seen = []
    for at in study.advance():
        seen.append((at.done, at.total))
        if at.done:
            break
    assert seen == [(0, 8), (4, 8)]
    part = open_cube(study.out)
    assert int((part["status"] == DONE).sum()) == 4
    made = pictures(study)
    assert len(made) == 4
    xr.testing.assert_equal(study.run(progress=False), cube)
    assert pictures(study) == pictures(whole)
    assert made.items() <= pictures(study).items()


def test_a_study_runs_once_at_a_time(city, tmp_path):
    study = sg.Study(city, out=tmp_path, **SETTINGS)
    models = study.load()
    first = study.advance(models)
    next(first)
    with pytest.raises(StudyError, match="running already"):
        next(study.advance(models))
    with pytest.raises(StudyError, match="running already"):
        study.add_scenario("park", "a park")
    assert [one.name for one in study.scenarios] == ["as recorded"]
    first.close()
    assert next(study.advance(models)).total == 8


def test_a_cube_caught_between_two_renames_is_found_again(city, tmp_path):
    study = sg.Study(city, out=tmp_path, **SETTINGS)
    cube = study.run(progress=False)
    study.cube_path.rename(tmp_path / ".0123abcd-cube.zarr.old")
    at = next(study.advance())
    assert at.done == at.total
    xr.testing.assert_identical(open_cube(tmp_path), cube)


def test_a_recording_that_went_missing_costs_nothing_that_was_made(city, tmp_path):
    sites = sg.read_sites(city)
    study = sg.Study(sites, out=tmp_path, **SETTINGS)
    cube = study.run(progress=False)
    study.add_scenario("park", "a park")
    study.sites.loc["S001", "audio"] += ".gone"
    note = json.loads((tmp_path / "study.json").read_text())
    note["sites"] = study.describe()["sites"]
    (tmp_path / "study.json").write_text(json.dumps(note))
    after = study.run(progress=False)
    xr.testing.assert_equal(after["perception"].sel(scenario="as recorded"), cube["perception"][:, 0])
    assert (after["status"].sel(scenario="as recorded") == DONE).all()
    assert (after["status"].sel(scenario="park", site="S001") == FAILED).all()
    assert "does not exist" in after["message"].sel(site="S001").item()


def test_a_sketch_is_what_the_study_would_draw_and_leaves_no_trace(city, tmp_path):
    study = sg.Study(city, out=tmp_path / "s", **{**SETTINGS, "scenarios": {"park": "a park"}})
    sketch = study.sketch("S002", "a park")
    assert not study.out.exists()
    assert list(sketch.cube["scenario"].to_numpy()) == [SKETCH]
    cube = study.run(progress=False).sel(site="S002", scenario="park")
    for picture, name in zip(sketch.pictures, cube["picture"].to_numpy(), strict=True):
        drawn = np.asarray(Image.open(study.out / name), int)
        assert np.abs(np.asarray(picture, int) - drawn).max() <= 2
    one = sketch.cube.sel(site="S002", scenario=SKETCH)
    for name in ("perception", "pss_element"):
        np.testing.assert_allclose(one[name], cube[name], atol=0.2)
    other = study.sketch("S002", "a container harbour")
    assert (np.asarray(other.pictures[0]) != np.asarray(sketch.pictures[0])).any()


def test_a_sketch_needs_a_site_that_can_be_heard(city, tmp_path):
    sites = sg.read_sites(city)
    sites.loc["S001", "audio"] += ".gone"
    study = sg.Study(sites, out=tmp_path, **SETTINGS)
    with pytest.raises(SitesError, match="no site 'S999'"):
        study.sketch("S999", "a park")
    with pytest.raises(AudioError, match="does not exist"):
        study.sketch("S001", "a park")
    with pytest.raises(ScenarioError, match="column 'nowhere'"):
        study.sketch("S002", "@nowhere")
