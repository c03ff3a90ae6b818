"""Trying prompts at the sites of a study: the plain class, what the panel shows of it, and what it is asked for."""

from __future__ import annotations

import base64
import builtins
import io
import json
import threading

import numpy as np
import pytest
import xarray as xr
from fake_study import fake_base
from hostile_text import HOSTILE
from PIL import Image
from typer.testing import CliRunner

import soundit_geo as sg
from soundit_geo.classes import ADE20K, PERCEPTIONS
from soundit_geo.cli import app
from soundit_geo.cube import DONE, open_cube
from soundit_geo.errors import AudioError, InputError, ScenarioError, SitesError
from soundit_geo.explorer import Change, Explorer, changes, explore
from soundit_geo.explorer.words import dots, side_by_side
from soundit_geo.scenarios import difference
from soundit_geo.synthetic_city.writing import write_city

pytestmark = pytest.mark.filterwarnings("ignore::soundit_geo.errors.OutsideWorldWarning")

SETTINGS = {"draws": 2, "seed": 3, "steps": 2, "batch_size": 4, "scenarios": {"as recorded": None}}


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    folder = tmp_path_factory.mktemp("city")
    write_city(folder, 4, 2, workers=1)
    return folder / "sites.geojson"


@pytest.fixture(scope="module")
def models(city, tmp_path_factory):
    return sg.Study(city, out=tmp_path_factory.mktemp("none"), **SETTINGS).load()


@pytest.fixture
def explorer(city, tmp_path, models):
    """An explorer of a study that never ran; the models are shared to spare time."""
    one = Explorer(sg.Study(city, out=tmp_path / "study", **SETTINGS))
    one._models = models
    return one


@pytest.fixture(scope="module")
def finished(city, tmp_path_factory, models):
    one = Explorer(sg.Study(city, out=tmp_path_factory.mktemp("finished") / "study", **SETTINGS))
    one._models = models
    assert one.run()
    return one


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)), int)


# ------------------------------------------------------------------------------------------ the plain class
def test_a_study_that_ran_is_shown_as_its_cube_holds_it(finished):
    cube = open_cube(finished.study.out)
    for site in finished.sites:
        shown = finished.landscape(site, "as recorded")
        cell = cube.sel(site=site, scenario="as recorded")
        assert shown.prompt == cell["prompt"].item()
        assert [(finished.study.out / name).read_bytes() for name in cell["picture"].to_numpy()] == list(
            shown.pictures
        )
        np.testing.assert_allclose(list(shown.scores.values()), cell["perception"].mean("draw"), rtol=1e-6)
        first = ADE20K[int(cell["element_share"].mean("draw").argmax("element"))]
        assert shown.elements[0][0] == first
        assert shown.foreign is None


def test_a_prompt_of_the_study_draws_what_the_study_drew(finished):
    """The noise is that of (site, draw): only the prompt makes a difference."""
    kept = finished.landscape("S002", "as recorded")
    drawn = finished.draw("S002", kept.prompt)
    for one, two in zip(kept.pictures, drawn.pictures, strict=True):
        assert np.abs(pixels(one) - pixels(two)).max() <= 2
    np.testing.assert_allclose(drawn.perception, kept.perception, atol=0.2)
    other = finished.draw("S002", "a container harbour")
    assert (pixels(other.pictures[0]) != pixels(drawn.pictures[0])).any()


def test_what_was_tried_is_not_drawn_again(finished, monkeypatch):
    first = finished.draw("S001", "a park")
    monkeypatch.setattr(finished.study, "sketch", lambda *_: pytest.fail("drawn again"))
    assert finished.draw("S001", "  a park ") is first
    assert finished.tried("S001", "a park") is first
    assert finished.tried("S001", "a harbour") is None


def test_changes_are_paired_over_draws(finished):
    """As scenarios.difference has them, of a cube that holds both."""
    old, new = finished.landscape("S003", "as recorded"), finished.draw("S003", "a park")
    both = xr.concat(
        [old.cube.drop_vars("geometry"), new.cube.drop_vars("geometry")],
        "scenario",
        join="override",
        data_vars="all",
    )
    expected = difference(both.assign_coords(scenario=["old", "new"]), "new", "old")
    found = changes(new, old)
    assert [one.perception for one in found] == list(PERCEPTIONS)
    np.testing.assert_allclose([one.mean for one in found], expected["perception"][0], atol=1e-6)
    np.testing.assert_allclose([one.error for one in found], expected["perception_se"][0], atol=1e-6)


def test_a_change_is_said_in_words_with_its_direction():
    assert Change("safe", 0.421, 0.1).words == "0.42 ± 0.10 points safer"
    assert Change("boring", -1.5, 0.25).words == "1.50 ± 0.25 points less boring"
    assert Change("boring", 1.5, np.nan).words == "1.50 points more boring"
    assert Change("wealthy", -0.001, 0.1).words == "no change ± 0.10"


def test_a_study_that_never_ran_is_drawn_when_it_is_looked_at(explorer):
    shown = explorer.landscape("S001", "as recorded")
    assert shown.prompt == "a street"
    assert explorer.cube is None
    assert explorer.pending == 8
    assert not explorer.study.out.exists()
    assert dots(explorer.cube, "as recorded")["values"] == []


def test_a_prompt_becomes_a_scenario_and_is_run_for_all_sites(explorer):
    tried = explorer.draw("S002", "a park")
    explorer.add(" park ", " a park ")
    assert explorer.scenarios == ["as recorded", "park"]
    assert explorer.pending == 16
    seen = []
    assert explorer.run(lambda at: seen.append((at.done, at.total)))
    assert seen[0] == (0, 16)
    assert seen[-1] == (16, 16)
    assert explorer.pending == 0
    cube = open_cube(explorer.study.out)
    assert (cube["status"] == DONE).all()
    assert list(cube["prompt"].sel(scenario="park").to_numpy()) == ["a park"] * 4
    np.testing.assert_allclose(
        cube["perception"].sel(site="S002", scenario="park"), tried.perception, atol=0.2
    )


def test_a_cancelled_run_keeps_what_it_drew_and_goes_on(explorer, finished):
    def stop(at):
        if at.done:
            explorer.cancel()

    assert not explorer.run(stop)
    assert explorer.pending == 4
    made = {path: path.stat().st_mtime_ns for path in explorer.study.out.rglob("*.png")}
    assert len(made) == 4
    assert explorer.run()
    assert {path: path.stat().st_mtime_ns for path in made} == made
    xr.testing.assert_equal(explorer.cube, finished.cube)


def test_one_can_draw_while_a_run_goes_on(explorer):
    drawn = []

    def look(at):
        if at.done == 4 and not drawn:
            other = threading.Thread(target=lambda: drawn.append(explorer.draw("S004", "a park")))
            other.start()
            other.join(60)

    assert explorer.run(look)
    assert drawn[0].site == "S004"


def test_a_wrong_site_scenario_or_prompt_is_refused_and_leaves_the_study_alone(explorer):
    with pytest.raises(SitesError, match="no site 'nowhere'"):
        explorer.draw("nowhere", "a park")
    with pytest.raises(ScenarioError, match="no scenario 'x'"):
        explorer.landscape("S001", "x")
    with pytest.raises(ScenarioError, match="column 'no such'"):
        explorer.draw("S001", "@no such")
    with pytest.raises(ScenarioError, match="2 times"):
        explorer.add("as recorded", "a park")
    with pytest.raises(ScenarioError, match="a name"):
        explorer.add("  ", "a park")
    explorer.study.sites.loc["S001", "audio"] += ".gone"
    with pytest.raises(AudioError, match="does not exist"):
        explorer.draw("S001", "a park")
    assert explorer.scenarios == ["as recorded"]


def test_hostile_names_and_prompts_come_back_as_they_were_typed(city, tmp_path, models):
    """Those that can be drawn are; the others get one clear error, and the study still runs."""
    sites = sg.read_sites(city).iloc[:1]
    explorer = Explorer(sg.Study(sites, out=tmp_path, **{**SETTINGS, "draws": 1, "steps": 1}))
    explorer._models = models
    kept = []
    for text in HOSTILE[::20]:
        try:
            shown = explorer.draw("S001", text)
            explorer.add(text, text)
        except ScenarioError as error:
            assert text.lstrip().startswith("@") or not text.strip(), error  # noqa: PT017
            continue
        assert shown.prompt == text.strip()
        kept.append(text.strip())
        told = side_by_side(explorer.landscape("S001", "as recorded"), shown)
        assert json.loads(json.dumps(told))["new"]["prompt"] == text.strip()
    assert len(kept) >= 8
    assert explorer.run()
    cube = open_cube(tmp_path)
    assert list(cube["scenario"].to_numpy()) == ["as recorded", *kept]
    assert (cube["status"] == DONE).all()
    for path in tmp_path.rglob("*.png"):
        assert path.resolve().is_relative_to(tmp_path / "pictures")


# ------------------------------------------------------------------------------------------------ the panel
@pytest.fixture
def panel(explorer):
    made = explore(explorer, base=fake_base())
    made.wait()
    yield made
    made.explorer.cancel()
    made.wait()
    made.close()


def ask(panel, what, **more):
    panel._asked(panel, {"ask": what, **more}, [])
    panel.wait()


def test_the_panel_shows_the_first_site_at_once(panel):
    assert panel.plan["sites"] == ["S001", "S002", "S003", "S004"]
    assert {layer["kind"] for layer in panel.plan["base"]} >= {"sea", "road", "park"}
    assert panel.shown["site"] == "S001"
    assert panel.shown["new"] is None
    assert panel.shown["evidence"] == "stand-in model: synthetic city"
    assert panel.shown["old"]["pictures"][0].startswith("data:image/png;base64,")
    assert not panel.busy


def test_the_panel_draws_adds_runs_and_cancels(panel):
    explorer = panel.explorer
    panel.site = "S003"
    ask(panel, "draw", prompt="a park")
    tried = explorer.tried("S003", "a park")
    assert panel.shown["new"]["prompt"] == "a park"
    sent = base64.b64decode(panel.shown["new"]["pictures"][1].partition(",")[2])
    assert sent == tried.pictures[1]
    assert [one["words"] for one in panel.shown["scores"]] == [
        one.words for one in changes(tried, explorer.landscape("S003", "as recorded"))
    ]
    ask(panel, "add", name="park", prompt="a park")
    assert panel.scenarios == ["as recorded", "park"]
    assert panel.run["pending"] == 16
    panel.observe(
        lambda change: panel._asked(panel, {"ask": "cancel"}, []) if change.new["done"] else None, "run"
    )
    ask(panel, "run")
    panel.unobserve_all("run")
    assert panel.said["text"].startswith("Cancelled: ")
    left = panel.run["pending"]
    assert 0 < left < 16
    ask(panel, "run")
    assert panel.said == {"text": "All 16 landscapes are done.", "error": False}
    assert panel.run["pending"] == 0
    assert not panel.run["going"]
    panel.against = "park"
    panel.wait()
    values = np.array(panel.dots["values"])
    expected = open_cube(explorer.study.out)["perception"].sel(scenario="park").mean("draw").T
    np.testing.assert_allclose(values, expected, atol=6e-4)


def test_the_panel_says_in_one_line_what_failed_and_goes_on(panel, monkeypatch):
    ask(panel, "draw", prompt="@no such")
    assert panel.said["error"]
    assert "column 'no such'" in panel.said["text"]
    assert "\n" not in panel.said["text"]
    ask(panel, "add", name="as recorded", prompt="x")
    assert "2 times" in panel.said["text"]
    monkeypatch.setattr(panel.explorer.study, "advance", lambda *_: 1 / 0)
    ask(panel, "run")
    assert panel.said["text"] == "ZeroDivisionError: division by zero"
    assert not panel.run["going"]
    ask(panel, "nonsense")
    ask(panel, "draw", prompt="a park")
    assert panel.shown["new"]["prompt"] == "a park"
    assert not panel.said["error"]


def test_panels_of_one_study_share_what_was_tried(panel):
    other = explore(panel.explorer.study)
    other.wait()
    assert other.explorer is panel.explorer
    other.close()


def test_only_studies_are_explored():
    with pytest.raises(InputError, match="given a str; expected a Study"):
        explore("a folder")


def test_without_the_extra_the_error_names_it(explorer, monkeypatch):
    real = builtins.__import__

    def absent(name, *more):
        if name == "anywidget":
            raise ModuleNotFoundError("No module named 'anywidget'", name="anywidget")
        return real(name, *more)

    monkeypatch.delitem(__import__("sys").modules, "soundit_geo.explorer.panel", raising=False)
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(InputError, match=r"needs anywidget.*pip install 'soundit-geo\[lab\]'"):
        explore(explorer)


@pytest.mark.slow
def test_the_explorer_bench_compares_a_try_with_a_site_of_a_run():
    words = "bench explorer --sites 2 --draws 1 --steps 2 --rounds 1"
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    tried, whole = said["seconds"].values()
    assert said["ratio"]["ratio"] == pytest.approx(tried / whole, rel=0.02)
