"""The explorer in a real JupyterLab in Chromium, with the network off: a working session, from map to scenario."""

from __future__ import annotations

import base64
import io
import re
import time

import numpy as np
import pytest
from jupyter_lab import jupyter_lab, write_notebook
from PIL import Image

from soundit_geo.cube import DONE, PENDING, open_cube
from soundit_geo.recordings import read_sites
from soundit_geo.synthetic_city.writing import write_city

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}${alert(1)} a plaza"
CELLS = (
    """\
import warnings; warnings.simplefilter("ignore")
import geopandas as gpd
import soundit_geo as sg
study = sg.Study("city/sites.geojson", out="study", draws=2, seed=3, steps=8, batch_size=4)
cube = study.run(progress=False)
base = {name: gpd.read_file(f"city/{name}.geojson") for name in ("coast", "roads")}
panel = sg.explore(study, base=base)""",
    "panel",
)


class Session:
    """A notebook that is open, and everything that it should not do."""

    def __init__(self, browser, address, folder):
        self.study = folder / "study"
        self.sites = read_sites(folder / "city" / "sites.geojson")
        self.errors, self.strangers, self.dialogs = [], [], []
        self.context = browser.new_context(viewport={"width": 1400, "height": 1150})
        self.context.set_default_timeout(90_000)
        self.page = page = self.context.new_page()
        page.route("**/*", lambda route: self.refuse(route, address))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(f"{address}/lab/tree/explorer.ipynb")
        self.until(
            "window.jupyterapp && jupyterapp.shell.currentWidget && jupyterapp.shell.currentWidget.sessionContext"
            " && jupyterapp.shell.currentWidget.sessionContext.session"
        )
        self.command("notebook:run-all-cells")
        page.wait_for_selector(".sx-now img")

    def refuse(self, route, address):
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            self.strangers.append(route.request.url)
            route.abort()

    def command(self, name, **arguments):
        self.page.evaluate(
            "([name, given]) => { jupyterapp.commands.execute(name, given); }", [name, arguments]
        )

    def until(self, truth, seconds=90):
        end = time.monotonic() + seconds
        while not self.page.evaluate(truth):
            assert time.monotonic() < end, (truth, self.status())
            self.page.wait_for_timeout(30)

    def status(self):
        return self.page.locator(".sx-status").all_inner_texts()

    def says(self, start):
        self.until(f"document.querySelector('.sx-status').textContent.startsWith({start!r})")

    def calm(self):
        self.until("document.querySelector('.sx').getAttribute('aria-busy') === 'false'")

    def button(self, name):
        return self.page.get_by_role("button", name=name, exact=True)

    def choose(self, label, name):
        self.page.get_by_label(label, exact=True).select_option(label=name)

    def look_at(self, site):
        self.until(f"document.querySelector('.sx-now img').alt.startsWith('Now: {site},')")
        self.calm()

    def column(self, place):
        cells = self.page.locator(f".sx-scores tbody tr > :nth-child({place})").all_inner_texts()
        return [float(text) for text in cells]

    def picture(self, which):
        source = self.page.locator(f".sx-{which} img").get_attribute("src")
        return base64.b64decode(source.removeprefix("data:image/png;base64,"))

    def check_now(self, site, scenario):
        """What is shown on the left is what the cube holds."""
        cell = open_cube(self.study).sel(site=site, scenario=scenario)
        assert self.column(2) == [float(f"{one:.2f}") for one in cell["perception"].mean("draw").to_numpy()]
        assert self.picture("now") == (self.study / cell["picture"].to_numpy()[0]).read_bytes()
        assert self.page.locator(".sx-now q").inner_text() == (cell["prompt"].item() or "the sound alone")

    def on_screen(self, site):
        """Where a site is drawn: centred, degrees of longitude as long as they are, 22 pixels of edge."""
        lon, lat = self.sites.geometry.x, self.sites.geometry.y
        box = self.page.locator(".sx-canvas").bounding_box()
        squeeze = np.cos(np.radians((lat.min() + lat.max()) / 2))
        scale = min((box["width"] - 44) / (np.ptp(lon) * squeeze), (box["height"] - 44) / np.ptp(lat))
        x = box["width"] / 2 + (lon[site] - (lon.min() + lon.max()) / 2) * squeeze * scale
        y = box["height"] / 2 - (lat[site] - (lat.min() + lat.max()) / 2) * scale
        return {"x": x, "y": y}

    def quiet(self):
        assert self.errors == []
        assert self.strangers == []
        assert self.dialogs == []


@pytest.fixture(scope="module")
def session(chromium, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    write_city(folder / "city", 5, 2, workers=1)
    write_notebook(folder / "explorer.ipynb", *CELLS)
    with jupyter_lab(folder) as address:
        one = Session(chromium, address, folder)
        yield one
        one.context.close()


def test_a_session_from_the_map_to_a_scenario_for_all_sites(session):
    page = session.page
    session.look_at("S001")
    session.check_now("S001", "as recorded")
    assert page.locator(".sx-badge").inner_text() == "stand-in model: synthetic city"
    assert "seed 3" in page.locator(".sx-foot").inner_text()

    # a site is picked on the map, by keyboard, from the list
    page.locator(".sx-canvas").click(position=session.on_screen("S003"))
    session.look_at("S003")
    session.check_now("S003", "as recorded")
    page.locator(".sx-canvas").press("ArrowRight")
    session.look_at("S004")
    session.choose("Site", "S002")
    session.look_at("S002")

    # a prompt that a careless page would run is text
    prompt = page.get_by_label("Scene prompt")
    prompt.fill(HOSTILE)
    prompt.press("Enter")
    session.says("S002 is drawn")
    assert page.locator(".sx-new q").inner_text() == HOSTILE
    assert page.locator(".sx-new img").count() == 1

    # a prompt is drawn beside what is there
    prompt.fill("a park")
    session.button("Draw").click()
    session.says("S002 is drawn: a park.")
    session.check_now("S002", "as recorded")
    assert page.locator(".sx-new q").inner_text() == "a park"
    tried = {"scores": session.column(3), "picture": session.picture("new")}
    words = page.locator(".sx-words").all_inner_texts()
    for change, now, new in zip(words, session.column(2), tried["scores"], strict=True):
        size = re.match(r"(\d+\.\d\d) ± \d+\.\d\d points (less)?", change)
        assert change.startswith("no change") or abs(abs(new - now) - float(size[1])) < 0.011
        assert change.startswith("no change") or (new < now) == (" less " in change)
    first = session.picture("new")
    session.button("Next draw").click()
    assert session.picture("new") != first
    assert page.locator(".sx-leaf").inner_text().strip().split("\n")[1] == "draw 2 of 2"
    session.button("Previous draw").click()

    # it becomes a scenario, and is run
    page.get_by_label("Keep this prompt as").fill("green <b>park</b>")
    session.button("Add as scenario").click()
    session.says("green <b>park</b> is a scenario now.")
    session.button("Run for all sites (10)").click()
    session.says("All 20 landscapes are done.")
    cube = open_cube(session.study)
    assert list(cube["scenario"].to_numpy()) == ["as recorded", "green <b>park</b>"]
    assert (cube["status"] == DONE).all()
    ran = cube.sel(site="S002", scenario="green <b>park</b>")
    np.testing.assert_allclose(tried["scores"], ran["perception"].mean("draw"), atol=0.1)
    both = [
        Image.open(session.study / ran["picture"].to_numpy()[0]),
        Image.open(io.BytesIO(tried["picture"])),
    ]
    assert np.abs(np.subtract(*(np.asarray(one, int) for one in both))).max() <= 4
    session.choose("Compare with", "green <b>park</b>")
    session.until("document.querySelector('.sx-now figcaption span').textContent.includes('park')")
    session.calm()
    session.check_now("S002", "green <b>park</b>")
    session.quiet()


def test_a_run_is_cancelled_and_goes_on(session):
    page = session.page
    page.get_by_label("Scene prompt").fill("a container harbour")
    session.button("Draw").click()
    session.says("S002 is drawn: a container harbour.")
    page.get_by_label("Keep this prompt as").fill("harbour")
    session.button("Add as scenario").click()
    session.says("harbour is a scenario now.")
    session.button("Run for all sites (10)").click()
    session.until("document.querySelector('.sx progress').value > 20")
    assert page.locator(".sx progress").get_attribute("max") == "30"
    session.button("Cancel").click()
    session.says("Cancelled: ")
    kept = int(re.search(r"Cancelled: (\d+) of 30", session.status()[0])[1])
    cube = open_cube(session.study)
    assert 20 < kept < 30
    assert int((cube["status"] == DONE).sum()) == kept
    assert int((cube["status"] == PENDING).sum()) == 30 - kept
    assert not session.button("Cancel").is_visible()
    session.button(f"Run for all sites ({30 - kept})").click()
    session.says("All 30 landscapes are done.")
    assert (open_cube(session.study)["status"] == DONE).all()
    session.quiet()


def test_what_fails_is_said_in_the_panel(session):
    session.page.get_by_label("Scene prompt").fill("@no such column")
    session.button("Draw").click()
    session.until("document.querySelector('.sx-status').classList.contains('sx-error')")
    assert "takes its prompts from the column 'no such column'" in session.status()[0]
    session.quiet()


def test_the_panel_follows_the_theme_and_the_width(session):
    page = session.page
    assert page.locator(".sx.sx-dark").count() == 0
    session.command("apputils:change-theme", theme="JupyterLab Dark")
    page.wait_for_selector(".sx.sx-dark")
    for width in (360, 760, 1400):
        page.locator(".sx-room").evaluate("(room, width) => { room.style.width = `${width}px`; }", width)
        page.wait_for_timeout(100)
        room, wide = page.locator(".sx").evaluate("(panel) => [panel.clientWidth, panel.scrollWidth]")
        assert wide <= room
    session.quiet()
