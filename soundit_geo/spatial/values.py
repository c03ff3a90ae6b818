"""What is mapped: one number per site, from a cube or from any table of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.classes import ADE20K, PERCEPTIONS
from soundit_geo.cube import CRS, check_scenario, done, site_columns
from soundit_geo.errors import CRSError, CubeError, InputError, ScenarioError, SitesError
from soundit_geo.origin import ORIGIN
from soundit_geo.pss.indicators import INDICATORS
from soundit_geo.recordings import to_lonlat

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

SAME_PLACE: Final = 0.01
"""Sites that round to the same multiple of this, in metres, are one place."""


def site_values(
    source: xr.Dataset | gpd.GeoDataFrame,
    variable: str,
    *,
    scenario: str | None = None,
    against: str | None = None,
) -> gpd.GeoDataFrame:
    """Take one number per site.

    Parameters
    ----------
    source : xarray.Dataset or geopandas.GeoDataFrame
        A cube, or a table of points with any CRS.
    variable : str
        Of a cube: a perception, an urban indicator, an element, or any variable with one number per site or cell,
        such as a PSS, an acoustic measure or a column of the sites; ``element:building`` is the element where an
        indicator has the same name. Of a table: a column of numbers.
    scenario : str, optional
        Of a cube, the scenario whose draws are averaged; it may be left out where there is only one.
    against : str, optional
        A second scenario: the value is then `scenario` minus `against`, paired over draws.

    Returns
    -------
    geopandas.GeoDataFrame
        The index of the source; ``geometry`` in EPSG:4326 and ``value``, the mean over the draws that are done,
        NaN where there is none. ``attrs["label"]`` says in words what the value is, ``attrs["units"]`` its units; of a
        cube also its `soundit_geo.origin.ORIGIN`.

    Raises
    ------
    CubeError
        If the cube has no such variable.
    ScenarioError
        If a scenario is unknown, or must be named.
    SitesError
        If the table has no such column of finite numbers, or a geometry is not a point.
    CRSError
        If the table carries no CRS.
    """
    import geopandas as gpd
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        if scenario is not None or against is not None:
            raise InputError("A table has columns and no scenarios; name the column alone, or give a cube.")
        return _from_table(source, variable)
    values = _from_cube(source, variable, scenario, against)
    index = pd.Index(source["site"].to_numpy(), name="site")
    points = gpd.points_from_xy(source["lon"].to_numpy(), source["lat"].to_numpy(), crs=CRS)
    frame = gpd.GeoDataFrame({"value": values.to_numpy().astype(float)}, index=index, geometry=points)
    origin = {name: source.attrs[name] for name in ORIGIN if name in source.attrs}
    frame.attrs = {**origin, "variable": variable, "label": variable, "units": "1", **values.attrs}
    return frame


@dataclass(frozen=True, eq=False)
class Places:
    """Where values are: sites of one position together.

    Parameters
    ----------
    lon, lat : numpy.ndarray
        (places,) degrees, EPSG:4326.
    xyz : numpy.ndarray
        (places, 3) metres from the Earth's centre (EPSG:4978): straight distances that no projection bends.
    value : numpy.ndarray
        (places,) mean over the sites of the place.
    sites : numpy.ndarray
        (places,) how many sites that are.
    place_of : numpy.ndarray
        (sites,) the place of each site, -1 for a site without value.
    """

    lon: np.ndarray
    lat: np.ndarray
    xyz: np.ndarray
    value: np.ndarray
    sites: np.ndarray
    place_of: np.ndarray

    def __len__(self) -> int:
        """How many places there are."""
        return len(self.value)

    @property
    def counts(self) -> dict[str, int]:
        """What went into the places.

        Returns
        -------
        dict of str to int
            ``sites`` with a value, ``places``, and sites ``without_value``.
        """
        with_value = int(self.sites.sum())
        return {"sites": with_value, "places": len(self), "without_value": len(self.place_of) - with_value}

    def require(self, least: int, what: str) -> None:
        """Refuse what is too little to work with.

        Parameters
        ----------
        least : int
            Places that are needed.
        what : str
            For what, to begin the message with.

        Raises
        ------
        SitesError
            If there are fewer places, or all have the same value.
        """
        if len(self) < least:
            raise SitesError(
                f"{what} needs at least {least} places with a value; there are {len(self)} "
                f"({self.counts['sites']} sites have one, {self.counts['without_value']} have none)."
            )
        if np.ptp(self.value) <= 1e-12 * np.abs(self.value).max():
            raise SitesError(
                f"{what} needs values that differ; all {len(self)} places have the value {self.value[0]:g}."
            )


def places_of(values: gpd.GeoDataFrame) -> Places:
    """Join sites of one position: their mean is the value of the place.

    Repeated recordings of one spot say more of that spot, but not of its neighbourhood; counted singly they would be
    their own neighbours, and stand on both sides of a cross-validation.

    Parameters
    ----------
    values : geopandas.GeoDataFrame
        From `site_values`.

    Returns
    -------
    Places
        In the order of their first site; sites without a value are in none.
    """
    import pyproj

    value = values["value"].to_numpy()
    known = np.isfinite(value)
    lon, lat = values.geometry.x.to_numpy()[known], values.geometry.y.to_numpy()[known]
    to_centre = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    xyz = np.column_stack(to_centre.transform(lon, lat, np.zeros_like(lon))).reshape(-1, 3)
    _, first, place = np.unique(np.round(xyz / SAME_PLACE), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place, first = np.argsort(order)[place.ravel()], first[order]
    sites = np.bincount(place, minlength=len(first))
    mean = np.bincount(place, value[known], minlength=len(first)) / sites
    mean = np.where(sites == 1, value[known][first], mean)
    place_of = np.full(len(values), -1)
    place_of[known] = place
    return Places(lon[first], lat[first], xyz[first], mean, sites, place_of)


def _from_table(table: gpd.GeoDataFrame, column: str) -> gpd.GeoDataFrame:
    """Take a column of a table of points."""
    import geopandas as gpd
    import pandas as pd

    if not isinstance(table, gpd.GeoDataFrame) or table.active_geometry_name is None:
        raise SitesError("The table has no geometry; expected a GeoDataFrame of points.")
    numbers = [
        str(name)
        for name, dtype in table.dtypes.items()
        if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    ]
    if column not in numbers:
        state = "is not of numbers" if column in table.columns else "does not exist"
        raise SitesError(f"Column {column!r} {state}. Columns of numbers: {', '.join(numbers) or 'none'}.")
    kinds = set(table.geometry.geom_type)
    if not kinds <= {"Point"} or table.geometry.is_empty.any():
        raise SitesError(
            f"The geometries are {sorted(map(str, kinds))}; expected a point for each row. "
            "Take representative_point(), for example."
        )
    value = table[column].to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(value).any():
        raise SitesError(
            f"Column {column!r} holds {int(np.isinf(value).sum())} infinite numbers. Use NaN for none."
        )
    points = to_lonlat(table[[table.active_geometry_name]]).geometry
    if (points.y.abs() > 90).any() or (points.x.abs() > 360).any():
        raise CRSError(f"The points are not in {table.crs}: they lie beyond ±90° of latitude. Check the CRS.")
    lon = (points.x.to_numpy() + 180) % 360 - 180
    lon = np.where(np.abs(points.x) <= 180, points.x, lon)
    points = gpd.points_from_xy(lon, points.y, crs=CRS)
    frame = gpd.GeoDataFrame({"value": value}, index=table.index, geometry=points)
    frame.attrs = {"variable": column, "label": column, "units": str(table.attrs.get("units", "1"))}
    return frame


def _from_cube(cube: xr.Dataset, variable: str, scenario: str | None, against: str | None) -> xr.DataArray:
    """Average a variable of a cube over draws; (site,), its attrs in words."""
    field = _field(cube, variable)
    words = {"units": str(field.attrs.get("units", "1"))}
    if not {"scenario", "draw"} & set(field.dims):
        if scenario is not None or against is not None:
            raise ScenarioError(f"{variable!r} is of the site, the same in every scenario; name no scenario.")
        return field.drop_attrs().assign_attrs(words)
    names = [str(name) for name in cube["scenario"].to_numpy()]
    if scenario is None:
        if len(names) > 1:
            raise ScenarioError(
                f"The cube has {len(names)} scenarios; name one: {', '.join(map(repr, names))}."
            )
        scenario = names[0]
    draws, label = _draws(cube, variable, scenario), f"{variable}, {scenario}"
    words["scenario"] = scenario
    if against is not None:
        draws, label = draws - _draws(cube, variable, against), f"{label} minus {against}"
        words["against"] = against
    return draws.mean("draw").assign_attrs(label=label, **words)


def _draws(cube: xr.Dataset, variable: str, scenario: str) -> xr.DataArray:
    """Pick a variable in a scenario; (site, draw), NaN where the draw is not done."""
    layer = cube.sel(scenario=check_scenario(cube, scenario)).reset_coords(drop=True)
    return _field(layer, variable).astype(float).where(done(layer))


def _field(cube: xr.Dataset, variable: str) -> xr.DataArray:
    """Find what a name means in a cube; along site, and scenario and draw where it depends on them."""
    name = variable.removeprefix("element:")
    if variable in PERCEPTIONS:
        return cube["perception"].sel(percept=variable, drop=True)
    if variable in INDICATORS:
        total: Any = cube["element_share"].sel(element=list(INDICATORS[variable].classes))
        return total.sum("element", skipna=False).assign_attrs(units="1")
    if name in ADE20K:
        return cube["element_share"].sel(element=name, drop=True)
    given = cube[variable] if variable in {*cube.data_vars, *site_columns(cube)} else None
    if given is not None and given.dtype.kind in "fiu" and variable != "status":
        dims = set(given.dims)
        if "site" in dims and dims <= {"site", "scenario", "draw"}:
            return given
    raise CubeError(
        f"The cube has no variable {variable!r} with a number for each site. There are the perceptions "
        f"({', '.join(PERCEPTIONS)}), the indicators ({', '.join(INDICATORS)}), the elements of ADE20K and the PSS."
    )
