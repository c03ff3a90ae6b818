"""Where numbers come from: what of a cube's attributes its tables, files, maps and printed lines carry on."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMED: Final = ("model", "judges", "perception_scale", "evidence")
"""Attributes of a cube without which its numbers say nothing."""

ORIGIN: Final = (*NAMED, "seed", "created", "created_by")
"""Attributes of a cube that whatever is made of its numbers carries on."""


def origin_of(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Take from what a cube says of itself where its numbers come from.

    Parameters
    ----------
    attrs : mapping
        Attributes of a cube, or of what was made of one.

    Returns
    -------
    dict
        Those of `NAMED` that are there, the judges as a mapping of levels to names; empty for a plain table.
    """
    found = {name: attrs[name] for name in NAMED if attrs.get(name)}
    with suppress(KeyError, TypeError, ValueError):  # none, a mapping already, or a plain name
        found |= {"judges": json.loads(found["judges"])}
    return found


def judge_names(judges: object) -> str:
    """Name judges.

    Parameters
    ----------
    judges : str, mapping or list
        Names by level, as JSON, as a cube keeps them, or read from it; or one plain name.

    Returns
    -------
    str
        Each name once, with commas between them; empty for none.
    """
    if isinstance(judges, str):
        with suppress(ValueError):  # a plain name
            judges = json.loads(judges)
    names = list(judges.values()) if isinstance(judges, dict) else judges
    names = names if isinstance(names, list) else [names] if names else []
    return ", ".join(dict.fromkeys(map(str, names)))


def in_words(attrs: Mapping[Any, Any]) -> str:
    """Say in one line where numbers come from.

    Parameters
    ----------
    attrs : mapping
        As `origin_of` takes them, or gives.

    Returns
    -------
    str
        Such as ``model synthetic-city, judges synthetic-city; perception 0–10; stand-in: synthetic city``; empty where
        nothing is known.
    """
    known = origin_of(attrs)
    named = ("model", known.get("model")), ("judges", judge_names(known.get("judges")))
    who = [f"{role} {name}" for role, name in named if name]
    scale = known.get("perception_scale")
    parts = [", ".join(who), f"perception {scale}" if scale else "", str(known.get("evidence", ""))]
    return "; ".join(part for part in parts if part)
