"""How long layers of a large cube take, beside pandas, geopandas and esda used plainly.

Each task runs in a process of its own, forked from the one that holds the cube. Memory is how far the resident set of
that process rose above what it was forked with (`resource.getrusage`), so that the cube itself does not count.
"""

from __future__ import annotations

import multiprocessing
import platform
import resource
import tempfile
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import geopandas as gpd
import h3
import libpysal.graph
import numpy as np
import pandas as pd
import scipy.stats
import shapely
from esda.moran import Moran_Local

from soundit_geo import cube as cubes
from soundit_geo.scenarios import difference
from soundit_geo.spatial import hexagons, hotspots, site_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.connection import Connection

    import xarray as xr

SCENARIOS: Final = ("as recorded", "plaza", "park")
DRAWS: Final = 4
NEIGHBOURS: Final = 8
RESOLUTION: Final = 9
VARIABLE: Final = "lively"
COMPARED: Final = (SCENARIOS[1], SCENARIOS[0])


def bench_layers(sites: int = 100_000, seed: int = 0) -> dict[str, Any]:
    """Time difference, hexagons, local Moran's I and export of a synthetic cube.

    Parameters
    ----------
    sites : int
        How many sites; 3 scenarios and 4 draws each.
    seed : int
        Fixes the cube.

    Returns
    -------
    dict
        For each task and way: ``seconds`` (wall clock), ``cpu_seconds``, ``peak_mb`` (10⁶ bytes beyond the cube) and
        ``says``, a figure that both ways should agree in; and the circumstances.
    """
    cube = synthetic_cube(sites, seed)
    _warm_up()
    return {
        "sites": sites,
        "scenarios": len(SCENARIOS),
        "draws": DRAWS,
        "cube_mb": round(cube.nbytes / 1e6),
        "machine": f"{platform.machine()} CPU, {multiprocessing.cpu_count()} cores",
        **{task: {way: measured(run, cube) for way, run in ways.items()} for task, ways in TASKS.items()},
    }


def synthetic_cube(sites: int, seed: int = 0) -> xr.Dataset:
    """Make a finished cube over a city of 20 km by 20 km, with smooth scores and an effect in its middle.

    Parameters
    ----------
    sites : int
        How many sites.
    seed : int
        Fixes all numbers.

    Returns
    -------
    xarray.Dataset
        A valid cube of 3 scenarios and 4 draws.
    """
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (2, sites))
    points = gpd.points_from_xy(500_000 + 10_000 * x, 5_700_000 + 10_000 * y, crs=32632)
    names = [f"site {number:06d}" for number in range(sites)]
    table = gpd.GeoDataFrame({"audio": "sound.wav"}, index=pd.Index(names, name="site"), geometry=points)
    cube = cubes.new_cube(table, SCENARIOS, DRAWS)
    smooth = 5 + np.sin(4 * x) + np.cos(5 * y)
    effect = np.exp(-8 * (x**2 + y**2))
    level = smooth[:, None] + effect[:, None] * np.array([0.0, 1.0, 0.5])  # (site, scenario)
    shape = (sites, len(SCENARIOS), DRAWS)
    noise = rng.normal(0, 0.1, (*shape, 6))
    cube["perception"][:] = (level[:, :, None, None] + noise).astype("f4")
    cube["element_share"][:] = np.float32(1 / 150)
    cube["status"][:] = cubes.DONE
    return cubes.validate(cube)


def measured(run: Callable[[xr.Dataset], Any], cube: xr.Dataset) -> dict[str, Any]:
    """Run a task in a forked process, and measure it there.

    Parameters
    ----------
    run : callable
        Takes the cube, gives a figure.
    cube : xarray.Dataset
        The cube.

    Returns
    -------
    dict
        ``seconds``, ``cpu_seconds``, ``peak_mb`` and ``says``.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_measure, args=(run, cube, there))
    process.start()
    there.close()
    try:
        found: dict[str, Any] = here.recv()
    finally:
        process.join()
    return found


def _measure(run: Callable[[xr.Dataset], Any], cube: xr.Dataset, answer: Connection) -> None:
    before, start, worked = _peak(), time.perf_counter(), time.process_time()
    says = run(cube)
    answer.send(
        {
            "seconds": round(time.perf_counter() - start, 2),
            "cpu_seconds": round(time.process_time() - worked, 2),
            "peak_mb": round((_peak() - before) / 1e6, 1),
            "says": says,
        }
    )


def _peak() -> int:
    """Largest resident set of this process so far, in bytes; after a fork, what it was forked with."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _warm_up() -> None:
    """Let every way run once on little, so that no import counts."""
    small = synthetic_cube(50)
    for ways in TASKS.values():
        for run in ways.values():
            run(small)


def _difference(cube: xr.Dataset) -> dict[str, float]:
    found = difference(cube, *COMPARED, variables=("perception",))
    lively = found.sel(percept=VARIABLE)
    return {
        "mean": round(float(lively["perception"].mean()), 6),
        "significant": int((lively["perception_q"] <= 0.05).sum()),
    }


def _plain_difference(cube: xr.Dataset) -> dict[str, float]:
    wide: Any = cube["perception"].to_series().unstack("scenario").astype(float)  # noqa: PD010 - nothing to pool
    change = (wide[COMPARED[0]] - wide[COMPARED[1]]).groupby(level=["site", "percept"], sort=False)
    table = pd.DataFrame({"mean": change.mean(), "se": change.sem(), "n": change.size()})
    reach = scipy.stats.t.ppf(0.975, table["n"] - 1) * table["se"]
    table["low"], table["high"] = table["mean"] - reach, table["mean"] + reach
    table["p"] = 2 * scipy.stats.t.sf((table["mean"] / table["se"]).abs(), table["n"] - 1)
    table["q"] = table.groupby(level="percept")["p"].transform(scipy.stats.false_discovery_control)
    lively = table.xs(VARIABLE, level="percept")
    return {"mean": round(float(lively["mean"].mean()), 6), "significant": int((lively["q"] <= 0.05).sum())}


def _hexagons(cube: xr.Dataset) -> dict[str, float]:
    scenario, against = COMPARED
    found = hexagons(cube, VARIABLE, scenario=scenario, against=against, resolution=RESOLUTION)
    return {"hexagons": len(found), "mean": round(float(found["mean"].mean()), 6)}


def _plain_hexagons(cube: xr.Dataset) -> dict[str, float]:
    lively = cube["perception"].sel(percept=VARIABLE, drop=True)
    wide: Any = lively.to_series().unstack("scenario").astype(float)  # noqa: PD010 - nothing to pool
    change = (wide[COMPARED[0]] - wide[COMPARED[1]]).groupby(level="site", sort=False).mean()
    places = zip(cube["lat"].to_numpy(), cube["lon"].to_numpy(), strict=True)
    cells = [h3.latlng_to_cell(lat, lon, RESOLUTION) for lat, lon in places]
    table = change.groupby(cells).agg(["mean", "sem", "size"])
    reach = scipy.stats.t.ppf(0.975, table["size"] - 1) * table["sem"]
    table["low"], table["high"] = table["mean"] - reach, table["mean"] + reach
    shapes = [shapely.Polygon([(lon, lat) for lat, lon in h3.cell_to_boundary(cell)]) for cell in table.index]
    found = gpd.GeoDataFrame(table, geometry=shapes, crs=4326)
    return {"hexagons": len(found), "mean": round(float(found["mean"].mean()), 6)}


def _clusters(cube: xr.Dataset) -> dict[str, Any]:
    found = hotspots(cube, VARIABLE, scenario=SCENARIOS[1], neighbours=NEIGHBOURS)
    counts = found["cluster"].value_counts()
    return {"high-high": int(counts.get("high-high", 0)), "permutations": found.attrs["permutations"]}


def _plain_clusters(cube: xr.Dataset) -> dict[str, Any]:
    table = site_values(cube, VARIABLE, scenario=SCENARIOS[1])
    table = table.to_crs(table.estimate_utm_crs())
    graph = libpysal.graph.Graph.build_knn(table, NEIGHBOURS)
    local = Moran_Local(table["value"], graph, permutations=999, keep_simulations=False, seed=1)
    q = scipy.stats.false_discovery_control(np.minimum(2 * local.p_sim, 1))  # esda's p looks at one side
    return {"high-high": int(((q <= 0.05) & (local.q == 1)).sum()), "permutations": 999}


def _export(cube: xr.Dataset) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = cubes.export_cube(cube, Path(folder) / "layers.parquet")
        return _of_file(path)


def _plain_export(cube: xr.Dataset) -> dict[str, float]:
    series = cube["perception"].to_series().astype(float)
    table = series.groupby(level=["site", "scenario", "percept"], sort=False).agg(["mean", "std"])
    wide: Any = table.unstack(["scenario", "percept"])  # noqa: PD010 - nothing to pool
    wide.columns = [f"{percept}_{kind}_{scenario}" for kind, scenario, percept in wide.columns]
    points = gpd.points_from_xy(cube["lon"].to_numpy(), cube["lat"].to_numpy(), crs=4326)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layers.parquet"
        gpd.GeoDataFrame(wide, geometry=points).to_parquet(path)
        return _of_file(path)


def _of_file(path: Path) -> dict[str, float]:
    rows, columns = gpd.read_parquet(path).shape
    return {"rows": rows, "columns": columns, "file_mb": round(path.stat().st_size / 1e6, 1)}


TASKS: Final[Mapping[str, Mapping[str, Callable[[xr.Dataset], Any]]]] = MappingProxyType(
    {
        "difference": {"soundit-geo": _difference, "pandas": _plain_difference},
        "hexagons": {"soundit-geo": _hexagons, "geopandas": _plain_hexagons},
        "clusters": {"soundit-geo": _clusters, "esda": _plain_clusters},
        "GeoParquet": {"soundit-geo": _export, "geopandas": _plain_export},
    }
)
"""What is measured, and in which ways."""
