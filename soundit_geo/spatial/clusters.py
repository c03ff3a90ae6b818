"""Where high or low values stand together: Moran's I, local Moran's I and Getis and Ord's Gi*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.errors import InputError
from soundit_geo.spatial.randomisation import neighbourhood_p
from soundit_geo.spatial.values import Places, places_of, site_values

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr
    from libpysal.graph import Graph

LEAST: Final = 10
"""Places that clusters need."""

SHUFFLES: Final = 999
"""Of all values, for Moran's I of the whole."""

QUADRANTS: Final = ("not significant", "high-high", "low-high", "low-low", "high-low")
"""Classes of local Moran's I: the place, then its neighbours, against the mean; by esda's number of the quadrant."""

LEVELS: Final = ((0.01, "99 %"), (0.05, "95 %"), (0.1, "90 %"))
"""Levels of hot and cold spots."""

NO_NEIGHBOUR: Final = "no neighbour"
NO_VALUE: Final = "no value"


def hotspots(
    source: xr.Dataset | gpd.GeoDataFrame,
    variable: str,
    *,
    scenario: str | None = None,
    against: str | None = None,
    neighbours: int = 8,
    distance: float | None = None,
    alpha: float = 0.05,
    permutations: int | None = None,
    seed: int = 0,
) -> gpd.GeoDataFrame:
    """Find clusters of high and low values, false discoveries controlled.

    The statistics are esda's; p values come from random neighbourhoods (`neighbourhood_p`), two-sided, and go through
    Benjamini and Hochberg's control over places. Distances are straight through space between points on the
    ellipsoid, so that neighbours are right at the antimeridian and the poles, and no projection is needed.

    Parameters
    ----------
    source : xarray.Dataset or geopandas.GeoDataFrame
        A cube, or a table of points with any CRS.
    variable, scenario, against : str
        What is looked at; see `site_values`.
    neighbours : int
        How many nearest places are a place's neighbours.
    distance : float, optional
        Metres within which places are neighbours instead; a place without any takes no part.
    alpha : float
        Level of the false-discovery rate for the classes of local Moran's I.
    permutations : int, optional
        Random neighbourhoods for each place. By default 2 / `alpha` times the number of places, and 999 at least, so
        that one place alone can be found among all; fewer where neighbourhoods are very large or of very many sizes.
        ``attrs["permutations"]`` says how many they came to.
    seed : int
        Fixes the random neighbourhoods.

    Returns
    -------
    geopandas.GeoDataFrame
        The index and points of the source, in EPSG:4326; sites of one place share its figures. ``value`` (the
        site's), ``place_value``, ``around`` (mean of the neighbours), ``neighbours``, ``local_moran``, ``moran_p``,
        ``moran_q`` (p after control) and ``cluster`` ("high-high", "low-low", "low-high", "high-low",
        "not significant"); ``getis_z`` (Gi* in standard deviations), ``getis_p``, ``getis_q`` and ``hotspot``
        ("hot 99 %", "cold 90 %", ..., "not significant"). Sites apart are "no neighbour" or "no value".
        ``attrs`` hold Moran's I of the whole (``moran``, by chance ``moran_expected``; ``moran_z`` in standard
        deviations; ``moran_p``, two-sided, from 999 shuffles), the counts, and the settings.

    Raises
    ------
    SitesError
        If fewer than 10 places have a value and a neighbour, or all values are equal.
    InputError
        If a setting cannot be.
    """
    from scipy.stats import false_discovery_control

    _check(neighbours, distance, alpha, permutations)
    values = site_values(source, variable, scenario=scenario, against=against)
    places = places_of(values)
    places.require(LEAST, "A search for clusters")
    near, far = _pairs(places, neighbours, distance)
    linked = np.unique(near)
    if len(linked) < len(places):  # places apart leave: nobody's neighbour has them as its own
        near, far = np.searchsorted(linked, near), np.searchsorted(linked, far)
    alone, value = len(places) - len(linked), places.value[linked]
    _part(places, linked).require(LEAST, f"With neighbours within {distance} m, a search for clusters")

    size = np.bincount(near, minlength=len(value))
    total = np.bincount(near, value[far], minlength=len(value))
    needed = max(999, int(np.ceil(2 * len(value) / alpha)))
    wanted = needed if permutations is None else permutations
    rng = np.random.default_rng(seed)
    moran_p, drawn = neighbourhood_p(value, total, size, conditional=True, permutations=wanted, rng=rng)
    getis_p, _ = neighbourhood_p(
        value, total + value, size + 1, conditional=False, permutations=wanted, rng=rng
    )
    whole_p = _moran_p(value, near, far, size, rng)
    moran_q = false_discovery_control(moran_p)
    getis_q = false_discovery_control(getis_p)
    local, quadrant, getis_z, whole = _statistics(value, near, far)

    cluster = np.array(QUADRANTS, dtype=object)[np.where(moran_q <= alpha, quadrant, 0)]
    hotspot = np.full(len(value), QUADRANTS[0], dtype=object)
    for level, words in reversed(LEVELS):
        hotspot[getis_q <= level] = words
    found = getis_q <= LEVELS[-1][0]
    hotspot[found] = np.where(getis_z[found] > 0, "hot ", "cold ") + hotspot[found]

    columns: dict[str, Any] = {
        "place_value": value,
        "around": total / size,
        "neighbours": size,
        "local_moran": local,
        "moran_p": moran_p,
        "moran_q": moran_q,
        "cluster": cluster,
        "getis_z": getis_z,
        "getis_p": getis_p,
        "getis_q": getis_q,
        "hotspot": hotspot,
    }
    frame = _by_site(values, places, linked, columns)
    frame.attrs = {
        **values.attrs,
        **whole,
        "moran_p": whole_p,
        **places.counts,
        "without_neighbour": alone,
        "graph": f"{neighbours} nearest places" if distance is None else f"places within {distance:g} m",
        "alpha": alpha,
        "permutations": int(drawn.min()),
        "permutation_seed": seed,
    }
    return frame


def _check(neighbours: int, distance: float | None, alpha: float, permutations: int | None) -> None:
    if neighbours < 1:
        raise InputError(f"neighbours is {neighbours}; expected 1 or more.")
    if distance is not None and not 0 < distance < np.inf:
        raise InputError(f"distance is {distance}; expected metres above 0.")
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}; expected a level between 0 and 1, such as 0.05.")
    if permutations is not None and permutations < 99:
        raise InputError(f"permutations is {permutations}; expected 99 or more.")


def _pairs(places: Places, neighbours: int, distance: float | None) -> tuple[np.ndarray, np.ndarray]:
    """List neighbours: places, in rising order, and for each in turn a neighbour of it."""
    from scipy.spatial import cKDTree

    tree = cKDTree(places.xyz)
    if distance is not None:
        links = tree.query_pairs(distance, output_type="ndarray")
        both = np.concatenate((links, links[:, ::-1]))
        both = both[np.lexsort((both[:, 1], both[:, 0]))]
        return both[:, 0], both[:, 1]
    if neighbours >= len(places):
        raise InputError(f"{len(places)} places cannot have {neighbours} neighbours each. Take fewer.")
    nearest = tree.query(places.xyz, neighbours + 1)[1]
    return np.repeat(np.arange(len(places)), neighbours), nearest[:, 1:].ravel()


def _part(places: Places, chosen: np.ndarray) -> Places:
    """Take some of the places."""
    return Places(
        places.lon[chosen],
        places.lat[chosen],
        places.xyz[chosen],
        places.value[chosen],
        places.sites[chosen],
        places.place_of,
    )


def _statistics(
    value: np.ndarray, near: np.ndarray, far: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, float]]:
    """Local Moran's I, quadrants, z of Gi* and Moran's I of the whole, as esda has them."""
    from esda.getisord import G_Local
    from esda.moran import Moran, Moran_Local
    from libpysal.graph import Graph

    graph: Graph = Graph.from_arrays(near, far, np.ones(len(near)))
    # Gi* is written for values above 0 (its sums divide), its z is the same after a shift: shift.
    above = value - value.min() + np.ptp(value)
    with np.errstate(invalid="ignore", divide="ignore"):  # a neighbourhood of all places has no z
        local = Moran_Local(value, graph, permutations=0)
        getis = G_Local(above, graph.assign_self_weight(1), transform="B", star=True, permutations=0)
        moran = Moran(value, graph, permutations=0)
    whole = {
        "moran": float(moran.I),
        "moran_expected": float(moran.EI),
        "moran_z": float(moran.z_rand),
    }
    return local.Is, local.q, getis.Zs, whole


def _moran_p(
    value: np.ndarray, near: np.ndarray, far: np.ndarray, size: np.ndarray, rng: np.random.Generator
) -> float:
    """Two-sided p value of Moran's I of the whole; esda's own shuffles take no seed."""
    from scipy.sparse import csr_array

    weights = csr_array((1 / size[near], (near, far)), shape=(len(value), len(value)))
    deviation = value - value.mean()
    shuffled = (rng.permutation(deviation) for _ in range(SHUFFLES))
    chance = np.array([z @ (weights @ z) for z in shuffled])
    observed = deviation @ (weights @ deviation)
    slack = 1e-9 * (deviation @ deviation)
    above, below = (chance >= observed - slack).sum(), (chance <= observed + slack).sum()
    return float(min(1.0, 2 * (min(above, below) + 1) / (SHUFFLES + 1)))


def _by_site(
    values: gpd.GeoDataFrame, places: Places, linked: np.ndarray, columns: dict[str, Any]
) -> gpd.GeoDataFrame:
    """Hand each site the figures of its place."""
    row_of = np.full(len(places) + 1, -1)  # the last is for sites without a value
    row_of[linked] = np.arange(len(linked))
    row = row_of[places.place_of]
    frame = values[["value", "geometry"]].copy()
    for name, column in columns.items():
        if column.dtype == object:
            text = column[row].copy()
            text[row < 0] = NO_NEIGHBOUR
            text[places.place_of < 0] = NO_VALUE
            frame[name] = text
        elif name == "neighbours":
            frame[name] = np.where(row < 0, 0, column[row])
        else:
            frame[name] = np.where(row < 0, np.nan, column[row])
    return frame
