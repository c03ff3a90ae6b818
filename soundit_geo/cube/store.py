"""A cube as a zarr folder: laid down whole, filled cell by cell, read back.

`write_cells` writes the scores first and their `status` last, each chunk replaced in one rename: whatever
moment a process dies at, the cube opens, and a cell that says `DONE` holds its scores.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.cube.layout import flatten, restore
from soundit_geo.cube.netcdf import read_netcdf
from soundit_geo.cube.schema import CELL, VARIABLES, validate
from soundit_geo.drafts import draft_of
from soundit_geo.errors import CubeError, MissingFileError, StudyError

if TYPE_CHECKING:
    import os

    import xarray as xr


def save_cube(cube: xr.Dataset, path: str | os.PathLike[str], *, sites_per_chunk: int | None = None) -> Path:
    """Lay a cube down as a zarr folder, whole or not at all.

    Parameters
    ----------
    cube : xarray.Dataset
        A valid cube.
    path : path
        The folder to write; one that is there is replaced.
    sites_per_chunk : int, optional
        Sites in one chunk: the block that `write_cells` will be given. By default a chunk holds about 1 MB.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    CubeError
        If the cube is not valid, or holds a text that cannot be stored.
    StudyError
        If the folder cannot be written, or something else than a cube is there.
    """
    flat = flatten(validate(cube))
    path = Path(path)
    if path.exists() and not (path / "zarr.json").is_file():
        raise StudyError(f"{path} is there and is no cube, so it is not replaced. Choose another name.")
    per_site = int(np.prod([cube.sizes[dim] for dim in ("scenario", "draw", "element")])) * 4
    block = sites_per_chunk or max(1, 2**20 // max(per_site, 1))
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in flat.variables.items():
        encoding[str(name)] = {"chunks": tuple(max(1, size) for size in variable.shape)}
        if name in VARIABLES:
            sizes = (
                min(block, n) if dim == "site" else n
                for dim, n in zip(variable.dims, variable.shape, strict=True)
            )
            encoding[str(name)]["chunks"] = tuple(max(1, size) for size in sizes)
        if variable.dtype.kind == "f":
            encoding[str(name)]["_FillValue"] = np.float32("nan") if variable.dtype.itemsize == 4 else np.nan
    with draft_of(path, StudyError) as draft:
        flat.to_zarr(draft, mode="w", zarr_format=3, consolidated=False, encoding=encoding)
    return path


def open_cube(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a cube into memory, with its geometry index.

    Parameters
    ----------
    path : path
        A folder that `save_cube` wrote, a study folder that holds ``cube.zarr``, or a file that
        `save_netcdf` wrote.

    Returns
    -------
    xarray.Dataset
        Equal to what was saved, cells that `write_cells` filled since included; ``encoding["source"]`` says
        where it lies.

    Raises
    ------
    MissingFileError
        If nothing is there.
    CubeError
        If what is there is not a cube.
    """
    path = Path(path)
    if (path / "cube.zarr").is_dir():
        path = path / "cube.zarr"
    if not path.exists():
        raise MissingFileError(f"There is no cube at {path}. `soundit-geo run` or save_cube writes one.")
    try:
        cube = restore(_read_zarr(path) if path.is_dir() else read_netcdf(path))
        cube.encoding = {"source": str(path)}
        return validate(cube)
    except CubeError:
        raise
    except (
        KeyError,
        ValueError,
        OSError,
        RuntimeError,
    ) as error:  # RuntimeError: a chunk that does not unpack
        raise CubeError(
            f"{path} is not a cube ({error}). Expected a zarr folder or netCDF file that soundit-geo wrote."
        ) from error


def write_cells(path: str | os.PathLike[str], block: xr.Dataset) -> None:
    """Write some cells of a cube on disk: the scores first, `status` last.

    Every chunk is replaced in one rename, so that a kill leaves each chunk as it was or as it shall be. One
    process writes at a time, or several on different chunks (`sites_per_chunk` of `save_cube`).

    Parameters
    ----------
    path : path
        A folder that `save_cube` wrote.
    block : xarray.Dataset
        Any of the cube's variables for some of its sites, scenarios and draws (all scenarios and draws where
        it has no such coordinate), found by name. What the cube holds beyond the schema stays as it is.

    Raises
    ------
    MissingFileError
        If there is no cube at `path`.
    CubeError
        If the block names a site, scenario, draw or variable that the cube has not, or has another shape.
    """
    import zarr

    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"There is no cube at {path}. Lay one down with save_cube first.")
    store = zarr.open_group(path, mode="r+", use_consolidated=False)
    strangers = sorted(set(map(str, block.data_vars)) - {*VARIABLES, *store.array_keys()})
    if strangers:
        raise CubeError(f"The block holds {strangers}; a cube's variables are {', '.join(VARIABLES)}.")
    places = {dim: _places(store, block, dim) for dim in CELL if dim in block.coords}
    for name, (dims, dtype, _, _) in VARIABLES.items():
        if name not in block:
            continue
        values = block[name].transpose(*dims).to_numpy().astype(dtype)
        array: Any = store[name]
        index = tuple(places.get(dim, np.arange(size)) for dim, size in zip(dims, array.shape, strict=True))
        expected = tuple(map(len, index))
        if values.shape != expected:
            raise CubeError(f"The block's {name} is of shape {values.shape}; these cells take {expected}.")
        array.set_orthogonal_selection(index, values)


def sites_per_chunk(path: str | os.PathLike[str]) -> int:
    """Tell how many sites a cube on disk has in a chunk.

    Parameters
    ----------
    path : path
        A folder that `save_cube` wrote.

    Returns
    -------
    int
        As `save_cube` takes it.
    """
    import zarr

    status: Any = zarr.open_group(Path(path), mode="r", use_consolidated=False)["status"]
    return int(status.chunks[0])


def _read_zarr(path: Path) -> xr.Dataset:
    """Read a zarr folder into memory, as it is laid out."""
    import xarray as xr

    with xr.open_zarr(path, consolidated=False, chunks=None, decode_coords="all") as stored:
        status = stored["status"].load()  # first: scores may be newer than their status, never older
        return stored.load().assign(status=status)


def _places(store: Any, block: xr.Dataset, dim: str) -> np.ndarray:
    """Positions, in the store, of the names that a block carries along a dimension."""
    known = {name: place for place, name in enumerate(np.asarray(store[dim][:]).tolist())}
    names = np.atleast_1d(block[dim].to_numpy()).tolist()
    strangers = [name for name in names if name not in known]
    if strangers or dim not in block.dims:
        raise CubeError(
            f"The cube has no {dim} {strangers[:5]}; give the block the cube's own {dim} coordinate."
        )
    return np.array([known[name] for name in names])
