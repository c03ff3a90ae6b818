"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")]
Draws = Annotated[int, typer.Option(help="Landscapes per site and scenario.")]
Seed = Annotated[int, typer.Option(min=0, help="Fixes the first noise of every site and draw.")]
ChanceSeed = Annotated[int, typer.Option(min=0, help="Fixes what is drawn at random.")]
Batch = Annotated[int, typer.Option(help="Landscapes drawn at a time.")]
Steps = Annotated[int, typer.Option(help="Steps of the sampler.")]
Guidance = Annotated[float, typer.Option(help="Guidance scale on soundscape and prompt together.")]
Json = Annotated[bool, typer.Option("--json", help="Print numbers as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
Mixed = Annotated[
    bool, typer.Option("--mixed", help="Multiply in bfloat16; for processors with AVX-512 BF16 or AMX.")
]
Prompts = Annotated[
    list[str] | None,
    typer.Option(
        "--scenario", metavar="NAME=PROMPT", help="A scene prompt to compare with; may be repeated."
    ),
]
AudioRoot = Annotated[Path | None, typer.Option(help="Folder that the audio paths are relative to.")]
Device = Annotated[str | None, typer.Option(help="Where the networks compute, such as cpu or cuda.")]
Model = Annotated[str, typer.Option(help="Preset name, pipeline folder or hub id.")]
JudgeSet = Annotated[
    str | None, typer.Option("--judges", help="Judge set or folder; the embedded one by default.")
]
