"""The map beside `GeoDataFrame.explore`: file, build, first paint, switch; on the same sites, in one run.

Both pages are opened in the same headless Chromium with the network off; Leaflet is served to the peer from this
machine, whatever else its page asks for is answered with an empty file. The peer shows one variable of one scenario
without a legend, which is in its favour; it runs as it comes, with an SVG element per site, and, quicker, on a canvas.
Contestants take turns, each round in the other order.
"""

from __future__ import annotations

import importlib.resources
import importlib.util
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.cube import DONE, new_cube, to_geodataframe
from soundit_geo.errors import MissingFileError
from soundit_geo.maps import site_map

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import geopandas as gpd
    import xarray as xr

ARGUMENTS: Final = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
"""How Chromium is started: no window, no graphics card, no talk of its own."""

_PAINTED: Final = """async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const drawn = performance.now(), paint = () => performance.getEntriesByName("first-contentful-paint")[0];
    for (let k = 0; k < 100 && !paint(); k++) await new Promise((done) => setTimeout(done, 50));
    return {first_paint: paint() ? paint().startTime : drawn, drawn};
}"""
_TIMED: Final = """async () => { const app = soundit.apps[0], times = {}; const frame = () => new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(done)));
    const clock = async (act) => { await frame(); const start = performance.now(); act(); await frame();
    return performance.now() - start; };
    times.switches = []; for (let k = 1; k < 11; k++) times.switches.push(await clock(() => app.set({variable: k})));
    times.difference = await clock(() => app.set({view: "difference"}));
    times.pans = []; for (let k = 0; k < 5; k++)
    times.pans.push(await clock(() => app.map.panBy([90, 60], {animate: false})));
    times.zoom = await clock(() => app.map.setZoom(app.map.getZoom() + 1, {animate: false}));
    times.hexagons = await clock(() => app.set({layer: "hexagons"})); return times; }"""
_OPENED: Final = """async () => { const start = performance.now(); soundit.apps[0].panel.open(5);
    const images = [...document.querySelectorAll(".soundit-panel img")];
    await Promise.all(images.map((image) => image.decode())); return [images.length, performance.now() - start]; }"""


def bench_maps(
    *, sites: int = 10_000, many: int = 100_000, pictured: int = 1_000, rounds: int = 5
) -> dict[str, Any]:
    """Measure the map and its peer.

    Parameters
    ----------
    sites, many : int
        Sites of the first comparison, and of the second; three scenarios, two draws.
    pictured : int
        Sites of the comparison with and without pictures and sounds.
    rounds : int
        How often each contestant is built and opened.

    Returns
    -------
    dict
        By comparison: bytes, seconds to build and write the file, milliseconds until all is drawn and to first
        paint (of text, image or canvas; until all is drawn, where the browser tells of none), and of ours to
        switch, pan and zoom; medians over rounds. ``ratios`` of ours to each peer's, each the median over rounds
        of the ratio within the round. The many sites are not opened as SVG, which takes the browser minutes.

    Raises
    ------
    MissingFileError
        If Chromium, Playwright or what `explore` needs is not installed.
    """
    needed = ("playwright", "matplotlib", "mapclassify")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if missing or executable is None:
        lacks = [*missing, *([] if executable else ["Chromium (Debian: apt-get install chromium)"])]
        raise MissingFileError(f"This bench needs {', '.join(lacks)}; install them first.")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        bench = _Bench(browser, folder)
        found = {
            f"{sites} sites": bench.beside_explore(
                sites, rounds, ("soundit-geo", "explore", "explore on a canvas")
            ),
            f"{many} sites": bench.beside_explore(
                many, max(1, rounds // 3), ("soundit-geo", "explore on a canvas")
            ),
            f"{pictured} sites with media in a folder": bench.with_media(pictured, rounds),
        }
        browser.close()
    return found


def made_up_cube(sites: int, *, scenarios: int = 3, draws: int = 2, seed: int = 0) -> xr.Dataset:
    """Make a finished cube of random scores, for measuring only.

    Parameters
    ----------
    sites, scenarios, draws : int
        Its size.
    seed : int
        Fixes the scores.

    Returns
    -------
    xarray.Dataset
        A valid cube; its pictures and recordings do not exist.
    """
    import geopandas as gpd
    import pandas as pd

    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(-0.2, 0.2, sites), 51.5 + rng.uniform(-0.12, 0.12, sites)
    names = pd.Index([f"site {k:06d}" for k in range(sites)], name="site")
    table = gpd.GeoDataFrame({"audio": ""}, index=names, geometry=gpd.points_from_xy(lon, lat), crs=4326)
    about = {"title": "Made up", "model": "none", "evidence": "random numbers", "perception_scale": "0–10"}
    cube = new_cube(table, [f"scenario {k}" for k in range(scenarios)], draws, attrs=about)
    shape = (sites, scenarios, draws)
    level = 5 + 2 * np.sin(30 * lon)[:, None, None, None] + 0.4 * np.arange(scenarios)[:, None, None]
    scores = level + rng.normal(0, 0.7, (*shape, 6))
    cube["perception"][:] = np.clip(scores, 0, 10).astype("f4")
    shares = np.zeros((*shape, 150), dtype="f4")
    shares[..., :30] = rng.standard_exponential((*shape, 30), dtype="f4") ** 3
    cube["element_share"][:] = shares / shares.sum(axis=-1, keepdims=True)
    cube["scene_class"][:] = rng.integers(0, 60, (*shape, 5))
    cube["scene_probability"][:] = np.sort(rng.dirichlet(np.ones(5), shape), axis=-1)[..., ::-1]
    cube["status"][:] = DONE
    return cube


class _Bench:
    """A browser, a folder, and what is measured with them."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.browser, self.folder = browser, folder

    def beside_explore(self, sites: int, rounds: int, peers: tuple[str, ...]) -> dict[str, Any]:
        """Ours with all variables and scenarios, the peer with one of one."""
        cube = made_up_cube(sites)
        table = to_geodataframe(cube, "scenario 0")[["lively", "geometry"]]
        ways: dict[str, Callable[[Path], Any]] = {
            "soundit-geo": lambda path: site_map(cube, media="none").save(path),
            "explore": lambda path: _explore(table).save(str(path)),
            "explore on a canvas": lambda path: _explore(table, prefer_canvas=True).save(str(path)),
        }
        taken: dict[str, list[dict[str, Any]]] = {name: [] for name in peers}
        for k in range(rounds):
            for name in peers[:: 1 if k % 2 else -1]:
                path = self.folder / f"{name}.html"
                start = time.perf_counter()
                ways[name](path)
                built = time.perf_counter() - start
                opened = self.opened(path, _TIMED if name == "soundit-geo" else None)
                taken[name].append({"bytes": path.stat().st_size, "build_s": built, **opened})
        keys = ("bytes", "build_s", "first_paint_ms", "drawn_ms")
        ratios = {
            peer: {
                key: statistics.median(
                    one[key] / other[key] for one, other in zip(taken[peers[0]], taken[peer], strict=True)
                )
                for key in keys
            }
            for peer in peers[1:]
        }
        columns = cube.sizes["scenario"] * len(_variables(cube))
        medians = {name: _medians(each) for name, each in taken.items()}
        return {"columns_of_ours": columns, "rounds": rounds, **medians, "ratios": ratios}

    def with_media(self, sites: int, rounds: int) -> dict[str, Any]:
        """Ours with pictures and sounds in a folder, and without any."""
        cube = made_up_cube(sites, scenarios=2, draws=1)
        _write_media(self.folder)
        cube["picture"][:], cube["audio"][:] = "picture.png", "sound.wav"
        start = time.perf_counter()
        site_map(cube, folder=self.folder, media="folder").save(self.folder / "with.html")
        built = time.perf_counter() - start
        site_map(cube, media="none").save(self.folder / "without.html")
        taken: dict[str, list[dict[str, Any]]] = {"with": [], "without": []}
        panels = []
        for k in range(rounds):
            for name in list(taken)[:: 1 if k % 2 else -1]:
                found = self.opened(self.folder / f"{name}.html", _OPENED if name == "with" else None)
                if name == "with":
                    panels.append(found.pop("timed")[1])
                taken[name].append(found)
        ratio = [
            one["first_paint_ms"] / two["first_paint_ms"] for one, two in zip(*taken.values(), strict=True)
        ]
        return {
            "rounds": rounds,
            "build_s": built,
            "files": len(list((self.folder / "with_media").iterdir())),
            "with": _medians(taken["with"]),
            "without": _medians(taken["without"]),
            "panel_with_pictures_ms": statistics.median(panels),
            "ratios": {"first_paint_ms": statistics.median(ratio)},
        }

    def opened(self, path: Path, then: str | None) -> dict[str, Any]:
        """Open a page in a fresh context, and time it; then measure within it."""
        context = self.browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(600_000)
        page = context.new_page()
        page.route("**/*", _offline)
        page.goto(path.as_uri(), wait_until="load")
        times = page.evaluate(_PAINTED)
        found: dict[str, Any] = {f"{key}_ms": value for key, value in times.items()}
        if then is not None:
            timed = page.evaluate(then)
            if isinstance(timed, dict):
                for key in ("switches", "pans"):
                    each = timed.pop(key)
                    found |= {f"{key}_median_ms": statistics.median(each), f"{key}_worst_ms": max(each)}
                found |= {f"{key}_ms": value for key, value in timed.items()}
            else:
                found["timed"] = timed
        context.close()
        return found


def _variables(cube: xr.Dataset) -> list[Any]:
    from soundit_geo.maps.variables import variables_of

    return variables_of(cube, (cube["status"] == DONE).to_numpy(), "lively")


def _explore(table: gpd.GeoDataFrame, **options: Any) -> Any:
    return table.explore(column="lively", tiles=None, legend=False, **options)


def _medians(taken: list[dict[str, Any]]) -> dict[str, float]:
    return {key: round(statistics.median(one[key] for one in taken), 3) for key in taken[0]}


def _offline(route: Any) -> None:
    """Serve files of this machine, Leaflet from its package, and nothing for the rest."""
    url = route.request.url
    if url.startswith(("file:", "data:", "blob:")):
        route.continue_()
        return
    folder = importlib.resources.files("js_lib_leaflet").joinpath("static", "js_lib_leaflet")
    name = url.rpartition("/")[2]
    text = folder.joinpath(name).read_text(encoding="utf-8") if name in ("leaflet.js", "leaflet.css") else ""
    kind = "text/css" if name.endswith(".css") else "text/javascript"
    route.fulfill(body=text, content_type=kind)


def _write_media(folder: str | os.PathLike[str]) -> None:
    """Write one picture and one sound, which all sites share."""
    import soundfile as sf
    from PIL import Image

    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype="u1"))
    small.resize((256, 256), Image.Resampling.BICUBIC).save(Path(folder, "picture.png"))
    sf.write(Path(folder, "sound.wav"), rng.normal(0, 0.1, 160_000).astype("f4"), 16_000)
