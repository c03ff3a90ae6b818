"""Commands on published weights: list, pull, verify, import, path, remove, and two conversions."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundit_geo.cli.options import (
    Json,
    Quiet,
)
from soundit_geo.errors import SounditError

if TYPE_CHECKING:
    from soundit_geo.catalogue import Entry

app = typer.Typer(help="Fetch, check and convert published weights.", no_args_is_help=True)


@app.command("convert-dit")
def convert_dit(
    source: Annotated[Path, typer.Argument(help="DiT's checkpoint, or a folder in diffusers' layout.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for SounDiT's transformer.")],
    size: Annotated[str | None, typer.Option(help="The size it must have, such as XL/2.")] = None,
    heads: Annotated[int | None, typer.Option(help="Heads, where the size is none of the known.")] = None,
    experts: Annotated[int | None, typer.Option(help="M, experts of each block.")] = None,
    experts_per_sample: Annotated[int | None, typer.Option(help="k, experts in use.")] = None,
    expert_rank: Annotated[int | None, typer.Option(help="Rank of each expert's query.")] = None,
    content_rank: Annotated[int | None, typer.Option(help="r, rank of SLRCM.")] = None,
    token_dim: Annotated[int | None, typer.Option(help="Width of a soundscape token.")] = None,
    summary_dim: Annotated[int | None, typer.Option(help="Width of the soundscape summary.")] = None,
    scene_dim: Annotated[int | None, typer.Option(help="Width of the scene embedding.")] = None,
    norm_eps: Annotated[
        float | None, typer.Option(help="Epsilon of the layer norms; 1e-6 for weights from DiT's own code.")
    ] = None,
    frequency_shift: Annotated[
        float | None, typer.Option(help="Of the timestep's sinusoids; 0 for weights from DiT's own code.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Fixes the start of the new parts.")] = 0,
) -> None:
    """Lay DiT's weights into a fresh SounDiT, which predicts what DiT predicts without a class."""
    import torch

    from soundit_geo.soundit.convert import from_dit, is_dit_parameter

    settings = {
        "heads": heads,
        "experts": experts,
        "experts_per_sample": experts_per_sample,
        "expert_rank": expert_rank,
        "content_rank": content_rank,
        "token_dim": token_dim,
        "summary_dim": summary_dim,
        "scene_dim": scene_dim,
        "norm_eps": norm_eps,
        "frequency_shift": frequency_shift,
    }
    torch.manual_seed(seed)
    model = from_dit(source, size, **{key: value for key, value in settings.items() if value is not None})
    model.save_pretrained(out)
    counts = [(is_dit_parameter(name), parameter.numel()) for name, parameter in model.named_parameters()]
    print(f"from DiT  {sum(count for old, count in counts if old):>13,} parameters")
    print(f"new       {sum(count for old, count in counts if not old):>13,} parameters")
    print(out)


@app.command("split-imagebind")
def split_imagebind(
    source: Annotated[Path, typer.Argument(help="imagebind_huge.pth, or the same as .safetensors.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the parts.")],
    modalities: Annotated[
        str | None, typer.Option(help="Of audio, text and vision, with commas between; all by default.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
) -> None:
    """Split ImageBind's published weights into a safetensors file per modality, and drop what is of no use."""
    import torch

    from soundit_geo.encoders import ImageBindModel
    from soundit_geo.encoders.checkpoint import LICENCE

    wanted: Any = modalities and [name.strip() for name in modalities.split(",")]
    precision: Any = getattr(torch, dtype, dtype)
    parts = ImageBindModel.from_checkpoint(source, wanted or None, dtype=precision).save_parts(out)
    for modality, part in parts.items():
        print(f"{modality:<8}{part.numbers:>13,} numbers {part.size / 1e6:>9,.1f} MB  {part.path}")
    print(f"{'in all':<8}{sum(part.size for part in parts.values()) / 1e6:>31,.1f} MB, {dtype}")
    print(f"Licence of the weights, and of these parts: {LICENCE} (name the authors, no commercial use).")


WeightsName = Annotated[str, typer.Argument(help="A name that `weights list` shows.")]


@app.command("list")
def list_weights(as_json: Json = False) -> None:
    """Show which weights are known, what for, how large, under which licence, and whether they are here."""
    from soundit_geo import registry

    rows = [_row(entry) for entry in registry.entries()]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    shown = [("NAME", "FOR", "SIZE", "LICENCE", "CACHED")]
    for row in rows:
        size = "" if row["size_is_exact"] else "~"
        cached = "yes" if row["cached"] else "no"
        shown.append(
            (row["name"], row["purpose"], f"{size}{_megabytes(row['size'])}", row["licence"], cached)
        )
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for name, purpose, size, licence, cached in shown:
        print(
            f"{name:<{widths[0]}}  {purpose:<{widths[1]}}  {size:>{widths[2]}}  {licence:<{widths[3]}}  {cached}"
        )


@app.command("pull")
def pull_weights(
    names: Annotated[list[str], typer.Argument(help="Names that `weights list` shows.")],
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="I read the licence and keep to it; where it is not open."),
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Never try the network; so does SOUNDIT_GEO_OFFLINE=1.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Download weights into the cache and check them. Run again to go on after a stop."""
    from soundit_geo import registry

    _speak()
    for entry in [
        registry.find(name) for name in names
    ]:  # a misspelt name is told before anything is fetched
        print(f"{entry.name}: licence {entry.licence.name}, {entry.licence.url}", file=sys.stderr)
        path = registry.pull(
            entry.name, accept_licence=accept_licence, offline=offline or None, progress=not quiet
        )
        print(path)


@app.command("verify")
def verify_weights(
    names: Annotated[list[str] | None, typer.Argument(help="By default all that are here.")] = None,
    as_json: Json = False,
) -> None:
    """Read cached weights from end to end and compare size, hash and layout."""
    from soundit_geo import registry

    here = names or [entry.name for entry in registry.entries() if not registry.missing_files(entry.name)]
    verdicts: list[registry.Verdict] = []
    wrong: list[str] = []
    for name in here:
        try:
            verdicts += registry.verify(name)
        except SounditError as error:
            wrong.append(" ".join(str(error).split()))
    if as_json:
        print(json.dumps({"right": [verdict._asdict() for verdict in verdicts], "wrong": wrong}, indent=2))
    else:
        for verdict in verdicts:
            against = "as published" if verdict.published else "as it came; no published hash is known"
            print(
                f"{verdict.name}  {verdict.file}  {verdict.size:,} bytes  sha256 {verdict.sha256}  {against}"
            )
    for message in wrong:
        print(f"error: {message}", file=sys.stderr)
    if wrong:
        raise typer.Exit(2)


@app.command("import")
def import_weights(
    name: WeightsName,
    file: Annotated[Path, typer.Argument(help="A file that you fetched, or a folder with all of them.")],
) -> None:
    """Copy a file that you fetched into the cache, if it is the right one."""
    from soundit_geo import registry

    _speak()
    entry = registry.find(name)
    print(f"{entry.name}: licence {entry.licence.name}, {entry.licence.url}", file=sys.stderr)
    print(registry.import_file(name, file))
    missing = registry.missing_files(name)
    if missing:
        print(f"still missing: {', '.join(missing)}", file=sys.stderr)


@app.command("path")
def path_of_weights(
    name: Annotated[str | None, typer.Argument(help="By default the cache's own folder.")] = None,
) -> None:
    """Print where weights lie, to be given to other programs."""
    from soundit_geo import registry

    print(registry.cached(name) if name else registry.cache_folder())


@app.command("remove")
def remove_weights(name: WeightsName) -> None:
    """Remove weights from the cache, and what was begun of them."""
    from soundit_geo import registry

    _speak()
    freed = registry.remove(name)
    print(f"{name}: {_megabytes(freed)} freed" if freed else f"{name}: nothing was here")


def _row(entry: Entry) -> dict[str, Any]:
    """One line of `weights list`, as JSON has it."""
    from soundit_geo import registry

    files = [
        {
            "name": file.name,
            "size": file.size,
            "sha256": file.sha256 or None,
            "sources": [str(source) for source in file.sources],
        }
        for file in entry.files
    ]
    here = registry.is_cached(entry.name)
    return {
        "name": entry.name,
        "purpose": entry.purpose,
        "size": entry.size,
        "size_is_exact": entry.size_is_exact,
        "licence": entry.licence.name,
        "licence_url": entry.licence.url,
        "terms": entry.licence.terms,
        "must_accept": entry.licence.must_be_accepted,
        "cached": here,
        "path": str(registry.cached(entry.name)) if here else None,
        "files": files,
    }


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _speak() -> None:
    """Let the registry say on standard error what it waits for and which source failed."""
    for name in ("registry", "download"):
        logging.getLogger(f"soundit_geo.{name}").setLevel(logging.INFO)
