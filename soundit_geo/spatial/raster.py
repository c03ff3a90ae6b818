"""A surface as a file that every GIS opens: GeoTIFF, by default cloud-optimised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from soundit_geo.drafts import draft_of
from soundit_geo.errors import InputError, StudyError
from soundit_geo.spatial.surfaces import crs_of

if TYPE_CHECKING:
    import os

    import xarray as xr

BANDS: Final = ("value", "standard_deviation")
"""Bands of the file, in order, from 1."""


def write_raster(surface: xr.Dataset, path: str | os.PathLike[str], *, cloud_optimised: bool = True) -> Path:
    """Write value and standard deviation as a GeoTIFF of two bands, float32, north up.

    Parameters
    ----------
    surface : xarray.Dataset
        From `surface`.
    path : path
        The file, ``.tif`` or ``.tiff``; one that is there is replaced, in one rename.
    cloud_optimised : bool
        Whether it is a cloud-optimised GeoTIFF, that is tiled, compressed and with overviews; else a plain one.

    Returns
    -------
    pathlib.Path
        `path`. Empty cells are NaN, which the file names as its nodata value; bands carry their description, the
        file's tags what `surface` says of itself and its accuracy.

    Raises
    ------
    InputError
        If the name has another ending, or the dataset is no surface.
    StudyError
        If the file cannot be written.
    """
    import rasterio
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy
    from rasterio.transform import from_origin

    path = Path(path)
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(f"{path.name} is to hold a surface; expected a name that ends in .tif.")
    missing = [name for name in (*BANDS, "spatial_ref") if name not in surface.variables]
    if missing or surface.sizes["x"] < 2 or surface.sizes["y"] < 2:
        raise InputError(
            f"The dataset is no surface: it lacks {missing or 'cells'}. See soundit_geo.spatial.surface."
        )
    x, y = surface["x"].to_numpy(), surface["y"].to_numpy()
    width, height = float(x[-1] - x[0]) / (len(x) - 1), float(y[0] - y[-1]) / (len(y) - 1)
    if width <= 0 or height <= 0:
        raise InputError(
            "The surface is not north up: x must rise and y must fall. Use surface.sortby('y', ascending=False)."
        )
    profile = {
        "driver": "GTiff",
        "width": len(x),
        "height": len(y),
        "count": len(BANDS),
        "dtype": "float32",
        "crs": rasterio.CRS.from_wkt(crs_of(surface).to_wkt()),
        "transform": from_origin(x[0] - width / 2, y[0] + height / 2, width, height),
        "nodata": np.nan,
    }
    with draft_of(path, StudyError) as draft, MemoryFile() as memory:
        with memory.open(**profile) as raster:
            for band, name in enumerate(BANDS, 1):
                raster.write(surface[name].transpose("y", "x").to_numpy().astype("float32"), band)
                raster.set_band_description(band, str(surface[name].attrs["long_name"]))
                raster.update_tags(band, units=str(surface[name].attrs.get("units", "1")))
            raster.update_tags(**_tags(surface))
        with memory.open() as raster:
            driver = "COG" if cloud_optimised else "GTiff"
            copy(raster, draft, driver=driver, compress="deflate", predictor=3)
    return path


def _tags(surface: xr.Dataset) -> dict[str, str]:
    """Put what a surface says of itself and its accuracy into words."""
    tags = {str(name): str(value) for name, value in surface.attrs.items()}
    for kind in surface["validation"].to_numpy():
        for name in ("rmse", "r2", "coverage"):
            tags[f"{name}_{kind}"] = f"{surface[name].sel(validation=kind).item():.4g}"
    return tags
