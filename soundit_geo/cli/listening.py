"""The command that gives sites a scene from their sound: infer-scenes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from soundit_geo.cli.options import AudioRoot, Device, Json, Quiet
from soundit_geo.errors import InputError

app = typer.Typer()


@app.command("infer-scenes")
def infer(
    sites: Annotated[Path, typer.Argument(help="File of sites, as `soundit-geo run` takes it.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File for the sites: .gpkg, .geojson, .parquet, .csv ...")
    ],
    scene: Annotated[
        list[str] | None, typer.Option(help="Name of a scene to choose from; repeat it for each.")
    ] = None,
    scenes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Scenes to choose from: a name a line, or YAML with prompts for each."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Whose encoder listens: a preset, a pipeline's or encoder's folder, a hub id, imagebind-huge, or a "
            "checkpoint of ImageBind."
        ),
    ] = "synthetic-city",
    audio_root: AudioRoot = None,
    device: Device = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Give each site the scene that its recording sounds most like, for `run --scenario NAME=@inferred`."""
    from soundit_geo.field import save_sites
    from soundit_geo.recordings import read_sites
    from soundit_geo.scene_inference import infer_scenes, read_scenes
    from soundit_geo.weights import STAND_IN_WORLD, is_stand_in

    if (scene is None) == (scenes is None):
        raise InputError(
            "Say which scenes there are to choose from, with --scene for each or with --scenes FILE."
        )
    if out.exists() and not overwrite:
        raise InputError(f"{out} is there already. Choose another name, or add --overwrite.")
    table = read_sites(sites, audio_root=audio_root, absent="keep")
    listed = scene if scenes is None else read_scenes(scenes)
    found = infer_scenes(table, listed or [], model, device=device, progress=not quiet)
    root = save_sites(found, out, overwrite=overwrite)
    heard = found["inferred"].notna()
    counts = {str(name): int(count) for name, count in found["inferred"].value_counts().items()}
    evidence = f"stand-in: {STAND_IN_WORLD}" if is_stand_in(model) else "trained model"
    said = {
        "sites": len(found),
        "inferred": int(heard.sum()),
        "scenes": counts,
        "probability": float(found["inferred_probability"].mean()) if heard.any() else None,
        "encoder": model,
        "evidence": evidence,
        "out": str(out),
        "audio_root": str(root) if root else None,
    }
    if as_json:
        print(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        for name, count in counts.items():
            print(f"{count:>6}  {name}")
        print(f"{said['inferred']} of {said['sites']} sites have a scene, by their sound alone")
        print(f"encoder {model}; {evidence}")
        if root:
            print(f"recordings lie outside {out.parent}: read the sites with --audio-root {root}")
        print(out)
    if not heard.all():
        raise typer.Exit(1 if heard.any() else 2)
