"""Commands that check claims: on simulated truth, and on the synthetic city; each prints JSON."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from soundit_geo.cli.options import ChanceSeed, Draws, Model, Quiet, Seed, Steps

app = typer.Typer(
    help="Check claims on simulated truth and on the synthetic city; prints JSON.", no_args_is_help=True
)


@app.command("coverage")
def lab_coverage(
    simulations: Annotated[int, typer.Option(min=1, help="Simulated studies of each kind.")] = 400,
    sites: Annotated[int, typer.Option(min=6, help="Sites of a study.")] = 24,
    draws: Annotated[int, typer.Option(min=2, help="Most draws of a site; it has 2 at least.")] = 6,
    spread: Annotated[
        float, typer.Option(min=0, help="How far sites' effects scatter; draws scatter by about 1.")
    ] = 1.0,
    seed: ChanceSeed = 0,
) -> None:
    """How often the intervals of differences hold a known effect, and how many discoveries are false."""
    from soundit_geo.lab.coverage import coverage

    print(json.dumps(coverage(simulations, sites=sites, draws=draws, spread=spread, seed=seed), indent=2))


@app.command("infer-scenes")
def lab_infer_scenes(
    sites: Annotated[int, typer.Option(min=6, help="Sites of the synthetic city.")] = 36,
    draws: Draws = 2,
    seed: Seed = 7,
    steps: Steps = 20,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to keep city and study in, and to go on with.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Likeness to the photos (PSS) with given prompts, prompts inferred from the sound, and none."""
    from soundit_geo.lab.inferred import measure_inferred

    with tempfile.TemporaryDirectory() as folder:
        found = measure_inferred(
            out or Path(folder), sites, draws=draws, seed=seed, steps=steps, progress=not quiet
        )
    print(json.dumps(found, indent=2))


@app.command("judges")
def lab_judges(
    judges: Annotated[str, typer.Option(help="A set of judges, see docs/judges.md.")] = "synthetic-city",
    places: Annotated[int, typer.Option(min=12, help="Places of the synthetic city.")] = 240,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the places; the embedded judges learnt on those of 1.")
    ] = 3,
) -> None:
    """What judges get right on places of the synthetic city that they have not seen."""
    from soundit_geo.lab.judged import measure_judges

    print(json.dumps(measure_judges(judges, places, seed=seed), indent=2))


@app.command("listen")
def lab_listen(
    recordings: Annotated[list[Path], typer.Argument(help="Recordings, or folders of them.")],
    model: Model = "synthetic-city",
    draws: Annotated[int, typer.Option(min=1, help="Landscapes of each recording.")] = 3,
    seed: Seed = 7,
    steps: Steps = 20,
    sheet: Annotated[Path | None, typer.Option(help="Picture file for a contact sheet.")] = None,
    quiet: Quiet = False,
) -> None:
    """What a model hears in recordings, real ones say, and what it draws from their sound alone."""
    from soundit_geo.lab.heard import listen, recordings_in

    found = listen(
        recordings_in(recordings), model, draws=draws, seed=seed, steps=steps, sheet=sheet, progress=not quiet
    )
    print(json.dumps(found, indent=2))
