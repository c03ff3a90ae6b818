"""Scenarios: what places could look like for the same sound, and the difference that it makes.

============  =====================================================================================
``scenario``  a scenario, and the prompt that each site gets from it
``files``     scenarios in YAML, or as polygons
``effects``   the difference at each site, paired over draws, with false discoveries controlled
``overall``   the effect over sites and by district, with an interval that knows sites and draws
``ranking``   which scenario serves a goal best
``planning``  how many draws are needed
============  =====================================================================================

docs/scenarios.md shows their use.
"""

from __future__ import annotations

from soundit_geo.scenarios.effects import COMPARED, difference
from soundit_geo.scenarios.files import read_scenarios
from soundit_geo.scenarios.overall import districts_of, effect
from soundit_geo.scenarios.planning import draws_needed
from soundit_geo.scenarios.ranking import rank
from soundit_geo.scenarios.scenario import (
    AS_RECORDED,
    Scenario,
    Scenarios,
    as_scenarios,
    parse_scenario,
    prompts_for,
)

__all__ = [
    "AS_RECORDED",
    "COMPARED",
    "Scenario",
    "Scenarios",
    "as_scenarios",
    "difference",
    "districts_of",
    "draws_needed",
    "effect",
    "parse_scenario",
    "prompts_for",
    "rank",
    "read_scenarios",
]
