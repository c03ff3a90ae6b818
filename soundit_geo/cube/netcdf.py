"""A cube as one netCDF-4 file after the CF conventions 1.11."""

from __future__ import annotations

from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from soundit_geo.cube.layout import flatten
from soundit_geo.cube.schema import validate
from soundit_geo.drafts import draft_of
from soundit_geo.errors import CubeError, StudyError

if TYPE_CHECKING:
    import os

    import xarray as xr

_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"


def save_netcdf(cube: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a cube as a netCDF-4 file, whole or not at all.

    `soundit_geo.cube.open_cube` reads it back identical; `soundit_geo.cube.layout` says how it is laid out.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.
    path : path
        The file to write, by convention ``.nc``; one that is there is replaced.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    CubeError
        If the cube is not valid, or an attribute is neither text nor a number.
    StudyError
        If the file cannot be written.
    """
    path = Path(path)
    flat = flatten(validate(cube))
    for name, value in flat.attrs.items():
        if isinstance(value, bool) or not isinstance(value, (str, Real)):
            raise CubeError(f"The cube's attribute {name!r} is {value!r}; netCDF takes text and numbers.")
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in flat.variables.items():
        if variable.dtype.kind in "fi" and variable.ndim > 1:
            encoding[str(name)] = {"zlib": True, "complevel": 1, "shuffle": True}
        elif variable.dtype.kind == "f":
            encoding[str(name)] = {"_FillValue": None}  # coordinates have no missing values
    with draft_of(path, StudyError) as draft:
        flat.to_netcdf(draft, mode="w", format="NETCDF4", encoding=encoding)
    return path


def read_netcdf(path: Path) -> xr.Dataset:
    """Read a netCDF-4 file into memory, as it is laid out.

    Parameters
    ----------
    path : pathlib.Path
        A file.

    Returns
    -------
    xarray.Dataset
        For `soundit_geo.cube.layout.restore`.

    Raises
    ------
    CubeError
        If it is no netCDF-4 file.
    """
    import xarray as xr

    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise CubeError(f"{path} is not a cube: neither a zarr folder nor a netCDF-4 file.")
    return xr.load_dataset(path, decode_coords="all")
