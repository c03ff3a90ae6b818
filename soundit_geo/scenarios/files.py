"""Scenarios in files: YAML, or polygons with a name and a prompt, as GIS programs write them.

A YAML file maps each name to its prompt, or to more::

    as recorded:                              # no prompt: each site's own scene
    sound alone:                              # under any other name: the sound alone
    inferred: "@inferred"                     # the words in that column of the sites
    plaza: a pedestrian plaza with trees
    quay:
      prompt: a quay with cafés
      area: quay.geojson                      # polygons, relative to this file; or POLYGON ((lon lat, ...))
      base: plaza                             # kept outside; 'as recorded' where nothing is said
    greening:                                 # several areas; later ones lie above
      - {prompt: a park, area: north.geojson}
      - {prompt: a street with trees, area: south.geojson}

Any other file is read as polygons (GeoJSON, GeoPackage, Shapefile, ...) with the attributes ``name`` and
``prompt``, and perhaps ``base``. Polygons of one name make one scenario; later ones lie above.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import shapely
import yaml

from soundit_geo.errors import CRSError, InputError, MissingFileError, ScenarioError
from soundit_geo.recordings import to_lonlat
from soundit_geo.scenarios.scenario import AS_RECORDED, Scenario, as_scenarios

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

    import geopandas as gpd
    from shapely.geometry.base import BaseGeometry

_FIELDS: Final = ("prompt", "area", "base")


class _Part(NamedTuple):
    """One area of a scenario, and where it stands in the file."""

    where: str
    name: str
    prompt: str | None
    area: BaseGeometry | None
    base: str | None


def read_scenarios(path: str | PathLike[str]) -> tuple[Scenario, ...]:
    """Read scenarios from a file.

    Parameters
    ----------
    path : path
        ``.yaml`` or ``.yml``, or a file of polygons in any CRS that GDAL opens; see the module's text.

    Returns
    -------
    tuple of Scenario
        In the order of the file, names unique, areas in EPSG:4326.

    Raises
    ------
    MissingFileError
        If it, or a file of polygons that it names, does not exist.
    CRSError
        If polygons carry no CRS.
    ScenarioError
        If the file cannot be read, or an entry is malformed; the message names the line or the feature.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"There is no file {path}. Expected scenarios as YAML or as polygons.")
    parts = _parts_of_yaml(path) if path.suffix.lower() in {".yaml", ".yml"} else _parts_of_features(path)
    names: dict[str, list[_Part]] = {}
    for part in parts:
        names.setdefault(part.name, []).append(part)
    if not names:
        raise ScenarioError(f"{path.name} holds no scenarios; expected at least one.")
    return as_scenarios([_stack(path, layers) for layers in names.values()])


def _stack(path: Path, parts: Sequence[_Part]) -> Scenario:
    """Lay the parts of a scenario over one another, the last above."""
    bases = {part.base for part in parts} - {None}
    if len(bases) > 1:
        raise ScenarioError(
            f"{path.name}, {parts[-1].where}: the scenario {parts[0].name!r} has the bases "
            f"{', '.join(sorted(map(repr, bases)))}; expected one."
        )
    below: str | Scenario = bases.pop() or AS_RECORDED if bases else AS_RECORDED
    runs: list[list[_Part]] = []
    for part in parts:
        if runs and runs[-1][0].prompt == part.prompt:
            runs[-1].append(part)
        else:
            runs.append([part])
    for run in runs:
        made = [_checked(path, part, below) for part in run]
        below = made[0]
        if len(made) > 1:
            whole = shapely.union_all([one.area for one in made])
            below = Scenario(made[0].name, made[0].prompt, whole, made[0].base)
    return below if isinstance(below, Scenario) else Scenario(below)


def _checked(path: Path, part: _Part, base: str | Scenario) -> Scenario:
    try:
        return Scenario(part.name, part.prompt, part.area, base)
    except ScenarioError as error:
        raise ScenarioError(f"{path.name}, {part.where}: {error}") from error


# ------------------------------------------------------------------------------------------------- polygons


def _parts_of_features(path: Path) -> Iterator[_Part]:
    frame = _polygons(path)
    absent = [name for name in ("name", "prompt") if name not in frame]
    if absent:
        columns = ", ".join(str(column) for column in frame.columns if column != frame.geometry.name)
        raise ScenarioError(
            f"{path.name} has no attribute {' and no '.join(map(repr, absent))}; it has: {columns or 'none'}. Every "
            "feature needs a name, and a prompt or null for the sound alone."
        )
    for number, (_, row) in enumerate(frame.iterrows(), 1):
        name, prompt = _word(row["name"]), _word(row["prompt"])
        where = f"feature {number}"
        if name is None:
            raise ScenarioError(f"{path.name}, {where}: there is no name. Give each feature one.")
        yield _Part(
            f"{where} ({name!r})", name, prompt, row[frame.geometry.name], _word(row.get("base", None))
        )


def _polygons(path: Path) -> gpd.GeoDataFrame:
    """The polygons of a file with their attributes, in EPSG:4326."""
    import geopandas as gpd
    import pyogrio

    expected = "Expected polygons (GeoJSON, GeoPackage, Shapefile), or YAML named .yaml."
    if not path.exists():
        raise MissingFileError(f"There is no file {path}. {expected}")
    try:
        layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
        frame = gpd.read_file(path, layer=layers[0]) if len(layers) == 1 else None
    except (RuntimeError, ValueError, OSError) as error:
        said = " ".join(str(error).split())
        raise ScenarioError(f"{path.name} cannot be read ({said}). {expected}") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise ScenarioError(f"{path.name} has {len(layers)} layers with geometries; expected one. {expected}")
    for number, geometry in enumerate(frame.geometry, 1):
        kind = "no geometry" if geometry is None else geometry.geom_type
        if kind not in {"Polygon", "MultiPolygon"}:
            raise ScenarioError(f"{path.name}, feature {number}: {kind}; expected a polygon.")
    if frame.crs is None:
        raise CRSError(
            f"{path.name} carries no CRS. Write it with one, or as GeoJSON in longitude and latitude."
        )
    try:
        return to_lonlat(frame)
    except CRSError as error:
        raise CRSError(f"{path.name}: {error}") from error


def _word(value: Any) -> str | None:
    """An attribute as text; None where it is null or blank."""
    import pandas as pd

    text = "" if value is None or pd.isna(value) else str(value).strip()
    return text or None


# ----------------------------------------------------------------------------------------------------- YAML


def _parts_of_yaml(path: Path) -> Iterator[_Part]:
    try:
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise ScenarioError(f"{path.name}{line}: this is no YAML ({error.problem}).") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise ScenarioError(f"{path.name} is no YAML ({said}).") from error
    if root is None:
        return
    seen: set[str] = set()
    for key, value in _pairs(path, root, "scenarios, NAME: PROMPT"):
        name = _scalar(path, key, "a name") or ""
        if name in seen:
            raise ScenarioError(f"{_at(path, key)}: the scenario {name!r} stands twice. Use each name once.")
        seen.add(name)
        if isinstance(value, yaml.SequenceNode):
            yield from _layers(path, name, value)
        elif isinstance(value, yaml.MappingNode):
            yield _part(path, name, value)
        else:
            yield _Part(_line(key), name, _scalar(path, value, "a prompt"), None, None)


def _layers(path: Path, name: str, node: yaml.SequenceNode) -> Iterator[_Part]:
    """Read a list of areas; one without an area would hide what lies under it."""
    parts = [_part(path, name, entry) for entry in node.value]
    bare = [part for part in parts if part.area is None]
    if not parts or bare:
        where = f"{path.name}, {bare[0].where}" if bare else _at(path, node)
        raise ScenarioError(f"{where}: scenario {name!r} is a list; expected an area in each of its entries.")
    yield from parts


def _part(path: Path, name: str, node: yaml.Node) -> _Part:
    """Read ``{prompt: ..., area: ..., base: ...}``."""
    fields: dict[str, str | None] = {}
    for key, value in _pairs(path, node, "prompt, area and base"):
        field = _scalar(path, key, "a field") or ""
        if field not in _FIELDS or field in fields:
            said = "stands twice" if field in fields else f"is unknown; expected {', '.join(_FIELDS)}"
            raise ScenarioError(f"{_at(path, key)}: the field {field!r} of scenario {name!r} {said}.")
        fields[field] = _scalar(path, value, f"text for {field}")
    if "prompt" not in fields:
        raise ScenarioError(
            f"{_at(path, node)}: scenario {name!r} has no prompt. Write 'prompt:' for the sound alone."
        )
    area = fields.get("area")
    shape = None if area is None else _area(path, node, area)
    return _Part(_line(node), name, fields["prompt"], shape, fields.get("base"))


def _area(path: Path, node: yaml.Node, text: str) -> BaseGeometry:
    """A polygon in words, or all polygons of a file."""
    try:
        if text.upper().startswith(("POLYGON", "MULTIPOLYGON")):
            return shapely.from_wkt(text)
        return shapely.union_all(_polygons(path.parent / text).geometry.array)
    except MissingFileError as error:
        raise MissingFileError(f"{_at(path, node)}: {error}") from error
    except CRSError as error:
        raise CRSError(f"{_at(path, node)}: {error}") from error
    except (InputError, shapely.errors.ShapelyError) as error:
        raise ScenarioError(f"{_at(path, node)}: {' '.join(str(error).split())}") from error


def _pairs(path: Path, node: yaml.Node, expected: str) -> list[tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise ScenarioError(f"{_at(path, node)}: found a {_kind(node)}; expected a mapping of {expected}.")
    return node.value


def _scalar(path: Path, node: yaml.Node, expected: str) -> str | None:
    """The text of a scalar as it was written, so that `no` stays a word; None where it is empty or null."""
    if not isinstance(node, yaml.ScalarNode):
        raise ScenarioError(f"{_at(path, node)}: found a {_kind(node)}; expected {expected}.")
    return None if node.tag == "tag:yaml.org,2002:null" else node.value.strip() or None


def _kind(node: yaml.Node) -> str:
    return type(node).__name__.removesuffix("Node").lower()


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


def _at(path: Path, node: yaml.Node) -> str:
    return f"{path.name}, {_line(node)}"
