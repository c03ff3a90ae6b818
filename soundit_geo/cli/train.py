"""Commands that train: soundit, cache, perception, preset."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from soundit_geo.cli.options import (
    Json,
    Mixed,
    Model,
    Out,
    Quiet,
)
from soundit_geo.errors import WeightsError

app = typer.Typer(help="Train models.", no_args_is_help=True)


@app.command("soundit")
def train_soundit(
    config: Annotated[str, typer.Argument(help="A YAML file, or a packed config: mini, paper.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the run, in place of the config's.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(help="Go on from the last checkpoint, or start over and delete the earlier run there."),
    ] = True,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Lay a setting over the config; may be repeated."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train SounDiT on a cache. Run again to go on after a stop; torchrun gives it several processes."""
    from soundit_geo.soundit.training.config import load_config

    folder = [f"out={json.dumps(str(out))}"] if out else []
    settings = load_config(config, [*(changes or []), *folder])

    from soundit_geo.soundit.training.loop import train

    trained = train(settings, resume=resume, progress=not quiet)
    if os.environ.get("RANK", "0") == "0":  # of several processes one speaks
        print(trained)


@app.command("cache")
def train_cache(
    pairs: Annotated[
        Path, typer.Argument(help="CSV with the columns audio, image and any number that begin with scene.")
    ],
    out: Out,
    model: Model = "synthetic-city",
    vae: Annotated[
        str | None, typer.Option(help="Autoencoder in diffusers' layout, in place of the model's.")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="ImageBind: checkpoint file, folder or hub id, in place of the model's."),
    ] = None,
    tokens: Annotated[str, typer.Option(help="clips, pooled or patches.")] = "clips",
    size: Annotated[
        int | None,
        typer.Option(min=8, help="Edge of the pictures in pixels; by default the autoencoder's, or 256."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="float16, bfloat16 or float32.")] = "float16",
    posterior: Annotated[
        bool, typer.Option(help="Keep the variance of the latents, or only their mean.")
    ] = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs at a time.")] = 16,
    rows_per_shard: Annotated[
        int | None, typer.Option(min=1, help="Pairs per shard; about 128 MB by default.")
    ] = None,
    verify: Annotated[bool, typer.Option(help="Compare every shard with its hash at the end.")] = False,
    quiet: Quiet = False,
) -> None:
    """Send pairs of sound and photo through autoencoder and encoder, once, for training. Run again to go on."""
    from soundit_geo.soundit.training.pairs import build_cache, read_pairs

    listed = read_pairs(pairs)
    autoencoder, imagebind = _encoders(model, vae, encoder)
    cache = build_cache(
        listed,
        out,
        vae=autoencoder,
        encoder=imagebind,
        soundscape_tokens=tokens,
        size=size or int(getattr(autoencoder.config, "sample_size", 256)),
        dtype=dtype,
        posterior=posterior,
        batch_size=batch_size,
        rows_per_shard=rows_per_shard,
        names=(vae or model, encoder or model),
        progress=not quiet,
    )
    if verify:
        cache.verify()
    megabytes = sum(shard["bytes"] for shard in cache.shards) / 1e6
    print(f"{out}: {len(cache)} pairs in {len(cache.shards)} shards, {megabytes:.1f} MB")
    for number, why in cache.skipped:
        print(f"pair {number} left out: {' '.join(why.split())}", file=sys.stderr)
    if cache.skipped:
        raise typer.Exit(1)


@app.command("perception")
def train_perception_judge(
    votes: Annotated[
        Path, typer.Option(help="CSV with the columns left, right, winner and quality, or Place Pulse 2.0's.")
    ],
    images: Annotated[Path, typer.Option(help="Folder of the pictures that the votes name.")],
    out: Out,
    network: Annotated[str, typer.Option(help="densenet121 or mini.")] = "densenet121",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the pictures.")] = 20,
    batch_size: Annotated[int, typer.Option(min=2, help="Pictures per step.")] = 64,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 3e-4,
    held_out: Annotated[
        float, typer.Option(help="Share of the pictures that is kept to test the judge on.")
    ] = 0.2,
    seed: Annotated[
        int, typer.Option(min=0, help="Fixes the split, the start and the order of the pictures.")
    ] = 0,
    start: Annotated[
        Path | None, typer.Option(help="Weights to start from, such as torchvision's for ImageNet.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name that travels with the judge's scores.")] = None,
    world: Annotated[
        str, typer.Option(help="What the pictures are, such as 'street views of Leeds'.")
    ] = "the pictures of its votes",
    skip_absent: Annotated[
        bool, typer.Option("--skip-absent", help="Leave votes on pictures out that are not in the folder.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; a GPU where there is one.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a perception judge on pairwise votes, and test it on votes between pictures that it has not seen."""
    from soundit_geo.lab.perception import Plan, train_perception

    plan = Plan(network, epochs, batch_size, rate, held_out=held_out, seed=seed)
    figures = train_perception(
        votes,
        images,
        out,
        plan,
        name=name,
        world=world,
        start=start,
        skip_absent=skip_absent,
        device=device,
        progress=not quiet,
    )
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    print("held-out votes that the judge agrees with (chance 0.5)")
    for quality, share in figures["pair_accuracy"].items():
        count = figures["votes"]["held_out_and_won"][quality]
        print(f"  {quality:<11}{'  none' if share is None else f'{share:6.3f}'}  of {count:,}")
    print(f"  {'all':<11}{figures['pair_accuracy_all']:6.3f}")
    print(f"judge: {out}; use it with --judges open,perception={out}")


@app.command()
def preset(
    name: Annotated[str, typer.Argument(help="The preset; there is synthetic-city.")],
    work: Annotated[Path, typer.Option(help="Data and checkpoints; large.")] = Path("work/preset"),
    out: Annotated[Path, typer.Option(help="The finished preset.")] = Path("work/preset/synthetic-city"),
    stage: Annotated[list[str] | None, typer.Option(help="Only these stages; may be repeated.")] = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="A finished preset whose weights the stages begin with.")
    ] = None,
    mixed: Mixed = False,
) -> None:
    """Train an embedded preset, stage by stage. Run again to go on after a stop."""
    from soundit_geo.lab.preset import train_preset

    train_preset(name, work, out, stage, start, mixed=mixed)


def _encoders(model: str, vae: str | None, encoder: str | None) -> tuple[Any, Any]:
    """Autoencoder and ImageBind, each of its own or a pipeline's; on the GPU where there is one."""
    import torch
    from diffusers import AutoModel

    from soundit_geo.encoders import ImageBindModel
    from soundit_geo.soundit.loading import check_model
    from soundit_geo.soundit.pipeline import SounDiTPipeline

    parts: list[Any] = [vae, encoder]
    if vae is None or encoder is None:
        pipeline = SounDiTPipeline.from_pretrained(model)
        parts = [pipeline.vae, pipeline.encoder]
    if vae is not None:
        if Path(vae).is_dir():
            check_model(Path(vae))
        try:
            parts[0] = AutoModel.from_pretrained(vae, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise WeightsError(f"The autoencoder {vae!r} cannot be loaded ({error}).") from error
    if encoder is not None and Path(encoder).is_file():
        parts[1] = ImageBindModel.from_checkpoint(encoder, ["audio", "text"])
    elif encoder is not None:
        parts[1] = ImageBindModel.from_pretrained(encoder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return parts[0].eval().to(device), parts[1].eval().to(device)
