"""The accessors ``cube.soundit`` and ``sites.soundit``: the same functions, called on a cube or on sites.

Importing this module registers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr
from pandas.api.extensions import register_dataframe_accessor

from soundit_geo import cube as cubes
from soundit_geo import maps, scenarios, spatial
from soundit_geo.cube import open_cube
from soundit_geo.recordings import read_sites

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd

    from soundit_geo.study import Study

__all__ = ["SitesAccessor", "SounditAccessor", "open_cube", "read_sites"]  # opened here, they have theirs


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

    def difference(self, a: str, b: str, **options: Any) -> xr.Dataset:
        """Hand on to `soundit_geo.scenarios.difference`.

        Parameters
        ----------
        a, b : str
            Names of two scenarios.
        **options
            As `soundit_geo.scenarios.difference` takes them: variables, confidence, false_discovery.

        Returns
        -------
        xarray.Dataset
            Mean over draws of `a` minus `b` at each site, with standard errors, intervals and p values.
        """
        return scenarios.difference(self._cube, a, b, **options)

    def effect(self, a: str, b: str, **options: Any) -> xr.Dataset:
        """Hand on to `soundit_geo.scenarios.effect`.

        Parameters
        ----------
        a, b : str
            Names of two scenarios.
        **options
            As `soundit_geo.scenarios.effect` takes them: by, of, unchanged, variables, confidence, seed.

        Returns
        -------
        xarray.Dataset
            Mean over sites of `a` minus `b`, overall or by district, with intervals.
        """
        return scenarios.effect(self._cube, a, b, **options)

    def rank(self, goal: Mapping[str, float], **options: Any) -> pd.DataFrame:
        """Hand on to `soundit_geo.scenarios.rank`.

        Parameters
        ----------
        goal : mapping of str to float
            Perception to weight, such as ``{"lively": 1, "depressing": -1}``.
        **options
            As `soundit_geo.scenarios.rank` takes them: base, confidence, seed.

        Returns
        -------
        pandas.DataFrame
            A row per scenario, the best first.
        """
        return scenarios.rank(self._cube, goal, **options)

    def draws_needed(self, se: float, *, compare: tuple[str, str] | None = None) -> pd.DataFrame:
        """Hand on to `soundit_geo.scenarios.draws_needed`.

        Parameters
        ----------
        se : float
            The standard error wanted of a site's mean over draws, in the units of each variable.
        compare : tuple of str, optional
            Two scenarios; then of the difference between them.

        Returns
        -------
        pandas.DataFrame
            A row per variable.
        """
        return scenarios.draws_needed(self._cube, se, compare=compare)

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

    def to_wide_geodataframe(
        self, scenarios: str | Sequence[str] | None = None, *, elements: Sequence[str] = ()
    ) -> gpd.GeoDataFrame:
        """Hand on to `soundit_geo.cube.to_wide_geodataframe`.

        Parameters
        ----------
        scenarios : str or sequence of str, optional
            Names; all by default.
        elements : sequence of str
            Elements whose shares are wanted too.

        Returns
        -------
        geopandas.GeoDataFrame
            A row per site, columns for each scenario.
        """
        return cubes.to_wide_geodataframe(self._cube, scenarios, elements=elements)

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        scenarios: str | Sequence[str] | None = None,
        elements: Sequence[str] = (),
    ) -> Path:
        """Hand on to `soundit_geo.cube.export_cube`.

        Parameters
        ----------
        path : path
            The file; its suffix says what is written.
        scenarios : str or sequence of str, optional
            Names; all by default.
        elements : sequence of str
            Elements whose shares a table shall hold.

        Returns
        -------
        pathlib.Path
            `path`.
        """
        return cubes.export_cube(self._cube, path, scenarios=scenarios, elements=elements)

    def surface(self, variable: str, **options: Any) -> xr.Dataset:
        """Hand on to `soundit_geo.spatial.surface`.

        Parameters
        ----------
        variable : str
            A perception, indicator, element or PSS.
        **options
            As `soundit_geo.spatial.surface` takes them: scenario, against, method, cell, reach, boundary, seed.

        Returns
        -------
        xarray.Dataset
            Values and standard deviations over a grid, and their accuracy.
        """
        return spatial.surface(self._cube, variable, **options)

    def hexagons(self, variable: str, **options: Any) -> gpd.GeoDataFrame:
        """Hand on to `soundit_geo.spatial.hexagons`.

        Parameters
        ----------
        variable : str
            A perception, indicator, element or PSS.
        **options
            As `soundit_geo.spatial.hexagons` takes them: scenario, against, resolution, minimum.

        Returns
        -------
        geopandas.GeoDataFrame
            A row per hexagon.
        """
        return spatial.hexagons(self._cube, variable, **options)

    def districts(self, variable: str, polygons: gpd.GeoDataFrame, **options: Any) -> gpd.GeoDataFrame:
        """Hand on to `soundit_geo.spatial.districts`.

        Parameters
        ----------
        variable : str
            A perception, indicator, element or PSS.
        polygons : geopandas.GeoDataFrame
            Polygons with any CRS.
        **options
            As `soundit_geo.spatial.districts` takes them: scenario, against, minimum.

        Returns
        -------
        geopandas.GeoDataFrame
            A row per polygon.
        """
        return spatial.districts(self._cube, variable, polygons, **options)

    def hotspots(self, variable: str, **options: Any) -> gpd.GeoDataFrame:
        """Hand on to `soundit_geo.spatial.hotspots`.

        Parameters
        ----------
        variable : str
            A perception, indicator, element or PSS.
        **options
            As `soundit_geo.spatial.hotspots` takes them: scenario, against, neighbours, distance, alpha,
            permutations, seed.

        Returns
        -------
        geopandas.GeoDataFrame
            A row per site.
        """
        return spatial.hotspots(self._cube, variable, **options)

    def map(self, **options: Any) -> maps.SiteMap:
        """Hand on to `soundit_geo.maps.site_map`.

        Parameters
        ----------
        **options
            As `soundit_geo.maps.site_map` takes them: variable, compare, view, base, surfaces, folder, tiles, media.

        Returns
        -------
        SiteMap
            A folium map.
        """
        return maps.site_map(self._cube, **options)


@register_dataframe_accessor("soundit")
class SitesAccessor:
    """What can be asked of sites; each method hands on to the function of the same name.

    Parameters
    ----------
    sites : geopandas.GeoDataFrame
        As `read_sites` gives.
    """

    def __init__(self, sites: gpd.GeoDataFrame) -> None:
        self._sites = sites

    def acoustics(self, calibration: Any = None, **options: Any) -> pd.DataFrame:
        """Hand on to `soundit_geo.acoustics.acoustics`.

        Parameters
        ----------
        calibration : float, str, mapping or Series, optional
            Sound pressure level of a recording at 0 dBFS, in dB re 20 µPa; or the column that holds it.
        **options
            As `soundit_geo.acoustics.acoustics` takes them: workers, progress.

        Returns
        -------
        pandas.DataFrame
            A row per site.
        """
        from soundit_geo.acoustics import acoustics

        return acoustics(self._sites, calibration, **options)

    def infer_scenes(self, scenes: Any, model: Any = "synthetic-city", **options: Any) -> gpd.GeoDataFrame:
        """Hand on to `soundit_geo.scene_inference.infer_scenes`.

        Parameters
        ----------
        scenes : sequence of str, or mapping of str to sequence of str
            Names of scenes, with prompts that stand for them where it is a mapping.
        model : str, path or encoder
            Whose encoder listens.
        **options
            As `soundit_geo.scene_inference.infer_scenes` takes them: device, progress.

        Returns
        -------
        geopandas.GeoDataFrame
            The sites with the columns ``inferred`` and ``inferred_probability``.
        """
        from soundit_geo.scene_inference import infer_scenes

        return infer_scenes(self._sites, scenes, model, **options)

    def study(self, out: str | os.PathLike[str], **options: Any) -> Study:
        """Hand on to `soundit_geo.study.Study`.

        Parameters
        ----------
        out : path
            Folder of the study.
        **options
            As `soundit_geo.study.Study` takes them: model, scenarios, draws, seed, steps, judges.

        Returns
        -------
        Study
            Ready to run.
        """
        from soundit_geo.study import Study

        return Study(self._sites, out=out, **options)
