"""How a cube lies in files, zarr folder and netCDF alike: plain arrays that follow the CF conventions 1.11.

- Sites are the instances of an orthogonal multidimensional array (section 9.3.1), and ``site``, with the
  ``cf_role`` of section 9.5, is their identifier. There is no ``featureType``: each type asks for a time, and
  a generated landscape has none. For such features section 9.1 says to use this representation and to omit
  the attribute.
- Names along a dimension are string-valued auxiliary coordinates (section 6.1), so ``coordinates`` lists
  them beside ``lon`` and ``lat``; so it does the columns of the sites.
- ``spatial_ref`` is the grid mapping (section 5.6), and ``geometry_container`` says that ``x`` and ``y`` are
  points (section 7.5), which `xvec` and `cf_xarray` decode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundit_geo.cube.schema import CRS, TEXT, describe
from soundit_geo.errors import CubeError

if TYPE_CHECKING:
    import xarray as xr

_REFERENCES: Final = ("coordinates", "grid_mapping", "geometry", "nodes")
_PLACES: Final = ("lon", "lat", "x", "y")
_IN_FILES_ONLY: Final = ("spatial_ref", "geometry_container", "x", "y")


def with_geometry_index(cube: xr.Dataset, crs: Any = CRS) -> xr.Dataset:
    """Index the points of a cube.

    Parameters
    ----------
    cube : xarray.Dataset
        With a coordinate ``geometry`` along ``site``, shapely points.
    crs : anything that pyproj takes
        Of the points.

    Returns
    -------
    xarray.Dataset
        The same with an `xvec.GeometryIndex`.
    """
    import xvec

    return cube.set_xindex("geometry", xvec.GeometryIndex, crs=crs)


def flatten(cube: xr.Dataset) -> xr.Dataset:
    """Turn a cube into plain arrays after the CF conventions.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.

    Returns
    -------
    xarray.Dataset
        Without geometry objects; `restore` is the inverse.

    Raises
    ------
    CubeError
        If a text cannot be stored.
    """
    import pyproj

    check_text(cube)
    flat = describe(cube).drop_vars("geometry")
    flat["spatial_ref"] = ((), np.int32(0), {**pyproj.CRS(CRS).to_cf(), "long_name": CRS})
    flat["geometry_container"] = (
        (),
        np.int32(0),
        {
            "geometry_type": "point",
            "node_coordinates": "x y",
            "coordinates": "lon lat",
            "grid_mapping": "spatial_ref",
            "variable_name": "geometry",  # what cf_xarray calls the decoded points
        },
    )
    for node, axis in (("lon", "x"), ("lat", "y")):
        words = {**flat[node].attrs, "axis": axis.upper()}
        flat[axis] = ("site", flat[node].to_numpy(), words)
        flat[node].attrs["nodes"] = axis
    labels = [
        str(name)
        for name in flat.coords
        if flat[name].dtype == TEXT or (flat[name].dims == ("site",) and name not in _PLACES)
    ]
    for name, variable in flat.data_vars.items():
        if "site" in variable.dims and name not in _IN_FILES_ONLY:
            beside = ["lon", "lat", *(label for label in labels if label in variable.dims)]
            variable.attrs["coordinates"] = " ".join(beside)
            variable.attrs["grid_mapping"] = "spatial_ref"
            variable.attrs["geometry"] = "geometry_container"
    return flat


def restore(flat: xr.Dataset) -> xr.Dataset:
    """Turn plain arrays, as files hold them, into a cube.

    Parameters
    ----------
    flat : xarray.Dataset
        In memory, as `flatten` gives; also the layouts of older versions, which had neither geometry
        container nor numeric flag values.

    Returns
    -------
    xarray.Dataset
        With a geometry index in the CRS that the file names; not validated.

    Raises
    ------
    CubeError
        If there are no coordinates.
    """
    import pyproj
    import shapely

    absent = {"lon", "lat", "status", "scene_class"} - set(flat.variables)
    if absent:
        raise CubeError(
            f"This is not a cube: it lacks {sorted(absent)}. new_cube makes one with every variable."
        )
    points = shapely.points(flat["lon"].to_numpy(), flat["lat"].to_numpy())
    mapping = flat["spatial_ref"].attrs if "spatial_ref" in flat.variables else {}
    crs = pyproj.CRS.from_cf(mapping) if mapping else CRS
    crs = CRS if crs == CRS else crs  # the short name where it says the same
    cube = flat.drop_vars(_IN_FILES_ONLY, errors="ignore")
    cube.attrs = {name: plain(value) for name, value in cube.attrs.items()}
    texts = [name for name in cube.variables if cube[name].dtype.kind in "TUO"]
    for name in texts:
        cube[name] = cube[name].copy(data=np.asarray(cube[name].values, dtype=TEXT))
    for variable in cube.variables.values():
        variable.encoding.clear()
        words = {key: plain(word) for key, word in variable.attrs.items() if key not in _REFERENCES}
        flags = words.pop("flag_values", None)
        if flags is not None and not isinstance(flags, str):
            words["flag_values"] = np.asarray(flags, dtype=variable.dtype)
        variable.attrs = words
    return describe(with_geometry_index(cube.assign_coords(geometry=("site", points)), crs))


def check_text(cube: xr.Dataset) -> None:
    """Check that every text of a cube can be stored in any format.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube.

    Raises
    ------
    CubeError
        If a text is none, or holds a NUL character or half a surrogate pair.
    """
    texts = {str(name): cube[name].to_numpy().ravel() for name in cube.variables if cube[name].dtype == TEXT}
    texts.pop("geometry", None)
    texts["attrs"] = np.array([text for text in cube.attrs.values() if isinstance(text, str)], dtype=TEXT)
    for name, values in texts.items():
        try:
            broken = "\0" in "".join(values.tolist()).encode().decode()
        except (TypeError, UnicodeEncodeError):
            broken = True
        if broken:
            wrong = next(text for text in values if not is_storable(text))
            raise CubeError(
                f"{name} holds {wrong!r}, which files cannot hold; expected text without NUL and surrogates."
            )


def plain(value: Any) -> Any:
    """Give a number as Python's own.

    Parameters
    ----------
    value : any
        An attribute, of whichever type a file format or numpy turned it into.

    Returns
    -------
    any
        The same value.
    """
    return value.item() if isinstance(value, np.generic) else value


def is_storable(text: object) -> bool:
    """Whether something is a text that any format can hold.

    Parameters
    ----------
    text : object
        Anything.

    Returns
    -------
    bool
        False where it is no text, or holds a NUL character or half a surrogate pair.
    """
    if not isinstance(text, str) or "\0" in text:
        return False
    return text == text.encode(errors="replace").decode()
