"""Where numbers come from, as every command that prints or writes some says it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMED = ("model", "judges", "perception_scale", "evidence")
"""Attributes of a cube without which its numbers say nothing."""


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
    judges = known.get("judges")
    if isinstance(judges, dict):
        judges = ", ".join(dict.fromkeys(map(str, judges.values())))
    who = [f"{role} {name}" for role, name in (("model", known.get("model")), ("judges", judges)) if name]
    scale = known.get("perception_scale")
    parts = [", ".join(who), f"perception {scale}" if scale else "", str(known.get("evidence", ""))]
    return "; ".join(part for part in parts if part)
