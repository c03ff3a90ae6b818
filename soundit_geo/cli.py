"""The command line: arguments in, files out.

Exit codes: 0 done; 1 ran, but some sites failed; 2 bad input, one line on stderr; 70 a defect of ours;
130 stopped by the user.
Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soundit_geo import __version__
from soundit_geo.errors import ScenarioError, SounditError, SounditWarning

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

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


@app.command()
def score(
    real: Annotated[Path, typer.Option(help="Folder of real pictures.")],
    generated: Annotated[Path, typer.Option(help="Folder of generated pictures, paired by file stem.")],
    judges: Annotated[str, typer.Option(help="Judge set or folder.")] = "synthetic-city",
    as_json: Json = False,
) -> None:
    """Place similarity (PSS) of generated pictures with real ones."""
    from soundit_geo.pss.place_similarity import pss

    result = pss(real, generated, judges)
    print(json.dumps(result.to_dict(), indent=2) if as_json else result)


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
