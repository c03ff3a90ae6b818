"""The accessor ``cube.soundit``: the same functions, called on a cube. Importing this module registers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from soundit_geo import cube as cubes
from soundit_geo import maps, scenarios
from soundit_geo.cube import open_cube

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    import pandas as pd

__all__ = ["SounditAccessor", "open_cube"]  # opened through here, a cube has its accessor


@xr.register_dataset_accessor("soundit")
class SounditAccessor:
    """What can be asked of a cube; each method hands on to the function of the same name.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube, as `soundit_geo.cube.validate` checks.
    """

    def __init__(self, cube: xr.Dataset) -> None:
        self._cube = cubes.validate(cube)

    def difference(self, a: str, b: str) -> xr.Dataset:
        """Hand on to `soundit_geo.scenarios.difference`.

        Parameters
        ----------
        a, b : str
            Names of two scenarios.

        Returns
        -------
        xarray.Dataset
            Mean over draws of `a` minus `b` at each site, with standard errors.
        """
        return scenarios.difference(self._cube, a, b)

    def summary(self) -> pd.DataFrame:
        """Hand on to `soundit_geo.cube.summary`.

        Returns
        -------
        pandas.DataFrame
            A row per scenario.
        """
        return cubes.summary(self._cube)

    def to_geodataframe(
        self, scenario: str | None = None, *, elements: Sequence[str] = ()
    ) -> gpd.GeoDataFrame:
        """Hand on to `soundit_geo.cube.to_geodataframe`.

        Parameters
        ----------
        scenario : str, optional
            Its name; without one, all scenarios.
        elements : sequence of str
            Elements whose shares are wanted too.

        Returns
        -------
        geopandas.GeoDataFrame
            A row per site.
        """
        return cubes.to_geodataframe(self._cube, scenario, elements=elements)

    def map(self, **options: Any) -> maps.SiteMap:
        """Hand on to `soundit_geo.maps.site_map`.

        Parameters
        ----------
        **options
            As `soundit_geo.maps.site_map` takes them: variable, compare, base, folder, tiles, media.

        Returns
        -------
        SiteMap
            A folium map.
        """
        return maps.site_map(self._cube, **options)
