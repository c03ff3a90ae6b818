"""The command line: arguments in, files out.

Exit codes: 0 done; 1 ran, but some sites failed; 2 bad input, one line on stderr; 70 a defect of ours;
130 stopped by the user.
Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundit_geo import __version__
from soundit_geo.errors import InputError, ScenarioError, SounditError, SounditWarning, WeightsError

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from soundit_geo.catalogue import Entry
    from soundit_geo.study import Study

app = typer.Typer(
    name="soundit-geo",
    help="Hear a place, see it, map how it would feel, and compare designs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train_app = typer.Typer(help="Train models.", no_args_is_help=True)
app.add_typer(train_app, name="train")
weights_app = typer.Typer(help="Fetch, check and convert published weights.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")
bench_app = typer.Typer(
    help="Measure speed beside named peers, in one run; prints JSON. docs/performance.md explains the figures.",
    no_args_is_help=True,
)
app.add_typer(bench_app, name="bench")

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")]
Draws = Annotated[int, typer.Option(help="Landscapes per site and scenario.")]
Seed = Annotated[int, typer.Option(min=0, help="Fixes the first noise of every site and draw.")]
Batch = Annotated[int, typer.Option(help="Landscapes drawn at a time.")]
Steps = Annotated[int, typer.Option(help="Steps of the sampler.")]
Guidance = Annotated[float, typer.Option(help="Guidance scale on soundscape and prompt together.")]
Json = Annotated[bool, typer.Option("--json", help="Print numbers as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
Prompts = Annotated[
    list[str] | None,
    typer.Option(
        "--scenario", metavar="NAME=PROMPT", help="A scene prompt to compare with; may be repeated."
    ),
]
Model = Annotated[str, typer.Option(help="Preset name, pipeline folder or hub id.")]
JudgeSet = Annotated[
    str | None, typer.Option("--judges", help="Judge set or folder; the embedded one by default.")
]


def _version(show: bool) -> None:
    if show:
        print(f"soundit-geo {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Hear a place, see it, map how it would feel, and compare designs."""


@app.command()
def demo(
    out: Out = Path("soundit-geo-demo"),
    sites: Annotated[int, typer.Option(help="Sites of the sample city.", min=1)] = 36,
    draws: Draws = 2,
    seed: Seed = 7,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the synthetic harbour city, study it under two scenarios, and map it."""
    from soundit_geo.study import Study
    from soundit_geo.synthetic_city.writing import write_city

    place = out / f"city-{sites}-{seed}"  # another seed, another folder: a refused study keeps its sounds
    city = write_city(place, sites, seed)
    study = Study(
        place / "sites.geojson",
        out=out,
        scenarios={"as recorded": None, "pedestrian plaza": "a pedestrian plaza with trees"},
        draws=draws,
        seed=seed,
        steps=16,
    )
    _finish(study, study.run(progress=not quiet), dict(city.base), as_json=as_json)


@app.command()
def run(
    sites: Annotated[
        Path, typer.Argument(help="GeoJSON, GeoPackage, GeoParquet, Shapefile or CSV of recordings.")
    ],
    out: Out,
    scenario: Prompts = None,
    audio_root: Annotated[
        Path | None, typer.Option(help="Folder that the audio paths are relative to.")
    ] = None,
    model: Model = "synthetic-city",
    judges: JudgeSet = None,
    draws: Draws = 4,
    seed: Seed = 0,
    batch_size: Batch = 8,
    steps: Steps = 20,
    guidance: Guidance = 4.0,
    base: Annotated[
        list[Path] | None, typer.Option(help="Polygons or lines drawn beneath the sites.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Study recordings at coordinates: landscapes, scores, cube and map. Run again to go on after a stop."""
    from soundit_geo.recordings import read_sites
    from soundit_geo.scenarios import AS_RECORDED, as_scenarios
    from soundit_geo.study import Study

    if any(text.partition("=")[0].strip() == AS_RECORDED for text in scenario or []):
        raise ScenarioError(f"The scenario {AS_RECORDED!r} is always there. Give yours another name.")
    compared = as_scenarios([f"{AS_RECORDED}=", *(scenario or [])])
    table = read_sites(sites, audio_root=audio_root, absent="keep")
    layers = {path.stem: _layer(path) for path in base or []}
    study = Study(
        table,
        out=out,
        scenarios=compared,
        model=model,
        judges=judges,
        draws=draws,
        seed=seed,
        batch_size=batch_size,
        steps=steps,
        guidance=guidance,
    )
    _finish(study, study.run(progress=not quiet), layers, as_json=as_json)


@app.command("map")
def draw_map(
    study: Annotated[Path, typer.Argument(help="A study folder, or a cube.zarr in one.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The HTML file; map.html in the study folder.")
    ] = None,
    variable: Annotated[str, typer.Option(help="What colours the sites first.")] = "lively",
    compare: Annotated[
        tuple[str, str] | None, typer.Option(metavar="A B", help="Two scenarios to compare.")
    ] = None,
    base: Annotated[
        list[Path] | None, typer.Option(help="Polygons or lines drawn beneath the sites.")
    ] = None,
    tiles: Annotated[
        str | None, typer.Option(help="A tile layer, such as OpenStreetMap; needs the network.")
    ] = None,
) -> None:
    """Map a finished or unfinished study. Loads no model."""
    from soundit_geo.cube import open_cube
    from soundit_geo.maps import site_map

    path = study if study.suffix == ".zarr" else study / "cube.zarr"
    cube = open_cube(path)
    target = out or path.parent / "map.html"
    layers = {layer.stem: _layer(layer) for layer in base or []}
    site_map(cube, variable=variable, compare=compare, base=layers, folder=path.parent, tiles=tiles).save(
        str(target)
    )
    print(target)


Judge = Annotated[
    str | None, typer.Option(metavar="NAME|PATH", help="Judge of this level; see docs/judges.md.")
]


@app.command()
def score(
    real: Annotated[Path | None, typer.Option(help="Folder of real pictures.")] = None,
    generated: Annotated[
        Path | None, typer.Option(help="Folder of generated pictures, paired by file stem.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns real, generated and perhaps label, in place of two folders."),
    ] = None,
    judges: Annotated[
        str | None,
        typer.Option(
            help="Set of judges: synthetic-city (where nothing else is named), open, paper, or a folder."
        ),
    ] = None,
    elements: Judge = None,
    scenes: Judge = None,
    perception: Judge = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File (.json, .csv, .parquet), or a folder: a run that can be stopped and goes on.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pairs judged together.")] = 16,
    workers: Annotated[int, typer.Option(min=1, help="Threads that decode pictures.")] = 2,
    device: Annotated[str | None, typer.Option(help="Where the judges compute, such as cuda.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Place similarity (PSS) of generated pictures with real ones. A level without a judge is not scored."""
    from soundit_geo.pss.judges import load_judges
    from soundit_geo.pss.pairs import pair_up, pairs_from_table
    from soundit_geo.pss.run import score_pairs

    if real is not None and generated is not None and pairs is None:
        paired = pair_up(real, generated)
    elif pairs is not None and real is None and generated is None:
        paired = pairs_from_table(pairs)
    else:
        raise InputError("Give --real and --generated, or --pairs.")
    given: dict[str, Any] = {"elements": elements, "scenes": scenes, "perception": perception}
    levels = {
        level: None if choice.lower() == "none" else choice
        for level, choice in given.items()
        if choice is not None
    }
    chosen = load_judges(judges or (None if levels else "synthetic-city"), device, **levels)
    as_file = out is not None and out.suffix.lower() in (".json", ".csv", ".parquet")
    if out is not None and out.suffix and not as_file and not out.is_dir():
        raise InputError(f"--out {out}: results are written as .json, .csv or .parquet, or to a folder.")
    result = score_pairs(
        paired,
        chosen,
        out=None if as_file else out,
        batch_size=batch,
        workers=workers,
        progress=not quiet,
    )
    if out is not None:
        for file in (out,) if as_file else (out / "scores.csv", out / "scores.json"):
            result.save(file)
    print(json.dumps(result.to_dict(), indent=2) if as_json else result)
    for label, why in result.failed.items():
        print(f"{label} has no score: {why}", file=sys.stderr)
    if result.failed:
        raise typer.Exit(1)


@app.command()
def synth(
    out: Out,
    sites: Annotated[int, typer.Option(help="Number of sites.", min=1)] = 36,
    seed: Seed = 7,
    masks: Annotated[bool, typer.Option(help="Also write the exact element masks.")] = False,
) -> None:
    """Write a synthetic city: sites, sounds, photos and base map."""
    from soundit_geo.synthetic_city.writing import write_city

    write_city(out, sites, seed, masks=masks, progress=True)
    print(out / "sites.geojson")


@train_app.command("soundit")
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


@train_app.command("cache")
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


@train_app.command("perception")
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


@train_app.command()
def preset(
    name: Annotated[str, typer.Argument(help="The preset; there is synthetic-city.")],
    work: Annotated[Path, typer.Option(help="Data and checkpoints; large.")] = Path("work/preset"),
    out: Annotated[Path, typer.Option(help="The finished preset.")] = Path("work/preset/synthetic-city"),
    stage: Annotated[list[str] | None, typer.Option(help="Only these stages; may be repeated.")] = None,
) -> None:
    """Train an embedded preset, stage by stage. Run again to go on after a stop."""
    from soundit_geo.lab.preset import train_preset

    train_preset(name, work, out, stage)


Size = Annotated[str, typer.Option(help="mini, S/2, B/2, L/2 or XL/2.")]
Rounds = Annotated[int, typer.Option(help="How often each contestant runs.", min=1)]
Tokens = Annotated[int, typer.Option(help="Soundscape tokens.", min=1)]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16 or float16.")]
Blocks = Annotated[
    int | None, typer.Option(min=1, help="Blocks, in place of the size's own number; they are alike.")
]
Compiled = Annotated[bool, typer.Option("--compile", help="Through torch.compile, all contestants.")]


@bench_app.command("transformer")
def bench_transformer(
    size: Size = "XL/2",
    batch: Batch = 8,
    tokens: Tokens = 12,
    rounds: Rounds = 10,
    blocks: Blocks = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    compiled: Compiled = False,
) -> None:
    """One denoising step beside diffusers' DiT and PixArt-α of the same size."""
    from soundit_geo.lab import bench

    setting = bench.Setting(batch, tokens, device, bench.precision(dtype), compiled)
    print(json.dumps(bench.bench_transformer(size, setting, rounds=rounds, blocks=blocks), indent=2))


@bench_app.command("sampling")
def bench_sampling(
    size: Size = "XL/2",
    batch: Batch = 8,
    tokens: Tokens = 12,
    steps: Steps = 20,
    rounds: Rounds = 3,
    blocks: Blocks = None,
    device: Device = "cpu",
    dtype: Dtype = "float32",
    compiled: Compiled = False,
) -> None:
    """A guided sampling run beside the same run by the equations as printed."""
    from soundit_geo.lab import bench

    setting = bench.Setting(batch, tokens, device, bench.precision(dtype), compiled)
    print(
        json.dumps(bench.bench_sampling(size, setting, steps=steps, rounds=rounds, blocks=blocks), indent=2)
    )


@bench_app.command("sizes")
def bench_sizes() -> None:
    """Parameters of every named size: those of DiT, and the new ones."""
    from soundit_geo.lab import bench

    print(json.dumps(bench.sizes(), indent=2))


@bench_app.command("paper-size")
def bench_paper_size() -> None:
    """One guided step of the paper's model, all parts at full size with random weights: time and memory."""
    from soundit_geo.lab.paper_size import paper_size

    print(json.dumps(paper_size(), indent=2))


@weights_app.command("convert-dit")
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


@weights_app.command("split-imagebind")
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


@weights_app.command("list")
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


@weights_app.command("pull")
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


@weights_app.command("verify")
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


@weights_app.command("import")
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


@weights_app.command("path")
def path_of_weights(
    name: Annotated[str | None, typer.Argument(help="By default the cache's own folder.")] = None,
) -> None:
    """Print where weights lie, to be given to other programs."""
    from soundit_geo import registry

    print(registry.cached(name) if name else registry.cache_folder())


@weights_app.command("remove")
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


def _layer(path: Path) -> gpd.GeoDataFrame:
    import geopandas as gpd

    from soundit_geo.errors import InputError, MissingFileError

    if not path.exists():
        raise MissingFileError(f"Base layer {path} does not exist.")
    try:
        return gpd.read_file(path)
    except Exception as error:
        raise InputError(f"Base layer {path} cannot be read: {error}") from error


def _finish(study: Study, cube: xr.Dataset, base: dict[str, Any], *, as_json: bool) -> None:
    """Write the map, print the summary, leave with the right code."""
    from soundit_geo.cube import FAILED, summary
    from soundit_geo.study import cells_of

    target = study.out / "map.html"
    names = [scenario.name for scenario in study.scenarios]
    compare = (names[min(1, len(names) - 1)], names[0])  # A − B is then what the design changes
    view = "difference" if len(names) > 1 else "a"
    study.map(base=base, compare=compare, view=view).save(str(target))
    counts = cells_of(cube)
    table = summary(cube)
    origin = {key: cube.attrs[key] for key in ("model", "judges", "perception_scale", "evidence")}
    origin["judges"] = json.loads(origin["judges"])
    if as_json:
        said = {
            "sites": counts,
            "map": str(target),
            "cube": str(study.cube_path),
            **origin,
        }
        print(json.dumps({**said, "summary": json.loads(table.to_json(orient="index"))}, indent=2))
    else:
        print(table.round(2).to_string())
        print(f"{counts['done']} sites done, {counts['failed']} failed · {origin['evidence']}")
        judged = ", ".join(sorted(set(origin["judges"].values())))
        print(f"model {origin['model']}, judges {judged}; perception {origin['perception_scale']}")
        print(f"map: {target}")
    failed = (cube["status"] == FAILED).any(dim=("scenario", "draw")).to_series()
    for site, message in cube["message"].to_series().items():
        if message:
            print(
                f"{'' if failed.loc[str(site)] else 'note: '}{site}: {' '.join(message.split())}",
                file=sys.stderr,
            )
    if counts["failed"]:
        raise typer.Exit(2 if counts["done"] == 0 else 1)


def main() -> None:
    """Run the command line; every known error becomes one line on stderr and exit code 2."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    logging.getLogger("soundit_geo.recordings").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")
    warnings.filterwarnings("default", category=SounditWarning)
    warnings.showwarning = _one_line_warning
    try:
        app()
    except (SounditError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except Exception:  # noqa: BLE001 - the last net: a code of its own, not that of failed sites
        traceback.print_exc()
        print("This is a defect of soundit-geo. Please report it with the lines above.", file=sys.stderr)
        sys.exit(70)
    except KeyboardInterrupt:
        print("stopped. Run the same command again to go on.", file=sys.stderr)
        sys.exit(130)


def _one_line_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


if __name__ == "__main__":
    main()
