"""Layers that others put on the map: which links of theirs a page needs, and which will be missed without a network."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import folium
from branca.element import CssLink, Link

if TYPE_CHECKING:
    from collections.abc import Iterator

_FONTS: Final = {"fa": "awesome_markers_font_css", "glyphicon": "glyphicons_css"}
_PLAIN: Final = ("glyphicon", "info-sign")  # drawn by the page itself

_log = logging.getLogger(__name__)


def sign_fonts(site_map: folium.Map) -> dict[str, CssLink]:
    """Find the fonts whose signs the map's pins show.

    The page draws folium's pins itself, and the sign that they have by default; any other sign is a letter of a font.

    Parameters
    ----------
    site_map : folium.Map
        With all its layers.

    Returns
    -------
    dict
        folium's name of a font to the link that loads it.
    """
    icons = (one.options for one in _below(site_map) if isinstance(one, folium.Icon))
    signs = ((options.get("prefix"), options.get("icon")) for options in icons)
    used = {_FONTS[prefix] for prefix, icon in signs if prefix in _FONTS and (prefix, icon) != _PLAIN}
    return {name: CssLink(url) for name, url in folium.Map.default_css if name in used}


def warn_of_links(header: Any, said: set[str]) -> None:
    """Log which links of a page will not load without a network.

    Parameters
    ----------
    header : branca.element.Element
        Of a rendered page.
    said : set of str
        Links that were named before; grows.
    """
    links = [str(child.url) for child in _children(header) if isinstance(child, Link)]
    fresh = [url for url in links if url.startswith(("http:", "https:", "//")) and url not in said]
    said.update(fresh)
    if fresh:
        _log.warning(
            "Layers on this map bring links that do not load offline: %s. The sites are drawn without them.",
            ", ".join(fresh),
        )


def _below(element: Any) -> Iterator[Any]:
    """Walk through what hangs on an element, with the markers that GeoJSON draws its points by."""
    more = [element.marker] if isinstance(element, folium.GeoJson) and element.marker else []
    for child in [*_children(element), *more]:
        yield child
        yield from _below(child)


def _children(element: Any) -> list[Any]:
    return list(element._children.values())  # noqa: SLF001  branca has no public name for them
