"""Scenarios: what a place could look like for the same sound, and how far two of them lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from soundit_geo.cube import CRS, check_scenario, done
from soundit_geo.errors import CRSError, ScenarioError, SitesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import geopandas as gpd
    import pandas as pd
    import xarray as xr
    from shapely.geometry.base import BaseGeometry

AS_RECORDED: Final = "as recorded"
"""The base scenario: each site's own scene prompt where it has one, else its sound alone."""

COMPARED: Final = (
    "perception",
    "element_share",
    "pss_element",
    "pss_scene_top1",
    "pss_scene_top5",
    "pss_perception",
)
"""The cube's variables of which differences are taken."""


@dataclass(frozen=True)
class Scenario:
    """A scene prompt with a name, and where it applies.

    Parameters
    ----------
    name : str
        What maps and tables call it.
    prompt : str or None
        The scene in words; None = the sound alone, or for the scenario ``as recorded`` each site's own scene.
    area : shapely polygon or multipolygon, optional
        Where it applies, in EPSG:4326 (longitude, latitude); everywhere by default. Sites outside keep the
        prompt of ``as recorded``.

    Raises
    ------
    ScenarioError
        If the name is empty, or the area is not a polygon.
    """

    name: str
    prompt: str | None = None
    area: BaseGeometry | None = None

    def __post_init__(self) -> None:
        """Check the fields once."""
        if not isinstance(self.name, str) or not self.name.strip():
            raise ScenarioError(f"A scenario is named {self.name!r}; give it a name, such as 'plaza'.")
        if self.prompt is not None and not isinstance(self.prompt, str):
            raise ScenarioError(
                f"Scenario {self.name!r} has the prompt {self.prompt!r}; expected text or None."
            )
        kind = getattr(self.area, "geom_type", None)
        if self.area is not None and kind not in {"Polygon", "MultiPolygon"}:
            raise ScenarioError(f"Scenario {self.name!r} applies within {kind}; expected a polygon.")


Scenarios: TypeAlias = "Mapping[str, str | None] | Iterable[Scenario | str]"


def parse_scenario(text: str) -> Scenario:
    """Read a scenario from the command line's words.

    Parameters
    ----------
    text : str
        ``NAME=PROMPT``, for example ``"plaza=a pedestrian plaza with trees"``; no PROMPT = the sound alone.

    Returns
    -------
    Scenario
        With the name and prompt stripped of outer spaces.

    Raises
    ------
    ScenarioError
        If there is no ``=``, or nothing before it.
    """
    name, sign, prompt = text.partition("=")
    if not sign:
        raise ScenarioError(
            f"The scenario {text!r} has no '='. Expected NAME=PROMPT, such as 'plaza=a plaza'."
        )
    if not name.strip():
        raise ScenarioError(f"The scenario {text!r} has no name before '='. Expected NAME=PROMPT.")
    return Scenario(name.strip(), prompt.strip() or None)


def as_scenarios(scenarios: Scenarios) -> tuple[Scenario, ...]:
    """Read scenarios in any of the ways that they are written in.

    Parameters
    ----------
    scenarios : mapping or iterable
        Name to prompt (or None), or `Scenario` objects and ``NAME=PROMPT`` texts.

    Returns
    -------
    tuple of Scenario
        In the given order, names unique.

    Raises
    ------
    ScenarioError
        If there is none, one is malformed, or two have the same name.
    """
    if isinstance(scenarios, Mapping):
        found = [Scenario(name, prompt) for name, prompt in scenarios.items()]
    else:
        found = [parse_scenario(one) if isinstance(one, str) else one for one in scenarios]
    strangers = [one for one in found if not isinstance(one, Scenario)]
    if strangers:
        raise ScenarioError(
            f"{strangers[0]!r} is no scenario. Expected Scenario('plaza', 'a plaza with trees')."
        )
    if not found:
        raise ScenarioError("There is no scenario. Expected at least one, such as {'as recorded': None}.")
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ScenarioError(
            f"The scenario {twice[0]!r} is given {names.count(twice[0])} times. Use each name once."
        )
    return tuple(found)


def prompts_for(sites: gpd.GeoDataFrame, scenarios: Scenarios) -> pd.DataFrame:
    """Tell which scene prompt each site gets in each scenario.

    Parameters
    ----------
    sites : geopandas.GeoDataFrame
        Index ``site``, points with any CRS; column ``scene`` (text) where sites have a prompt of their own.
    scenarios : mapping or iterable
        As `as_scenarios` takes them.

    Returns
    -------
    pandas.DataFrame
        Sites as rows, scenario names as columns; prompts as text, empty = the sound alone.

    Raises
    ------
    ScenarioError
        As `as_scenarios` does.
    CRSError
        If a scenario has an area and the sites carry no CRS.
    SitesError
        If two sites have the same name.
    """
    import pandas as pd

    if not sites.index.is_unique:
        raise SitesError("Two sites have the same name; expected one name for each.")
    if "scene" in sites:
        own = sites["scene"].where(sites["scene"].notna(), "").astype(str).str.strip()
    else:
        own = pd.Series("", index=sites.index)
    columns = {}
    for scenario in as_scenarios(scenarios):
        if scenario.prompt is None and scenario.name == AS_RECORDED:
            column = own.copy()
        else:
            column = pd.Series(scenario.prompt or "", index=sites.index)
        if scenario.area is not None:
            column = column.where(_inside(sites, scenario.area), own)
        columns[scenario.name] = column.astype(object)
    return pd.DataFrame(columns, index=sites.index.rename("site"))


def difference(cube: xr.Dataset, a: str, b: str) -> xr.Dataset:
    """Take scenario `a` minus scenario `b` at each site, paired over draws.

    The draws of a site share their initial noise over scenarios, so that the difference of a draw is due to
    the prompts alone. Only draws that are done in both scenarios count.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    a, b : str
        Names of two of its scenarios.

    Returns
    -------
    xarray.Dataset
        Along ``site`` (and ``percept`` or ``element``): the mean difference of each of `COMPARED`, in the
        units of the variable, positive where `a` is higher; its standard error as ``NAME_se``, NaN below two
        draws; and ``draws``, how many pairs there were. NaN where there is none.

    Raises
    ------
    ScenarioError
        If the cube lacks one of them.
    """
    import xarray as xr

    first = cube.sel(scenario=check_scenario(cube, a)).drop_vars("scenario")
    second = cube.sel(scenario=check_scenario(cube, b)).drop_vars("scenario")
    both = done(first) & done(second)
    pairs = both.sum("draw")
    result: dict[str, xr.DataArray] = {"draws": pairs.assign_attrs(long_name="pairs of draws", units="1")}
    for name in COMPARED:
        change: xr.DataArray = (first[name] - second[name]).astype(float).where(both)
        error = change.std("draw", ddof=1) / np.sqrt(pairs.where(pairs > 1).astype(float))
        units = cube[name].attrs.get("units", "1")
        words = f"{name}, {a} minus {b}"
        result[name] = change.mean("draw").assign_attrs(long_name=words, units=units)
        result[f"{name}_se"] = error.assign_attrs(long_name=f"standard error of {words}", units=units)
    return xr.Dataset(result, attrs={**cube.attrs, "difference": f"{a} minus {b}"})


def _inside(sites: gpd.GeoDataFrame, area: BaseGeometry) -> Sequence[bool]:
    """Find the sites within an area, its border included."""
    if sites.crs is None:
        raise CRSError(
            f"{len(sites)} sites carry no CRS, so no area can be laid over them. Use sites.set_crs(...)."
        )
    return sites.geometry.to_crs(CRS).intersects(area)
