"""The command line: arguments in, files out.

Exit codes: 0 done; 1 ran, but some sites failed; 2 bad input, one line on stderr; 70 a defect of ours;
130 stopped by the user.
Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from typing import Annotated, Any

import typer

from soundit_geo import __version__
from soundit_geo.cli import (
    bench,
    compare,
    export,
    fidelity,
    field,
    lab,
    layers,
    listening,
    study,
    train,
    weights,
)
from soundit_geo.errors import SounditError, SounditWarning

app = typer.Typer(
    name="soundit-geo",
    help="Hear a place, see it, map how it would feel, and compare designs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(study.app)
app.add_typer(export.app)
app.add_typer(field.app)
app.add_typer(listening.app)
app.add_typer(compare.app)
app.add_typer(layers.app)
app.add_typer(fidelity.app)
app.add_typer(train.app, name="train")
app.add_typer(weights.app, name="weights")
app.add_typer(bench.app, name="bench")
app.add_typer(lab.app, name="lab")


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


def main() -> None:
    """Run the command line; every known error becomes one line on stderr and exit code 2."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    for name in ("recordings", "scene_inference"):
        logging.getLogger(f"soundit_geo.{name}").setLevel(logging.WARNING)
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
