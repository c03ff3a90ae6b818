"""Judge many pairs: decoding ahead of the judges, results kept as they come, what cannot be read listed.

A run with a folder can be stopped and goes on. The folder holds ``run.json`` (judges, and a hash of the pairs) and
``pairs-00000.parquet``, …: per pair its PSS, what the judges said of both pictures, and why it failed if it did. A
part appears whole or not at all. Memory does not grow with the number of pairs, but for some numbers per pair.
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
from tqdm import tqdm

from soundit_geo.errors import InputError, OutsideWorldWarning, SounditError
from soundit_geo.pss.judges import Judges, Scores
from soundit_geo.pss.pictures import open_picture
from soundit_geo.pss.place_similarity import PSSResult, compare, floor, interval_of_mean, rows_of
from soundit_geo.pss.similarity import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    done = 0 if folder is None else kept.take(_parts(folder), pairs)
    with (
        tqdm(
            total=2 * len(pairs), initial=2 * done, unit=" pictures", desc="PSS", disable=not progress
        ) as bar,
        ThreadPoolExecutor(workers) as pool,
    ):
        for start in range(done, len(pairs), PART):
            rows = range(start, min(start + PART, len(pairs)))
            part = pd.concat(
                [
                    _judged(few, pairs, opened, judges, strict=strict, bar=bar)
                    for few, opened in _opened(pairs, rows, batch_size, pool)
                ],
                ignore_index=True,
            )
            kept.add(part, start)
            if folder is not None:
                _write(part, folder / f"pairs-{start // PART:05d}.parquet")
    if kept.outside.any():
        _warn(int(kept.outside.sum()), len(pairs), judges)
    return PSSResult(
        labels=pairs.labels,
        values=kept.scores,
        interval={metric: interval_of_mean(value, seed=seed) for metric, value in kept.scores.items()},
        floor=floor(*kept.sides(), seed=seed) if kept.sample else dict.fromkeys(METRICS, float("nan")),
        outside=kept.outside,
        judges=judges.names,
        perception_scale=judges.perception_scale,
        failed=kept.failed,
    )


# ------------------------------------------------------------------------------------------------------ judging
def _opened(
    pairs: Pairs, rows: range, batch_size: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[range, list[Any]]]:
    """Batches of rows with their pictures decoded, or the error instead; the next batch is decoded meanwhile."""
    batches = [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]

    def both(row: int) -> Any:
        try:
            return open_picture(pairs.real[row]), open_picture(pairs.generated[row])
        except SounditError as error:
            return error

    ahead = [pool.submit(both, row) for row in batches[0]]
    for number, few in enumerate(batches):
        now = ahead
        ahead = [pool.submit(both, row) for row in batches[number + 1]] if number + 1 < len(batches) else []
        yield few, [one.result() for one in now]


def _judged(
    rows: range, pairs: Pairs, opened: list[Any], judges: Judges, *, strict: bool, bar: Any
) -> pd.DataFrame:
    """What is kept of a batch: one row per pair."""
    errors = {row: one for row, one in zip(rows, opened, strict=True) if isinstance(one, SounditError)}
    if strict and errors:
        raise next(iter(errors.values()))
    good = [row for row in rows if row not in errors]
    table = pd.DataFrame({"label": [pairs.labels[row] for row in rows]}, index=pd.Index(rows))
    table["message"] = [str(errors.get(row, "")) for row in rows]
    if good:
        images = [opened[row - rows.start] for row in good]
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
        rows = np.random.default_rng(seed).permutation(count)[:FLOOR_PAIRS]
        self._wanted = set(rows.tolist())
        self.sample: list[Any] = []

    def add(self, part: pd.DataFrame, start: int) -> None:
        """Take in a part that begins at a pair."""
        rows = slice(start, start + len(part))
        for metric, values in self.scores.items():
            values[rows] = part[metric].to_numpy(float)
        for side in _SIDES:
            self.outside[rows] |= part[f"{side}_outside"].eq(True).to_numpy()  # noqa: FBT003 - a missing one is not
        self.failed |= {label: why for label, why in zip(part["label"], part["message"], strict=True) if why}
        for row, one in zip(range(start, start + len(part)), part.itertuples(index=False), strict=True):
            if row in self._wanted and not one.message:
                self.sample.append(one)

    def take(self, parts: list[Path], pairs: Pairs) -> int:
        """Take in the parts of an earlier run; gives the number of pairs in them."""
        done = 0
        for path in parts:
            part = pd.read_parquet(path)
            if tuple(part["label"]) != pairs.labels[done : done + len(part)]:
                raise InputError(
                    f"{path} holds other pairs than this run's. Name another folder, or remove this one."
                )
            self.add(part, done)
            done += len(part)
        return done

    def sides(self) -> tuple[Scores, Scores]:
        """Judgements of the sampled pairs, real and generated."""
        real, generated = (
            Scores(
                **{
                    level: np.stack([getattr(one, f"{side}_{level}") for one in self.sample])
                    for level in _LEVELS
                },
                outside=np.array([bool(getattr(one, f"{side}_outside")) for one in self.sample]),
            )
            for side in _SIDES
        )
        return real, generated


def _warn(outside: int, count: int, judges: Judges) -> None:
    who = ", ".join(
        f"{level} ({name}, world: {judges.worlds[level]})" for level, name in judges.names.items()
    )
    warnings.warn(
        f"In {outside} of {count} pairs a picture lies outside the world of these judges: {who}. Their scores carry no "
        "evidence. Use judges trained on such pictures.",
        OutsideWorldWarning,
        stacklevel=3,
    )


# --------------------------------------------------------------------------------------------------- the folder
def _begun(folder: Path, pairs: Pairs, judges: Judges) -> Path:
    """Make the folder of a run, or check that it holds this one."""
    digest = hashlib.sha256()
    for row, label in enumerate(pairs.labels):
        for part in (label, *(_named(side[row]) for side in (pairs.real, pairs.generated))):
            digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    about = {"pairs": len(pairs), "sha256": digest.hexdigest(), "judges": judges.names, "part": PART}
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "run.json"
    if note.exists():
        found = json.loads(note.read_text())
        if found != about:
            other = ", ".join(key for key in about if found.get(key) != about[key])
            raise InputError(
                f"{folder} holds a run with other {other}. Name another folder, or remove this one."
            )
    else:
        _replace(note, (json.dumps(about, indent=2) + "\n").encode())
    return folder


def _named(picture: Any) -> str:
    """What tells one picture from another: its path, or a hash of its pixels."""
    if isinstance(picture, (str, Path)):
        return str(picture)
    return hashlib.sha256(np.asarray(picture).tobytes()).hexdigest()


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("pairs-*.parquet"))


def _write(part: pd.DataFrame, path: Path) -> None:
    hidden = path.with_name(f".{path.name}.part")
    part.to_parquet(hidden, index=False, compression="zstd")
    hidden.replace(path)


def _replace(path: Path, data: bytes) -> None:
    hidden = path.with_name(f".{path.name}.part")
    hidden.write_bytes(data)
    hidden.replace(path)
