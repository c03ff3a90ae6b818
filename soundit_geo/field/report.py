"""What became of each file, as tables: the sites, and the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from soundit_geo.field.evidence import Known, Position, ascii_safe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    import geopandas as gpd

    from soundit_geo.field.photos import Match

_NUMBERS = ("lon", "lat", "gap_s", "seconds", "photo_s", "photo_m")
_COLUMNS = (
    "file", "kind", "site", "lon", "lat", "position", "gap_s", "time", "time_from", "seconds", "recorder", "photo",
    "photo_s", "photo_m", "missing", "problems",
)  # fmt: skip

Note: TypeAlias = "tuple[str, str, str, tuple[str, ...]]"
"""Of a file that became no site: its name, its kind, what is missing, and its problems."""


@dataclass(slots=True)
class Found:
    """What is known of one recording in the end.

    Parameters
    ----------
    path : Path
        Where it lies.
    known : Known
        What it says of itself.
    time : datetime, optional
        When it began; naive where no zone is known.
    time_from : str
        Who says so.
    position : Position, optional
        Where it was made.
    match : Match, optional
        Its photo.
    site : str
        The name of the site, empty where it is none.
    missing : list of str
        What is not known.
    """

    path: Path
    known: Known
    time: datetime | None = None
    time_from: str = ""
    position: Position | None = None
    match: Match | None = None
    site: str = ""
    missing: list[str] = field(default_factory=list)


def as_report(found: Sequence[Found], folder: Path, notes: Sequence[Note]) -> pd.DataFrame:
    """Say of each file what was found.

    Parameters
    ----------
    found : sequence of Found
        The recordings.
    folder : Path
        To which names are relative.
    notes : sequence of tuple
        Name, kind, what is missing and problems of other files; those of which nothing is to be said are left out.

    Returns
    -------
    DataFrame
        Columns as `soundit_geo.field.sites.FieldSites` describes them.
    """
    rows = [_row(one, folder) for one in found]
    rows += [
        {"file": name, "kind": kind, "missing": missing, "problems": "; ".join(problems)}
        for name, kind, missing, problems in notes
        if missing or problems
    ]
    report = pd.DataFrame(rows, columns=list(_COLUMNS))
    words = [name for name in _COLUMNS if name not in _NUMBERS]
    report[words] = report[words].astype(object).where(report[words].notna(), "")
    report[list(_NUMBERS)] = report[list(_NUMBERS)].astype("float64")
    return report


def as_sites(found: Sequence[Found], *, with_photos: bool) -> gpd.GeoDataFrame:
    """Make the table of sites.

    Parameters
    ----------
    found : sequence of Found
        The recordings; those with a name are sites.
    with_photos : bool
        Add a column ``photo``.

    Returns
    -------
    GeoDataFrame
        As `soundit_geo.field.sites.FieldSites` describes it.
    """
    import geopandas as gpd

    taken = [(one, one.position) for one in found if one.site and one.position is not None]
    columns: dict[str, list[Any]] = {
        "audio": [str(one.path.resolve()) for one, _ in taken],
        "time": [one.time.isoformat() if one.time else None for one, _ in taken],
        "seconds": [one.known.seconds for one, _ in taken],
        "recorder": [ascii_safe(one.known.recorder) or None for one, _ in taken],
        "position": [place.source for _, place in taken],
        "gap_s": [place.gap for _, place in taken],
    }
    if with_photos:
        columns["photo"] = [str(one.match.photo.path.resolve()) if one.match else None for one, _ in taken]
    index = pd.Index([one.site for one, _ in taken], name="site", dtype=object)
    points = gpd.points_from_xy([place.lon for _, place in taken], [place.lat for _, place in taken])
    return gpd.GeoDataFrame(columns, index=index, geometry=points, crs="EPSG:4326")


def _row(one: Found, folder: Path) -> dict[str, Any]:
    place, match = one.position, one.match
    return {
        "file": ascii_safe(one.path.relative_to(folder).as_posix()),
        "kind": "recording",
        "site": one.site,
        "lon": place and place.lon,
        "lat": place and place.lat,
        "position": place and place.source,
        "gap_s": place and place.gap,
        "time": one.time and one.time.isoformat(),
        "time_from": one.time_from,
        "seconds": one.known.seconds,
        "recorder": ascii_safe(one.known.recorder),
        "photo": match and ascii_safe(match.photo.path.name),
        "photo_s": match and match.seconds,
        "photo_m": match and match.metres,
        "missing": "; ".join(one.missing),
        "problems": "; ".join(one.known.problems),
    }
