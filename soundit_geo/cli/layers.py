"""Commands that turn a study, or any table of points, into layers: surface, hexagons, districts, hotspots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundit_geo.cli.options import ChanceSeed, Json
from soundit_geo.cli.tables import read_table
from soundit_geo.drafts import draft_of
from soundit_geo.errors import InputError
from soundit_geo.origin import in_words, origin_of

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

app = typer.Typer()

Source = Annotated[
    Path, typer.Argument(metavar="STUDY", help="A study folder, a cube, or a file of points with numbers.")
]
Variable = Annotated[str, typer.Option(help="A perception, indicator, element or PSS; a column of a file.")]
Scenario = Annotated[str | None, typer.Option(help="Which scenario, where the cube has several.")]
Against = Annotated[str | None, typer.Option(help="A second scenario, to be taken off the first.")]
Table = Annotated[Path, typer.Option("--out", "-o", help="A .parquet, .gpkg or .geojson file.")]
Minimum = Annotated[int, typer.Option(min=1, help="Places below which an area has no mean.")]


@app.command()
def surface(
    source: Source,
    out: Annotated[Path, typer.Option("--out", "-o", help="A .tif file: value and standard deviation.")],
    variable: Variable = "lively",
    scenario: Scenario = None,
    against: Against = None,
    method: Annotated[str, typer.Option(help="kriging, or 'gaussian process'.")] = "kriging",
    cell: Annotated[float | None, typer.Option(help="Side of a cell in metres.")] = None,
    reach: Annotated[float | None, typer.Option(help="Metres from the next place that are filled.")] = None,
    boundary: Annotated[
        Path | None, typer.Option(help="Polygons outside of which nothing is filled.")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="A plain GeoTIFF, not a cloud-optimised one.")
    ] = False,
    seed: ChanceSeed = 0,
    as_json: Json = False,
) -> None:
    """Interpolate between the sites: a GeoTIFF with standard deviation, and how accurate it is."""
    _check_kind(out, (".tif", ".tiff"))
    from soundit_geo.spatial import surface as interpolate
    from soundit_geo.spatial import write_raster

    grid = interpolate(
        _open(source),
        variable,
        scenario=scenario,
        against=against,
        method=method,
        cell=cell,
        reach=reach,
        boundary=None if boundary is None else read_table(boundary),
        seed=seed,
    )
    write_raster(grid, out, cloud_optimised=not plain)
    about = grid.attrs
    accuracy = {
        str(kind): {name: float(grid[name].sel(validation=kind)) for name in ("rmse", "r2", "coverage")}
        for kind in grid["validation"].to_numpy()
    }
    names = (
        "label",
        "units",
        "method",
        "variogram",
        "nugget",
        "sill",
        "range",
        "sites",
        "places",
        "without_value",
    )
    said = {
        name: about[name]
        for name in (*names, "cell", "block", "crs", "crs_chosen_because", "validation_seed")
    }
    if as_json:
        points = {name: grid[name].to_numpy().tolist() for name in ("lag", "semivariance", "pairs", "fitted")}
        print(
            _json(
                {
                    **said,
                    **origin_of(about),
                    "variogram": {"model": said["variogram"], **points},
                    "accuracy": accuracy,
                    "out": str(out),
                }
            )
        )
        return
    print(f"{said['label']}: {method} from {_counted(about)}")
    print(f"{grid.sizes['x']} × {grid.sizes['y']} cells of {said['cell']:.3g} m")
    print(f"{said['crs']}: {said['crs_chosen_because']}")
    print(
        f"variogram {said['variogram']}: nugget {said['nugget']:.3g}, sill {said['sill']:.3g}, "
        f"range {said['range']:,.0f} m"
    )
    print("held-out places     RMSE      R²   within the 95 % interval")
    for kind, found in accuracy.items():
        words = f"{kind} ({said['block']:,.0f} m)" if kind == "blocked" else kind
        print(f"{words:<18}{found['rmse']:>6.3f}  {found['r2']:>6.3f}   {found['coverage']:.1%}")
    _end(about, out)


@app.command()
def hexagons(
    source: Source,
    out: Table,
    variable: Variable = "lively",
    scenario: Scenario = None,
    against: Against = None,
    resolution: Annotated[
        int | None, typer.Option(help="Of H3, 0 to 15; by default after the spacing.")
    ] = None,
    minimum: Minimum = 1,
    as_json: Json = False,
) -> None:
    """Average over the hexagons of H3: mean, 95 % interval, counts."""
    _check_kind(out)
    from soundit_geo.spatial import hexagons as average

    frame = average(
        _open(source), variable, scenario=scenario, against=against, resolution=resolution, minimum=minimum
    )
    _write(frame, out, "hexagons")
    known = int(frame["mean"].notna().sum())
    said = {
        **frame.attrs,
        **origin_of(frame.attrs),
        "hexagons": len(frame),
        "with_mean": known,
        "out": str(out),
    }
    if as_json:
        print(_json(said))
        return
    print(f"{said['label']}: {len(frame)} hexagons of resolution {said['resolution']}, {known} with a mean,")
    print(f"from {_counted(said)}")
    _end(said, out)


@app.command()
def districts(
    source: Source,
    polygons: Annotated[Path, typer.Argument(help="A file of polygons.")],
    out: Table,
    variable: Variable = "lively",
    scenario: Scenario = None,
    against: Against = None,
    minimum: Minimum = 1,
    as_json: Json = False,
) -> None:
    """Average over polygons: mean, 95 % interval, counts."""
    _check_kind(out)
    from soundit_geo.spatial import districts as average

    frame = average(
        _open(source), variable, read_table(polygons), scenario=scenario, against=against, minimum=minimum
    )
    _write(frame, out, "districts")
    known = int(frame["mean"].notna().sum())
    said = {
        **frame.attrs,
        **origin_of(frame.attrs),
        "districts": len(frame),
        "with_mean": known,
        "out": str(out),
    }
    if as_json:
        print(_json(said))
        return
    print(f"{said['label']}: {len(frame)} districts, {known} with a mean, from {_counted(said)}")
    if said["outside"]:
        print(f"{said['outside']} places lie in no district")
    _end(said, out)


@app.command()
def hotspots(
    source: Source,
    out: Table,
    variable: Variable = "lively",
    scenario: Scenario = None,
    against: Against = None,
    neighbours: Annotated[int, typer.Option(min=1, help="Nearest places that count as neighbours.")] = 8,
    distance: Annotated[float | None, typer.Option(help="Metres within which places count instead.")] = None,
    alpha: Annotated[float, typer.Option(help="False-discovery rate of the clusters.")] = 0.05,
    seed: ChanceSeed = 0,
    as_json: Json = False,
) -> None:
    """Find clusters (local Moran's I) and hot spots (Gi*), false discoveries controlled."""
    _check_kind(out)
    from soundit_geo.spatial import hotspots as find

    frame = find(
        _open(source),
        variable,
        scenario=scenario,
        against=against,
        neighbours=neighbours,
        distance=distance,
        alpha=alpha,
        seed=seed,
    )
    _write(frame, out, "hotspots")
    counts: dict[str, dict[str, int]] = {
        name: {str(word): int(count) for word, count in frame[name].value_counts().items()}
        for name in ("cluster", "hotspot")
    }
    said = {**frame.attrs, **origin_of(frame.attrs), **counts, "out": str(out)}
    if as_json:
        print(_json(said))
        return
    print(f"{said['label']}: {_counted(said)}, neighbours: {said['graph']}")
    print(f"Moran's I {said['moran']:.3f} (by chance {said['moran_expected']:.3f}), p {said['moran_p']:.3g}")
    for title, name in (("clusters", "cluster"), ("hot spots", "hotspot")):
        print(f"{title}: {', '.join(f'{count} {word}' for word, count in counts[name].items())}")
    _end(said, out)


def _open(path: Path) -> xr.Dataset | gpd.GeoDataFrame:
    """Open a cube where there is one, else a table."""
    from soundit_geo.cube import open_cube

    return open_cube(path) if path.is_dir() or path.suffix in (".zarr", ".nc") else read_table(path)


def _check_kind(path: Path, kinds: tuple[str, ...] = (".parquet", ".gpkg", ".geojson")) -> None:
    """Refuse a file name before anything is computed."""
    if path.suffix not in kinds:
        raise InputError(
            f"--out {path} is of no known kind; expected a name that ends in {' or '.join(kinds)}."
        )


def _write(frame: gpd.GeoDataFrame, path: Path, layer: str) -> None:
    """Write a table with geometries and what it says of itself, whole or not at all."""
    import pyogrio

    table = frame.reset_index()
    table.attrs = frame.attrs
    about = {str(name): str(value) for name, value in frame.attrs.items()}
    told = "; ".join(text for text in (about["label"], in_words(about)) if text)
    with draft_of(path) as draft:
        if path.suffix == ".parquet":
            table.to_parquet(draft, index=False)  # its attrs go with it
        elif path.suffix == ".gpkg":
            pyogrio.write_dataframe(
                table,
                draft,
                layer=layer,
                driver="GPKG",
                layer_metadata=about,
                layer_options={"DESCRIPTION": told},
            )
        else:  # GeoJSON has room for a description alone
            pyogrio.write_dataframe(
                table, draft, layer=layer, driver="GeoJSON", layer_options={"DESCRIPTION": told}
            )


def _end(about: dict[str, Any], out: Path) -> None:
    """Say where the numbers come from, and where they went."""
    if told := in_words(about):
        print(told)
    print(out)


def _counted(about: dict[str, Any]) -> str:
    """Count sites and places in words."""
    return f"{about['places']} places ({about['sites']} sites; {about['without_value']} without a value)"


def _json(said: dict[str, Any]) -> str:
    """Print numbers that may be NaN as JSON, null for NaN."""
    import pandas as pd

    return json.dumps(json.loads(pd.Series(said).to_json()), indent=2)
