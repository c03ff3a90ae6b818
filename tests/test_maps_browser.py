"""The saved map in a real Chromium with the network off: what it shows is what the cube holds."""

from __future__ import annotations

import base64
import io
import re
import time
import urllib.parse

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import soundfile as sf
import xarray as xr
from fake_study import fake_base, fake_cube, fake_picture, fake_sites
from hostile_text import HOSTILE
from PIL import Image

from soundit_geo import cube as cubes
from soundit_geo.classes import PERCEPTIONS, PLACES365
from soundit_geo.lab.bench_maps import made_up_cube
from soundit_geo.maps import site_map
from soundit_geo.pss.indicators import indicator
from soundit_geo.scenarios import difference

pytestmark = pytest.mark.browser

VARIABLE, SCENARIO_A, SCENARIO_B = (
    '[aria-label="Variable"]',
    '[aria-label="Scenario A"]',
    '[aria-label="Scenario B"]',
)
RECORDED, PLAZA = "as recorded", "plaza"
PLANTED = """() => document.querySelectorAll(`[onerror], [onload], [onmouseover], iframe, base, form,
    .soundit script, .soundit style, .soundit link, .soundit a[href^=javascript]`).length"""


class Watch:
    """A page, and everything that it should not do."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        self.context.set_default_timeout(120_000)  # milliseconds; a busy machine
        self.page = self.context.new_page()
        self.errors, self.requests, self.dialogs = [], [], []
        self.page.route("**/*", self.refuse)
        self.page.on(
            "console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", self.note)

    def refuse(self, route):
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            self.requests.append(route.request.url)
            route.abort()

    def note(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def open(self, folder, cube, **options):
        site_map(cube, folder=folder, **options).save(folder / "map.html")
        return self.go(folder / "map.html")

    def go(self, path, fragment=""):
        self.page.goto(path.as_uri() + fragment)
        until(self.page, "window.soundit && soundit.apps.length === 1")
        return self.page

    def quiet(self):
        assert self.errors == []
        assert self.requests == []
        assert self.dialogs == []


@pytest.fixture
def watch(chromium):
    made = []

    def start(**options):
        made.append(Watch(chromium, **options))
        return made[-1]

    yield start
    for one in made:
        one.context.close()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study with all that a map can show: a failed site, photos, PSS, three draws, a surface."""
    folder = tmp_path_factory.mktemp("study")
    cube = fake_cube(folder, draws=3, failed=["site 03"], attrs={"created": "2026-01-02"})
    fake_picture(np.random.default_rng(99), green=True, size=200).save(folder / "photo.png")
    cube["photo"][:] = "photo.png"
    rng = np.random.default_rng(5)
    for name in ("pss_element", "pss_perception"):
        cube[name][:] = np.where(
            cube["status"] == cubes.DONE, rng.uniform(0.2, 0.9, cube[name].shape), np.nan
        )
    return folder, cube


@pytest.fixture(scope="module")
def surface():
    """Two surfaces that lean to the east, as spatial.surface labels them."""
    axis = np.linspace(-0.024, 0.024, 13)
    values = 5 + 100 * np.tile(axis, (13, 1))
    grid = xr.DataArray(values, coords={"lat": axis, "lon": axis}, dims=("lat", "lon"))
    return [(grid + k).assign_coords(scenario=name) for k, name in enumerate((RECORDED, PLAZA))]


@pytest.fixture(scope="module")
def shared(chromium, study, surface):
    one = Watch(chromium, accept_downloads=True)
    folder, cube = study
    one.open(folder, cube, base=fake_base(), surfaces={"lively": surface})
    yield one
    one.context.close()


@pytest.fixture
def page(shared):
    """The one page of most tests, as it was when it was opened."""
    shared.page.keyboard.press("Escape")
    shared.page.mouse.move(5, 5)
    shared.page.evaluate(
        """() => { history.replaceState(null, "", location.pathname); const app = soundit.apps[0];
        document.querySelectorAll(".soundit-window").forEach((node) => node.remove());
        app.sharing.read(); app.setTheme(null); app.table.sort = {by: "name", down: false};
        app.table.update(); app.fit(); }"""
    )
    yield shared.page
    shared.quiet()


def until(page, truth, seconds=60):
    """Wait for something to become true. The page's policy forbids the eval of Playwright's own waiting."""
    end = time.monotonic() + seconds
    while not page.evaluate(truth):
        assert time.monotonic() < end, truth
        page.wait_for_timeout(30)


def view(page, name):
    page.get_by_role("radio", name=name, exact=True).check(force=True)


def positions(page, lon, lat, second=False):
    """Where places are on the screen, by Leaflet's own projection: (n, 2) in pixels."""
    found = page.evaluate(
        f"""(places) => {{
            const map = soundit.apps[0].{"second" if second else "map"};
            const box = map.getContainer().getBoundingClientRect();
            return places.map((place) => {{
                const p = map.latLngToContainerPoint(place);
                return [box.left + p.x, box.top + p.y];
            }});
        }}""",
        np.c_[np.asarray(lat), np.asarray(lon)].tolist(),
    )
    return np.array(found, dtype=float)


def screen_of(page):
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), dtype=int)


def at(screen, places):
    return np.array([screen[round(y), round(x)] for x, y in places])


def promised(page, values, table="SEQUENTIAL"):
    """The colours that the legend promises for values, computed here."""
    low, high = (float(page.get_attribute(".soundit-legend", f"data-{end}")) for end in ("low", "high"))
    stops = np.array(
        [[int(one[k : k + 2], 16) for k in (1, 3, 5)] for one in page.evaluate(f"soundit.{table}")]
    )
    place = (np.asarray(values, dtype=float) - low) / (high - low)
    return np.stack([np.interp(place, np.linspace(0, 1, len(stops)), stops[:, k]) for k in range(3)], axis=-1)


def apart(places, least=26):
    """Sites whose dot no other dot covers."""
    gaps = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(len(places)) * 1e9
    return np.flatnonzero(gaps.min(axis=1) > least)


def check_colours(page, cube, values, table="SEQUENTIAL", *, second=False, within=None):
    places, values = positions(page, cube["lon"], cube["lat"], second), np.asarray(values)
    some = [i for i in apart(places) if np.isfinite(values[i]) and (within is None or within(places[i]))]
    assert len(some) >= 3
    seen, expected = at(screen_of(page), places[some]), promised(page, values[some], table)
    assert np.abs(seen - expected).max() <= 4, (seen, expected)
    return some


def uncovered(page, cube, places):
    """Which places lie clear of dots and labels."""
    dots = positions(page, cube["lon"], cube["lat"])
    boxes = page.locator(".soundit-label").evaluate_all(
        """(nodes) => nodes.map((node) => { const box = node.getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2, box.width / 2, box.height / 2]; })"""
    )
    far = np.linalg.norm(places[:, None] - dots[None], axis=-1).min(axis=1) > 9
    middle, half = np.split(np.array(boxes), 2, axis=1)
    return far & (np.abs(places[:, None] - middle) > half + 6).any(axis=-1).all(axis=1)


def mean(cube, scenario, name):
    return cubes.to_geodataframe(cube, scenario, elements=["tree"])[name].to_numpy()


def listed(page):
    return page.locator(".soundit-sites tbody th button").all_inner_texts()


def test_the_page_opens_without_network_errors_or_dialogs_and_says_where_it_comes_from(page):
    assert page.title() == "A fake study"
    foot = page.locator("footer")
    assert foot.is_visible()
    assert "stand-in model: synthetic city" in foot.inner_text()
    assert "seed 0" in foot.inner_text()
    labels = page.locator(".soundit-label").evaluate_all("nodes => nodes.map(node => node.textContent)")
    assert {"Old Town", "Long Meadow"} <= set(labels)


def test_switching_variable_and_scenario_changes_colours_and_legend_to_the_cubes(page, study):
    cube = study[1]
    legend = page.locator(".soundit-legend")
    check_colours(page, cube, mean(cube, RECORDED, "lively"))
    assert "0–10, higher is livelier" in legend.inner_text()
    assert "1 failed" in legend.inner_text()
    failed = positions(page, cube["lon"][3:4], cube["lat"][3:4])
    assert at(screen_of(page), failed)[0].min() > 240  # hollow
    page.select_option(VARIABLE, label="Boring")
    check_colours(page, cube, mean(cube, RECORDED, "boring"))
    assert "0–10, higher is more boring" in legend.inner_text()
    page.select_option(SCENARIO_A, label=PLAZA)
    check_colours(page, cube, mean(cube, PLAZA, "boring"))
    assert PLAZA in legend.inner_text()
    page.select_option(VARIABLE, label="Green")
    green = indicator("green", np.nan_to_num(cube["element_share"].sel(scenario=PLAZA))).mean(axis=1)
    check_colours(page, cube, np.where(np.isnan(mean(cube, PLAZA, "safe")), np.nan, green))
    assert "the green view index" in legend.inner_text()
    assert "%" in legend.inner_text()
    page.select_option(VARIABLE, value=str(page.evaluate("soundit.apps[0].data.place('pss_perception')")))
    check_colours(page, cube, cube["pss_perception"].sel(scenario=PLAZA).mean("draw"))
    assert "lower is more alike" in legend.inner_text()
    view(page, "B")
    page.select_option(SCENARIO_B, label=RECORDED)
    page.select_option(VARIABLE, label="Tree")
    check_colours(page, cube, mean(cube, RECORDED, "share_tree"))


def test_scenes_are_classes_with_names_and_can_be_left_out(page, study):
    cube = study[1]
    page.select_option(VARIABLE, label="Scene")
    layer = cube.sel(scenario=RECORDED)
    best = []
    for site in range(12):
        total = pd.Series(layer["scene_probability"][site].to_numpy().ravel()).groupby(
            layer["scene_class"][site].to_numpy().ravel()
        )
        best.append(int(total.sum().idxmax()))
    cells = page.locator(".soundit-sites tbody td").all_inner_texts()
    words = [PLACES365[k].replace("/", ", ").replace("_", " ") if k >= 0 else "failed" for k in best]
    assert [cell.strip() for cell in cells] == words
    buttons = page.locator(".soundit-classes button")
    assert buttons.count() == len(set(words) - {"failed"})
    wanted = buttons.first.locator("span").inner_text()
    buttons.first.click()
    assert listed(page) == [f"site {k:02d}" for k, word in enumerate(words) if word == wanted]
    page.get_by_role("button", name="Show all").click()
    assert len(listed(page)) == 12


def test_the_difference_is_centred_on_nothing_and_equals_the_cubes(page, study):
    cube = study[1]
    page.select_option(VARIABLE, label="Beautiful")
    page.select_option(SCENARIO_A, label=PLAZA)
    page.select_option(SCENARIO_B, label=RECORDED)
    view(page, "A − B")
    low, high = (float(page.get_attribute(".soundit-legend", f"data-{end}")) for end in ("low", "high"))
    assert low == -high
    change = difference(cube, PLAZA, RECORDED)["perception"].sel(percept="beautiful").to_numpy()
    assert np.nanmax(np.abs(change)) <= high
    check_colours(page, cube, change, "DIVERGING")
    assert f"{PLAZA} − {RECORDED}" in page.locator(".soundit-legend").inner_text()
    page.get_by_role("button", name="Swap A and B").click()
    check_colours(page, cube, -change, "DIVERGING")


def test_the_mask_leaves_the_sites_that_scenarios_difference_calls_significant(page, study):
    cube = study[1]
    judged = difference(cube, RECORDED, PLAZA)
    by_size = judged["perception_significant"].sum("site").to_series()
    name = next(name for name in PERCEPTIONS if 0 < by_size[name] < 11)
    sure = judged["perception_significant"].sel(percept=name).to_numpy()
    page.select_option(VARIABLE, label=name.capitalize())
    view(page, "A − B")
    page.get_by_label("Only where the change is significant").check()
    assert listed(page) == [f"site {k:02d}" for k in np.flatnonzero(sure)]
    assert f"{sure.sum()} site" in page.locator(".soundit-card").inner_text()
    change = judged["perception"].sel(percept=name).to_numpy()
    places = positions(page, cube["lon"], cube["lat"])
    free = apart(places)
    off = np.abs(at(screen_of(page), places[free]) - promised(page, change[free], "DIVERGING")).max(axis=1)
    assert (off[sure[free]] <= 4).all()
    assert (off[~sure[free]] > 4).any()


def test_uncertainty_is_the_standard_error_over_draws(page, study):
    cube = study[1]
    page.get_by_role("radio", name="Uncertainty: standard error over draws").check(force=True)
    error = cube["perception"].sel(scenario=RECORDED, percept="lively").std("draw", ddof=1) / np.sqrt(3)
    check_colours(page, cube, error, "UNCERTAIN")
    assert "standard error over draws" in page.locator(".soundit-legend").inner_text()
    view(page, "A − B")
    error = difference(cube, RECORDED, PLAZA)["perception_se"].sel(percept="lively")
    check_colours(page, cube, error, "UNCERTAIN")


def test_side_by_side_shows_both_scenarios_and_moves_them_together(page, study):
    cube = study[1]
    view(page, "Side by side")
    check_colours(page, cube, mean(cube, RECORDED, "lively"))
    check_colours(page, cube, mean(cube, PLAZA, "lively"), second=True)
    where = """() => [soundit.apps[0].map, soundit.apps[0].second]
        .map(map => [map.getZoom(), map.getCenter().lat, map.getCenter().lng])"""
    before = page.evaluate(where)
    boxes = [page.locator(".soundit-maps > div").nth(k).bounding_box() for k in (0, 1)]
    assert boxes[0]["width"] == pytest.approx(boxes[1]["width"], abs=4)
    for box in boxes:  # drag in either map, zoom in either map
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] - 80
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 90, y - 60, steps=4)
        page.mouse.up()
        page.mouse.wheel(0, -240)
        page.wait_for_timeout(500)
        one, two = page.evaluate(where)
        assert one == pytest.approx(two, abs=4e-5)  # two pixels at most
        assert one != pytest.approx(before[0], abs=4e-5)
        before = [one, two]
    page.get_by_role("button", name="All sites").click()
    check_colours(page, cube, mean(cube, PLAZA, "lively"), second=True)


def test_the_swipe_shows_a_on_one_side_of_its_edge_and_b_on_the_other(page, study):
    cube = study[1]
    view(page, "Swipe")
    edge = page.get_by_role("slider", name="Edge between A and B")
    for press, share in (("", 0.5), ("ArrowRight", 0.52), ("Home", 0.0), ("End", 1.0)):
        edge.focus()
        if press:
            page.keyboard.press(press)
        box = page.locator(".soundit-stage").bounding_box()
        x = box["x"] + share * box["width"]
        assert page.evaluate("soundit.apps[0].state.swipe") == pytest.approx(share)
        if share > 0:
            check_colours(page, cube, mean(cube, RECORDED, "lively"), within=lambda p, x=x: p[0] < x - 25)
        if share < 1:
            check_colours(page, cube, mean(cube, PLAZA, "lively"), within=lambda p, x=x: p[0] > x + 25)
    page.mouse.move(box["x"] + box["width"] - 3, 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], 300, steps=3)
    page.mouse.up()
    assert page.evaluate("soundit.apps[0].state.swipe") == pytest.approx(0.3, abs=0.01)


def test_hexagons_are_the_means_that_h3_and_pandas_find(page, study):
    import h3

    cube = study[1]
    page.get_by_role("radio", name="Hexagons").check(force=True)
    for size in (0, 1):
        page.select_option('[aria-label="Size of the hexagons"]', value=str(size))
        resolution = page.evaluate(f"soundit.apps[0].data.hexagons[{size}].resolution")
        where = zip(cube["lat"].to_numpy(), cube["lon"].to_numpy(), strict=True)
        cell = [h3.latlng_to_cell(*map(float, place), resolution) for place in where]
        table = pd.Series(mean(cube, RECORDED, "lively")).groupby(cell)
        means = table.mean().dropna()
        lat, lon = np.array([h3.cell_to_latlng(name) for name in means.index]).T
        places = positions(page, lon, lat)
        free = np.flatnonzero(uncovered(page, cube, places))
        box = page.locator(".soundit-stage").bounding_box()
        inside = [
            k for k in free if box["x"] + 9 < places[k, 0] < 1380 and 9 < places[k, 1] < box["height"] - 60
        ]
        assert inside
        seen = at(screen_of(page), places[inside])
        assert np.abs(seen - promised(page, means.iloc[inside])).max() <= 4
    page.mouse.move(*map(float, places[inside[0]]))
    tip = page.locator(".soundit-tip").inner_text()
    count = int(table.count()[means.index[inside[0]]])
    assert tip.startswith(f"mean of {count} site")
    assert float(re.search(r"[\d.]+$", tip)[0]) == pytest.approx(means.iloc[inside[0]], abs=0.051)


def test_a_surface_is_drawn_where_and_as_its_grid_says(page, study, surface):
    page.get_by_role("radio", name="Surface").check(force=True)
    cube, grid = study[1], surface[0]
    lon, lat = (one.ravel() for one in np.meshgrid(grid["lon"][2:-2], grid["lat"][3:-3]))
    places = positions(page, lon, lat)
    free = uncovered(page, cube, places)
    assert free.sum() >= 3
    row = grid[0, 2:-2].to_numpy()
    for name, values in (("A", row), ("B", row + 1)):
        view(page, name)
        expected = promised(page, np.tile(values, len(grid["lat"]) - 6)[free])
        assert np.abs(at(screen_of(page), places[free]) - expected).max() <= 4
    page.select_option(VARIABLE, label="Safe")  # which has none
    assert page.get_by_role("radio", name="Surface").is_disabled()
    assert page.evaluate("soundit.apps[0].state.layer") == "points"


def test_the_histogram_counts_the_sites_and_brushing_it_filters_them(page, study):
    cube = study[1]
    values = mean(cube, RECORDED, "lively")
    low, high = (float(page.get_attribute(".soundit-legend", f"data-{end}")) for end in ("low", "high"))
    counts = np.histogram(values[np.isfinite(values)], bins=32, range=(low, high))[0]
    words = page.get_attribute(".soundit-histogram", "aria-label")
    assert [int(n) for n in re.findall(r"(\d+) from", words)] == counts[counts > 0].tolist()
    box = page.locator(".soundit-spread").bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 20, steps=4)
    page.mouse.up()
    ends = page.evaluate("soundit.apps[0].state.filter")
    assert ends == pytest.approx(
        [low + 0.25 * (high - low), low + 0.6 * (high - low)], abs=0.01 * (high - low)
    )
    inside = (values >= ends[0]) & (values <= ends[1])
    assert 0 < inside.sum() < 11
    assert listed(page) == [f"site {k:02d}" for k in np.flatnonzero(inside)]
    places = positions(page, cube["lon"], cube["lat"])
    free = [i for i in apart(places) if np.isfinite(values[i])]
    off = np.abs(at(screen_of(page), places[free]) - promised(page, values[free])).max(axis=1)
    assert (off[inside[free]] <= 4).all()
    assert (off[~inside[free]] > 4).all()
    handle = page.get_by_role("slider", name="Highest Lively shown")
    handle.focus()
    page.keyboard.press("Home")  # as low as the lowest
    assert len(listed(page)) < inside.sum()
    page.get_by_role("button", name="Show all").click()
    assert len(listed(page)) == 12


def test_the_table_of_sites_is_searched_sorted_and_shows_the_cubes_values(page, study):
    cube = study[1]
    page.select_option(VARIABLE, label="Wealthy")
    values = mean(cube, RECORDED, "wealthy")
    page.locator(".soundit-sites thead button").nth(1).click()
    order = np.argsort(np.where(np.isfinite(values), values, np.inf), kind="stable")
    assert listed(page) == [f"site {k:02d}" for k in order]
    assert page.locator(".soundit-sites thead th").nth(1).get_attribute("aria-sort") == "ascending"
    page.locator(".soundit-sites thead button").nth(1).click()
    assert listed(page)[:11] == [f"site {k:02d}" for k in order[:11][::-1]]
    page.get_by_label("Find a site").fill("SITE 07")
    rows = page.locator(".soundit-sites tbody tr")
    assert rows.count() == 1
    assert float(rows.first.locator("td").inner_text()) == pytest.approx(values[7], abs=0.0501)
    page.get_by_label("Find a site").fill("nowhere")
    assert "No site of that name" in page.locator(".soundit-list").inner_text()


def test_a_site_opens_with_pictures_to_wipe_its_scores_and_its_origin(page, study):
    folder, cube = study
    page.select_option(SCENARIO_A, label=PLAZA)
    page.select_option(SCENARIO_B, label=RECORDED)
    page.mouse.click(*map(float, positions(page, cube["lon"], cube["lat"])[5]))
    panel = page.locator(".soundit-panel")
    assert panel.locator("h2").inner_text() == "site 05"
    assert "a pedestrian plaza with trees" in panel.inner_text()
    assert "the sound alone" in panel.inner_text()
    assert "seed 0, draw 1" in panel.inner_text()
    pictures = {
        letter: np.asarray(
            Image.open(folder / cube["picture"].sel(site="site 05", scenario=name).to_numpy()[0]), dtype=int
        )
        for letter, name in (("A", PLAZA), ("B", RECORDED))
    }
    until(page, "[...document.querySelectorAll('.soundit-wipe img')].every((one) => one.complete)")
    wipe = page.get_by_label("Wipe between A and B")

    def looks_like(letters):
        box, screen = page.locator(".soundit-wipe").bounding_box(), screen_of(page)
        for part, letter in zip((0.2, 0.8), letters, strict=True):
            for down in (
                0.015,
                0.985,
            ):  # sky and ground, of one colour each; 4:3 shows the middle of a square
                seen = screen[round(box["y"] + down * box["height"]), round(box["x"] + part * box["width"])]
                picture = pictures[letter]
                row = round((0.125 + 0.75 * down) * 128)
                assert np.abs(seen - picture[row, round(part * 128)]).max() < 16, (letters, part, down)

    looks_like("AB")
    wipe.focus()
    page.keyboard.press("End")
    looks_like("AA")
    page.keyboard.press("Home")
    looks_like("BB")
    source = panel.locator("img").first.get_attribute("src")
    page.get_by_role("radio", name="Draw 2").check(force=True)
    assert panel.locator("img").first.get_attribute("src") != source
    assert "draw 2" in panel.inner_text()
    page.get_by_role("radio", name="A | Photo").check(force=True)
    assert "Photo of site 05" in panel.locator("img").nth(1).get_attribute("alt")

    table = panel.locator(".soundit-perception table tbody tr")
    halves = 4.302653 * cube["perception"].std("draw", ddof=1) / np.sqrt(3)
    judged = difference(cube, PLAZA, RECORDED)
    for k, name in enumerate(PERCEPTIONS):
        cells = table.nth(k).locator("td").all_inner_texts()
        for cell, scenario in zip(cells, (PLAZA, RECORDED), strict=False):
            value, half = (float(text) for text in re.findall(r"[\d.]+", cell))
            assert value == pytest.approx(mean(cube, scenario, name)[5], abs=0.0501)
            assert half == pytest.approx(
                float(halves.sel(site="site 05", scenario=scenario, percept=name)), abs=0.06
            )
        change = float(judged["perception"].sel(site="site 05", percept=name))
        assert float(re.search(r"[+−]?[\d.]+", cells[2])[0].replace("−", "-")) == pytest.approx(
            change, abs=0.051
        )
        star = bool(judged["perception_significant"].sel(site="site 05", percept=name))
        assert ("*" in cells[2]) == star
    assert "Lively A" in panel.locator(".soundit-radar").get_attribute("aria-label")
    assert panel.locator(".soundit-radar .soundit-a line").count() == 6
    shares = cube["element_share"].sel(site="site 05", scenario=PLAZA).mean("draw").to_series().nlargest(4)
    lines = panel.locator(".soundit-seen ol").nth(1).locator("li").all_inner_texts()
    assert [line.split("\n")[0] for line in lines] == shares.index.tolist()


def test_the_sound_plays_and_its_spectrogram_shows(page):
    page.get_by_role("button", name="site 05").click()
    assert page.evaluate("document.querySelector('.soundit-panel audio').readyState") == 0  # loads when asked
    image = ".soundit-spectrogram img"
    until(page, f"document.querySelector('{image}').naturalWidth > 50")
    page.evaluate("() => { document.querySelector('.soundit-panel audio').play(); }")
    until(page, "document.querySelector('.soundit-panel audio').currentTime > 0.05")
    assert page.evaluate("document.querySelector('.soundit-panel audio').duration") == pytest.approx(
        1, abs=0.05
    )
    until(page, "!document.querySelector('.soundit-spectrogram i').hidden")


def test_a_failed_site_says_why(page):
    page.get_by_role("button", name="site 03").click()
    assert "site 03.wav is silent" in page.get_by_role("alert").inner_text()


def test_the_keyboard_reaches_controls_sites_and_panel(page):
    page.locator(VARIABLE).focus()
    before = page.locator(".soundit-legend h2").inner_text()
    page.keyboard.press("ArrowDown")
    assert page.locator(".soundit-legend h2").inner_text() != before
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("soundit.apps[0].state.view") == "b"
    page.get_by_role("button", name="site 00").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    heading = page.locator(".soundit-panel h2")
    assert heading.inner_text() == "site 02"
    page.keyboard.press("ArrowRight")
    assert heading.inner_text() == "site 03"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert heading.inner_text() == "site 01"
    page.keyboard.press("Escape")
    assert not page.locator(".soundit-panel").is_visible()
    assert re.match("site", page.evaluate("document.activeElement.textContent"))
    unnamed = """() => [...document.querySelectorAll("button, input, select, [role=slider], [role=application]")]
        .filter((node) => node.offsetParent && !(node.getAttribute("aria-label") || node.textContent.trim()
            || (node.labels && node.labels.length)))
        .map((node) => node.outerHTML)"""
    assert page.evaluate(unnamed) == []


def test_a_link_restores_what_was_shown(page, study, watch):
    folder = study[0]
    page.select_option(VARIABLE, label="Boring")
    page.select_option(SCENARIO_A, label=PLAZA)
    page.select_option(SCENARIO_B, label=RECORDED)
    view(page, "Swipe")
    page.get_by_role("slider", name="Edge between A and B").focus()
    page.keyboard.press("ArrowLeft")
    handle = page.get_by_role("slider", name="Lowest Boring shown")
    handle.focus()
    page.keyboard.press("PageUp")
    page.get_by_role("button", name="site 0", exact=False).last.click()
    page.get_by_role("radio", name="Draw 3").check(force=True)
    page.get_by_label("Find a site").fill("site 0")
    page.evaluate(
        """() => { const app = soundit.apps[0]; app.touched = true;
        app.map.setView([0.002, 0.003], 14, {animate: false}); }"""
    )
    page.get_by_role("button", name="Share this view").click()
    link = page.get_by_label("Link to this view").input_value()
    page.keyboard.press("Escape")
    assert page.url == link
    state = """() => { const app = soundit.apps[0], c = app.map.getCenter();
        return {...app.state, find: app.table.search.value, at: [c.lat, c.lng, app.map.getZoom()],
        listed: app.table.order}; }"""
    before = page.evaluate(state)
    other = watch()
    again = other.go(folder / "map.html", "#" + link.partition("#")[2])
    after = again.evaluate(state)
    assert after.pop("filter") == pytest.approx(before.pop("filter"), rel=1e-5)
    assert after.pop("at") == pytest.approx(before.pop("at"), abs=9e-5)  # a pixel
    assert after == before
    assert again.locator(".soundit-panel h2").inner_text() == page.locator(".soundit-panel h2").inner_text()
    for nonsense in ("#variable=loudness&view=x&filter=a~b&at=1~2&site=nobody&swipe=9", "#%E0%A4%A&=&a=%"):
        again.goto("about:blank")
        other.go(folder / "map.html", nonsense)
        assert again.evaluate("soundit.apps[0].state.view") == "a"
    other.quiet()


def test_the_exported_table_equals_the_cube(page, study):
    cube = study[1]
    page.select_option(SCENARIO_A, label=PLAZA)
    page.select_option(SCENARIO_B, label=RECORDED)
    page.get_by_role("button", name="Save what is shown").click()
    with page.expect_download() as found:
        page.get_by_role("button", name="CSV").click()
    table = pd.read_csv(found.value.path(), index_col="site", encoding="utf-8-sig")
    assert found.value.suggested_filename == "lively.csv"
    assert table.index.tolist() == cube["site"].to_numpy().tolist()
    np.testing.assert_allclose(
        table[["longitude", "latitude"]], np.c_[cube["lon"], cube["lat"]], atol=0.51e-7
    )
    judged = difference(cube, PLAZA, RECORDED).sel(percept="lively")
    scale = 10 / 131_000
    for column, scenario in (("a", PLAZA), ("b", RECORDED)):
        assert set(table[f"scenario_{column}"]) == {scenario}
        np.testing.assert_allclose(table[column], mean(cube, scenario, "lively"), rtol=0, atol=scale)
        error = cube["perception"].sel(scenario=scenario, percept="lively").std("draw", ddof=1) / np.sqrt(3)
        np.testing.assert_allclose(table[f"{column}_se"], error, rtol=0, atol=0.004 * float(error.max()) * 3)
    np.testing.assert_allclose(table["a_minus_b"], judged["perception"], rtol=0, atol=2 * scale)
    error = judged["perception_se"]
    np.testing.assert_allclose(table["a_minus_b_se"], error, rtol=0, atol=0.004 * float(error.max()))
    assert (table["significant"] == "yes").tolist() == judged["perception_significant"].to_numpy().tolist()
    origin = {"model": "synthetic-city", "judges": "synthetic-city", "seed": 0, "created": "2026-01-02"}
    for column, said in {**origin, "evidence": "stand-in model: synthetic city"}.items():
        assert set(table[column]) == {said}


def test_the_exported_picture_holds_the_map_and_its_legend(page, study):
    cube = study[1]
    places = positions(page, cube["lon"], cube["lat"])
    page.get_by_role("button", name="Save what is shown").click()
    with page.expect_download() as found:
        page.get_by_role("button", name="PNG").click()
    sheet = np.asarray(Image.open(found.value.path()).convert("RGB"), dtype=int)
    box = page.locator(".soundit-stage").bounding_box()
    assert sheet.shape[1] == pytest.approx(2 * box["width"], abs=2)
    values = mean(cube, RECORDED, "lively")
    some = [i for i in apart(places) if np.isfinite(values[i])]
    on_sheet = [(2 * (x - box["x"]), 2 * (y - box["y"] + 44)) for x, y in places[some]]
    assert np.abs(at(sheet, on_sheet) - promised(page, values[some])).max() <= 4
    bar = sheet[round(2 * (box["height"] + 44 + 51)), 30 : 2 * 300 : 8]
    assert len(np.unique(bar, axis=0)) > 40  # the legend's colours


def test_the_theme_follows_the_system_and_the_switch(page, study, shared):
    cube = study[1]
    brightness = lambda: float(np.median(screen_of(page).mean(axis=-1)))  # noqa: E731
    assert brightness() > 180
    page.get_by_role("button", name="Light or dark").click()
    assert brightness() < 70
    check_colours(page, cube, mean(cube, RECORDED, "lively"))
    page.get_by_role("button", name="Light or dark").click()
    assert brightness() > 180
    page.evaluate("() => soundit.apps[0].setTheme(null)")
    shared.page.emulate_media(color_scheme="dark")
    until(page, "soundit.apps[0].dark")
    assert brightness() < 70
    contrast = """() => {
        const lum = (c) => { const v = c.map((x) => { x /= 255;
            return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4; });
            return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
        const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number), out = [];
        const left = ".leaflet-container, .soundit-unseen, label:has(:disabled), .soundit-spectrogram, .soundit-wipe";
        for (const node of document.querySelectorAll(".soundit *")) {
            const said = [...node.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
            if (!node.offsetParent || !said || node.closest(left)) continue;
            let behind = node, ground = rgb(getComputedStyle(node).backgroundColor);
            while (ground[3] === 0) {
                behind = behind.parentElement;
                ground = rgb(getComputedStyle(behind).backgroundColor);
            }
            const [a, b] = [rgb(getComputedStyle(node).color), ground].map((colour) => lum(colour.slice(0, 3)));
            const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
            if (ratio < 4.5) out.push([node.className, node.textContent.slice(0, 30), ratio]);
        }
        return out;
    }"""
    page.get_by_role("button", name="site 05").click()
    assert page.evaluate(contrast) == []
    shared.page.emulate_media(color_scheme="light")
    until(page, "!soundit.apps[0].dark")
    assert page.evaluate(contrast) == []


def test_sites_at_one_place_can_each_be_reached(watch, tmp_path):
    names = [f"alone {k}" for k in range(2)] + [f"together {k}" for k in range(4)]
    points = fake_sites(names, tmp_path).geometry.to_list()
    sites = fake_sites(names, tmp_path).set_geometry([points[0], points[1], *[points[2]] * 4], crs=4326)
    made = watch()
    page = made.open(tmp_path, fake_cube(tmp_path, names=names, sites=sites), media="none")
    places = page.evaluate("[...soundit.apps[0].layers[0].drawn]")
    box = page.locator(".soundit-maps").bounding_box()
    for k in range(2, 6):
        page.mouse.click(box["x"] + places[2 * k], box["y"] + places[2 * k + 1])
        assert page.locator(".soundit-panel h2").inner_text() == names[k]
        page.keyboard.press("Escape")
    page.get_by_role("button", name="together 3").click()
    here = page.locator(".soundit-here")
    assert "4 sites at this place" in here.inner_text()
    here.get_by_role("button", name="together 1").click()
    assert page.locator(".soundit-panel h2").inner_text() == "together 1"
    made.quiet()


def test_very_many_sites_are_drawn_in_the_cubes_colours(watch, tmp_path):
    cube = made_up_cube(20_500, scenarios=2, draws=1)
    made = watch()
    page = made.open(tmp_path, cube, media="none", variable="safe")
    last = cube.isel(site=slice(-40, None))  # drawn last, over the others
    values = last["perception"].sel(percept="safe", draw=0).to_numpy()
    for name, column in (("A", 0), ("B", 1)):
        view(page, name)
        check_colours(page, last, values[:, column])
    view(page, "A − B")
    check_colours(page, last, values[:, 0] - values[:, 1], "DIVERGING")
    page.mouse.click(*map(float, positions(page, last["lon"], last["lat"])[-1]))
    assert page.locator(".soundit-panel h2").inner_text() == "site 020499"
    made.quiet()


def test_media_in_a_folder_load_when_a_site_is_opened(watch, study, tmp_path):
    folder, cube = study
    made = watch()
    loaded = []
    made.page.on(
        "request", lambda request: loaded.append(urllib.parse.unquote(request.url.rpartition("/")[2]))
    )
    site_map(cube, folder=folder, media="folder").save(tmp_path / "it's <a> map.html")
    page = made.go(tmp_path / "it's <a> map.html")
    assert loaded == ["it's <a> map.html"]
    page.get_by_role("button", name="site 05").click()
    until(page, "[...document.querySelectorAll('.soundit-panel img')].every((one) => one.naturalWidth > 50)")
    page.evaluate("() => { document.querySelector('.soundit-panel audio').play(); }")
    until(page, "document.querySelector('.soundit-panel audio').currentTime > 0.05")
    assert set(loaded[1:]) == {"5-0-0.webp", "5-1-0.webp", "5-sound.webp", "5.ogg"}
    made.quiet()


def test_hostile_text_is_shown_as_typed_and_nothing_of_it_runs(watch, tmp_path):
    assert len(HOSTILE) == len(set(HOSTILE)) == 200
    rng = np.random.default_rng(0)
    points = gpd.points_from_xy(rng.uniform(-0.02, 0.02, 200), rng.uniform(-0.015, 0.015, 200))
    sites = gpd.GeoDataFrame({"audio": ""}, index=pd.Index(HOSTILE, name="site"), geometry=points, crs=4326)
    names = HOSTILE[:30]
    cube = fake_cube(
        tmp_path, names=HOSTILE, sites=sites, scenarios=dict.fromkeys(names), draws=1, pending=HOSTILE[1:]
    )
    cube["prompt"][:] = [[HOSTILE[(7 * i + j) % 200] for j in range(30)] for i in range(200)]
    cube["message"][:] = HOSTILE[::-1]
    many = " ".join(HOSTILE[:100])
    said = ("title", "model", "judges", "seed", "evidence", "created", "created_by")
    cube = cube.assign_attrs(dict.fromkeys(said, many))
    shapes = [shapely.box(-0.03 + 0.006 * k, -0.02, -0.025 + 0.006 * k, 0.02) for k in range(10)]
    base = {
        f"park {one}": gpd.GeoDataFrame(
            dict.fromkeys(("name", "fill", "stroke"), HOSTILE[k : k + 10]), geometry=shapes, crs=4326
        )
        for k, one in enumerate(HOSTILE[:10])
    }
    made = watch()
    target = tmp_path / ("it's {{7*7}} `${alert(1)}` <b onload=alert(1)> & %41 #x .html")
    site_map(cube, folder=tmp_path, base=base, media="folder", compare=(names[0], names[2])).save(target)
    page = made.go(target)
    shown = lambda text: " ".join(text.split())  # noqa: E731
    assert shown(page.title()) == shown(many)
    texts = "(nodes) => nodes.map((node) => node.textContent)"
    assert page.locator(".soundit-card h1").evaluate("node => node.textContent") == many
    page.get_by_role("button", name="100 more of 100").click()
    assert page.locator(".soundit-sites tbody th button").evaluate_all(texts) == HOSTILE
    assert page.locator(f"{SCENARIO_A} option").evaluate_all(texts) == names
    assert page.locator(".soundit-foot strong").evaluate("node => node.textContent") == many
    panels = page.evaluate(
        """() => {
            const out = [], text = (query) => {
                const node = document.querySelector(".soundit-panel " + query);
                return node && node.textContent;
            };
            for (let i = 0; i < 200; i++) {
                soundit.apps[0].panel.open(i);
                out.push([text("h2"), text(".soundit-prompt"), text(".soundit-message span")]);
            }
            return out;
        }"""
    )
    prompt = cube["prompt"].to_numpy()[:, 0]
    assert panels == [[HOSTILE[i], prompt[i], HOSTILE[199 - i]] for i in range(200)]
    made.page.keyboard.press("Escape")
    for name in ("B", "A − B", "Swipe", "Side by side"):
        view(page, name)
    chips = page.locator(".soundit-chipname").evaluate_all(texts)
    assert chips == [names[0], names[2]]
    page.evaluate("async () => (await soundit.apps[0].sharing.picture()).toDataURL()")
    lines = page.evaluate("() => soundit.apps[0].sharing.csv()")
    table = pd.read_csv(io.StringIO(lines), keep_default_na=False, dtype=str, lineterminator=None)
    assert table["site"].tolist() == [one.replace("\r\n", "\n") for one in HOSTILE]
    page.evaluate(f"() => soundit.apps[0].panel.open({HOSTILE.index('a=b&c=d#e~f')})")
    page.wait_for_timeout(200)
    again = watch()
    again.go(target, "#" + page.url.partition("#")[2])
    assert again.page.locator(".soundit-panel h2").evaluate("node => node.textContent") == "a=b&c=d#e~f"
    for one in (page, again.page):
        assert one.evaluate(PLANTED) == 0
    made.quiet()
    again.quiet()


def test_hostile_names_of_scenarios_are_shown_as_typed(watch, tmp_path):
    names = [one if one.strip() else f"{one}." for one in HOSTILE]  # a blank is no name
    scenarios = dict.fromkeys(names, "a street")
    cube = fake_cube(
        tmp_path, names=["here", "there"], scenarios=scenarios, draws=1, pending=["here", "there"]
    )
    cube["perception"][:] = np.random.default_rng(0).uniform(0, 10, cube["perception"].shape)
    cube["status"][:] = cubes.DONE
    watcher = watch()
    page = watcher.open(tmp_path, cube, media="none", compare=(names[0], names[1]), view="side by side")
    texts = "(nodes) => nodes.map((node) => node.textContent)"
    for picker in (SCENARIO_A, SCENARIO_B):
        assert page.locator(f"{picker} option").evaluate_all(texts) == names
    said = page.evaluate(
        """() => {
            const app = soundit.apps[0], out = [];
            const text = (query) => [...app.root.querySelectorAll(query)].map((node) => node.textContent);
            app.panel.open(0);
            for (let a = 0; a < 200; a++) {
                const b = (a + 1) % 200;
                app.set({ a, b, view: "side by side" });
                const chips = text(".soundit-chipname"), captions = text(".soundit-captions b span:last-child");
                app.set({ view: "difference" });
                out.push([chips, captions, text(".soundit-legend h2 small")[0], app.status.textContent,
                    app.sharing.csv(), app.sharing.hash()]);
            }
            return out;
        }"""
    )
    for k, (chips, captions, legend, status, csv, fragment) in enumerate(said):
        pair = [names[k], names[(k + 1) % 200]]
        assert chips == captions == pair
        assert legend == " − ".join(pair)
        assert legend in status
        table = pd.read_csv(io.StringIO(csv), keep_default_na=False, dtype=str)
        assert (
            table[["scenario_a", "scenario_b"]].to_numpy().tolist()
            == [[one.replace("\r\n", "\n") for one in pair]] * 2
        )
        given = urllib.parse.parse_qs(fragment.lstrip("#").replace("+", "%2B"))
        for key, first in (("a", 0), ("b", 1)):
            assert given.get(key, [names[first]]) == [names[(k + first) % 200]]
    again = watch()
    for k in (24, 66, 140):  # a link to them leads back
        again.page.goto("about:blank")
        again.go(tmp_path / "map.html", said[k][5])
        found = again.page.evaluate("[soundit.apps[0].state.a, soundit.apps[0].state.b]")
        assert found == [k, k + 1]
    assert page.evaluate(PLANTED) == 0
    watcher.quiet()
    again.quiet()


def test_hostile_file_names_are_only_names(watch, tmp_path):
    """Photos and recordings of any name that a file can have; the others are named and left out."""
    short = [one for one in HOSTILE if max(len(part.encode()) for part in one.split("/")) < 240]
    possible = [one for one in short if one[0] != "/" and ".." not in one]
    assert len(possible) > 185
    tone = 0.2 * np.sin(np.arange(1600) / 5)
    sound, photo = io.BytesIO(), io.BytesIO()
    sf.write(sound, tone, 16_000, format="WAV")
    Image.new("RGB", (64, 48), "teal").save(photo, "PNG")
    for one in possible:
        (tmp_path / f"{one}.wav").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{one}.wav").write_bytes(sound.getvalue())
        (tmp_path / f"{one}.png").write_bytes(photo.getvalue())
    points = gpd.points_from_xy(np.linspace(-0.02, 0.02, 200), np.linspace(-0.01, 0.01, 200))
    names = [f"site {k:03d}" for k in range(200)]
    empty = gpd.GeoDataFrame({"audio": ""}, index=pd.Index(names, name="site"), geometry=points, crs=4326)
    cube = fake_cube(tmp_path, names=names, sites=empty, scenarios={"x": None}, draws=1, pending=names[1:])
    cube["audio"][:] = [f"{one}.wav" for one in HOSTILE]
    cube["photo"][:] = [f"{one}.png" for one in HOSTILE]
    cube["picture"][0] = f"{possible[0]}.png"
    for media in ("inline", "folder"):
        watcher = watch()
        page = watcher.open(tmp_path, cube, media=media)
        found = page.evaluate(
            """async () => {
                const out = [];
                for (let i = 0; i < 200; i++) {
                    soundit.apps[0].panel.open(i);
                    const panel = document.querySelector(".soundit-panel");
                    const images = [...panel.querySelectorAll("img")];
                    await Promise.all(images.map((image) => image.decode()));
                    const player = panel.querySelector("audio");
                    out.push([images.length > 0, player !== null, panel.textContent.includes("cannot be played")]);
                }
                return out;
            }"""
        )
        for one, (seen, heard, refused) in zip(HOSTILE, found, strict=True):
            there = one in possible
            assert (seen, heard, refused) == (there, there, not there), one
        assert page.evaluate(PLANTED) == 0
        watcher.quiet()


def two_corners(folder):
    """Two sites that leave the middle of the map to others."""
    cube = fake_cube(folder, names=["one", "two"], draws=1)
    return cube.assign_coords(lon=("site", [-0.02, 0.02]), lat=("site", [-0.02, 0.016]))


def other_layers(made):
    """What a reader adds by folium: a marker, a pin, a polygon, a line and a circle in a group of its own."""
    folium.Marker([0.008, 0.008], popup="a <i>folium</i> popup", tooltip="near").add_to(made)
    folium.Marker([0.01, -0.01], icon=folium.Icon(color="red"), draggable=True).add_to(made)
    folium.GeoJson(
        gpd.GeoDataFrame(
            {"name": ["square"]}, geometry=[shapely.box(-0.004, -0.004, 0.004, 0.004)], crs=4326
        ),
        style_function=lambda _: {"fillColor": "#ff00ff", "fillOpacity": 1, "stroke": False},
        popup=folium.GeoJsonPopup(["name"]),
    ).add_to(made)
    group = folium.FeatureGroup("lines").add_to(made)
    folium.PolyLine([[-0.012, -0.02], [-0.012, 0.02]], color="#00c000", weight=9, opacity=1).add_to(group)
    folium.Circle([-0.016, 0.0], radius=250, color="#0000ff", fill=True, fill_opacity=1).add_to(group)
    folium.LayerControl().add_to(made)


SHAPES = {  # (lat, lon) to the colour that is seen there
    (0.0037, 0.0): (255, 0, 255),
    (-0.012, 0.0123): (0, 192, 0),
    (-0.0165, 0.0): (0, 0, 255),
}


@pytest.mark.parametrize("first", ["a", "side by side"])
def test_layers_of_folium_are_on_both_maps_and_need_no_network(watch, tmp_path, first):
    cube = two_corners(tmp_path)
    watcher = watch()
    made = site_map(cube, media="none", view=first)
    other_layers(made)
    made.save(tmp_path / "map.html")
    page = watcher.go(tmp_path / "map.html")
    view(page, "Side by side")

    def colours(*, second):
        lat, lon = np.array(list(SHAPES)).T
        return at(screen_of(page), positions(page, lon, lat, second=second))

    for second in (False, True):
        assert np.abs(colours(second=second) - list(SHAPES.values())).max() <= 2
    sides = [page.locator(".soundit-maps > div").nth(k) for k in (0, 1)]
    where = "nodes => nodes.map(node => [node.offsetWidth, node.getAttribute('class').split(' ')[0], node.tagName])"
    icons = [side.locator(".leaflet-marker-pane > *").evaluate_all(where) for side in sides]
    assert len(icons[0]) == 2
    assert icons[0] == icons[1]
    for side in sides:  # each map opens its own words
        side.locator("img.leaflet-marker-icon").click()
        assert side.locator(".leaflet-popup-content").inner_text() == "a folium popup"
        assert side.locator(".leaflet-popup-content i").inner_text() == "folium"
        side.locator(".leaflet-popup-close-button").click()
        side.locator(".leaflet-popup").wait_for(state="detached")
    for second in (False, True):
        page.mouse.click(*map(float, positions(page, [0.0], [0.003], second=second)[0]))
        words = sides[second].locator(".leaflet-popup-content").inner_text()
        assert "square" in words
        sides[second].locator(".leaflet-popup-close-button").click()
        sides[second].locator(".leaflet-popup").wait_for(state="detached")
    sides[1].locator("img.leaflet-marker-icon").hover()
    assert sides[1].locator(".leaflet-tooltip").inner_text().strip() == "near"
    # What is taken off, or moved, on the first map is so on the second.
    page.evaluate(
        "() => { soundit.apps[0].map.eachLayer((one) => one instanceof L.Circle && one.remove()); }"
    )
    assert np.abs(colours(second=True)[2] - SHAPES[-0.0165, 0.0]).max() > 50
    moved = page.evaluate(
        """() => { const { map, second } = soundit.apps[0], found = (one) => { let pin;
        one.eachLayer((layer) => { if (layer instanceof L.Marker && layer.options.icon instanceof
        L.AwesomeMarkers.Icon) pin = layer; }); return pin; };
        found(map).setLatLng([0.005, -0.012]); return Object.values(found(second).getLatLng()); }"""
    )
    assert moved == [0.005, -0.012]
    watcher.quiet()


def test_the_saved_picture_shows_layers_of_folium(watch, tmp_path):
    cube = two_corners(tmp_path)
    watcher = watch()
    made = site_map(cube, media="none")
    other_layers(made)
    made.save(tmp_path / "map.html")
    page = watcher.go(tmp_path / "map.html")
    address = page.evaluate("async () => (await soundit.apps[0].sharing.picture()).toDataURL()")
    sheet = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB")
    lat, lon = np.array(list(SHAPES)).T
    box = page.locator(".soundit-stage").bounding_box()
    places = 2 * (positions(page, lon, lat) - [box["x"], box["y"]] + [0, 44])
    assert np.abs(at(np.asarray(sheet, dtype=int), places) - list(SHAPES.values())).max() <= 2
    pin = 2 * (positions(page, [-0.01], [0.01]) - [box["x"], box["y"]] + [0, 44 - 12])
    assert at(np.asarray(sheet, dtype=int), pin)[0] == pytest.approx([0xD6, 0x3E, 0x2A], abs=4)
    watcher.quiet()


def test_a_plugin_that_cannot_load_leaves_the_sites_as_they_are(watch, tmp_path):
    from folium.plugins import MarkerCluster

    cube = fake_cube(tmp_path, draws=1)
    watcher = watch()
    made = site_map(cube, media="none")
    MarkerCluster([[0, 0], [0.001, 0.001]]).add_to(made)
    made.save(tmp_path / "map.html")
    page = watcher.go(tmp_path / "map.html")
    check_colours(page, cube, mean(cube, RECORDED, "lively"))
    view(page, "Side by side")
    check_colours(page, cube, mean(cube, PLAZA, "lively"), second=True)


def test_the_map_fits_a_phone(watch, tmp_path):
    made = watch(
        has_touch=True, is_mobile=True, device_scale_factor=2, viewport={"width": 360, "height": 740}
    )
    cube = fake_cube(tmp_path, names=[f"{k} {'long name ' * 6}" for k in range(9)])
    page = made.open(tmp_path, cube, base=fake_base())
    wide = """() => Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll(
        '.soundit-card, .soundit-card *, .soundit-legend, footer, .soundit-panel, .soundit-panel *')]
        .filter((node) => node.offsetParent && !node.closest('.soundit-sites, .soundit-foot *, .soundit-unseen'))
        .map((node) => node.getBoundingClientRect().right))"""
    assert page.evaluate(wide) <= 366  # the legend's handles reach a little over their rail
    assert page.locator(".soundit-maps").bounding_box()["height"] > 300
    page.get_by_role("button", name="Controls").click()
    page.select_option(SCENARIO_A, label=PLAZA)
    assert PLAZA in page.locator(".soundit-legend").inner_text()
    assert page.evaluate(wide) <= 366
    page.get_by_role("button", name="Controls").click()
    view(page, "Side by side")
    page.touchscreen.tap(*map(float, positions(page, cube["lon"], cube["lat"], second=True)[4]))
    panel = page.locator(".soundit-panel")
    assert panel.is_visible()
    assert page.evaluate(wide) <= 366
    panel.get_by_role("button", name="Close").click()
    assert not panel.is_visible()
    made.quiet()


def test_one_scenario_needs_no_second(watch, tmp_path):
    made = watch()
    page = made.open(tmp_path, fake_cube(tmp_path, scenarios={"only": None}, draws=1), view="difference")
    assert page.locator(SCENARIO_B).count() == 0
    assert page.get_by_role("radio", name="A − B").count() == 0
    page.get_by_role("button", name="site 00").click()
    assert page.locator(".soundit-wipe img").count() == 1
    assert page.locator(".soundit-wipe input").count() == 0
    made.quiet()


def test_a_notebook_frame_shows_the_map(watch, tmp_path):
    made = watch()
    frame = site_map(fake_cube(tmp_path), media="none")._repr_html_()
    (tmp_path / "notebook.html").write_text(
        f"<!doctype html><meta charset=utf-8><body style='width:820px'>{frame}", encoding="utf-8"
    )
    made.page.goto((tmp_path / "notebook.html").as_uri())
    inner = made.page.frame_locator("iframe")
    inner.locator(".soundit-legend").wait_for()
    assert "Lively" in inner.locator(".soundit-legend").inner_text()
    inner.get_by_role("button", name="site 04").click()
    assert inner.locator(".soundit-panel").is_visible()
    made.quiet()
