"""The command that measures fidelity: FID, KID, AIS, IIS."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from soundit_geo.cli.options import Device, Json, Quiet
from soundit_geo.errors import InputError

app = typer.Typer()


@app.command()
def fidelity(
    real: Annotated[Path | None, typer.Option(help="Folder of real pictures.")] = None,
    generated: Annotated[
        Path | None, typer.Option(help="Folder of generated pictures, paired by file stem.")
    ] = None,
    sounds: Annotated[
        Path | None, typer.Option(help="Folder of recordings, of the same file stems; without it no AIS.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns real, generated and perhaps sound and label, in place of the folders."
        ),
    ] = None,
    features: Annotated[
        str,
        typer.Option(
            metavar="NAME|PATH", help="Of FID and KID: inception-fid, or a scene judge, see docs/judges.md."
        ),
    ] = "synthetic-city",
    space: Annotated[
        str,
        typer.Option(
            metavar="NAME|PATH|none",
            help="Of AIS and IIS: an ImageBind model, such as imagebind-huge; clip-wav2clip; or a folder of "
            "embeddings. With none, pictures need no pairs.",
        ),
    ] = "synthetic-city",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File (.json) for the result.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pictures that go through the networks together.")] = 32,
    workers: Annotated[int, typer.Option(min=1, help="Threads that decode pictures.")] = 2,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fidelity of generated pictures to real ones and to their sounds: FID, KID, AIS, IIS."""
    from soundit_geo.evaluation import fidelity as measure
    from soundit_geo.pss.pairs import pairs_from_table

    if out is not None and out.suffix.lower() != ".json":
        raise InputError(f"--out {out}: this result is written as .json.")
    chosen = None if space.lower() == "none" else space
    given: tuple[Any, ...]
    if pairs is not None and (real, generated, sounds) == (None, None, None):
        given = pairs_from_table(pairs), None, _sounds_of(pairs) if chosen else None
    elif pairs is None and real is not None and generated is not None:
        given = real, generated, sounds
    else:
        raise InputError("Give --real and --generated, perhaps --sounds; or --pairs alone.")
    result = measure(
        *given,
        features=features,
        space=chosen,
        device=device,
        batch_size=batch,
        workers=workers,
        progress=not quiet,
    )
    if out is not None:
        result.save(out)
    print(json.dumps(result.to_dict(), indent=2) if as_json else result)
    for label, why in result.failed.items():
        print(f"{label}: {why}", file=sys.stderr)
    if result.failed:
        raise typer.Exit(1)


def _sounds_of(table: Path) -> tuple[Any, ...] | None:
    """Recordings that the table names, if it has a column of them."""
    import pandas as pd

    from soundit_geo.pss.pairs import pairs_from_table

    if "sound" not in pd.read_csv(table, nrows=0).columns:
        return None
    return pairs_from_table(table, generated="sound").generated
