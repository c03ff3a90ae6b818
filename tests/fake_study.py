"""A small study that never ran: a cube with random scores, pictures and sounds on disk, and a base map."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import soundfile as sf
from PIL import Image, ImageDraw

from soundit_geo import cube as cubes
from soundit_geo.scenarios import prompts_for

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

RATE = 16_000


def fake_sites(names, folder: Path, *, seconds: float = 1.0, seed: int = 0) -> gpd.GeoDataFrame:
    """Sites scattered over a few kilometres around (0, 0); each has a tone of its own."""
    rng = np.random.default_rng(seed)
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    audio = []
    for place in range(len(names)):
        time = np.arange(int(seconds * RATE)) / RATE
        tone = 0.2 * np.sin(2 * np.pi * (220 + 20 * place) * time) + 0.05 * rng.standard_normal(time.size)
        path = folder / "audio" / f"{place:03d}.wav"
        sf.write(path, np.clip(tone, -1, 1).astype("float32"), RATE)
        audio.append(str(path))
    points = gpd.points_from_xy(rng.uniform(-0.02, 0.02, len(names)), rng.uniform(-0.015, 0.015, len(names)))
    return gpd.GeoDataFrame({"audio": audio}, index=pd.Index(names, name="site"), geometry=points, crs=4326)


def fake_cube(
    folder: Path,
    names=None,
    scenarios=None,
    *,
    draws: int = 2,
    seed: int = 0,
    sites=None,
    failed=(),
    pending=(),
    attrs=None,
) -> xr.Dataset:
    """A finished cube but for some sites, its pictures written."""
    rng = np.random.default_rng(seed)
    names = [f"site {k:02d}" for k in range(12)] if names is None else list(names)
    scenarios = scenarios or {"as recorded": None, "plaza": "a pedestrian plaza with trees"}
    sites = fake_sites(names, folder, seed=seed) if sites is None else sites
    about = {
        "title": "A fake study",
        "model": "synthetic-city",
        "judges": json.dumps(dict.fromkeys(("elements", "scenes", "perception"), "synthetic-city")),
        "seed": seed,
        "created_by": "soundit-geo 0.1.0",
        "evidence": "stand-in: synthetic city",
        "perception_scale": "0–10",
        **(attrs or {}),
    }
    cube = cubes.new_cube(sites, list(scenarios), draws, prompts_for(sites, scenarios), about, folder=folder)
    shape = (len(names), len(scenarios), draws)
    lean = cube["lon"].to_numpy() / 0.02
    level = 5 + 2.5 * lean[:, None, None, None] + np.arange(len(scenarios))[None, :, None, None] * 1.2
    scores = np.clip(
        level * np.array([1, 1, 0.9, 0.8, -0.5, -0.4]) + [0, 0, 0, 0, 6, 6] + rng.normal(0, 0.4, (*shape, 6)),
        0,
        10,
    )
    shares = np.zeros((*shape, 150), dtype="f4")
    few = [1, 2, 4, 6, 9, 11, 12, 20, 21]
    shares[..., few] = rng.dirichlet(np.ones(len(few)), size=shape)
    cube["perception"][:] = scores.astype("f4")
    cube["element_share"][:] = shares
    cube["scene_class"][:] = np.argsort(rng.random((*shape, 365)), axis=-1)[..., :5]
    cube["scene_probability"][:] = -np.sort(-rng.dirichlet(np.ones(5), size=shape), axis=-1)
    cube["status"][:] = cubes.DONE
    for name, state in [
        *((name, cubes.FAILED) for name in failed),
        *((name, cubes.PENDING) for name in pending),
    ]:
        place = names.index(name)
        cube["status"][place] = state
        cube["perception"][place] = np.nan
        cube["element_share"][place] = np.nan
        cube["scene_class"][place] = -1
        if state == cubes.FAILED:
            cube["message"][place] = f"{name}.wav is silent (peak -91 dBFS)"
    for (i, j, k), path in np.ndenumerate(cube["picture"].to_numpy()):
        if cube["status"].to_numpy()[i, j, k] == cubes.DONE:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            fake_picture(np.random.default_rng([seed, i, j, k]), green=j > 0).save(folder / path)
    return cubes.validate(cube)


def fake_picture(rng, *, green: bool, size: int = 128) -> Image.Image:
    """Sky, ground and a few houses or trees."""
    sky, ground = tuple(rng.integers(150, 230, 3)), tuple(rng.integers(90, 150, 3))
    picture = Image.new("RGB", (size, size), tuple(map(int, sky)))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, int(0.6 * size), size, size), fill=tuple(map(int, ground)))
    for x in range(-10, size, 24):
        top = int(rng.uniform(0.15, 0.5) * size)
        if green:
            pen.ellipse((x, top, x + 26, top + 44), fill=(50, int(rng.integers(90, 150)), 60))
        else:
            pen.rectangle((x, top, x + 20, int(0.62 * size)), fill=tuple(map(int, rng.integers(60, 200, 3))))
    return picture


def fake_base() -> dict[str, gpd.GeoDataFrame]:
    """Sea, districts, a river, parks and roads around (0, 0)."""
    frame = lambda shapes, **more: gpd.GeoDataFrame(more, geometry=shapes, crs=4326)  # noqa: E731
    x = np.linspace(-0.05, 0.05, 60)
    coast = list(zip(x, -0.014 - 0.003 * np.sin(80 * x), strict=True))
    sea = shapely.Polygon([*coast, (0.05, -0.06), (-0.05, -0.06)])
    land = shapely.box(-0.05, -0.06, 0.05, 0.05).difference(sea)
    cells = [
        shapely.box(a, b, a + 0.016, b + 0.012).intersection(land)
        for a in (-0.024, -0.008, 0.008)
        for b in (-0.018, -0.006, 0.006)
    ]
    names = [
        "Quayside",
        "Mill End",
        "Northgate",
        "Old Town",
        "Market",
        "Hilltop",
        "Docks",
        "Garden",
        "Eastfield",
    ]
    river = shapely.LineString([(0.004 + 0.003 * np.sin(300 * y), y) for y in np.linspace(-0.0145, 0.05, 60)])
    parks = [shapely.Point(-0.013, 0.007).buffer(0.003), shapely.Point(0.015, -0.003).buffer(0.0025)]
    roads = [shapely.LineString([(-0.05, y), (0.05, y + 0.004)]) for y in (-0.008, 0.0, 0.009)]
    roads += [shapely.LineString([(x, -0.0135), (x + 0.003, 0.05)]) for x in (-0.018, -0.006, 0.012, 0.021)]
    return {
        "sea": frame([sea]),
        "districts": frame(cells, name=names),
        "parks": frame(parks, name=["Long Meadow", "Spring Garden"]),
        "river": frame([river]),
        "roads": frame(roads),
    }
