"""Pairs of pictures: the real picture of a place beside the generated one, from wherever they are kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from soundit_geo.errors import InputError, MissingFileError
from soundit_geo.pss.pictures import list_pictures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundit_geo.pss.pictures import Picture


@dataclass(frozen=True)
class Pairs:
    """B pairs of pictures, row to row.

    Parameters
    ----------
    labels : tuple of str
        Names of the pairs, all different.
    real, generated : tuple of pictures
        Paths, PIL pictures, or uint8 arrays (H, W, 3).
    groups : tuple of str, optional
        The place of each pair, where a place has several: pairs of one place are no wrong pairs for the floor, and
        places, not pairs, are resampled for the interval. By default every pair is a place of its own.

    Raises
    ------
    InputError
        If there is no pair, the lengths disagree, two pairs have one name, or a name cannot be written as UTF-8.
    """

    labels: tuple[str, ...]
    real: tuple[Picture, ...]
    generated: tuple[Picture, ...]
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.real) != len(self.generated) or len(self.real) == 0:
            raise InputError(
                f"There are {len(self.real)} real and {len(self.generated)} generated pictures; "
                "give equally many, at least one."
            )
        if len(self.labels) != len(self.real):
            raise InputError(
                f"There are {len(self.labels)} labels for {len(self.real)} pairs; give one each."
            )
        if self.groups and len(self.groups) != len(self.labels):
            raise InputError(
                f"There are {len(self.groups)} groups for {len(self.labels)} pairs; give one each."
            )
        label, count = Counter(self.labels).most_common(1)[0]
        if count > 1:
            raise InputError(f"{count} pairs are named {label!r}; give every pair a name of its own.")
        try:
            "".join(self.labels).encode()
        except UnicodeEncodeError as error:
            raise InputError("The name of a pair holds bytes that are no text; rename that file.") from error

    def __len__(self) -> int:
        return len(self.labels)


def pair_up(
    real: Sequence[Picture] | str | Path,
    generated: Sequence[Picture] | str | Path,
    labels: Sequence[str] | None = None,
) -> Pairs:
    """Pair two folders by file stem, or two sequences row to row.

    Parameters
    ----------
    real, generated : sequence of pictures, or path of a folder
        Both of one kind.
    labels : sequence of str, optional
        Names of the pairs, for sequences; file stems where the real pictures are paths of different stems, else
        1, 2, …

    Returns
    -------
    Pairs
        In the order of the stems, or of the sequences.

    Raises
    ------
    InputError
        If the two sides do not pair: different lengths, stems without a partner, a folder beside a list.
    MissingFileError
        If a folder does not exist.
    PictureError
        If a folder has no picture, or two of one stem.
    """
    if isinstance(real, (str, Path)) and isinstance(generated, (str, Path)):
        if labels is not None:
            raise InputError("Two folders are paired and named by file stem; give labels with lists only.")
        left, right = list_pictures(real), list_pictures(generated)
        alone = sorted(left.keys() ^ right.keys())
        if alone:
            raise InputError(
                f"{len(alone)} pictures have no partner of the same stem, the first: {', '.join(alone[:3])}. "
                f"{real} holds {len(left)} pictures, {generated} {len(right)}; give both the same stems."
            )
        return Pairs(tuple(left), tuple(left.values()), tuple(right[stem] for stem in left))
    if isinstance(real, (str, Path)) or isinstance(generated, (str, Path)):
        raise InputError("Give two folders, or two lists of pictures; one of each cannot be paired.")
    if labels is None:
        stems = [Path(picture).stem for picture in real if isinstance(picture, (str, Path))]
        distinct = len(stems) == len(real) and len(set(stems)) == len(stems)
        labels = stems if distinct else [str(row) for row in range(1, len(real) + 1)]
    return Pairs(tuple(str(label) for label in labels), tuple(real), tuple(generated))


def pairs_from_table(
    table: pd.DataFrame | str | Path,
    real: str = "real",
    generated: str = "generated",
    *,
    root: str | Path | None = None,
) -> Pairs:
    """Pair the pictures that two columns of a table name.

    Parameters
    ----------
    table : pandas.DataFrame, geopandas.GeoDataFrame or path of a CSV file
        One row per pair; the index names the pairs, or, of a CSV file, the column ``label`` where there is one.
    real, generated : str, optional
        Columns with paths, or with pictures.
    root : path, optional
        What relative paths count from; the CSV file's folder, or the working directory.

    Returns
    -------
    Pairs
        In the order of the rows.

    Raises
    ------
    InputError
        If a column is absent, a cell is empty, or two rows have one name.
    MissingFileError
        If the CSV file does not exist.
    """
    if not isinstance(table, pd.DataFrame):
        path = Path(table)
        if not path.is_file():
            raise MissingFileError(f"There is no table at {path}. Check the path.")
        root = path.parent if root is None else root
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
        except (ValueError, pd.errors.ParserError) as error:  # empty, not UTF-8, of uneven rows
            raise InputError(f"{path} cannot be read as a CSV file ({error}).") from error
        table.index = pd.Index(range(1, len(table) + 1))
        if "label" in table:
            if table["label"].isna().any():
                raise InputError(f"{path} has rows without a label; name all, or leave the column out.")
            table = table.set_index("label")
    absent = [name for name in (real, generated) if name not in table]
    if absent:
        raise InputError(
            f"The table has no column {absent[0]!r}; it has {', '.join(map(str, table.columns))}."
        )
    empty = [str(name) for name, gap in table[[real, generated]].isna().any(axis=1).items() if gap]
    if empty:
        raise InputError(
            f"{len(empty)} rows name no picture on one side, the first: {empty[0]}. Leave them out, or fill them in."
        )
    sides = [[_placed(cell, root) for cell in table[name]] for name in (real, generated)]
    return Pairs(tuple(str(name) for name in table.index), tuple(sides[0]), tuple(sides[1]))


def pairs_from_cube(cube: Any, folder: str | Path) -> Pairs:
    """Pair every landscape of a layer cube with the photo of its site.

    Parameters
    ----------
    cube : xarray.Dataset
        Of a study, with ``photo`` and ``picture``.
    folder : path
        The study's folder, that the cube's paths count from.

    Returns
    -------
    Pairs
        Named ``site/scenario/draw``, grouped by site; sites without a photo, and landscapes that were not drawn, are
        left out.

    Raises
    ------
    InputError
        If the cube has no such pair.
    """
    folder = Path(folder)
    labels, real, generated, groups = [], [], [], []
    judged = np.isfinite(cube["perception"]).any("percept") | np.isfinite(cube["element_share"]).any(
        "element"
    )
    drawn = (judged | (cube["scene_class"] >= 0).any("rank")).transpose("site", "scenario", "draw").to_numpy()
    sites, scenarios, draws = (cube[name].to_numpy() for name in ("site", "scenario", "draw"))
    photos, pictures = cube["photo"].to_numpy(), cube["picture"].to_numpy()
    for i, j, k in np.argwhere(drawn):
        if photos[i]:
            labels.append(f"{sites[i]}/{scenarios[j]}/{draws[k]}")
            real.append(folder / str(photos[i]))
            generated.append(folder / str(pictures[i, j, k]))
            groups.append(str(sites[i]))
    if not labels:
        raise InputError(
            "The cube has no landscape beside a photo; PSS needs sites with photos that were drawn."
        )
    return Pairs(tuple(labels), tuple(real), tuple(generated), tuple(groups))


def _placed(cell: Any, root: str | Path | None) -> Any:
    return Path(root) / cell if isinstance(cell, (str, Path)) and root is not None else cell
