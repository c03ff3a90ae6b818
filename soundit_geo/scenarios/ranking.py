"""Which scenario serves a goal best, and how sure that is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.classes import PERCEPTIONS
from soundit_geo.cube import check_scenario, done
from soundit_geo.errors import CubeError, InputError, ScenarioError
from soundit_geo.intervals import FEWEST, interval_of_mean, resamples
from soundit_geo.scenarios.effects import check_share

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray


def rank(
    cube: xr.Dataset,
    goal: Mapping[str, float],
    *,
    base: str | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank scenarios by how far they serve a goal, against one of them.

    The score of a scenario is ``Σ_k w_k Δ_k / σ_k / Σ_k |w_k|``: Δ_k is its mean difference from the base in
    perception k, over sites and paired over draws; w_k the goal's weight; σ_k the standard deviation of perception k
    between sites in the base scenario (of means over draws, ddof = 1). So the score counts in standard deviations
    between today's sites: 0.5 means that the average site moves half of one towards the goal.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube with two scenarios or more.
    goal : mapping of str to float
        Perception to weight: positive where more is wanted, negative where less is, as in
        ``{"lively": 1, "depressing": -1}``. Only their proportions count.
    base : str, optional
        The scenario that the others are held against; the cube's first.
    confidence : float
        Of the intervals, between 0 and 1.
    seed : int
        Of the resamples.

    Returns
    -------
    pandas.DataFrame
        Index ``scenario``, the best first. Columns: ``rank`` from 1; ``score``; ``low`` and ``high``, ends of its
        interval for the population of sites (NaN for the base, which is 0 by definition, and below six sites);
        ``probability_best``, the share of resamples of sites in which it comes first (ties are shared out); ``sites``,
        how many count; and for each perception of the goal, its part of the score. ``attrs`` hold goal, base and the
        standard deviations.

    Raises
    ------
    InputError
        If the goal is empty, names an unknown perception, has weights that are not finite or all 0, or `confidence`
        is not between 0 and 1.
    ScenarioError
        If there is only one scenario, or `base` is unknown.
    CubeError
        If fewer than two sites have a draw done in all scenarios, or they do not differ in a perception of the goal.

    Notes
    -----
    A site counts with the draws that are done in every scenario; sites that a scenario leaves as they are count as 0.
    Resamples are of sites with all their draws and scenarios, as in `soundit_geo.scenarios.effect`; σ stays fixed.
    The probability speaks of sampling alone, and for few sites it is too sure.
    """
    import pandas as pd

    check_share("confidence", confidence)
    weights = _weights(goal)
    names = [str(name) for name in cube["scenario"].to_numpy()]
    if len(names) < 2:
        raise ScenarioError(f"The cube has the scenario {names[0]!r} alone; ranking needs two or more.")
    base = names[0] if base is None else check_scenario(cube, base)
    means = _means(cube, list(weights))  # (S, scenario, goal)
    if len(means) < 2:
        raise CubeError(f"{len(means)} sites have a draw done in all scenarios; ranking needs two or more.")
    today = means[:, names.index(base)]  # (S, goal)
    spread = today.std(axis=0, ddof=1)
    flat = [name for name, one in zip(weights, spread, strict=True) if not one > 0]
    if flat:
        raise CubeError(
            f"All sites have the same {' and '.join(flat)} in {base!r}, which gives no unit to count in. "
            "Choose another goal or base."
        )
    share = np.array([*weights.values()]) / sum(map(abs, weights.values()))
    parts = (means - today[:, None]) / spread * share  # (S, scenario, goal)
    scores = parts.sum(axis=-1)  # (S, scenario)
    low, high = interval_of_mean(scores, confidence, np.random.default_rng(seed))
    table: dict[str, Any] = {
        "score": scores.mean(axis=0),
        "low": low,
        "high": high,
        "probability_best": _probability_best(scores, np.random.default_rng(seed)),
        "sites": len(scores),
        **dict(zip(weights, parts.mean(axis=0).T, strict=True)),
    }
    frame = pd.DataFrame(table, index=pd.Index(names, name="scenario"))
    frame = frame.sort_values("score", ascending=False, kind="stable")
    frame.insert(0, "rank", frame["score"].rank(ascending=False, method="min").astype(int))
    frame.attrs = {
        "goal": weights,
        "base": base,
        "standard_deviation": dict(zip(weights, spread.tolist(), strict=True)),
        "confidence": confidence,
        "bootstrap_seed": seed,
    }
    return frame


def _weights(goal: Mapping[str, float]) -> dict[str, float]:
    """Check a goal."""
    unknown = [name for name in goal if name not in PERCEPTIONS]
    if unknown or not goal:
        said = f"knows no {unknown[0]!r}" if unknown else "is empty"
        raise InputError(f"The goal {said}; expected weights of {', '.join(PERCEPTIONS)}, such as lively=1.")
    weights = {name: float(weight) for name, weight in goal.items()}
    if not all(map(math.isfinite, weights.values())) or not any(weights.values()):
        raise InputError(f"The goal's weights are {weights}; expected finite numbers that are not all 0.")
    return weights


def _means(cube: xr.Dataset, perceptions: list[str]) -> NDArray[np.float64]:
    """(S, scenario, perception) means over the draws that are done in all scenarios, of sites that have any."""
    common = done(cube).all("scenario").transpose("site", "draw").to_numpy()
    values = cube["perception"].sel(percept=perceptions).transpose("site", "scenario", "draw", "percept")
    total = np.where(common[:, None, :, None], values.to_numpy(), 0.0).sum(axis=2, dtype=np.float64)
    some = common.any(axis=1)
    return np.asarray(total[some] / common[some].sum(axis=1)[:, None, None])


def _probability_best(scores: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """(scenario,) share of resamples of sites in which each comes first."""
    if len(scores) < FEWEST:
        return np.full(scores.shape[1], np.nan)
    wins = [
        (means := weights @ scores) == means.max(axis=1, keepdims=True)
        for weights in resamples(len(scores), rng)
    ]
    first = np.concatenate(wins).astype(float)  # (R, scenario)
    return np.asarray((first / first.sum(axis=1, keepdims=True)).mean(axis=0))
