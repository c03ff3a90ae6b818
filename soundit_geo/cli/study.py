"""Commands on the way from recordings to a map: demo, run, map, score, synth."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundit_geo.cli.options import (
    AudioRoot,
    Batch,
    Device,
    Draws,
    Guidance,
    Json,
    JudgeSet,
    Model,
    Out,
    Prompts,
    Quiet,
    Seed,
    Steps,
)
from soundit_geo.cli.tables import read_table
from soundit_geo.errors import InputError, ScenarioError

if TYPE_CHECKING:
    import xarray as xr

    from soundit_geo.study import Study


app = typer.Typer()


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
    scenarios: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Scenarios as YAML, or polygons with name and prompt; see docs/scenarios.md."
        ),
    ] = None,
    audio_root: AudioRoot = None,
    model: Model = "synthetic-city",
    judges: JudgeSet = None,
    draws: Draws = 4,
    seed: Seed = 0,
    batch_size: Batch = 8,
    steps: Steps = 20,
    guidance: Guidance = 4.0,
    device: Device = None,
    base: Annotated[
        list[Path] | None, typer.Option(help="Polygons or lines drawn beneath the sites.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Study recordings at coordinates: landscapes, scores, cube and map. Run again to go on after a stop."""
    from soundit_geo.recordings import read_sites
    from soundit_geo.scenarios import AS_RECORDED, Scenario, as_scenarios, parse_scenario, read_scenarios
    from soundit_geo.study import Study

    recorded = Scenario(AS_RECORDED)
    more = [one for one in (read_scenarios(scenarios) if scenarios else ()) if one != recorded]
    more += [parse_scenario(text) for text in scenario or []]
    if any(one.name == AS_RECORDED for one in more):
        raise ScenarioError(f"The scenario {AS_RECORDED!r} is always there. Give yours another name.")
    compared = as_scenarios([recorded, *more])
    table = read_sites(sites, audio_root=audio_root, absent="keep")
    layers = {path.stem: read_table(path) for path in base or []}
    study = Study(
        table,
        out=out,
        scenarios=compared,
        model=model,
        judges=judges,
        device=device,
        draws=draws,
        seed=seed,
        batch_size=batch_size,
        steps=steps,
        guidance=guidance,
    )
    _finish(study, study.run(progress=not quiet), layers, as_json=as_json)


@app.command("map")
def draw_map(
    study: Annotated[
        Path,
        typer.Argument(help="A study folder, a cube.zarr, or a cube as netCDF.", metavar="STUDY_OR_CUBE"),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The HTML file; map.html beside the cube by default.")
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
    view: Annotated[str, typer.Option(help="a, b, difference, side by side or swipe.")] = "a",
    media: Annotated[
        str, typer.Option(help="Pictures and sounds: inline, in a folder beside the file, none, or auto.")
    ] = "auto",
) -> None:
    """Map a finished or unfinished study. Loads no model."""
    from soundit_geo.cube import open_cube
    from soundit_geo.maps import site_map

    cube = open_cube(study)
    folder = study.parent if study.suffix in (".zarr", ".nc") else study
    target = out or folder / "map.html"
    layers = {layer.stem: read_table(layer) for layer in base or []}
    shown: dict[str, Any] = {"variable": variable, "compare": compare, "view": view, "media": media}
    site_map(cube, base=layers, folder=folder, tiles=tiles, **shown).save(target)
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
    device: Device = None,
    precision: Annotated[
        str, typer.Option(help="Of published judges: float32, bfloat16 or float16, for a GPU.")
    ] = "float32",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Translate published judges first; takes about a minute.")
    ] = False,
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
    asked = judges or (None if levels else "synthetic-city")
    chosen = load_judges(asked, device, precision=precision, compiled=compiled, **levels)
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
