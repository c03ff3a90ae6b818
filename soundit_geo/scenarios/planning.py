"""How many draws a study needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundit_geo.classes import PERCEPTIONS
from soundit_geo.cube import done
from soundit_geo.errors import CubeError, InputError
from soundit_geo.scenarios.effects import COMPARED, paired

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray


def draws_needed(cube: xr.Dataset, se: float, *, compare: tuple[str, str] | None = None) -> pd.DataFrame:
    """Tell how many draws bring a site's standard error down to a given one.

    The variance over draws within a site, σ², is pooled over sites (and, without `compare`, over scenarios); then
    ``n = σ² / se²``, rounded up, two at least. So a typical site reaches `se`; one whose landscapes vary more needs
    more.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube with two draws or more, a small study for instance.
    se : float
        The standard error wanted of a site's mean over draws, in the units of each variable.
    compare : tuple of str, optional
        Two scenarios; then of the difference between them, paired over draws.

    Returns
    -------
    pandas.DataFrame
        Index ``variable``, the six perceptions and each PSS that is known; columns ``sd`` (σ), ``draws`` (n) and
        ``draws_high`` (n with σ² at the upper end of its one-sided 95 % interval, as χ² has it, for normal scores).

    Raises
    ------
    InputError
        If `se` is not above 0.
    ScenarioError
        If the cube lacks a scenario.
    CubeError
        If no site has two draws done.
    """
    import pandas as pd
    from scipy.stats import chi2

    if not se > 0 or not np.isfinite(se):
        raise InputError(f"se is {se}; expected a number above 0.")
    rows = {}
    for name in COMPARED:
        if name == "element_share":
            continue
        variance, freedom = _within(cube, name, compare)  # (V,)
        for variable, one, degrees in zip(
            PERCEPTIONS if name == "perception" else (name,), variance, freedom, strict=True
        ):
            if degrees > 0:
                most = one * degrees / chi2.ppf(0.05, degrees)
                rows[variable] = {
                    "sd": np.sqrt(one),
                    **{
                        column: max(2, int(np.ceil(value / se**2)))
                        for column, value in (("draws", one), ("draws_high", most))
                    },
                }
    if not rows:
        raise CubeError(
            "No site has two draws done, so their variance is unknown. Run a few sites with draws=4."
        )
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("variable")


def _within(
    cube: xr.Dataset, name: str, compare: tuple[str, str] | None
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Variance of a draw within its site, pooled, and its degrees of freedom; (V,) each."""
    if compare is not None:
        found = paired(cube, *compare, name)
        freedom = np.maximum(found.count - 1, 0)
        squares = np.where(freedom > 0, found.variance * found.count * freedom, 0.0)
    else:
        values = cube[name].where(done(cube)).transpose("site", "scenario", "draw", ...).to_numpy()
        values = values.reshape(-1, values.shape[2], int(np.prod(values.shape[3:]))).astype(float)
        known = np.isfinite(values)
        count = known.sum(axis=1)
        centre = np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1)
        freedom = np.maximum(count - 1, 0)
        squares = (np.where(known, values - centre[:, None], 0.0) ** 2).sum(axis=1)
    total = freedom.sum(axis=0)
    return squares.sum(axis=0) / np.maximum(total, 1), total
