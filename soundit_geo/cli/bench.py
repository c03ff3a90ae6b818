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
