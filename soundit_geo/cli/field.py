"""Commands for recordings as they come from the field: sites, acoustics, add-acoustics."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soundit_geo.cli.options import AudioRoot, Json, Quiet
from soundit_geo.drafts import draft_of
from soundit_geo.errors import InputError, MissingFileError

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer()

_PRINTED = 60  # rows of a report that fit a terminal


@app.command("sites")
def make_sites(
    folder: Annotated[Path, typer.Argument(help="Folder of recordings, searched with its subfolders.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File of sites: .gpkg, .geojson, .parquet, .csv ...")
    ],
    track: Annotated[
        list[Path] | None, typer.Option(help="GPX of where the recordist was; may be repeated.")
    ] = None,
    positions: Annotated[
        list[Path] | None,
        typer.Option(help="CSV of lon, lat and one of audio, recorder or time; may be repeated."),
    ] = None,
    photos: Annotated[Path | None, typer.Option(help="Folder of photos of the places.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Where clocks without an offset were kept, such as Europe/London.")
    ] = None,
    dates: Annotated[
        str | None, typer.Option(help="Order of doubtful dates in file names: ymd, dmy or mdy.")
    ] = None,
    max_gap: Annotated[str, typer.Option(help="Longest time between a recording and a fix.")] = "60s",
    interpolate: Annotated[
        bool, typer.Option("--interpolate/--nearest", help="Between two fixes, or the nearest one.")
    ] = True,
    at_start: Annotated[
        bool, typer.Option("--start/--middle", help="The moment of a recording whose place counts.")
    ] = False,
    photo_gap: Annotated[str, typer.Option(help="Longest time between a recording and its photo.")] = "10min",
    photo_distance: Annotated[
        float, typer.Option(help="Longest way between a site and its photo, in metres.")
    ] = 50.0,
    report: Annotated[Path | None, typer.Option(help="CSV for the report on every file.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    as_json: Json = False,
) -> None:
    """Make sites of recordings, from what the files know of their place and time; report what is missing."""
    from soundit_geo.field import Limits, save_sites, sites_from_folder

    for path in (out, report):
        if path is not None and path.exists() and not overwrite:
            raise InputError(f"{path} is there already. Choose another name, or add --overwrite.")
    found = sites_from_folder(
        folder,
        track=track or (),
        positions=positions or (),
        photo_folder=photos,
        timezone=timezone,
        date_order=dates,  # type: ignore[arg-type] # checked there
        method="interpolate" if interpolate else "nearest",
        at="start" if at_start else "middle",
        limits=Limits(_seconds(max_gap), _seconds(photo_gap), photo_distance),
    )
    if report is not None:
        with draft_of(report) as draft:
            found.report.to_csv(draft, index=False)
    root = save_sites(found.sites, out, overwrite=overwrite) if len(found.sites) else None
    asked = found.report["kind"].eq("recording")
    left_out = int((asked & found.report["site"].eq("")).sum() + found.report["kind"].eq("folder").sum())
    if as_json:
        said = {
            "sites": len(found.sites),
            "left_out": left_out,
            "out": str(out) if len(found.sites) else None,
            "audio_root": str(root) if root else None,
            "report": json.loads(found.report.to_json(orient="records")),
        }
        print(json.dumps(said, indent=2))
    else:
        _print_report(found.report, saved=report is not None)
        print(f"{len(found.sites)} sites, {left_out} left out" + (f": {out}" if len(found.sites) else ""))
        if root:
            print(f"recordings lie outside {out.parent}: read the sites with --audio-root {root}")
    if not len(found.sites):
        print("error: no recording has a position. Give --track or --positions.", file=sys.stderr)
        raise typer.Exit(2)
    if left_out:
        raise typer.Exit(1)


@app.command("acoustics")
def measure_acoustics(
    sites: Annotated[Path, typer.Argument(help="File of sites, as `soundit-geo run` takes it.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Table of the measures, .csv or .parquet.")
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            help="Sound pressure level in dB of a recording at 0 dBFS, or the column that holds it."
        ),
    ] = None,
    audio_root: AudioRoot = None,
    workers: Annotated[int, typer.Option(min=1, help="Recordings measured at a time.")] = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure level, spectral centroid and acoustic indices of the recordings of sites."""
    from soundit_geo.acoustics import MEASURES, acoustics
    from soundit_geo.recordings import read_sites

    if out is not None and out.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"--out {out}: a table is written as .csv or .parquet.")
    table = read_sites(sites, audio_root=audio_root, absent="keep")
    measured = acoustics(table, _number(calibration), workers=workers, progress=not quiet)
    if out is not None:
        with draft_of(out) as draft:
            measured.to_csv(draft) if out.suffix.lower() == ".csv" else measured.to_parquet(draft)
    if as_json:
        print(json.dumps(json.loads(measured.to_json(orient="index")), indent=2))
    else:
        print(measured[list(MEASURES)].round(2).dropna(axis="columns", how="all").to_string())
    for site, message in measured["message"].items():
        if message:
            print(f"{site}: {message}", file=sys.stderr)
    failed = measured["level_dbfs"].isna()
    if failed.any():
        raise typer.Exit(2 if failed.all() else 1)


@app.command("add-acoustics")
def join_acoustics(
    study: Annotated[
        Path,
        typer.Argument(help="A study folder, a cube.zarr, or a cube as netCDF.", metavar="STUDY_OR_CUBE"),
    ],
    table: Annotated[
        Path | None,
        typer.Option(
            help="Measures that `soundit-geo acoustics` wrote; without them the recordings are measured."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A .nc or .zarr for the new cube; it replaces the old by default."),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            help="Sound pressure level in dB of a recording at 0 dBFS, or the column of the sites that holds it."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Recordings measured at a time.")] = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Put what is measured in the recordings into a study's cube: layers of its sites, beside what is predicted."""
    from soundit_geo.acoustics import MEASURES, SOUND_PRESSURE
    from soundit_geo.correlation import with_acoustics

    measured = None if table is None else _measures(table)
    cube = with_acoustics(
        study,
        measured,
        calibration=_number(calibration),
        out=out,
        workers=workers,
        progress=not quiet,
    )
    layers = {name: cube[name] for name in MEASURES if name in cube.data_vars}
    known = {name: int(layer.count()) for name, layer in layers.items()}
    calibrated = max((known.get(name, 0) for name in SOUND_PRESSURE), default=0)
    said = {
        "sites": cube.sizes["site"],
        "measured": known,
        "units": {name: str(layer.attrs["units"]) for name, layer in layers.items()},
        "calibrated_sites": calibrated,
        "out": str(out or study),
    }
    if as_json:
        print(json.dumps(said, indent=2))
    else:
        for name, layer in layers.items():
            print(f"{name:<12}{known[name]:>6} sites   {layer.attrs['units']:<6} {layer.attrs['long_name']}")
        print(
            f"{calibrated} of {said['sites']} sites have calibrated levels"
            if calibrated
            else "not calibrated: levels are re full scale (dBFS) and say nothing of sound pressure"
        )
        print(said["out"])
    most = max(known.values())
    if most < cube.sizes["site"]:
        print(f"{cube.sizes['site'] - most} sites have no measures", file=sys.stderr)
        raise typer.Exit(1 if most else 2)


def _measures(path: Path) -> pd.DataFrame:
    """Read a table of measures, index ``site``."""
    import pandas as pd

    if not path.is_file():
        raise MissingFileError(f"There is no table {path}. `soundit-geo acoustics` writes one.")
    try:
        if path.suffix.lower() == ".parquet":
            read = pd.read_parquet(path)
            read = read if read.index.name == "site" else read.set_index("site")
        else:
            read = pd.read_csv(path, dtype={"site": str}, keep_default_na=False, na_values=[""])
            read = read.set_index("site")
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f"{path} is no table of measures with a column site: {error}") from error
    return read


def _seconds(text: str) -> float:
    """Read a length of time, such as 60s, 2min or 60."""
    import pandas as pd

    try:
        return float(text) if text.replace(".", "", 1).isdigit() else pd.Timedelta(text).total_seconds()
    except ValueError as error:
        raise InputError(f"{text!r} is no length of time. Write 60s, 2min or 1h.") from error


def _number(text: str | None) -> float | str | None:
    try:
        return text if text is None else float(text)
    except ValueError:
        return text


def _print_report(report: pd.DataFrame, *, saved: bool) -> None:
    """Print a line for each file, and below it what is missing or wrong."""
    for row in report.head(_PRINTED).to_dict("records"):
        said = [row["kind"]]
        if row["kind"] == "recording":
            placed = (
                f"{row['lon']:.6f}, {row['lat']:.6f} ({row['position']})"
                if row["position"]
                else "no position"
            )
            said = [placed, f"{row['time']} ({row['time_from']})" if row["time"] else "no time"]
            said += [row["photo"]] if row["photo"] else []
        print(f"{row['file']}: {' · '.join(said)}")
        for text in filter(None, (row["missing"], row["problems"])):
            print(f"    {text}")
    more = len(report) - _PRINTED
    if more > 0:
        print(f"... and {more} more files" + ("" if saved else "; --report writes all of them"))
