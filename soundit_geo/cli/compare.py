"""The command that says what one scenario changes against another, and how sure that is."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundit_geo.cli.options import ChanceSeed, Json
from soundit_geo.cli.tables import read_table
from soundit_geo.errors import InputError
from soundit_geo.origin import in_words, origin_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

app = typer.Typer()


@app.command()
def compare(
    study: Annotated[
        Path,
        typer.Argument(help="A study folder, a cube.zarr, or a cube as netCDF.", metavar="STUDY_OR_CUBE"),
    ],
    a: Annotated[str, typer.Argument(metavar="A", help="The scenario that is looked at.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The one that it is held against.")],
    goal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PERCEPTION=WEIGHT",
            help="Rank all scenarios by a goal, such as lively=1; may be repeated.",
        ),
    ] = None,
    districts: Annotated[Path | None, typer.Option(help="Polygons, to compare within each.")] = None,
    by: Annotated[
        str | None,
        typer.Option(help="Column of the districts' names; without districts, a variable of the cube."),
    ] = None,
    these_sites: Annotated[
        bool, typer.Option(help="Intervals for exactly these sites, not for all places like them.")
    ] = False,
    unchanged: Annotated[bool, typer.Option(help="Count sites that look alike in both.")] = False,
    se: Annotated[
        float | None, typer.Option(help="Say how many draws bring a site's standard error down to this.")
    ] = None,
    seed: ChanceSeed = 0,
    as_json: Json = False,
) -> None:
    """What scenario A changes against B: means, 95 % intervals, sites that change, districts, ranks."""
    from soundit_geo.cube import open_cube
    from soundit_geo.scenarios import COMPARED, difference, draws_needed, effect, rank

    cube = open_cube(study)
    group = _grouping(cube, districts, by)
    variables = [name for name in COMPARED if name != "element_share" and int(cube[name].count())]
    options: dict[str, Any] = {
        "variables": variables,
        "of": "these sites" if these_sites else "population",
        "unchanged": unchanged,
        "seed": seed,
    }
    each = difference(cube, a, b, variables=variables)
    whole = effect(cube, a, b, **options)
    said: dict[str, Any] = {
        "a": a,
        "b": b,
        "of": options["of"],
        **origin_of(cube.attrs),
        "overall": _rows(whole, variables),
        "significant_sites": _significant(each, variables),
    }
    if reason := str(whole["reason"].item()):
        said["reason"] = reason
    if group is not None:
        local = effect(cube, a, b, by=group, **options)
        said["districts"] = {
            str(name): _rows(local.sel(district=name), variables)
            | ({"reason": reason} if (reason := str(local["reason"].sel(district=name).item())) else {})
            for name in local["district"].to_numpy()
        }
    if goal:
        said["ranking"] = json.loads(rank(cube, _goal(goal), seed=seed).to_json(orient="index"))
    if se is not None:
        said["draws_needed"] = json.loads(draws_needed(cube, se, compare=(a, b)).to_json(orient="index"))
    print(json.dumps(said, indent=2, ensure_ascii=False) if as_json else _text(said))


def _grouping(cube: xr.Dataset, districts: Path | None, by: str | None) -> str | pd.Series | None:
    from soundit_geo.scenarios import districts_of

    if districts is None:
        return by
    if by is None:
        raise InputError(f"Say which column of {districts.name} holds the districts' names, with --by.")
    return districts_of(cube, read_table(districts), by)


def _goal(texts: list[str]) -> dict[str, float]:
    """Read PERCEPTION=WEIGHT."""
    weights = {}
    for text in texts:
        name, _, weight = text.partition("=")
        try:
            weights[name.strip()] = float(weight)
        except ValueError:
            raise InputError(f"The goal {text!r} is no PERCEPTION=WEIGHT, such as lively=1.") from None
    return weights


def _named(layer: xr.DataArray, name: str) -> dict[str, float]:
    """A variable's numbers under the names that people use: each perception, or the variable itself."""
    if layer.ndim:
        return dict(zip(map(str, layer["percept"].to_numpy()), layer.to_numpy().tolist(), strict=True))
    return {name: layer.item()}


def _rows(found: xr.Dataset, variables: list[str]) -> dict[str, dict[str, float | None]]:
    """Mean, standard error, interval and number of sites of each variable; None where there is none."""
    columns = {"mean": "", "se": "_se", "low": "_low", "high": "_high", "sites": "_sites"}
    rows: dict[str, dict[str, float | None]] = {}
    for name in variables:
        for column, suffix in columns.items():
            for variable, value in _named(found[f"{name}{suffix}"], name).items():
                rows.setdefault(variable, {})[column] = value if math.isfinite(value) else None
    return rows


def _significant(each: xr.Dataset, variables: list[str]) -> dict[str, dict[str, float]]:
    """How many sites are higher in A, and in B, after control of false discoveries, of how many judged."""
    counts: dict[str, dict[str, float]] = {}
    for name in variables:
        found, sign = each[f"{name}_significant"], each[name]
        for column, layer in (
            ("higher", (found & (sign > 0)).sum("site")),
            ("lower", (found & (sign < 0)).sum("site")),
            ("judged", each[f"{name}_q"].count("site")),
        ):
            for variable, value in _named(layer, name).items():
                counts.setdefault(variable, {})[column] = value
    return counts


def _text(said: dict[str, Any]) -> str:
    """The same for people."""
    whose = "all places like these" if said["of"] == "population" else "these sites"
    parts = [
        f"{said['a']} minus {said['b']}: mean over sites, 95 % interval for {whose}",
        _table(said["overall"], said.get("reason", "")),
        "sites that are higher or lower in A, after control of false discoveries",
        _plain(said["significant_sites"]),
    ]
    for name, rows in said.get("districts", {}).items():
        reason = rows.pop("reason", "")
        parts += [f"in {name}", _table(rows, reason)]
    if "ranking" in said:
        parts += ["scenarios by the goal, in standard deviations between sites", _plain(said["ranking"])]
    if "draws_needed" in said:
        parts += ["draws needed for the standard error", _plain(said["draws_needed"])]
    if told := in_words(said):
        parts.append(told)
    return "\n".join(parts)


def _table(rows: dict[str, dict[str, float | None]], reason: str) -> str:
    return _plain(rows) + (f"\n(no interval: {reason})" if reason else "")


def _plain(rows: dict[str, dict[str, Any]]) -> str:
    import pandas as pd

    return pd.DataFrame.from_dict(rows, orient="index").apply(pd.to_numeric).round(3).to_string(na_rep="–")
