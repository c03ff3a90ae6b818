"""Command on the way from a cube to other programs: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def export(
    study: Annotated[
        Path,
        typer.Argument(help="A study folder, a cube.zarr, or a cube as netCDF.", metavar="STUDY_OR_CUBE"),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The file: .nc or .zarr for the cube itself, .gpkg, .parquet, .geojson or .csv for a table. "
            "One that is there is replaced.",
        ),
    ],
    scenario: Annotated[
        list[str] | None, typer.Option(help="A scenario that is wanted; repeatable, all by default.")
    ] = None,
    elements: Annotated[
        list[str] | None,
        typer.Option(help="An ADE20K element whose shares the table shall hold; repeatable."),
    ] = None,
) -> None:
    """Write a cube as netCDF or zarr, or as a table with a row per site. Loads no model."""
    from soundit_geo.cube import export_cube, open_cube

    print(export_cube(open_cube(study), out, scenarios=scenario or None, elements=elements or ()))
