"""The difference that a scenario makes at each site, paired over draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from soundit_geo.cube import check_scenario, done
from soundit_geo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

COMPARED: Final = (
    "perception",
    "element_share",
    "pss_element",
    "pss_scene_top1",
    "pss_scene_top5",
    "pss_perception",
)
"""The cube's variables of which differences are taken."""

YES_OR_NO: Final = ("pss_scene_top1", "pss_scene_top5")
"""Those of them that are 0 or 1 in each draw: whether scenes agree."""

_BLOCK: Final = 2**22  # numbers in memory at once


def difference(
    cube: xr.Dataset,
    a: str,
    b: str,
    *,
    variables: Sequence[str] = COMPARED,
    confidence: float = 0.95,
    false_discovery: float = 0.05,
) -> xr.Dataset:
    """Take scenario `a` minus scenario `b` at each site, paired over draws.

    The draws of a site share their initial noise over scenarios, so that the difference of a draw is due to
    the prompts alone. Only draws that are done in both scenarios count. What is estimated is the mean difference
    over all draws that the model could make **at this site**, from the recording at hand.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    a, b : str
        Names of two of its scenarios.
    variables : sequence of str, optional
        Which of `COMPARED`.
    confidence : float
        Of the intervals, between 0 and 1. It holds for each site by itself.
    false_discovery : float
        Expected share of sites without an effect among those called significant, between 0 and 1.

    Returns
    -------
    xarray.Dataset
        Along ``site`` (and ``percept`` or ``element``), in the units of the variable, for each ``NAME``:

        - ``NAME``: the mean difference, positive where `a` is higher; NaN where no pair is done;
        - ``NAME_se``: its standard error, NaN below two pairs;
        - ``NAME_low``, ``NAME_high``: ends of its interval, after Student's t with n - 1 degrees of freedom; of what is
          0 or 1 in each draw (`YES_OR_NO`), after Bonett and Price;
        - ``NAME_p``: two-sided p value of the paired t test; of what is 0 or 1, of McNemar's exact test;
        - ``NAME_q``: the p value after Benjamini and Hochberg, over the sites, for each variable (each perception,
          each element) by itself;
        - ``NAME_significant``: whether q is at most `false_discovery`.

        And ``draws``, how many pairs there were.

    Raises
    ------
    ScenarioError
        If the cube lacks one of them.
    InputError
        If a variable is none of `COMPARED`, or a share is not between 0 and 1.

    Notes
    -----
    A site with fewer than two pairs, or whose pairs all differ by exactly the same, shows no variation to judge
    from: its interval, p and q are NaN, it is not significant, and it does not count among the sites over which
    false discoveries are controlled. So it is with a site outside a scenario's area, which has the same landscapes
    in both. Student's t supposes differences that are about normal: with few pairs of a very skewed variable, the
    interval covers less than it says.

    What is 0 or 1 in each draw has no normal differences. McNemar's test asks of the pairs that disagree whether as
    many go one way as the other, which is a sign test and exact with any number of them; where no pair disagrees, the
    site is not judged. It is strict with few draws: five pairs that all go one way have p = 0.06, six 0.03. The
    interval ``d ± z √((q₁ + q₂ - d²) / (n + 2))`` with ``q = (pairs that go one way + 1) / (n + 2)``, ``d = q₁ - q₂``
    is no inversion of that test and may leave 0 out where p is not small.

    References
    ----------
    Benjamini and Hochberg, "Controlling the False Discovery Rate", JRSS B 57 (1995).
    McNemar, "Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages",
    Psychometrika 12 (1947).
    Bonett and Price, "Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on Paired Data",
    Journal of Educational and Behavioral Statistics 37 (2012), which Fagerland, Lydersen and Laake recommend in
    Statistics in Medicine 33 (2014).
    """
    import xarray as xr
    from scipy.special import stdtr
    from scipy.stats import t as student

    check_share("confidence", confidence)
    check_share("false_discovery", false_discovery)
    pairs = _both(cube, a, b).sum("draw")
    result: dict[str, xr.DataArray] = {"draws": pairs.assign_attrs(long_name="pairs of draws", units="1")}
    largest = max(2, cube.sizes["draw"])
    reach = np.array([np.nan, np.nan, *student.ppf((1 + confidence) / 2, np.arange(1, largest))])
    for name in variables:
        found = paired(cube, a, b, name)
        if name in YES_OR_NO:
            low, high = _bonett_price(found, confidence)
            p = mcnemar(found.mean, found.variance, found.count)
        else:
            judged = np.where(found.variance > 0, found.variance, np.nan)  # of the mean
            half = reach[found.count] * np.sqrt(judged)
            low, high = found.mean - half, found.mean + half
            p = 2 * stdtr(np.maximum(found.count - 1, 1), -np.abs(found.mean) / np.sqrt(judged))
        q = _adjusted(p)
        units = cube[name].attrs.get("units", "1")
        words = f"{name}, {a} minus {b}"
        layers = {
            "": (found.mean, words, units),
            "_se": (np.sqrt(found.variance), f"standard error of {words}", units),
            "_low": (low, f"lower end of the {confidence:.0%} interval of {words}", units),
            "_high": (high, f"upper end of the {confidence:.0%} interval of {words}", units),
            "_p": (p, f"p value of {words}", "1"),
            "_q": (q, f"p value of {words}, adjusted over sites after Benjamini and Hochberg", "1"),
            "_significant": (
                q <= false_discovery,
                f"whether q of {words} is at most {false_discovery:g}",
                "1",
            ),
        }
        like = cube[name].isel(scenario=0, draw=0, drop=True)
        for suffix, (values, long_name, unit) in layers.items():
            layer = like.copy(data=values.reshape(like.shape))
            layer.attrs = {"long_name": long_name, "units": unit}
            result[f"{name}{suffix}"] = layer
    attrs = {"difference": f"{a} minus {b}", "confidence": confidence, "false_discovery": false_discovery}
    return xr.Dataset(result, attrs={**cube.attrs, **attrs})


@dataclass(frozen=True)
class Paired:
    """Differences of two scenarios at S sites, in V numbers each.

    Parameters
    ----------
    mean : numpy.ndarray
        (S, V) mean over the pairs of draws; NaN where there is none.
    variance : numpy.ndarray
        (S, V) estimated variance of that mean; 0 where all pairs agree, NaN below two.
    count : numpy.ndarray
        (S, V) pairs.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    count: NDArray[np.intp]


def paired(cube: xr.Dataset, a: str, b: str, name: str) -> Paired:
    """Pair the draws of two scenarios.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    a, b : str
        Names of two of its scenarios.
    name : str
        One of `COMPARED`; V is the number of its perceptions or elements, else 1.

    Returns
    -------
    Paired
        Of `a` minus `b`.

    Raises
    ------
    ScenarioError
        If the cube lacks one of them.
    InputError
        If `name` is none of `COMPARED`.
    """
    if name not in COMPARED:
        raise InputError(f"{name!r} is not compared over scenarios; choose from {', '.join(COMPARED)}.")
    both = _both(cube, a, b).transpose("site", "draw").to_numpy()
    values = cube[name].transpose("scenario", "site", "draw", ...)
    first, second = (
        values.sel(scenario=one).to_numpy().reshape(*both.shape, -1) for one in (a, b)
    )  # (S, K, V)
    shape = (len(both), first.shape[-1])
    mean, variance, count = np.empty(shape), np.empty(shape), np.empty(shape, np.intp)
    step = max(1, _BLOCK // max(1, first[0].size))
    for start in range(0, len(both), step):
        rows = slice(start, start + step)
        change = first[rows].astype(np.float64) - second[rows]  # (s, K, V)
        mean[rows], variance[rows], count[rows] = _moments(change, both[rows, :, None])
    return Paired(mean, variance, count)


def changed(cube: xr.Dataset, a: str, b: str) -> NDArray[np.bool_]:
    """Which sites look another way in two scenarios.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.
    a, b : str
        Names of two of its scenarios.

    Returns
    -------
    numpy.ndarray
        (S,) bool: false where no pair is done, or where all pairs have exactly the same perceptions, as sites
        outside a scenario's area have.

    Raises
    ------
    ScenarioError
        If the cube lacks one of them.
    """
    found = paired(cube, a, b, "perception")
    same = (found.mean == 0) & ((found.variance == 0) | (found.count == 1))
    return np.asarray((found.count > 0).all(axis=1) & ~same.all(axis=1))


def check_share(name: str, value: float) -> None:
    """Check a share.

    Parameters
    ----------
    name : str
        What it is called.
    value : float
        Its value.

    Raises
    ------
    InputError
        If it is not between 0 and 1.
    """
    if not 0 < value < 1:
        raise InputError(f"{name} is {value}; expected a number between 0 and 1, such as 0.95.")


def _both(cube: xr.Dataset, a: str, b: str) -> xr.DataArray:
    """Which draws are done in both scenarios."""
    finished = done(cube)
    first, second = (finished.sel(scenario=check_scenario(cube, one)).drop_vars("scenario") for one in (a, b))
    return first & second


def _moments(
    change: NDArray[np.float64], both: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Mean over draws (axis 1), its variance, and how many there were."""
    counts = both & np.isfinite(change)
    count = counts.sum(axis=1)
    mean = np.where(counts, change, 0.0).sum(axis=1) / np.maximum(count, 1)
    square = np.where(counts, change - mean[:, None], 0.0) ** 2
    variance = square.sum(axis=1) / np.maximum(count - 1, 1) / np.maximum(count, 1)
    lowest = np.where(counts, change, np.inf).min(axis=1)
    alike = lowest == np.where(counts, change, -np.inf).max(axis=1)  # free of rounding
    mean = np.where(alike, lowest, np.where(count > 0, mean, np.nan))
    variance = np.where(count > 1, np.where(alike, 0.0, variance), np.nan)
    return mean, variance, count


def _disagreeing(
    mean: NDArray[np.float64], variance: NDArray[np.float64], count: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Pairs, those that disagree and those of them that go up, of differences that are -1, 0 or 1; NaN = none."""
    pairs = np.where(count > 1, count, np.nan)
    squares = variance * pairs * (pairs - 1) + pairs * mean**2  # so many pairs disagree
    disagree = np.rint(np.where(squares > 0.5, squares, np.nan))
    return pairs, disagree, np.rint((disagree + pairs * mean) / 2)


def mcnemar(
    mean: NDArray[np.float64], variance: NDArray[np.float64], count: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Test whether differences of what is 0 or 1 are 0 on average.

    Parameters
    ----------
    mean, variance : numpy.ndarray
        (...) mean of the differences, which are -1, 0 or 1, and the squared standard error of that mean.
    count : numpy.ndarray
        (...) pairs, broadcast.

    Returns
    -------
    numpy.ndarray
        (...) two-sided p value of McNemar's exact test; NaN where no pair disagrees, or below two pairs.

    References
    ----------
    McNemar, Psychometrika 12 (1947); see `difference`.
    """
    from scipy.special import bdtr

    _, disagree, up = _disagreeing(mean, variance, count)
    fewer = np.minimum(up, disagree - up)
    p: NDArray[np.float64] = np.minimum(1.0, 2 * bdtr(fewer, np.nan_to_num(disagree, nan=1).astype(int), 0.5))
    return p


def _bonett_price(found: Paired, confidence: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of the interval of differences that are -1, 0 or 1."""
    from scipy.special import ndtri

    pairs, disagree, up = _disagreeing(found.mean, found.variance, found.count)
    above, below = (up + 1) / (pairs + 2), (disagree - up + 1) / (pairs + 2)
    centre = above - below
    half = ndtri((1 + confidence) / 2) * np.sqrt((above + below - centre**2) / (pairs + 2))
    return np.maximum(centre - half, -1.0), np.minimum(centre + half, 1.0)


def _adjusted(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Benjamini and Hochberg's adjusted p values down each column; NaN stays out."""
    from scipy.stats import false_discovery_control

    q = np.full_like(p, np.nan)
    for column in range(p.shape[1]):
        known = np.isfinite(p[:, column])
        if known.any():
            q[known, column] = false_discovery_control(p[known, column], method="bh")
    return q
