"""Where the figures of a map come from, in a few words for its foot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from soundit_geo.origin import judge_names

if TYPE_CHECKING:
    import xarray as xr


def provenance(cube: xr.Dataset) -> dict[str, Any]:
    """Say where the figures come from.

    Parameters
    ----------
    cube : xarray.Dataset
        Its attributes are read: model, judges, seed, created (a date), created_by, evidence.

    Returns
    -------
    dict
        ``stand_in`` (whether model or judges are one), ``evidence`` and ``facts``, short texts in order.
    """
    attrs = cube.attrs
    evidence = str(attrs.get("evidence", "")).strip()
    stand_in = evidence.lower().startswith("stand-in")
    if stand_in:
        evidence = re.sub(
            r"^stand-in(?!\s+(?:model|judges))", "stand-in model", evidence, flags=re.IGNORECASE
        )
    model, judges = str(attrs.get("model", "")), judge_names(attrs.get("judges"))
    if model and model == judges:
        facts = [f"model and judges {model}"]
    else:
        facts = [f"{role} {name}" for role, name in (("model", model), ("judges", judges)) if name]
    facts += [f"seed {attrs['seed']}"] if attrs.get("seed") is not None else []
    sites, draws = cube.sizes["site"], cube.sizes["draw"]
    facts.append(f"{sites} site{'s' * (sites != 1)} × {draws} draw{'s' * (draws != 1)}")
    facts += [f"study of {attrs['created']}"] if attrs.get("created") else []
    facts += [str(attrs["created_by"])] if attrs.get("created_by") else []
    seed, created = ("" if attrs.get(key) is None else str(attrs[key]) for key in ("seed", "created"))
    origin = {"model": model, "judges": judges, "evidence": evidence, "seed": seed, "created": created}
    return {"stand_in": stand_in, "evidence": evidence, "facts": facts, "origin": origin}
