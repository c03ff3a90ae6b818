"""How long the explorer lets one wait for a landscape, beside the same site in a run of the whole study."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from pathlib import Path
from typing import Any, Final

from soundit_geo.lab.bench import interleaved, ratio
from soundit_geo.study import Study
from soundit_geo.synthetic_city.writing import write_city

PROMPT: Final = "a pedestrian plaza with trees"


def bench_explorer(*, sites: int = 8, draws: int = 4, steps: int = 20, rounds: int = 5) -> dict[str, Any]:
    """Time a prompt that is tried at one site, and a study of several sites under that prompt.

    Both draw and judge with the embedded model, on the recordings of the synthetic city; model and judges are loaded
    before the clock starts. The study writes its pictures and its cube; a try (`Study.sketch`, which the explorer
    calls) stays in memory.

    Parameters
    ----------
    sites : int
        Sites of the study; its time is divided by them.
    draws, steps : int
        Landscapes per site, and sampling steps.
    rounds : int
        How often each is timed, turn by turn.

    Returns
    -------
    dict
        ``seconds``, medians, of a prompt tried in the explorer and of a site of the study, and ``ratio`` of the
        first to the second, with quartiles.
    """
    with tempfile.TemporaryDirectory() as place:
        write_city(Path(place, "city"), sites, 0)
        fresh = (Path(place, f"study-{number}") for number in itertools.count())

        def study() -> Study:
            where = Path(place, "city", "sites.geojson")
            return Study(where, out=next(fresh), scenarios={"plaza": PROMPT}, draws=draws, steps=steps)

        models = study().load()
        names = itertools.cycle(study().sites.index)
        tried, whole = "prompt tried in the explorer", "site of a study run"
        times = interleaved(
            {
                tried: lambda: study().sketch(str(next(names)), PROMPT, models),
                whole: lambda: list(study().advance(models)),
            },
            rounds,
            warmup=1,
        )
    times[whole] = [each / sites for each in times[whole]]
    return {
        "sites": sites,
        "draws": draws,
        "steps": steps,
        "rounds": rounds,
        "seconds": {name: round(statistics.median(each), 3) for name, each in times.items()},
        "ratio": ratio(times, tried, whole),
    }
