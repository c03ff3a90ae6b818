"""A panel for notebooks: pick a site, type a scene prompt, see what it would change, run it for all sites.

=============  ===========================================================
``explorer``   the trials, as a plain class that code can use, too
``landscape``  what a trial gives, and how two of them differ
``words``      what the panel shows, as plain data
``panel``      the widget; ``panel.js`` and ``panel.css`` draw it
=============  ===========================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from soundit_geo.errors import InputError
from soundit_geo.explorer.explorer import Explorer
from soundit_geo.explorer.landscape import Change, Landscape, changes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import geopandas as gpd

    from soundit_geo.explorer.panel import Panel
    from soundit_geo.study import Study

__all__ = ["Change", "Explorer", "Landscape", "changes", "explore"]

_OPEN: WeakValueDictionary[int, Explorer] = WeakValueDictionary()  # by study: its model is loaded once


def explore(study: Study | Explorer, base: Mapping[str, gpd.GeoDataFrame] | None = None) -> Panel:
    """Open a panel on a study, in JupyterLab or VS Code.

    Parameters
    ----------
    study : Study or Explorer
        A study, run or not, or an explorer of one. Panels of one study share what was tried.
    base : mapping of str to geopandas.GeoDataFrame, optional
        Layers beneath the sites, as `soundit_geo.site_map` takes them.

    Returns
    -------
    soundit_geo.explorer.panel.Panel
        A widget: the last value of a cell shows it. ``panel.explorer`` is the `Explorer` behind it.

    Raises
    ------
    InputError
        If it is no study, or the extra ``lab`` is not installed.
    CRSError
        If a base layer carries no CRS.
    """
    from soundit_geo.study import Study

    if not isinstance(study, Study | Explorer):
        raise InputError(f"explore was given a {type(study).__name__}; expected a Study.")
    try:
        from soundit_geo.explorer.panel import Panel
    except ImportError as error:
        raise InputError(
            f"The panel needs {error.name}, which is not installed. Use: pip install 'soundit-geo[lab]'"
        ) from error
    explorer = study if isinstance(study, Explorer) else _OPEN.get(id(study)) or Explorer(study)
    _OPEN[id(explorer.study)] = explorer
    return Panel(explorer, base or {})
