"""A cube as an interactive map: one HTML file that works with the network off.

Python makes the data (`columns`, `media`, `base`) and the page (`page`); ``sitemap.js`` draws.
"""

from __future__ import annotations

from soundit_geo.maps.page import SiteMap, site_map

__all__ = ["SiteMap", "site_map"]
