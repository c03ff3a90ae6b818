"""Commands that check claims: on simulated truth, and on the synthetic city; each prints JSON."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from soundit_geo.cli.options import ChanceSeed, Draws, Mixed, Model, Quiet, Seed, Steps

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


@app.command("ablations")
def lab_ablations(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Data, trained models and results; to go on with.")
    ],
    preset: Annotated[
        str, typer.Option(help="Lends autoencoder, encoder, sampler and judges.")
    ] = "synthetic-city",
    places: Annotated[int, typer.Option(min=12, help="Places of the training city.")] = 4000,
    test_places: Annotated[int, typer.Option(min=12, help="Unseen places that are drawn.")] = 192,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of each variant.")] = 600,
    batch: Annotated[int, typer.Option(min=1, help="Pictures of a step.")] = 32,
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", min=0, help="May be repeated; 1, 2, 3.")
    ] = None,
    mixed: Mixed = False,
    only: Annotated[list[str] | None, typer.Option(help="Only this variant; may be repeated.")] = None,
    sampling: Annotated[bool, typer.Option(help="Also vary guidance and sampler steps.")] = True,
    plots: Annotated[bool, typer.Option(help="Also plot (needs matplotlib).")] = True,
    quiet: Quiet = False,
) -> None:
    """Train small SounDiTs with parts taken out or set otherwise; a table beside the paper's orderings."""
    from soundit_geo.lab.ablation_table import orderings, write
    from soundit_geo.lab.ablations import Budget, ablate

    budget = Budget(places, test_places, steps, batch, mixed=mixed)
    result = ablate(
        out,
        preset,
        budget=budget,
        seeds=seeds or (1, 2, 3),
        only=only or (),
        sampling=sampling,
        progress=not quiet,
    )
    write(result, out, plots=plots)
    print(json.dumps({**result, "orderings": orderings(result)}, indent=2))
