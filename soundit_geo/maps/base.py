"""Background layers: polygons and lines beneath the sites, so that a map needs no tiles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from soundit_geo.cube import CRS
from soundit_geo.errors import CRSError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import geopandas as gpd

# What a layer is, by a word in its name; the page knows how each kind looks, in light and in dark.
_KINDS: Final = {
    "sea": ("sea", "ocean", "coast", "harbour", "harbor", "bay"),
    "land": ("land", "island"),
    "district": ("district", "boundar", "quarter", "ward", "admin", "borough"),
    "river": ("river", "canal", "stream", "water", "lake", "pond"),
    "park": ("park", "green", "forest", "wood", "garden"),
    "building": ("building",),
    "road": ("road", "street", "highway", "path", "rail"),
}


def base_of(layers: Mapping[str, gpd.GeoDataFrame]) -> list[dict[str, Any]]:
    """Write background layers for the page.

    Parameters
    ----------
    layers : mapping
        Name to GeoDataFrame with any CRS, in drawing order; of its columns, ``name``, ``fill`` and ``stroke``
        (CSS colours) and ``width`` (of lines, pixels) are used.

    Returns
    -------
    list of dict
        ``name``, ``kind`` and ``features``, a GeoJSON feature collection in EPSG:4326.

    Raises
    ------
    CRSError
        If a layer carries no CRS.
    InputError
        If a layer is not a GeoDataFrame.
    """
    import geopandas as gpd

    written = []
    for name, layer in layers.items():
        if not isinstance(layer, gpd.GeoDataFrame):
            raise InputError(f"The base layer {name!r} is a {type(layer).__name__}; expected a GeoDataFrame.")
        if layer.crs is None:
            raise CRSError(
                f"The base layer {name!r} carries no CRS. Use set_crs('{CRS}') if it is in degrees."
            )
        degrees = layer[~(layer.geometry.is_empty | layer.geometry.isna())].to_crs(CRS)
        kept = [column for column in ("name", "fill", "stroke", "width") if column in degrees]
        shapes = degrees.set_geometry(degrees.geometry.set_precision(1e-7))[[*kept, degrees.geometry.name]]
        features = json.loads(shapes.to_json(drop_id=True, na="drop"))["features"]
        written.append({"name": str(name), "kind": kind_of(str(name)), "features": features})
    return written


def kind_of(name: str) -> str:
    """Guess what a layer shows from its name.

    Parameters
    ----------
    name : str
        For example ``"parks"``.

    Returns
    -------
    str
        One of sea, land, district, river, park, building, road, other.
    """
    words = name.lower()
    return next((kind for kind, parts in _KINDS.items() if any(part in words for part in parts)), "other")
