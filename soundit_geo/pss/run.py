"""Judge many pairs: decoding ahead of the judges, results kept as they come, what cannot be read listed.

A run with a folder can be stopped and goes on. The folder holds ``run.json`` (hashes of the judges' weights and of the
pairs) and ``pairs-00000.parquet``, …: per pair its PSS, what the judges said of both pictures, and why it failed if it
did. A part appears whole or not at all. Pairs that failed, and pairs whose files have changed since, are judged again.
Memory holds the names and some numbers of every pair, and the pictures of two batches.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from soundit_geo.drafts import draft_of
from soundit_geo.errors import InputError, OutsideWorldWarning, PictureError, SounditError
from soundit_geo.pss.judges import Judges, Scores
from soundit_geo.pss.pictures import open_picture
from soundit_geo.pss.place_similarity import PSSResult, compare, floor, interval_of_mean, rows_of
from soundit_geo.pss.similarity import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from soundit_geo.pss.pairs import Pairs

PART = 1024
"""Pairs in one part."""
FLOOR_PAIRS = 2048
"""Most pairs, drawn at random, behind a floor."""

_SIDES = ("real", "generated")
_LEVELS = ("element_share", "scene_class", "scene_probability", "perception")


def score_pairs(
    pairs: Pairs,
    judges: Judges,
    *,
    out: str | Path | None = None,
    batch_size: int = 16,
    workers: int = 2,
    seed: int = 0,
    strict: bool = False,
    progress: bool = False,
) -> PSSResult:
    """Score pairs of pictures, a few at a time.

    Parameters
    ----------
    pairs : Pairs
        Of any number.
    judges : Judges
        One per level; a level without one is not scored.
    out : path, optional
        Folder of the run, see the module; without it nothing is kept but the result.
    batch_size : int
        Pairs judged together.
    workers : int
        Threads that decode pictures while the judges work.
    seed : int
        Of bootstrap and floor.
    strict : bool
        Whether a picture that cannot be read ends the run; else its pair is listed in ``failed`` and has no score.
    progress : bool
        Show a bar, with pictures per second.

    Returns
    -------
    PSSResult
        In the order of the pairs.

    Raises
    ------
    InputError
        If the folder holds a run of other pairs or judges, or a number is out of range.
    PictureError, MissingFileError
        If `strict`, of the first picture that cannot be read.

    Warns
    -----
    OutsideWorldWarning
        Once, if pictures lie outside the world of a judge.
    """
    if batch_size < 1 or workers < 1:
        raise InputError(f"batch_size is {batch_size} and workers {workers}; both are at least 1.")
    folder = None if out is None else _begun(Path(out), pairs, judges)
    kept = _Kept(len(pairs), seed)
    with (
        tqdm(total=2 * len(pairs), unit=" pictures", desc="PSS", disable=not progress) as bar,
        ThreadPoolExecutor(workers) as pool,
    ):
        for start in range(0, len(pairs), PART):
            rows = range(start, min(start + PART, len(pairs)))
            path = None if folder is None else folder / f"pairs-{start // PART:05d}.parquet"
            earlier = _earlier(path, pairs, rows)
            left = [row for row in rows if earlier is None or row not in earlier.index]
            new = [
                _judged(few, pairs, opened, judges, strict=strict, bar=bar)
                for few, opened in _opened(pairs, left, batch_size, pool)
            ]
            part = pd.concat([*([] if earlier is None else [earlier]), *new]).sort_index()
            if left and path is not None:
                _write(part, path)
            bar.update(2 * (len(rows) - len(left)))
            kept.add(part)
    if kept.outside.any():
        _warn(int(kept.outside.sum()), len(pairs), judges)
    return PSSResult(
        labels=pairs.labels,
        values=kept.scores,
        interval={
            metric: interval_of_mean(value, groups=pairs.groups, seed=seed)
            for metric, value in kept.scores.items()
        },
        floor=kept.floor(pairs.groups, seed),
        outside=kept.outside,
        judges=judges.names,
        worlds=judges.worlds,
        perception_scale=judges.perception_scale,
        failed=kept.failed,
    )


# ------------------------------------------------------------------------------------------------------ judging
def _opened(
    pairs: Pairs, rows: Sequence[int], batch_size: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[Sequence[int], list[Any]]]:
    """Batches of rows with their pictures decoded, or the error instead; the next batch is decoded meanwhile."""
    batches = [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]

    def both(row: int) -> Any:
        try:
            return open_picture(pairs.real[row]), open_picture(pairs.generated[row])
        except SounditError as error:
            return error
        except (
            OSError,
            TypeError,
            ValueError,
            SyntaxError,
        ) as error:  # an open picture whose file is damaged
            return PictureError(f"A picture of the pair {pairs.labels[row]!r} cannot be read ({error}).")

    ahead = [pool.submit(both, row) for row in batches[0]] if batches else []
    for number, few in enumerate(batches):
        now = ahead
        ahead = [pool.submit(both, row) for row in batches[number + 1]] if number + 1 < len(batches) else []
        yield few, [one.result() for one in now]


def _judged(
    rows: Sequence[int], pairs: Pairs, opened: list[Any], judges: Judges, *, strict: bool, bar: Any
) -> pd.DataFrame:
    """What is kept of a batch: one row per pair."""
    errors = {row: one for row, one in zip(rows, opened, strict=True) if isinstance(one, SounditError)}
    if strict and errors:
        raise next(iter(errors.values()))
    good = [row for row in rows if row not in errors]
    table = pd.DataFrame({"label": [pairs.labels[row] for row in rows]}, index=pd.Index(rows))
    table["stamp"] = [_stamp(pairs, row) for row in rows]
    table["message"] = [str(errors.get(row, "")) for row in rows]
    if good:
        images = [one for one in opened if not isinstance(one, SounditError)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutsideWorldWarning)  # said once, at the end
            every = judges.score([one[side] for side in (0, 1) for one in images], batch_size=2 * len(good))
        real, generated = (rows_of(every, np.arange(len(good)) + at) for at in (0, len(good)))
        for metric, values in compare(real, generated).items():
            table.loc[good, metric] = values
        for side, scores in zip(_SIDES, (real, generated), strict=True):
            for level in _LEVELS:
                table[f"{side}_{level}"] = pd.Series(list(getattr(scores, level)), index=good)
            table[f"{side}_outside"] = pd.Series(scores.outside, index=good)
    bar.update(2 * len(rows))
    return table.reindex(columns=_columns())


def _columns() -> list[str]:
    return [
        "label",
        "stamp",
        "message",
        *METRICS,
        *(f"{side}_{what}" for side in _SIDES for what in (*_LEVELS, "outside")),
    ]


class _Kept:
    """What the result needs of all pairs: their values, and the judgements of those behind the floor."""

    def __init__(self, count: int, seed: int) -> None:
        self.scores: dict[str, NDArray[np.float64]] = {metric: np.full(count, np.nan) for metric in METRICS}
        self.outside = np.zeros(count, bool)
        self.failed: dict[str, str] = {}
        self._wanted = set(np.random.default_rng(seed).permutation(count)[:FLOOR_PAIRS].tolist())
        self._sample: list[tuple[int, dict[str, NDArray[Any]]]] = []

    def add(self, part: pd.DataFrame) -> None:
        """Take in a part, whose index tells the pairs."""
        rows = part.index.to_numpy()
        for metric, values in self.scores.items():
            values[rows] = part[metric].to_numpy(float)
        for side in _SIDES:
            self.outside[rows] |= part[f"{side}_outside"].eq(True).to_numpy()  # noqa: FBT003 - a missing one is not
        self.failed |= {label: why for label, why in zip(part["label"], part["message"], strict=True) if why}
        heavy = [f"{side}_{what}" for side in _SIDES for what in (*_LEVELS, "outside")]
        for row in part.index[(part["message"] == "") & part.index.isin(self._wanted)]:
            # copies: an array of a part read from the disk would keep all of it in memory
            self._sample.append((int(row), {name: np.array(part.loc[row, name]) for name in heavy}))

    def floor(self, groups: tuple[str, ...], seed: int) -> dict[str, float]:
        """Mean PSS of wrong pairs among those sampled."""
        if not self._sample:
            return dict.fromkeys(METRICS, float("nan"))
        real, generated = (
            Scores(
                **{level: np.stack([one[f"{side}_{level}"] for _, one in self._sample]) for level in _LEVELS},
                outside=np.array([bool(one[f"{side}_outside"]) for _, one in self._sample]),
            )
            for side in _SIDES
        )
        return floor(
            real, generated, seed=seed, groups=[groups[row] for row, _ in self._sample] if groups else ()
        )


def _warn(outside: int, count: int, judges: Judges) -> None:
    who = ", ".join(
        f"{level} ({name}, world: {judges.worlds[level]})" for level, name in judges.names.items()
    )
    warnings.warn(
        f"In {outside} of {count} pairs a picture lies outside the world of one of these judges: {who}. Its scores "
        "carry no evidence there. Use judges trained on such pictures.",
        OutsideWorldWarning,
        stacklevel=3,
    )


# --------------------------------------------------------------------------------------------------- the folder
def _begun(folder: Path, pairs: Pairs, judges: Judges) -> Path:
    """Make the folder of a run, or check that it holds this one."""
    digest = hashlib.sha256()
    for row, label in enumerate(pairs.labels):
        for part in (label, _named(pairs.real[row]), _named(pairs.generated[row])):
            digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    known = {
        level: {"name": judge.name, "world": judge.world, "sha256": _fingerprint(judge)}
        for level, judge in (
            ("elements", judges.elements),
            ("scenes", judges.scenes),
            ("perception", judges.perception),
        )
        if judge is not None
    }
    about = {"pairs": len(pairs), "sha256": digest.hexdigest(), "judges": known, "part": PART}
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "run.json"
    if not note.exists():
        if any(folder.glob("pairs-*.parquet")):
            raise InputError(f"{folder} holds parts of a run and no run.json. Name another folder.")
        with draft_of(note) as draft:
            draft.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        return folder
    try:
        found = json.loads(note.read_text())
    except ValueError as error:
        raise InputError(f"{note} is damaged ({error}). Name another folder, or remove this one.") from error
    other = ", ".join(key for key in about if found.get(key) != about[key])
    if other:
        raise InputError(f"{folder} holds a run with other {other}. Name another folder, or remove this one.")
    return folder


def _fingerprint(judge: Any) -> str:
    """Hash of a judge's weights; empty for one that has none."""
    state = getattr(getattr(judge, "network", judge), "state_dict", None)
    digest = hashlib.sha256()
    for name, value in sorted(state().items()) if state is not None else ():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest() if state is not None else ""


def _named(picture: Any) -> str:
    """What tells one picture from another: its path, or a hash of its pixels."""
    if isinstance(picture, (str, Path)):
        return str(Path(picture).absolute())
    try:
        pixels = np.asarray(picture)
    except (OSError, ValueError, SyntaxError):  # an open picture whose file is damaged; it will be listed
        return "damaged"
    return hashlib.sha256(f"{pixels.dtype} {pixels.shape} ".encode() + pixels.tobytes()).hexdigest()


def _stamp(pairs: Pairs, row: int) -> str:
    """Size and time of a pair's files: when they change, the pair is judged again."""
    parts = []
    for picture in (pairs.real[row], pairs.generated[row]):
        try:
            about = Path(picture).stat() if isinstance(picture, (str, Path)) else None
            parts.append("" if about is None else f"{about.st_size}:{about.st_mtime_ns}")
        except OSError:
            parts.append("absent")
    return " ".join(parts)


def _earlier(path: Path | None, pairs: Pairs, rows: range) -> pd.DataFrame | None:
    """What an earlier run has of a part and still holds: not what failed, nor what lies in changed files."""
    if path is None or not path.exists():
        return None
    try:
        part = pd.read_parquet(path)
    except (OSError, ValueError):  # damaged: judge it again (pyarrow's errors are ValueErrors or OSErrors)
        return None
    if list(part.columns) != _columns() or list(part["label"]) != list(pairs.labels[rows.start : rows.stop]):
        return None
    part.index = pd.Index(rows)
    now = [_stamp(pairs, row) for row in rows]
    return part[(part["message"] == "") & (part["stamp"] == now)]


def _write(part: pd.DataFrame, path: Path) -> None:
    with draft_of(path) as draft:
        part.to_parquet(draft, index=False, compression="zstd")
