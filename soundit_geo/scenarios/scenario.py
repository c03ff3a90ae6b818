"""A scenario: a name, a prompt and where it applies; and the prompt that each site gets from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import shapely

from soundit_geo.errors import ScenarioError, SitesError
from soundit_geo.recordings import to_lonlat

if TYPE_CHECKING:
    from collections.abc import Iterable

    import geopandas as gpd
    import pandas as pd
    from shapely.geometry.base import BaseGeometry

AS_RECORDED: Final = "as recorded"
"""The base scenario: each site's own scene prompt where it has one, else its sound alone."""


@dataclass(frozen=True)
class Scenario:
    """A scene prompt with a name, and where it applies.

    Parameters
    ----------
    name : str
        What maps and tables call it.
    prompt : str or None
        The scene in words; ``"@COLUMN"``, the words that each site has in that column (an empty cell = the sound
        alone); None = the sound alone, or for the scenario ``as recorded`` each site's own scene.
    area : shapely polygon or multipolygon, optional
        Where it applies, its border included, in EPSG:4326 (longitude, latitude); everywhere by default.
    base : str or Scenario
        What sites outside the area keep: another scenario of the study by its name, or a scenario itself, so that
        one name may hold several areas with prompts of their own.

    Raises
    ------
    ScenarioError
        If the name is empty, the prompt is no text, the area is no polygon on the globe, or there is a base but no
        area.
    """

    name: str
    prompt: str | None = None
    area: BaseGeometry | None = None
    base: str | Scenario = AS_RECORDED

    def __post_init__(self) -> None:
        """Check the fields once."""
        if not isinstance(self.name, str) or not self.name.strip():
            raise ScenarioError(f"A scenario is named {self.name!r}; give it a name, such as 'plaza'.")
        if self.prompt is not None and not isinstance(self.prompt, str):
            raise ScenarioError(
                f"Scenario {self.name!r} has the prompt {self.prompt!r}; expected text or None."
            )
        if self.column == "":
            raise ScenarioError(
                f"Scenario {self.name!r} has the prompt {self.prompt!r}; expected the name of a column after '@'."
            )
        if not isinstance(self.base, str | Scenario):
            raise ScenarioError(
                f"Scenario {self.name!r} has the base {self.base!r}; expected a scenario or the name of one."
            )
        if self.area is not None:
            _check_area(self.name, self.area)
        elif self.base != AS_RECORDED:
            raise ScenarioError(
                f"Scenario {self.name!r} has a base but no area, so that no site would keep it. Give it an area."
            )

    @property
    def column(self) -> str | None:
        """The column of the sites that holds the prompts, where the prompt names one."""
        named = self.prompt is not None and self.prompt.lstrip().startswith("@")
        return str(self.prompt).strip().removeprefix("@").strip() if named else None


Scenarios: TypeAlias = "Mapping[str, str | None] | Iterable[Scenario | str]"


def parse_scenario(text: str) -> Scenario:
    """Read a scenario from the command line's words.

    Parameters
    ----------
    text : str
        ``NAME=PROMPT``, for example ``"plaza=a pedestrian plaza with trees"``, or ``NAME=@COLUMN``; no PROMPT = the
        sound alone.

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
    if isinstance(scenarios, str):
        raise ScenarioError(f"The scenarios are one text, {scenarios!r}; expected a list or a mapping.")
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
        As `as_scenarios` does; or if a scenario names a column that the sites lack, a base that is not there, or by
        way of others itself.
    CRSError
        If a scenario has an area and the sites carry no CRS.
    SitesError
        If two sites have the same name.
    """
    import pandas as pd

    if not sites.index.is_unique:
        raise SitesError("Two sites have the same name; expected one name for each.")
    known = {scenario.name: scenario for scenario in as_scenarios(scenarios)}
    columns = {}
    for scenario in known.values():
        layers = _layers(scenario, known)
        texts = _own(layers[-1], sites)  # the undermost applies everywhere
        for layer in reversed(layers[:-1]):
            within = to_lonlat(sites).geometry.intersects(layer.area)
            texts = _own(layer, sites).where(within, texts)
        columns[scenario.name] = texts.astype(object)
    return pd.DataFrame(columns, index=sites.index.rename("site"))


def _layers(scenario: Scenario, known: Mapping[str, Scenario]) -> list[Scenario]:
    """A scenario, what lies under it, and so on down to one that applies everywhere."""
    layers, names = [scenario], [scenario.name]
    while layers[-1].area is not None:
        top = layers[-1]
        if isinstance(top.base, Scenario):
            layers.append(top.base)
            continue
        if top.base == AS_RECORDED and AS_RECORDED not in {*known} - {*names}:
            layers.append(Scenario(AS_RECORDED))
            continue
        if top.base in names:
            raise ScenarioError(
                f"Scenario {top.base!r} would keep itself outside its area: {' over '.join([*names, top.base])}. "
                "Choose another base."
            )
        if top.base not in known:
            raise ScenarioError(
                f"Scenario {top.name!r} keeps {top.base!r} outside its area, which is none of the scenarios: "
                f"{', '.join(map(repr, known))}."
            )
        layers.append(known[top.base])
        names.append(top.base)
    return layers


def _own(scenario: Scenario, sites: gpd.GeoDataFrame) -> pd.Series:
    """The prompts that a scenario itself gives, as if it applied everywhere."""
    import pandas as pd

    column = scenario.column
    if scenario.prompt is None and scenario.name == AS_RECORDED and "scene" in sites:
        column = "scene"
    if column is None:
        return pd.Series(scenario.prompt or "", index=sites.index)
    if column not in sites:
        raise ScenarioError(
            f"Scenario {scenario.name!r} takes its prompts from the column {column!r}, which the sites lack. "
            f"They have: {', '.join(map(str, sites.columns))}."
        )
    return sites[column].where(sites[column].notna(), "").astype(str).str.strip()


def _check_area(name: str, area: BaseGeometry) -> None:
    """Refuse what is no polygon, or lies off the globe."""
    kind = getattr(area, "geom_type", type(area).__name__)
    if kind not in {"Polygon", "MultiPolygon"}:
        raise ScenarioError(f"Scenario {name!r} applies within {kind}; expected a polygon.")
    if area.is_empty or not area.is_valid:
        why = "is empty" if area.is_empty else f"is not valid: {shapely.is_valid_reason(area)}"
        raise ScenarioError(
            f"The area of scenario {name!r} {why}. Expected a polygon; shapely.make_valid helps."
        )
    west, south, east, north = area.bounds
    if max(-west, east) > 180 or max(-south, north) > 90:
        raise ScenarioError(
            f"The area of scenario {name!r} reaches from {west:g}, {south:g} to {east:g}, {north:g}; expected "
            "longitude and latitude in degrees. Bring it to EPSG:4326, and split it at the antimeridian."
        )
    width = max(east - west for west, _, east, _ in shapely.bounds(shapely.get_parts(area)).tolist())
    if width > 180:  # what a projected polygon across the antimeridian becomes
        raise ScenarioError(
            f"The area of scenario {name!r} spans {width:g}° of longitude. Split it at the antimeridian."
        )
