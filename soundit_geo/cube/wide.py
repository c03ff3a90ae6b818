"""A cube as one wide table: a row per site, columns for each scenario, as maps and spreadsheets take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from soundit_geo.classes import PERCEPTIONS, PLACES365
from soundit_geo.cube.columns import site_columns
from soundit_geo.cube.fields import LONGEST, field_names
from soundit_geo.cube.layout import plain
from soundit_geo.cube.schema import CRS, DONE, FAILED, PSS, VARIABLES, check_scenario, direction
from soundit_geo.cube.tables import check_elements
from soundit_geo.errors import ScenarioError
from soundit_geo.origin import NAMED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import geopandas as gpd
    import xarray as xr

_TAKEN: Final = ("site", "longitude", "latitude", "geometry", "geom", "fid", "id")
_LONGEST_BASE: Final = len("share_television_receiver_sd_")


class _Column(NamedTuple):
    """A column before it has its final name."""

    name: str
    description: str
    data: np.ndarray


def to_wide_geodataframe(
    cube: xr.Dataset, scenarios: str | Sequence[str] | None = None, *, elements: Sequence[str] = ()
) -> gpd.GeoDataFrame:
    """One wide table: a row per site, means and standard deviations over the draws that are done.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    scenarios : str or sequence of str, optional
        Names of those that are wanted; all by default. Where there are several, each one's columns end in its
        name, as in ``lively_plaza`` and ``lively_sd_plaza``.
    elements : sequence of str
        ADE20K elements whose shares are wanted too, as columns ``share_NAME``.

    Returns
    -------
    geopandas.GeoDataFrame
        Index ``site``; geometry in EPSG:4326. For each scenario: ``prompt``, ``draws`` (how many are done),
        ``failed`` (how many failed), ``scene`` (the Places365 scene that most draws show first, None without
        draws), the six perceptions, PSS and shares, each with its sample standard deviation over draws
        ``NAME_sd`` (NaN below two). Then the columns of the sites, what else the cube holds along ``site`` alone,
        and the cube's model, judges, perception scale and evidence. Names are at most 63 bytes long and unique
        whatever their case.
        ``attrs["fields"]`` describes each column, ``attrs["cube"]`` holds the cube's own attributes.

    Raises
    ------
    ScenarioError
        If the cube lacks a scenario, or one is named twice.
    CubeError
        If an element is unknown.
    """
    import geopandas as gpd
    import pandas as pd

    check_elements(elements)
    names = check_scenarios(cube, scenarios)
    tags = field_names(names, longest=LONGEST - _LONGEST_BASE) if len(names) > 1 else [""]
    columns: list[_Column] = []
    for name, tag in zip(names, tags, strict=True):
        for column in _columns_of(cube, name, elements):
            description = f"{column.description}; scenario {name!r}"
            columns.append(_Column(f"{column.name}_{tag}", description, column.data))
    columns += _columns_of_sites(cube)
    fields = field_names([column.name for column in columns], taken=_TAKEN)
    table = {
        field: pd.array(column.data, dtype="str") if column.data.dtype == object else column.data
        for field, column in zip(fields, columns, strict=True)
    }
    index = pd.Index(cube["site"].to_numpy(), name="site")
    points = gpd.points_from_xy(cube["lon"].to_numpy(), cube["lat"].to_numpy(), crs=CRS)
    frame = gpd.GeoDataFrame(table, index=index, geometry=points)
    told = {field: column.description for field, column in zip(fields, columns, strict=True)}
    frame.attrs = {"cube": {name: plain(value) for name, value in cube.attrs.items()}, "fields": told}
    return frame


def check_scenarios(cube: xr.Dataset, scenarios: str | Sequence[str] | None) -> list[str]:
    """Check that a cube has some scenarios.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    scenarios : str or sequence of str, optional
        Names; all by default.

    Returns
    -------
    list of str
        The names, in the order given.

    Raises
    ------
    ScenarioError
        If there is none, the cube lacks one, or one is named twice.
    """
    if scenarios is None:
        return [str(name) for name in cube["scenario"].to_numpy()]
    names = [scenarios] if isinstance(scenarios, str) else list(scenarios)
    if not names or len(set(names)) < len(names):
        raise ScenarioError(f"The scenarios asked for are {names}; expected one or more, each once.")
    return [check_scenario(cube, name) for name in names]


def _columns_of(cube: xr.Dataset, scenario: str, elements: Sequence[str]) -> Iterator[_Column]:
    """Everything that a scenario has to say of each site."""
    layer = cube.sel(scenario=scenario)
    status = layer["status"].to_numpy()
    valid = status == DONE
    yield _Column("prompt", VARIABLES["prompt"][3]["long_name"], layer["prompt"].to_numpy())
    yield _Column("draws", "draws that are done", valid.sum(axis=1))
    yield _Column("failed", "draws that failed", (status == FAILED).sum(axis=1))
    yield _Column("scene", "Places365 scene that most draws show first", _commonest(layer, valid))
    scale = str(cube.attrs.get("perception_scale", "scale unknown"))
    for name in PERCEPTIONS:
        told = f"perception score {name!r}, {direction(name)}, scale {scale}"
        yield from _mean_and_sd(name, told, layer["perception"].sel(percept=name), valid)
    for name in PSS:
        yield from _mean_and_sd(name, VARIABLES[name][3]["long_name"], layer[name], valid)
    for name in elements:
        told = f"share of the picture that the element {name!r} covers, 0 to 1"
        yield from _mean_and_sd(f"share_{name}", told, layer["element_share"].sel(element=name), valid)


def _mean_and_sd(name: str, told: str, scores: xr.DataArray, valid: np.ndarray) -> Iterator[_Column]:
    """Mean and sample standard deviation over the draws that are done."""
    draws = scores.transpose("site", "draw").astype(float).where(valid)
    known = draws.count("draw")
    spread = draws.std("draw", ddof=1).where(known > 1)
    yield _Column(name, f"{told}; mean over draws", draws.mean("draw").to_numpy())
    yield _Column(f"{name}_sd", f"{told}; standard deviation over draws", spread.to_numpy())


def _commonest(layer: xr.Dataset, valid: np.ndarray) -> np.ndarray:
    """Name of the scene that most valid draws show first; of several, that of the earliest draw."""
    first = layer["scene_class"].isel(rank=0).to_numpy()  # (site, draw)
    valid = valid & (first >= 0)
    votes = np.zeros(first.shape, dtype=int)
    for draw in range(first.shape[1]):
        votes += (first == first[:, draw, None]) & valid[:, draw, None] & valid
    winner = first[np.arange(len(first)), votes.argmax(axis=1)]
    names = np.array([*PLACES365, None], dtype=object)
    return names[np.where(valid.any(axis=1), winner, len(PLACES365))]


def _columns_of_sites(cube: xr.Dataset) -> Iterator[_Column]:
    """What the cube holds along ``site`` alone, and where it all comes from."""
    layers = sorted(
        str(name) for name in cube.data_vars if cube[name].dims == ("site",)
    )  # files keep no order
    for name in [*site_columns(cube), *layers]:
        variable = cube[name]
        units = variable.attrs.get("units", "1")
        told = str(variable.attrs.get("long_name", name))
        yield _Column(name, told if units == "1" else f"{told}, {units}", variable.to_numpy())
    for name in NAMED:  # no score is without its judge and scale
        if name in cube.attrs:
            text = np.full(cube.sizes["site"], str(cube.attrs[name]), dtype=object)
            yield _Column(name, f"{name.replace('_', ' ')} of the whole cube", text)
