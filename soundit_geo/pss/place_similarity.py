"""PSS over pairs of pictures: how similar a generated place is to the real one."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from soundit_geo import intervals
from soundit_geo.drafts import draft_of
from soundit_geo.errors import InputError
from soundit_geo.pss.pairs import Pairs, pair_up
from soundit_geo.pss.similarity import METRICS, element_similarity, perception_distance, scene_overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from soundit_geo.pss.judges import Judges, Scores
    from soundit_geo.pss.pictures import Picture

_CONFIDENCE = 0.95
_SHUFFLES = 64  # derangements behind a floor; with up to 65 pairs they meet every wrong pair exactly once


@dataclass(frozen=True)
class PSSResult:
    """The Place Similarity Score of B pairs.

    Parameters
    ----------
    labels : tuple of str
        Names of the pairs.
    values : dict of str to numpy.ndarray
        Per metric of `soundit_geo.pss.similarity.METRICS` its (B,) values; NaN where it was not scored.
    interval : dict of str to (float, float)
        Per metric the 95 % interval of the mean over places like these, see `interval_of_mean`; NaN where there is
        none.
    floor : dict of str to float
        Per metric the mean over wrong pairs (each real picture with another pair's generated one): what a
        generator would get that did not listen.
    outside : numpy.ndarray
        (B,) bool, whether a picture of the pair lies outside a judge's world.
    judges : dict of str to str
        Level to name of the weights.
    worlds : dict of str to str
        Level to what its judge was trained on.
    perception_scale : str
        Scale and direction of the perception scores.
    failed : dict of str to str
        Pairs without a score, for a picture could not be read: name to reason.
    """

    labels: tuple[str, ...]
    values: dict[str, NDArray[np.float64]]
    interval: dict[str, tuple[float, float]]
    floor: dict[str, float]
    outside: NDArray[np.bool_]
    judges: dict[str, str]
    worlds: dict[str, str]
    perception_scale: str
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each metric over the pairs that were scored.

        Returns
        -------
        dict of str to float
            NaN where no pair was.
        """
        return {metric: _mean(values) for metric, values in self.values.items()}

    @property
    def evidence(self) -> str:
        """Whether the judges are a stand-in, in words.

        Returns
        -------
        str
            As `soundit_geo.pss.judges.evidence_of` says.
        """
        from soundit_geo.pss.judges import evidence_of

        return evidence_of(self.worlds)

    def summary(self) -> dict[str, Any]:
        """All but the single pairs as plain values, ready for JSON.

        Returns
        -------
        dict
            As `to_dict`, without ``per_pair``.
        """
        return {
            "pairs": len(self.labels),
            "mean": {metric: _or_none(value) for metric, value in self.mean.items()},
            "interval": {metric: [_or_none(end) for end in ends] for metric, ends in self.interval.items()},
            "floor": {metric: _or_none(value) for metric, value in self.floor.items()},
            "higher_is_better": {metric: METRICS[metric].higher_is_better for metric in self.values},
            "judges": dict(self.judges),
            "worlds": dict(self.worlds),
            "evidence": self.evidence,
            "perception_scale": self.perception_scale,
            "outside": int(self.outside.sum()),
            "failed": dict(self.failed),
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON.

        Returns
        -------
        dict
            ``pairs`` (count), ``mean``, ``interval`` (95 %), ``floor``, ``higher_is_better``, ``judges``,
            ``worlds``, ``evidence``, ``perception_scale``, ``outside``, ``failed`` (pair to reason) and ``per_pair``;
            None stands where a value is NaN.
        """
        per_pair = [
            {
                "label": label,
                **{metric: _or_none(values[row]) for metric, values in self.values.items()},
                "outside": bool(self.outside[row]),
            }
            for row, label in enumerate(self.labels)
        ]
        return {**self.summary(), "per_pair": per_pair}

    def to_frame(self) -> pd.DataFrame:
        """One row per pair.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``label``: the metrics, ``outside``, per level the judge's name (``judge_elements``, …), and
            ``evidence``, which says if judges are a stand-in.
        """
        columns = {**self.values, "outside": self.outside}
        frame = pd.DataFrame(columns, index=pd.Index(self.labels, name="label"))
        names = {f"judge_{level}": name for level, name in self.judges.items()}
        return frame.assign(**names, evidence=self.evidence)

    def save(self, path: str | Path) -> Path:
        """Write the result, whole or not at all; the ending of the file decides how.

        Parameters
        ----------
        path : path
            ``.json``: everything, as in `to_dict`. ``.csv`` or ``.parquet``: the table of `to_frame`; Parquet also
            carries means, intervals and floors as metadata of the schema, under ``soundit_geo``.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        InputError
            If the ending is another, or the file cannot be written.
        """
        path = Path(path)
        kind = path.suffix.lower()
        if kind not in (".json", ".csv", ".parquet"):
            raise InputError(f"{path} ends in {kind!r}; results are written as .json, .csv or .parquet.")
        with draft_of(path) as draft:
            if kind == ".json":
                draft.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
            elif kind == ".csv":
                self.to_frame().to_csv(draft)
            else:
                table = pa.Table.from_pandas(self.to_frame())
                noted = {**(table.schema.metadata or {}), b"soundit_geo": json.dumps(self.summary()).encode()}
                pq.write_table(table.replace_schema_metadata(noted), draft)
        return path

    def __str__(self) -> str:
        lines = [f"{'PSS of ' + str(len(self.labels)) + ' pairs':<26}   mean   95 % interval    floor"]
        for metric, value in self.mean.items():
            name, better = METRICS[metric].name, "higher" if METRICS[metric].higher_is_better else "lower"
            low, high = self.interval[metric]
            ends = f"{'none':>14}" if math.isnan(low) else f"{low:.3f} to {high:.3f}"
            numbers = f"{value:7.3f}  {ends}  {self.floor[metric]:7.3f}"
            lines.append(f"{name:<18} {better:<7} {'not scored' if math.isnan(value) else numbers}")
        judges = ", ".join(f"{level} {name}" for level, name in self.judges.items())
        lines.append(f"judges: {judges}; perception scale: {self.perception_scale or 'none'}")
        if self.evidence.startswith("stand-in"):
            lines.append(
                f"{self.evidence}: these figures show how the score goes, and are no evidence on real places"
            )
        if self.failed:
            lines.append(f"{len(self.failed)} pairs could not be read and are left out")
        return "\n".join(lines)


def pss(
    real: Sequence[Picture] | str | Path | Pairs,
    generated: Sequence[Picture] | str | Path | None = None,
    judges: Judges | str | Path = "synthetic-city",
    labels: Sequence[str] | None = None,
    *,
    batch_size: int = 16,
    seed: int = 0,
) -> PSSResult:
    """Score generated pictures of places against the real ones.

    Parameters
    ----------
    real, generated : sequence of pictures, path of a folder, or Pairs
        Two sequences of PIL pictures, uint8 arrays (H, W, 3) or paths, row to row; or two folders, whose
        pictures are paired by file stem; or `Pairs` alone, see `soundit_geo.pss.pairs.pairs_from_table` (CSV files,
        DataFrames, GeoDataFrames) and `pairs_from_cube`.
    judges : Judges, str or pathlib.Path
        A set of judges, or what `load_judges` takes.
    labels : sequence of str, optional
        Names of the pairs, for sequences; file stems where the real pictures are paths, else 1, 2, …
    batch_size : int
        Pairs judged together.
    seed : int
        Of the bootstrap, and of the order of the wrong pairs behind the floor; of no effect on the scores, nor, with up
        to 65 pairs, on the floor.

    Returns
    -------
    PSSResult
        Values per pair, means and floor, with the judges' names.

    Raises
    ------
    InputError
        If the two sides do not pair: different lengths, stems without a partner, a folder beside a list.
    MissingFileError
        If a folder or picture does not exist.
    PictureError
        If a picture cannot be read.
    WeightsError
        If the judges are unknown.

    Warns
    -----
    OutsideWorldWarning
        Once, if pictures lie outside a judge's world.
    """
    from soundit_geo.pss.judges import Judges, load_judges
    from soundit_geo.pss.run import score_pairs

    pairs = _pairs(real, generated, labels)
    if not isinstance(judges, Judges):
        judges = load_judges(judges)
    return score_pairs(pairs, judges, batch_size=batch_size, seed=seed, strict=True)


def compare(real: Scores, generated: Scores) -> dict[str, NDArray[np.float64]]:
    """PSS on all levels from scores that were computed before.

    Parameters
    ----------
    real, generated : Scores
        Of B pictures each, row to row.

    Returns
    -------
    dict of str to numpy.ndarray
        Per metric of `soundit_geo.pss.similarity.METRICS` its (B,) values.

    Raises
    ------
    InputError
        If the two have different numbers of rows.
    """
    return {
        "pss_element": element_similarity(real.element_share, generated.element_share),
        "pss_scene_top1": scene_overlap(real.scene_class, generated.scene_class, 1),
        "pss_scene_top5": scene_overlap(real.scene_class, generated.scene_class, 5),
        "pss_perception": perception_distance(real.perception, generated.perception),
    }


def floor(real: Scores, generated: Scores, *, seed: int = 0, groups: Sequence[str] = ()) -> dict[str, float]:
    """Mean PSS of wrong pairs.

    Parameters
    ----------
    real, generated : Scores
        Of B pictures each, row to row.
    seed : int
        Chooses the derangements: cyclic shifts of one random order, of which up to 64 are averaged.
    groups : sequence of str, optional
        The place of each row: rows of one place are no wrong pair.

    Returns
    -------
    dict of str to float
        Per metric; NaN with fewer than two pairs.
    """
    count = len(real.outside)
    order = np.random.default_rng(seed).permutation(count)
    place = np.unique(np.array(groups), return_inverse=True)[1] if groups else np.arange(count)
    parts: dict[str, list[NDArray[np.float64]]] = {metric: [] for metric in METRICS}
    for shift in range(1, min(count, _SHUFFLES + 1)):
        other = np.roll(order, shift)
        apart = place[order] != place[other]
        wrong = compare(rows_of(real, order[apart]), rows_of(generated, other[apart]))
        for metric, values in wrong.items():
            parts[metric].append(values)
    return {metric: _mean(np.concatenate(values)) if values else math.nan for metric, values in parts.items()}


def interval_of_mean(
    values: NDArray[np.float64],
    *,
    groups: Sequence[str] = (),
    confidence: float = _CONFIDENCE,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval of a mean over pairs: places are drawn again, see `soundit_geo.intervals`.

    Parameters
    ----------
    values : numpy.ndarray
        (B,) one value per pair; NaN is left out.
    groups : sequence of str, optional
        The place of each pair; by default every pair is a place of its own.
    confidence : float
        Between 0 and 1.
    seed : int
        Of the resamples.

    Returns
    -------
    tuple of float
        Lower and upper end; NaN with fewer than `soundit_geo.intervals.FEWEST` places, and where all places agree
        exactly, of which nothing can be learnt about others.
    """
    known = ~np.isnan(values)
    place = np.unique(np.array(groups)[known], return_inverse=True)[1] if groups else np.arange(known.sum())
    counts = np.bincount(place).astype(float)
    means = np.bincount(place, weights=values[known]) / counts
    low, high = intervals.interval_of_mean(
        means[:, None], confidence, np.random.default_rng(seed), counts=counts if groups else None
    )
    return float(low[0]), float(high[0])


def _pairs(
    real: Sequence[Picture] | str | Path | Pairs,
    generated: Sequence[Picture] | str | Path | None,
    labels: Sequence[str] | None,
) -> Pairs:
    if isinstance(real, Pairs):
        if generated is not None or labels is not None:
            raise InputError("Pairs hold both sides and their names; give them alone.")
        return real
    if generated is None:
        raise InputError("There are no generated pictures; give a folder or a list, as for the real ones.")
    return pair_up(real, generated, labels)


def rows_of(scores: Scores, rows: NDArray[np.intp]) -> Scores:
    """Some rows of what judges said.

    Parameters
    ----------
    scores : Scores
        Of B pictures.
    rows : numpy.ndarray
        (n,) indices.

    Returns
    -------
    Scores
        Of n pictures.
    """
    from soundit_geo.pss.judges import Scores

    return Scores(
        scores.element_share[rows],
        scores.scene_class[rows],
        scores.scene_probability[rows],
        scores.perception[rows],
        scores.outside[rows],
    )


def _mean(values: NDArray[np.float64]) -> float:
    scored = values[~np.isnan(values)]
    return float(scored.mean()) if scored.size else math.nan


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
