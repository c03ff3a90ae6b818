"""The page: a folium map whose links are inlined, with the cube's columns and the script that draws them."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import folium
from branca.element import Element, MacroElement

from soundit_geo.cube import check_scenario, validate
from soundit_geo.errors import InputError, ScenarioError
from soundit_geo.maps.assets import json_block, leaflet, own
from soundit_geo.maps.base import base_of
from soundit_geo.maps.columns import columns_of
from soundit_geo.maps.foreign import sign_fonts, warn_of_links
from soundit_geo.maps.hexagons import hexagons_of
from soundit_geo.maps.media import data_uri, into, media_of
from soundit_geo.maps.surfaces import surfaces_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import geopandas as gpd
    import xarray as xr

    from soundit_geo.maps.surfaces import Surface

VIEWS: Final = ("a", "b", "difference", "side by side", "swipe")
MEDIA: Final = ("auto", "inline", "folder", "none")

INLINE: Final = 400
"""Up to so many landscapes travel inside the page where media is "auto": about 10 MB."""

_OFFLINE: Final = (
    "default-src 'none'; img-src data: blob: file: 'self'; media-src data: blob: file: 'self'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)


def site_map(
    cube: xr.Dataset,
    *,
    variable: str = "lively",
    compare: tuple[str, str] | None = None,
    view: Literal["a", "b", "difference", "side by side", "swipe"] = "a",
    base: Mapping[str, gpd.GeoDataFrame] | None = None,
    surfaces: Mapping[str, Surface | Sequence[Surface]] | None = None,
    folder: str | os.PathLike[str] | None = None,
    tiles: str | None = None,
    media: Literal["auto", "inline", "folder", "none"] = "auto",
) -> SiteMap:
    """Draw a cube as an interactive map.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube, also one that is not finished: failed and pending sites are drawn hollow.
    variable : str
        What colours the sites first: a perception, an urban indicator of `soundit_geo.pss.indicators`, an
        ADE20K element, a PSS, or ``"scene"``.
    compare : tuple of str, optional
        Scenarios A and B; by default the first two.
    view : {"a", "b", "difference", "side by side", "swipe"}
        What is shown first; difference is A − B.
    base : mapping, optional
        Name to GeoDataFrame of polygons or lines, drawn beneath the sites in that order; of their columns,
        name, fill, stroke (CSS colours) and width (of lines, pixels) are used.
    surfaces : mapping, optional
        Name of a variable to its surface, as `soundit_geo.spatial.surface` makes it, or to a list of them, one
        for each of several scenarios; see `soundit_geo.maps.surfaces.surfaces_of`.
    folder : path, optional
        The study folder, against which the cube's relative paths resolve; by default the folder that the cube
        was opened in.
    tiles : str, optional
        A tile layer as `folium.Map` takes it, such as ``"OpenStreetMap"``. It needs the network; without one
        nothing does.
    media : {"auto", "inline", "folder", "none"}
        Whether pictures and sounds travel inside the page, in a folder ``NAME_media`` beside the saved
        ``NAME.html``, or not at all; auto is inline up to 400 landscapes, then folder. Either way they load when
        a site is opened.

    Returns
    -------
    SiteMap
        A `folium.Map`; ``.save("map.html")`` writes one file (and the folder of media).

    Raises
    ------
    CubeError
        If the cube is not valid, or has no such variable.
    ScenarioError
        If the cube lacks a scenario of `compare`.
    CRSError
        If a base layer or a surface carries no CRS.
    InputError
        If `view` or `media` is none of its values, a base layer is not a GeoDataFrame, or a surface no grid.
    """
    validate(cube)
    if media not in MEDIA:
        raise InputError(f"media is {media!r}; expected one of {', '.join(map(repr, MEDIA))}.")
    if view not in VIEWS:
        raise InputError(f"view is {view!r}; expected one of {', '.join(map(repr, VIEWS))}.")
    names = [str(name) for name in cube["scenario"].to_numpy()]
    if compare is not None and (isinstance(compare, str) or len(compare) != 2):
        raise ScenarioError(f"compare is {compare!r}; expected the names of two scenarios, A and B.")
    pair = [check_scenario(cube, name) for name in compare or (names[0], names[min(1, len(names) - 1)])]
    if folder is None and "source" in cube.encoding:
        folder = Path(cube.encoding["source"]).parent
    if media == "auto":
        media = "inline" if cube["picture"].size <= INLINE else "folder"
    columns = columns_of(cube, variable, (names.index(pair[0]), names.index(pair[1])))
    keys = [one["key"] for one in columns["variables"]]
    columns |= {
        "view": view,
        "base": base_of(base or {}),
        "hexagons": hexagons_of(cube["lon"].to_numpy(), cube["lat"].to_numpy()),
        "surfaces": surfaces_of(surfaces or {}, keys, names),
        "media_on": media != "none",
    }
    return SiteMap(columns, Media(cube, Path(folder or ""), media), tiles=tiles)


class Media:
    """The pictures and sounds of a map, read when the page is written.

    Parameters
    ----------
    cube : xarray.Dataset
        Names them.
    home : pathlib.Path
        What relative paths are relative to.
    where : {"inline", "folder", "none"}
        Where they go.
    """

    def __init__(self, cube: xr.Dataset, home: Path, where: str) -> None:
        self.cube, self.home, self.where = cube, home, where
        self._blocks: str | None = None if where == "inline" else ""

    def blocks(self, name: str) -> str:
        """Give what goes into the page.

        Parameters
        ----------
        name : str
            How their ids begin.

        Returns
        -------
        str
            A script element per site where the media are inside, so that each is read when its site is opened; one
            for all where they lie in a folder; nothing where that is not written yet.
        """
        if self._blocks is None:
            found = enumerate(media_of(self.cube, self.home, data_uri))
            self._blocks = "\n".join(json_block(f"{name}-media-{place}", one) for place, one in found)
        return self._blocks

    def write(self, name: str, folder: Path) -> None:
        """Write the files beside a page.

        Parameters
        ----------
        name : str
            How the id of the element begins.
        folder : pathlib.Path
            Where to.
        """
        found = list(media_of(self.cube, self.home, into(folder)))
        self._blocks = json_block(f"{name}-media", found)


class SiteMap(folium.Map):  # type: ignore[misc, unused-ignore]
    """A folium map that draws sites from columns and needs no network.

    Other folium layers can be added, and are drawn on both maps of the view side by side. Markers, popups, shapes
    and GeoJSON need no network; what a plugin links to does, and is named in a warning of the log.

    Parameters
    ----------
    columns : dict
        As `soundit_geo.maps.columns.columns_of` gives, with ``view``, ``base``, ``hexagons``, ``surfaces`` and
        ``media_on``.
    media : Media
        Pictures and sounds.
    tiles : str, optional
        As `folium.Map` takes it.
    """

    def __init__(self, columns: dict[str, Any], media: Media, *, tiles: str | None = None) -> None:
        steps: dict[str, Any] = {} if tiles else {"zoom_snap": 0.25}  # tiles blur between whole levels
        try:
            super().__init__([0.0, 0.0], zoom_start=2, tiles=tiles, zoom_control=False, **steps)
        except ValueError as error:
            raise InputError(
                f"The tile layer {tiles!r} cannot be used: {error} Name one that folium knows, such as OpenStreetMap."
            ) from error
        self._name = "SiteMap"
        self._said: set[str] = set()
        # folium's own libraries are inside the page or not needed; a link that is added here stays on this map.
        self.default_js: list[tuple[str, str]] = []
        self.default_css: list[tuple[str, str]] = []
        figure: Any = self.get_root()
        figure.title = html.escape(str(columns["title"]))
        self._sites = _Sites(columns, media)
        self.add_child(self._sites)

    def save(self, outfile: Any, close_file: bool = True, **kwargs: Any) -> None:
        """Write the page, and beside it the folder of media where there shall be one.

        Parameters
        ----------
        outfile : path or file
            Where to; a path if the media go into a folder.
        close_file : bool
            Whether to close a file that was given open.
        **kwargs
            Handed to folium.

        Raises
        ------
        InputError
            If the media go into a folder and `outfile` is no path.
        """
        media = self._sites.media
        if media.where == "folder":
            if not isinstance(outfile, (str, Path)):
                raise InputError("media='folder' needs the path of the page to save, not an open file.")
            target = Path(outfile)
            media.write(self._sites.get_name(), target.with_name(f"{target.stem}_media"))
        super().save(str(outfile) if isinstance(outfile, Path) else outfile, close_file, **kwargs)

    def render(self, **kwargs: Any) -> None:  # type: ignore[override, unused-ignore]
        """Put Leaflet and the map's own parts into the page, then render as folium does.

        Parameters
        ----------
        **kwargs
            Handed to folium.
        """
        online = any(child is not self._sites for child in self._children.values())
        figure: Any = self.get_root()
        header = figure.header
        policy = "" if online else f'<meta http-equiv="Content-Security-Policy" content="{_OFFLINE}" />'
        header.add_child(_Verbatim(policy), name="soundit_policy")
        for name, text in leaflet().items():
            header.add_child(_Verbatim(text), name=name)
        for name, link in sign_fonts(self).items():
            header.add_child(link, name=name)
        super().render(**kwargs)
        warn_of_links(header, self._said)


class _Verbatim(Element):  # type: ignore[misc, unused-ignore]
    """Text that enters the page as it is. branca's own Element would take it for a Jinja template."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._name = "Verbatim"
        self._text = text

    def render(self, **kwargs: Any) -> str:
        """Give the text.

        Parameters
        ----------
        **kwargs
            Not used.

        Returns
        -------
        str
            The text.
        """
        del kwargs
        return self._text


class _Sites(MacroElement):  # type: ignore[misc, unused-ignore]
    """The columns and the script, as a child of a map."""

    def __init__(self, columns: dict[str, Any], media: Media) -> None:
        super().__init__()
        self._name = "Sites"
        self._columns = columns
        self.media = media

    def render(self, **kwargs: Any) -> None:  # type: ignore[override, unused-ignore]
        """Put data, style and script into the page.

        Parameters
        ----------
        **kwargs
            Not used.
        """
        del kwargs
        figure: Any = self.get_root()
        site_map: Any = self._parent
        name = self.get_name()
        for part, text in own().items():
            figure.header.add_child(_Verbatim(text), name=part)
        blocks = [json_block(f"{name}-data", self._columns), self.media.blocks(name)]
        figure.html.add_child(_Verbatim("\n".join(blocks)), name=name)
        figure.script.add_child(_Verbatim(f'soundit.start({site_map.get_name()}, "{name}");'), name=name)
