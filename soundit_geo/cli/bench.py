"""Commands that measure speed beside named peers; each prints JSON."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from soundit_geo.cli.options import (
    Batch,
    Steps,
)

app = typer.Typer(
    help="Measure speed beside named peers, in one run; prints JSON. docs/performance.md explains the figures.",
    no_args_is_help=True,
)

Size = Annotated[str, typer.Option(help="mini, S/2, B/2, L/2 or XL/2.")]
Rounds = Annotated[int, typer.Option(help="How often each contestant runs.", min=1)]
Tokens = Annotated[int, typer.Option(help="Soundscape tokens.", min=1)]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16 or float16.")]
Blocks = Annotated[
    int | None, typer.Option(min=1, help="Blocks, in place of the size's own number; they are alike.")
]
Compiled = Annotated[bool, typer.Option("--compile", help="Through torch.compile, all contestants.")]


@app.command("transformer")
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


@app.command("sampling")
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


@app.command("scoring")
def bench_scoring(
    elements: Annotated[
        str, typer.Option(help="segformer-b0, upernet-convnext-tiny or deeplabv3-r50.")
    ] = "segformer-b0",
    pictures: Annotated[int, typer.Option(min=1, help="Pictures to judge in every round.")] = 16,
    width: Annotated[int, typer.Option(min=8, help="Width of a picture in pixels.")] = 1024,
    rounds: Rounds = 5,
    memory: Annotated[
        int | None, typer.Option(min=40, help="Measure instead how much memory so many pictures take.")
    ] = None,
) -> None:
    """Three judges of published sizes beside a plain loop over pictures and networks."""
    from soundit_geo.lab.bench_scoring import bench_memory
    from soundit_geo.lab.bench_scoring import bench_scoring as measure

    found = (
        measure(elements, pictures=pictures, width=width, rounds=rounds)
        if memory is None
        else bench_memory(memory)
    )
    print(json.dumps(found, indent=2))


@app.command("layers")
def bench_layers(
    sites: Annotated[int, typer.Option(min=50, help="Sites of the cube; 3 scenarios, 4 draws.")] = 100_000,
) -> None:
    """Layers of a large cube beside pandas, geopandas and esda used plainly: seconds and peak memory."""
    from soundit_geo.lab.bench_layers import bench_layers as measure

    print(json.dumps(measure(sites), indent=2))


@app.command("sizes")
def bench_sizes() -> None:
    """Parameters of every named size: those of DiT, and the new ones."""
    from soundit_geo.lab import bench

    print(json.dumps(bench.sizes(), indent=2))


@app.command("paper-size")
def bench_paper_size() -> None:
    """One guided step of the paper's model, all parts at full size with random weights: time and memory."""
    from soundit_geo.lab.paper_size import paper_size

    print(json.dumps(paper_size(), indent=2))


@app.command("maps")
def bench_maps(
    sites: Annotated[int, typer.Option(min=10, help="Sites of the first comparison.")] = 10_000,
    many: Annotated[int, typer.Option(min=10, help="Sites of the second.")] = 100_000,
    pictured: Annotated[int, typer.Option(min=10, help="Sites with pictures and sounds.")] = 1_000,
    rounds: Rounds = 5,
) -> None:
    """The map beside GeoDataFrame.explore, in Chromium: file, build, first paint, switch."""
    from soundit_geo.lab import bench_maps as bench

    print(json.dumps(bench.bench_maps(sites=sites, many=many, pictured=pictured, rounds=rounds), indent=2))


@app.command("explorer")
def bench_explorer(
    sites: Annotated[int, typer.Option(min=1, help="Sites of the study that it is compared with.")] = 8,
    draws: Annotated[int, typer.Option(min=1, help="Landscapes per site.")] = 4,
    steps: Steps = 20,
    rounds: Rounds = 5,
) -> None:
    """A prompt tried at one site beside the same site in a run of the whole study, by the embedded model."""
    from soundit_geo.lab import bench_explorer as bench

    print(json.dumps(bench.bench_explorer(sites=sites, draws=draws, steps=steps, rounds=rounds), indent=2))
