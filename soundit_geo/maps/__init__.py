"""A cube as an interactive map: one HTML file that works with the network off.

Python makes the data (`columns`, from `variables`, `averages`, `change`, `packing`; `hexagons`, `surfaces`, `base`,
`media`, `provenance`) and the page (`page`, `assets`, `foreign`); the files of ``js`` draw, in the order of
`assets.SCRIPTS`:

============  ==================================================================
``tools``     small things that all use
``folium``    what layers of folium expect beside Leaflet
``colours``   tables of colours, scales, the looks of light and dark
``data``      the columns, unpacked when first asked for
``drawing``   sites, hexagons and surfaces on one canvas
``base``      polygons, lines and their names beneath
``mirror``    layers of others on the second map
``controls``  the card of controls
``legend``    scale, words, histogram, filter
``table``     the list of sites
``panel``     one site
``sharing``   the view as a link, as CSV, as a picture
``app``       what they share, and how it changes
============  ==================================================================
"""

from __future__ import annotations

from soundit_geo.maps.page import SiteMap, site_map

__all__ = ["SiteMap", "site_map"]
