"""Simulated truth: how often intervals hold an effect that is known, and how many discoveries are false.

A simulated study has S sites and two scenarios, 2 to K draws done per site. Site i changes by ``θ_i`` around the
population's mean ``μ``; the scores of draw j are ``b_ij`` and ``b_ij + θ_i + σ_i ε_ij``: what draws of both scenarios
share cancels in pairs, the rest has a spread ``σ_i`` of the site's own. The six perceptions are six studies at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import stats

from soundit_geo.cube import DONE, PENDING, new_cube
from soundit_geo.scenarios import difference, effect
from soundit_geo.scenarios.effects import paired

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

    Sampler = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]

MEAN: Final = 0.5
"""μ, in points of the scale."""

DISTRIBUTIONS: Final[dict[str, Sampler]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "heavy-tailed": lambda rng, shape: rng.laplace(scale=np.sqrt(0.5), size=shape),
    "skewed": lambda rng, shape: rng.gamma(4.0, 0.5, shape) - 2.0,
}
"""Of θ and ε, each with mean 0 and variance 1; the skewed one has skewness 1."""

_A: Final = "design"
_B: Final = "as recorded"


def coverage(
    simulations: int = 400, *, sites: int = 24, draws: int = 6, spread: float = 1.0, seed: int = 0
) -> dict[str, Any]:
    """Measure coverage of 95 % intervals, and the share of false discoveries.

    Parameters
    ----------
    simulations : int
        Simulated studies of each kind, each of six perceptions.
    sites, draws : int
        Sites of a study; most draws of a site.
    spread : float
        Standard deviation of θ over sites; that of ε is 1.
    seed : int
        Of the simulation.

    Returns
    -------
    dict
        ``coverage``: for each distribution, the share of intervals that hold the truth: of `difference` (``site``), of
        `effect` (``population``, ``these sites``), and, for comparison, of ways that were not taken (``not taken``).
        ``discoveries``: the share of false ones where half of the sites change, where none does, and what share of
        changed sites is found. ``standard_error``: of a coverage of 0.95 from that many studies, were the perceptions
        one, so an upper limit.
    """
    rng = np.random.default_rng(seed)
    blank = blank_cube(sites, draws)
    return {
        "simulations": simulations,
        "perceptions": blank.sizes["percept"],
        "sites": sites,
        "draws": f"2 to {draws}",
        "spread": spread,
        "seed": seed,
        "standard_error": round(float(np.sqrt(0.95 * 0.05 / simulations)), 4),
        "coverage": {
            kind: _average([covered(blank, sample, rng, spread=spread) for _ in range(simulations)])
            for kind, sample in DISTRIBUTIONS.items()
        },
        "discoveries": {
            "half of the sites change": _average([discoveries(blank, 0.5, rng) for _ in range(simulations)]),
            "no site changes": _average([discoveries(blank, 0.0, rng) for _ in range(simulations)]),
        },
    }


def blank_cube(sites: int, draws: int) -> xr.Dataset:
    """Make a cube of pending cells with two scenarios, of which the first is the design.

    Parameters
    ----------
    sites, draws : int
        How many.

    Returns
    -------
    xarray.Dataset
        As `new_cube` gives.
    """
    import geopandas as gpd

    names = [f"site {number}" for number in range(sites)]
    points = gpd.points_from_xy(np.linspace(0, 0.1, sites), np.zeros(sites), crs="EPSG:4326")
    table = gpd.GeoDataFrame({"audio": ""}, index=names, geometry=points)
    return new_cube(table, [_A, _B], draws)


def simulate(
    blank: xr.Dataset, change: NDArray[np.float64], sample: Sampler, rng: np.random.Generator
) -> xr.Dataset:
    """Fill a cube with scores of which the truth is known.

    Parameters
    ----------
    blank : xarray.Dataset
        As `blank_cube` gives.
    change : numpy.ndarray
        (S, 6) θ, what the design changes at each site.
    sample : callable
        Draws ε, with mean 0 and variance 1.
    rng : numpy.random.Generator
        Of all chance.

    Returns
    -------
    xarray.Dataset
        Between 2 and all draws of a site are done in both scenarios.
    """
    count, _, draws, width = blank["perception"].shape
    spread = np.exp(0.5 * rng.standard_normal((count, 1, width)))  # (S, 1, 6) σ
    shared = 5 + 2 * rng.standard_normal((count, draws, width))  # (S, K, 6) b
    design = shared + change[:, None] + spread * sample(rng, shared.shape)
    finished = np.arange(draws) < rng.integers(2, draws + 1, count)[:, None]  # (S, K)
    scores = np.stack([design, shared], axis=1).astype(np.float32)
    return blank.assign(
        perception=blank["perception"].copy(data=scores),
        status=blank["status"].copy(
            data=np.repeat(np.where(finished, DONE, PENDING)[:, None], 2, axis=1).astype("i1")
        ),
    )


def covered(
    blank: xr.Dataset, sample: Sampler, rng: np.random.Generator, *, spread: float = 1.0, others: bool = True
) -> dict[str, Any]:
    """Simulate one study, and see which intervals hold the truth.

    Parameters
    ----------
    blank : xarray.Dataset
        As `blank_cube` gives.
    sample : callable
        One of `DISTRIBUTIONS`.
    rng : numpy.random.Generator
        Of all chance.
    spread : float
        Standard deviation of θ over sites.
    others : bool
        Whether to try the ways that were not taken, too.

    Returns
    -------
    dict
        Share of the intervals that hold the truth, by name as in `coverage`.
    """
    shape = (blank.sizes["site"], blank.sizes["percept"])
    change = MEAN + spread * sample(rng, shape)
    cube = simulate(blank, change, sample, rng)
    seed = int(rng.integers(2**32))
    each = difference(cube, _A, _B, variables=["perception"])
    whole = effect(cube, _A, _B, variables=["perception"], seed=seed)
    here = effect(cube, _A, _B, variables=["perception"], of="these sites")
    found: dict[str, Any] = {
        "site": _holds(each["perception_low"], each["perception_high"], change),
        "population": _holds(whole["perception_low"], whole["perception_high"], MEAN),
        "these sites": _holds(here["perception_low"], here["perception_high"], change.mean(axis=0)),
    }
    if others:
        means = paired(cube, _A, _B, "perception").mean
        found["not taken"] = {
            "population, sites then draws, plain percentiles": _holds(*_two_stages(cube, rng), MEAN),
            "population, sites whole, plain percentiles": _holds(*_percentiles(means, rng), MEAN),
            "population, Student's t over sites": _holds(*_student(means), MEAN),
            "population, Student's t over all pairs as if independent": _holds(*_pooled(cube), MEAN),
        }
    return found


def discoveries(blank: xr.Dataset, share: float, rng: np.random.Generator) -> dict[str, float]:
    """Simulate one study in which a share of the sites changes, and see what is called significant.

    Parameters
    ----------
    blank : xarray.Dataset
        As `blank_cube` gives.
    share : float
        0 to 1; these sites change by three points, up or down.
    rng : numpy.random.Generator
        Of all chance.

    Returns
    -------
    dict of str to float
        The share of false ones among the sites called significant, and among those with p at most 0.05; and, where
        some change, the share of them that is found.
    """
    shape = (blank.sizes["site"], blank.sizes["percept"])
    moved = np.arange(shape[0])[:, None] < share * shape[0]
    change = np.where(moved, 3.0 * rng.choice([-1, 1], shape), 0.0)
    found = difference(
        simulate(blank, change, DISTRIBUTIONS["normal"], rng), _A, _B, variables=["perception"]
    )
    called = found["perception_significant"].to_numpy()
    plain = found["perception_p"].to_numpy() <= 0.05
    result = {
        "false among those called": _false_share(called, moved),
        "without control": _false_share(plain, moved),
    }
    return result | ({"found": float(called[moved[:, 0]].mean())} if share else {})


def _false_share(called: NDArray[np.bool_], moved: NDArray[np.bool_]) -> float:
    """Share of false discoveries, 0 where nothing is called; the mean over perceptions."""
    return float(((called & ~moved).sum(axis=0) / np.maximum(called.sum(axis=0), 1)).mean())


# ---------------------------------------------------------------------------------------------- ways not taken


def _two_stages(
    cube: xr.Dataset, rng: np.random.Generator, resamples: int = 999
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Resample sites, then draws within each, and take percentiles."""
    change, count = _pairs(cube)
    sites, draws, _ = change.shape
    site = rng.integers(sites, size=(resamples, sites))  # (R, S)
    chosen = (rng.random((resamples, sites, draws)) * count[site][..., None]).astype(int)  # (R, S, K)
    weight = (np.arange(draws) < count[site][..., None]) / count[site][..., None]  # (R, S, K)
    means = np.einsum("rskv,rsk->rv", change[site[..., None], chosen], weight) / sites
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return low, high


def _percentiles(
    means: NDArray[np.float64], rng: np.random.Generator, resamples: int = 999
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Resample sites, and take percentiles."""
    drawn = means[rng.integers(len(means), size=(resamples, len(means)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return low, high


def _student(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take the rows as independent."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values, axis=0)
    return values.mean(axis=0) - half, values.mean(axis=0) + half


def _pooled(cube: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    change, count = _pairs(cube)
    return _student(change[np.arange(change.shape[1]) < count[:, None]])


def _pairs(cube: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """(S, K, 6) differences, those done first, and (S,) how many."""
    scores = cube["perception"].to_numpy().astype(float)
    return scores[:, 0] - scores[:, 1], (cube["status"].to_numpy()[:, 0] == DONE).sum(axis=-1)


def _holds(low: Any, high: Any, truth: Any) -> float:
    return float(np.mean((np.asarray(low) <= truth) & (truth <= np.asarray(high))))


def _average(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean of each figure over simulations."""
    return {
        name: _average([row[name] for row in rows])
        if isinstance(value, dict)
        else round(float(np.mean([row[name] for row in rows])), 4)
        for name, value in rows[0].items()
    }
