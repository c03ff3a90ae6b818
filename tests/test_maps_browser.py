"""The saved map in a real Chromium with the network off: what it shows is what the cube holds."""

from __future__ import annotations

import io
import re
import time

import numpy as np
import pytest
from fake_study import fake_base, fake_cube, fake_sites
from PIL import Image
from test_maps import HOSTILE

from soundit_geo import cube as cubes
from soundit_geo.classes import PERCEPTIONS
from soundit_geo.maps import site_map
from soundit_geo.scenarios import difference

pytestmark = pytest.mark.browser

VARIABLE, SCENARIO_A, SCENARIO_B = (
    ".soundit-card > select",
    '[aria-label="Scenario A"]',
    '[aria-label="Scenario B"]',
)


class Watch:
    """A page, and everything that it should not do."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
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
        site_map(cube, folder=folder, **options).save(str(folder / "map.html"))
        self.page.goto((folder / "map.html").as_uri())
        until(self.page, "window.soundit && soundit.apps.length === 1")
        self.settle()
        return self.page

    def settle(self):
        self.page.wait_for_timeout(350)  # past Leaflet's zoom animation

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


def positions(page, second=False):
    """Where each site is drawn on the screen, (site, 2) in pixels."""
    which = "second" if second else "map"
    found = page.evaluate(f"""() => {{
        const app = soundit.apps[0], map = app.{which}, box = map.getContainer().getBoundingClientRect();
        const radius = app.layers[{int(second)}].radius();
        return [...app.lat].map((lat, i) => {{
            const p = map.latLngToContainerPoint([lat, app.lon[i]]);
            return [box.left + p.x + app.fan[i][0] * radius, box.top + p.y + app.fan[i][1] * radius];
        }});
    }}""")
    return np.array(found, dtype=float)


def until(page, truth, seconds=60):
    """Wait for something to become true. The page's policy forbids the eval of Playwright's own waiting."""
    end = time.monotonic() + seconds
    while not page.evaluate(truth):
        assert time.monotonic() < end, truth
        page.wait_for_timeout(50)


def click(page, site):
    page.mouse.click(*map(float, positions(page)[site]))


def pixels(page, places):
    screen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), dtype=int)
    return np.array([screen[round(y), round(x)] for x, y in places])


def legend_colours(page, values, table):
    """The colours that the legend promises for values, computed here."""
    low, high = (float(page.get_attribute(".soundit-legend", f"data-{end}")) for end in ("low", "high"))
    stops = np.array(
        [[int(hexa[k : k + 2], 16) for k in (1, 3, 5)] for hexa in page.evaluate(f"soundit.{table}")]
    )
    place = (np.asarray(values, dtype=float) - low) / (high - low)
    return np.stack([np.interp(place, np.linspace(0, 1, len(stops)), stops[:, k]) for k in range(3)], axis=-1)


def apart(places, least=26):
    """Sites whose dot no other dot covers."""
    gaps = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(len(places)) * 1e9
    return np.flatnonzero(gaps.min(axis=1) > least)


def check_colours(page, values, table="SEQUENTIAL", second=False):
    places, values = positions(page, second), np.asarray(values)
    some = [i for i in apart(places) if np.isfinite(values[i])]
    assert len(some) >= 5
    seen, promised = pixels(page, places[some]), legend_colours(page, values[some], table)
    assert np.abs(seen - promised).max() <= 3, (seen, promised)


def test_the_page_opens_without_network_errors_or_dialogs_and_says_where_it_comes_from(watch, tmp_path):
    made = watch()
    page = made.open(tmp_path, fake_cube(tmp_path), base=fake_base())
    assert page.title() == "A fake study"
    foot = page.locator("footer")
    assert foot.is_visible()
    assert "stand-in model: synthetic city" in foot.inner_text()
    assert "seed 0" in foot.inner_text()
    labels = page.locator(".soundit-label").evaluate_all("nodes => nodes.map(node => node.textContent)")
    assert {"Old Town", "Long Meadow"} <= set(labels)
    made.quiet()


def test_switching_variable_and_scenario_changes_colours_and_legend_to_the_cubes(watch, tmp_path):
    cube = fake_cube(tmp_path, failed=["site 03"])
    made = watch()
    page = made.open(tmp_path, cube, variable="lively", base=fake_base())
    tables = {name: cubes.to_geodataframe(cube, name, elements=["tree"]) for name in ("as recorded", "plaza")}
    legend = page.locator(".soundit-legend")
    check_colours(page, tables["as recorded"]["lively"])
    assert "0–10, higher is livelier" in legend.inner_text()
    assert "1 failed" in legend.inner_text()
    page.select_option(VARIABLE, label="Boring")
    check_colours(page, tables["as recorded"]["boring"])
    assert "0–10, higher is more boring" in legend.inner_text()
    page.select_option(SCENARIO_A, label="plaza")
    check_colours(page, tables["plaza"]["boring"])
    assert "plaza" in legend.inner_text()
    page.select_option(VARIABLE, label="Tree")
    check_colours(page, tables["plaza"]["share_tree"])
    assert "share of the picture" in legend.inner_text()
    assert "%" in legend.inner_text()
    page.get_by_role("radio", name="B", exact=True).check(force=True)
    page.select_option(SCENARIO_B, label="as recorded")
    check_colours(page, tables["as recorded"]["share_tree"])
    made.quiet()


def test_a_failed_site_is_hollow(watch, tmp_path):
    cube = fake_cube(tmp_path, failed=["site 03"])
    page = watch().open(tmp_path, cube)
    assert pixels(page, positions(page)[3:4])[0].min() > 240


def test_the_difference_is_centred_on_nothing_and_equals_the_cubes(watch, tmp_path):
    cube = fake_cube(tmp_path)
    made = watch()
    page = made.open(tmp_path, cube, variable="beautiful", compare=("plaza", "as recorded"))
    page.get_by_role("radio", name="A − B").check(force=True)
    low, high = (float(page.get_attribute(".soundit-legend", f"data-{end}")) for end in ("low", "high"))
    assert low == -high
    change = difference(cube, "plaza", "as recorded")["perception"].sel(percept="beautiful").to_numpy()
    assert np.abs(change).max() <= high
    check_colours(page, change, "DIVERGING")
    assert "plaza − as recorded" in page.locator(".soundit-legend").inner_text()
    page.get_by_role("button", name="Swap A and B").click()
    check_colours(page, -change, "DIVERGING")
    made.quiet()


def test_side_by_side_shows_both_scenarios_and_moves_them_together(watch, tmp_path):
    cube = fake_cube(tmp_path)
    made = watch()
    page = made.open(tmp_path, cube, base=fake_base(), view="side by side")
    check_colours(page, cubes.to_geodataframe(cube, "as recorded")["lively"])
    check_colours(page, cubes.to_geodataframe(cube, "plaza")["lively"], second=True)
    where = """() => [soundit.apps[0].map, soundit.apps[0].second]
        .map(map => [map.getZoom(), map.getCenter().lat, map.getCenter().lng])"""
    before = page.evaluate(where)
    boxes = [page.locator(".soundit-maps > div").nth(k).bounding_box() for k in (0, 1)]
    assert boxes[0]["width"] == pytest.approx(boxes[1]["width"], abs=4)
    for box in boxes:  # drag in either map, zoom in either map
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] - 80
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 90, y - 60, steps=6)
        page.mouse.up()
        page.wait_for_timeout(900)  # inertia
        first, second = page.evaluate(where)
        assert first == pytest.approx(second, abs=1e-4)
        assert first != pytest.approx(before[0], abs=1e-5)
        page.mouse.wheel(0, -240)
        page.wait_for_timeout(900)
        zoomed, other = page.evaluate(where)
        assert zoomed == pytest.approx(other, abs=1e-4)
        assert zoomed[0] > first[0]
        before = [zoomed]
    page.get_by_role("radio", name="A", exact=True).check(force=True)
    assert not page.locator(".soundit-second").is_visible()
    made.quiet()


def test_a_site_opens_with_both_pictures_its_sound_and_its_scores(watch, tmp_path):
    cube = fake_cube(tmp_path, draws=3)
    made = watch()
    page = made.open(tmp_path, cube, variable="safe")
    i = int(apart(positions(page))[0])
    click(page, i)
    panel = page.locator(".soundit-panel")
    assert panel.locator("h2").inner_text() == f"site {i:02d}"
    assert "a pedestrian plaza with trees" in panel.inner_text()
    assert "the sound alone" in panel.inner_text()
    until(
        page,
        "[...document.querySelectorAll('.soundit-panel img')].every(i => i.complete && i.naturalWidth === 128)",
    )
    assert panel.locator("img").count() == 2
    first = [panel.locator("img").nth(k).get_attribute("src") for k in (0, 1)]
    assert first[0] != first[1]
    panel.get_by_role("radio", name="3").check(force=True)
    assert panel.locator("img").first.get_attribute("src") not in first
    until(page, "document.querySelector('audio').duration > 0.9")
    page.evaluate("document.querySelector('audio').play()")  # resolves, or raises here
    until(page, "document.querySelector('audio').currentTime > 0.1")
    tables = [cubes.to_geodataframe(cube, name) for name in ("as recorded", "plaza")]
    rows = panel.locator("table.soundit-scores").first.locator("tbody tr")
    assert rows.count() == 6
    for k, name in enumerate(PERCEPTIONS):
        cells = rows.nth(k).locator("td").all_inner_texts()
        a, b = (table[name].iloc[i] for table in tables)
        assert rows.nth(k).locator("th").inner_text().lower() == name
        assert [float(text.replace("−", "-")) for text in cells[1:]] == pytest.approx(
            [a, b, a - b], abs=0.0501
        )
    page.keyboard.press("Escape")
    assert not panel.is_visible()
    made.quiet()


def test_a_failed_site_says_why(watch, tmp_path):
    page = watch().open(tmp_path, fake_cube(tmp_path, failed=["site 03"]))
    page.get_by_role("button", name="site 03").click()
    assert "site 03.wav is silent" in page.locator(".soundit-panel").inner_text()


def test_sites_at_one_place_can_each_be_reached(watch, tmp_path):
    names = ["alone one", "alone two", *[f"together {k}" for k in range(4)]]
    sites = fake_sites(names, tmp_path)
    points = sites.geometry.tolist()
    sites = sites.set_geometry([*points[:3], points[2], points[2], points[2]], crs=4326)
    page = watch().open(tmp_path, fake_cube(tmp_path, names=names, sites=sites))
    for k in range(2, 6):
        click(page, k)
        assert page.locator(".soundit-panel h2").inner_text() == names[k]
    here = page.locator(".soundit-here")
    assert "4 sites at this place" in here.inner_text()
    here.get_by_role("button", name="together 1").click()
    assert page.locator(".soundit-panel h2").inner_text() == "together 1"


def test_the_keyboard_reaches_controls_sites_and_panel(watch, tmp_path):
    made = watch()
    page = made.open(tmp_path, fake_cube(tmp_path))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Variable"
    before = page.locator(".soundit-legend h2").inner_text()
    page.keyboard.press("ArrowDown")
    assert page.locator(".soundit-legend h2").inner_text() != before
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
    made.quiet()


def test_the_table_of_sites_is_searched_and_shows_the_cubes_values(watch, tmp_path):
    cube = fake_cube(tmp_path)
    page = watch().open(tmp_path, cube, variable="wealthy")
    page.get_by_label("Find a site").fill("SITE 07")
    rows = page.locator(".soundit-sites tbody tr")
    assert rows.count() == 1
    value = cubes.to_geodataframe(cube, "as recorded")["wealthy"].iloc[7]
    assert float(rows.first.locator("td").inner_text()) == pytest.approx(value, abs=0.0501)


def test_hostile_names_are_shown_as_typed_and_nothing_of_them_runs(watch, tmp_path):
    scenarios = {name: f"prompt {name}" for name in HOSTILE}
    cube = fake_cube(tmp_path, names=HOSTILE, scenarios=scenarios, draws=1, failed=HOSTILE[:1])
    cube = cube.assign_attrs({key: "".join(HOSTILE) for key in ("title", "model", "evidence", "created_by")})
    base = {HOSTILE[0]: fake_base()["districts"], HOSTILE[2]: fake_base()["parks"].assign(name=HOSTILE[:2])}
    made = watch()
    page = made.open(
        tmp_path, cube, base={**base, "parks": base[HOSTILE[2]]}, compare=(HOSTILE[0], HOSTILE[1])
    )
    shown = lambda text: " ".join(text.split())  # noqa: E731
    assert shown(page.title()) == shown("".join(HOSTILE))
    assert page.locator(".soundit-card h1").evaluate("node => node.textContent") == "".join(HOSTILE)
    buttons = page.locator(".soundit-sites button")
    assert buttons.evaluate_all("nodes => nodes.map(node => node.textContent)") == HOSTILE
    options = page.locator(f"{SCENARIO_A} option").evaluate_all(
        "nodes => nodes.map(node => node.textContent)"
    )
    assert options == HOSTILE
    for k, name in enumerate(HOSTILE):
        buttons.nth(k).click()
        assert page.locator(".soundit-panel h2").evaluate("node => node.textContent") == name
        prompt = page.locator(".soundit-prompt").first.evaluate("node => node.textContent")
        assert prompt == f"“prompt {HOSTILE[0]}”"
        page.mouse.move(*map(float, positions(page)[k]))
        page.wait_for_timeout(30)
    for view in ("B", "A − B", "Side by side"):
        page.get_by_role("radio", name=view, exact=True).check(force=True)
    planted = "() => document.querySelectorAll('[onerror], [onload], [onmouseover], .soundit b[onmouseover]').length"
    assert page.evaluate(planted) == 0
    made.quiet()


def test_the_map_fits_a_phone(watch, tmp_path):
    made = watch(has_touch=True, is_mobile=True, device_scale_factor=2)
    made.page.set_viewport_size({"width": 360, "height": 740})
    page = made.open(
        tmp_path, fake_cube(tmp_path, names=[f"{k} {'long name ' * 6}" for k in range(9)]), base=fake_base()
    )
    wide = """() => Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll(
        '.soundit-card, .soundit-legend, footer, .soundit-panel')].map(node => node.getBoundingClientRect().right))"""
    assert page.evaluate(wide) <= 360
    assert page.locator(".soundit-maps").bounding_box()["height"] > 300
    page.get_by_role("button", name="Controls").click()
    page.select_option(SCENARIO_A, label="plaza")
    assert "plaza" in page.locator(".soundit-legend").inner_text()
    page.get_by_role("button", name="Controls").click()
    page.get_by_role("radio", name="Side by side").check(force=True)
    made.settle()
    page.touchscreen.tap(*map(float, positions(page, second=True)[4]))
    panel = page.locator(".soundit-panel")
    assert panel.is_visible()
    assert page.evaluate(wide) <= 360
    panel.get_by_role("button", name="Close").click()
    assert not panel.is_visible()
    made.quiet()


def test_dark_pages_are_dark(watch, tmp_path):
    cube = fake_cube(tmp_path)
    made = watch(color_scheme="dark")
    page = made.open(tmp_path, cube, base=fake_base())
    screen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"))
    assert np.median(screen) < 70
    check_colours(page, cubes.to_geodataframe(cube, "as recorded")["lively"])
    made.page.emulate_media(color_scheme="light")
    made.settle()
    assert np.median(np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"))) > 180
    made.quiet()


def test_one_scenario_needs_no_second(watch, tmp_path):
    made = watch()
    page = made.open(tmp_path, fake_cube(tmp_path, scenarios={"as recorded": None}), view="difference")
    assert page.locator(SCENARIO_B).count() == 0
    assert page.get_by_role("radio").count() == 0
    page.get_by_role("button", name="site 00").click()
    assert page.locator(".soundit-panel img").count() == 1
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
