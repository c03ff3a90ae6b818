"""The page: a folium map whose links are inlined, with the cube's columns and the script that draws them."""

from __future__ import annotations

import base64
import html
import importlib.resources
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import folium
from branca.element import Element, MacroElement

from soundit_geo.cube import check_scenario, validate
from soundit_geo.errors import InputError, ScenarioError
from soundit_geo.maps.base import base_of
from soundit_geo.maps.columns import columns_of
from soundit_geo.maps.media import media_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import geopandas as gpd
    import xarray as xr

VIEWS: Final = ("a", "b", "difference", "side by side")
MEDIA: Final = ("inline", "none")

_OFFLINE: Final = (
    "default-src 'none'; img-src data: blob:; media-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)


def site_map(
    cube: xr.Dataset,
    *,
    variable: str = "lively",
    compare: tuple[str, str] | None = None,
    view: Literal["a", "b", "difference", "side by side"] = "a",
    base: Mapping[str, gpd.GeoDataFrame] | None = None,
    folder: str | os.PathLike[str] | None = None,
    tiles: str | None = None,
    media: Literal["inline", "none"] = "inline",
) -> SiteMap:
    """Draw a cube as an interactive map.

    Parameters
    ----------
    cube : xarray.Dataset
        A cube, also one that is not finished: failed and pending sites are drawn hollow.
    variable : str
        What colours the sites first: a perception, an urban indicator of `soundit_geo.classes.INDICATORS`, an
        ADE20K element, or a PSS.
    compare : tuple of str, optional
        Scenarios A and B; by default the first two.
    view : {"a", "b", "difference", "side by side"}
        What is shown first; difference is A − B.
    base : mapping, optional
        Name to GeoDataFrame of polygons or lines, drawn beneath the sites in that order; of their columns,
        name, fill, stroke (CSS colours) and width (of lines, pixels) are used.
    folder : path, optional
        The study folder, against which the cube's relative paths resolve; by default the folder that the cube
        was opened in.
    tiles : str, optional
        A tile layer as `folium.Map` takes it, such as ``"OpenStreetMap"``. It needs the network; without one
        nothing does.
    media : {"inline", "none"}
        Whether pictures and sounds travel inside the page.

    Returns
    -------
    SiteMap
        A `folium.Map`; ``.save("map.html")`` writes one file.

    Raises
    ------
    CubeError
        If the cube is not valid, or has no such variable.
    ScenarioError
        If the cube lacks a scenario of `compare`.
    InputError
        If `view` or `media` is none of its values, or a base layer is not a GeoDataFrame.
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
    columns = columns_of(cube, variable)
    columns |= {
        "a": names.index(pair[0]),
        "b": names.index(pair[1]),
        "view": view,
        "base": base_of(base or {}),
    }
    return SiteMap(columns, media_of(cube, folder) if media == "inline" else None, tiles=tiles)


class SiteMap(folium.Map):  # type: ignore[misc, unused-ignore]
    """A folium map that draws sites from columns and needs no network.

    Other folium layers can be added; they bring the links that they need, and so the need for a network.

    Parameters
    ----------
    columns : dict
        As `soundit_geo.maps.columns.columns_of` gives, with ``a``, ``b``, ``view`` and ``base``.
    media : dict, optional
        As `soundit_geo.maps.media.media_of` gives.
    tiles : str, optional
        As `folium.Map` takes it.
    """

    def __init__(
        self, columns: dict[str, Any], media: dict[str, Any] | None = None, *, tiles: str | None = None
    ) -> None:
        steps: dict[str, Any] = {} if tiles else {"zoom_snap": 0.25}  # tiles blur between whole levels
        super().__init__([0.0, 0.0], zoom_start=2, tiles=tiles, zoom_control=False, **steps)
        self._name = "SiteMap"
        figure: Any = self.get_root()
        figure.title = html.escape(str(columns["title"]))
        self._sites = _Sites(columns, media)
        self.add_child(self._sites)

    def render(self, **kwargs: Any) -> None:  # type: ignore[override, unused-ignore]
        """Put Leaflet and the map's own parts into the page, then render as folium does.

        Parameters
        ----------
        **kwargs
            Handed to folium.
        """
        own = (_Sites, folium.TileLayer)
        strangers = any(not isinstance(child, own) for child in self._children.values())
        online = strangers or any(isinstance(child, folium.TileLayer) for child in self._children.values())
        # On this instance only: folium's add_js_link would change every later map.
        self.default_js = [link for link in folium.Map.default_js if strangers and link[0] != "leaflet"]
        self.default_css = [link for link in folium.Map.default_css if strangers and link[0] != "leaflet_css"]
        figure: Any = self.get_root()
        header = figure.header
        policy = "" if online else f'<meta http-equiv="Content-Security-Policy" content="{_OFFLINE}" />'
        header.add_child(_Verbatim(policy), name="soundit_policy")
        for name, text in leaflet().items():
            header.add_child(_Verbatim(text), name=name)
        super().render(**kwargs)


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

    def __init__(self, columns: dict[str, Any], media: dict[str, Any] | None) -> None:
        super().__init__()
        self._name = "Sites"
        self._columns = columns
        self._media = media

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
        files = importlib.resources.files("soundit_geo.maps")
        style = files.joinpath("sitemap.css").read_text(encoding="utf-8")
        script = files.joinpath("sitemap.js").read_text(encoding="utf-8")
        figure.header.add_child(_Verbatim(f"<style>\n{style}</style>"), name="soundit_css")
        figure.header.add_child(_Verbatim(f"<script>\n{script}</script>"), name="soundit_js")
        data = [json_block(f"{name}-data", self._columns), json_block(f"{name}-media", self._media)]
        figure.html.add_child(_Verbatim("\n".join(data)), name=name)
        figure.script.add_child(_Verbatim(f'soundit.start({site_map.get_name()}, "{name}");'), name=name)


def json_block(name: str, data: object) -> str:
    """Write data into a page so that nothing in it can end the block or be taken for code.

    Parameters
    ----------
    name : str
        The block's id.
    data : object
        What `json.dumps` takes.

    Returns
    -------
    str
        A script element of type application/json.
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))  # ASCII: no U+2028/9
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{name}">{text}</script>'


def leaflet() -> dict[str, str]:
    """Read Leaflet's files, from the package that carries them, as elements of a page's header.

    Returns
    -------
    dict
        Name to HTML: script, style and marker icons, none of which names a file or an address to load.
    """
    folder = importlib.resources.files("js_lib_leaflet").joinpath("static", "js_lib_leaflet")
    images = {
        image: "data:image/png;base64,"
        + base64.b64encode(folder.joinpath("images", image).read_bytes()).decode("ascii")
        for image in (
            "layers.png",
            "layers-2x.png",
            "marker-icon.png",
            "marker-icon-2x.png",
            "marker-shadow.png",
        )
    }
    style = folder.joinpath("leaflet.css").read_text(encoding="utf-8")
    style = re.sub(r"url\(images/([\w.-]+)\)", lambda match: f"url({images[match[1]]})", style)
    script = folder.joinpath("leaflet.js").read_text(encoding="utf-8")
    script = re.sub(r"//# sourceMappingURL=\S+", "", script).replace("</script", "<\\/script")
    icons = {
        "iconUrl": images["marker-icon.png"],
        "iconRetinaUrl": images["marker-icon-2x.png"],
        "shadowUrl": images["marker-shadow.png"],
    }
    markers = f'L.Icon.Default.imagePath = ""; L.Icon.Default.mergeOptions({json.dumps(icons)});'
    return {
        "leaflet": f"<script>\n{script}\n{markers}\n</script>",
        "leaflet_css": f"<style>\n{style}\n</style>",
    }
