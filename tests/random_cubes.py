"""Cubes of any kind that the schema allows, small, for laws that hold over all of them."""

from __future__ import annotations

import datetime as dt

import geopandas as gpd
import numpy as np
import pandas as pd
from hypothesis import strategies as st

from soundit_geo import cube as cubes
from soundit_geo.classes import PLACES365

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
# Names that become equal when they are cleaned, case aside, and names that no file format likes.
COLLIDING = st.sampled_from(
    ["plaza", "Plaza!", "PLAZA", "pla za", "sd plaza", "sd_plaza", "İ", "ß", "日本", "💧"]
)


def random_scores(cube, rng):
    """Fill a cube in place: some cells done, some failed, some pending; PSS of some sites unknown."""
    shape = cube["status"].shape
    state = rng.integers(0, 3, shape)
    cube["status"][:] = state
    done = state == cubes.DONE
    cube["perception"][:] = np.where(done[..., None], rng.uniform(0, 10, (*shape, 6)), np.nan)
    cube["element_share"][:] = np.where(done[..., None], rng.dirichlet(np.ones(150), shape), np.nan)
    cube["scene_class"][:] = np.where(done[..., None], rng.integers(0, len(PLACES365), (*shape, 5)), -1)
    cube["scene_probability"][:] = np.where(done[..., None], rng.dirichlet(np.ones(5), shape), np.nan)
    photo = rng.random(shape[0]) < 0.5
    for name in ("pss_element", "pss_scene_top1", "pss_scene_top5", "pss_perception"):
        cube[name][:] = np.where(done & photo[:, None, None], rng.random(shape), np.nan)
    return cubes.validate(cube)


CELLS = (
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.datetimes().map(pd.Timestamp),
    st.datetimes(timezones=st.just(dt.UTC)).map(pd.Timestamp),
    st.dates(),
)
NAMES = (
    st.sampled_from(["lon", "Status", "site", "x", "h", "scene", "a/b", "..", "__c", " ", "ǰ", "²"])
    | COLLIDING
)


@st.composite
def random_columns(draw, count, text=TEXT):
    """Columns of any kind that sites may bring along, gaps among them, under any names."""
    columns = {}
    for name in draw(st.lists(text | NAMES, max_size=4, unique=True)):
        cell = draw(st.sampled_from([*CELLS, text]))
        cells = draw(st.lists(cell | st.none(), min_size=count, max_size=count))
        columns[name] = pd.Series(cells) if draw(st.booleans()) else pd.Series(cells, dtype=object)
    return pd.DataFrame(columns)


@st.composite
def random_cubes(draw, text=TEXT):
    """A valid cube of one to four sites."""
    sites = draw(st.lists(text, min_size=1, max_size=4, unique=True))
    scenarios = draw(st.lists(text | COLLIDING, min_size=1, max_size=3, unique=True))
    lon = draw(st.lists(st.floats(-180, 180), min_size=len(sites), max_size=len(sites)))
    lat = draw(st.lists(st.floats(-90, 90), min_size=len(sites), max_size=len(sites)))
    columns = {column: draw(st.lists(text, min_size=len(sites), max_size=len(sites))) for column in scenarios}
    more = draw(random_columns(len(sites), text)).drop(
        columns=["audio", "photo", "geometry"], errors="ignore"
    )
    points = gpd.GeoDataFrame(
        {"audio": [f"{place}.wav" for place in range(len(sites))]}
        | {name: more[name].array for name in more},
        index=pd.Index(sites, dtype=object),
        geometry=gpd.points_from_xy(lon, lat),
        crs=4326,
    )
    about = {
        "title": draw(text),
        "seed": draw(st.integers(-(2**40), 2**40)),
        "guidance": draw(st.floats(allow_nan=False, allow_infinity=False)),
        "model": "synthetic-city",
        "perception_scale": "0–10",
    }
    prompts = pd.DataFrame(columns, index=pd.Index(sites, dtype=object))
    cube = cubes.new_cube(points, scenarios, draw(st.integers(1, 3)), prompts, about)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    cube = random_scores(cube, rng)
    cube["message"][:] = draw(st.lists(text, min_size=len(sites), max_size=len(sites)))
    level = rng.normal(-30, 5, len(sites)).round(1)
    return cube.assign(level=("site", level, {"long_name": "sound level", "units": "dB"}))
