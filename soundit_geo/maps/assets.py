"""The parts of a page that are the same for every map: Leaflet, the map's own style and script."""

from __future__ import annotations

import base64
import importlib.resources
import json
import re
from typing import Final

SCRIPTS: Final = (
    "tools",
    "folium",
    "colours",
    "data",
    "drawing",
    "base",
    "mirror",
    "controls",
    "legend",
    "table",
    "panel",
    "sharing",
    "app",
)
"""The script's files in their order; together they are one function."""


def own() -> dict[str, str]:
    """Read the map's own style and script as elements of a page's header.

    Returns
    -------
    dict
        Name to HTML.
    """
    folder = importlib.resources.files("soundit_geo.maps")
    style = folder.joinpath("sitemap.css").read_text(encoding="utf-8")
    parts = [folder.joinpath("js", f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    script = "\n".join(['(function () {\n"use strict";', *parts, "})();"])
    return {
        "soundit_css": f"<style>\n{style}</style>",
        "soundit_js": f"<script>\n{script}\n</script>",
    }


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
