"""What an evaluation found: values, intervals, floors, and what to keep in mind."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from soundit_geo.drafts import draft_of
from soundit_geo.errors import InputError
from soundit_geo.pss.fidelity import MEASURES

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class FidelityResult:
    """FID, KID, AIS and IIS of generated pictures.

    Parameters
    ----------
    labels : tuple of str
        Names of the B pairs; empty where pictures were not paired.
    fid, kid : float
        Squared distances between the features of all real and all generated pictures that could be read.
    values : dict of str to numpy.ndarray
        Per form of AIS and IIS (keys of `soundit_geo.pss.fidelity.MEASURES`) its (B,) values; NaN where it was not
        measured.
    interval : dict of str to (float, float)
        Per form of AIS and IIS the 95 % interval of the mean over pairs like these, or groups of them, see
        `soundit_geo.pss.place_similarity.interval_of_mean`; NaN where there is none.
    floor : dict of str to float
        Per form of AIS and IIS the mean over wrong pairs.
    pictures : dict of str to int
        How many ``real`` and ``generated`` pictures FID and KID are over.
    networks : dict of str to str
        Names of the weights behind ``features`` (FID, KID) and ``space`` (AIS, IIS; empty without one).
    notes : tuple of str
        What to keep in mind, in sentences.
    failed : dict of str to str
        What was left out, and why: a pair of which a picture or the recording could not be read, or, unpaired, a
        picture.
    """

    labels: tuple[str, ...]
    fid: float
    kid: float
    values: dict[str, NDArray[np.float64]]
    interval: dict[str, tuple[float, float]]
    floor: dict[str, float]
    pictures: dict[str, int]
    networks: dict[str, str]
    notes: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def mean(self) -> dict[str, float]:
        """Every measure: FID and KID, and the means of AIS and IIS over the pairs that were measured.

        Returns
        -------
        dict of str to float
            In the order of `soundit_geo.pss.fidelity.MEASURES`; NaN where nothing was measured.
        """
        means = {
            measure: math.nan if np.isnan(values).all() else float(np.nanmean(values))
            for measure, values in self.values.items()
        }
        return {"fid": self.fid, "kid": self.kid, **means}

    def to_frame(self) -> pd.DataFrame:
        """One row per pair.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``label``, with AIS and IIS in both forms.
        """
        return pd.DataFrame(self.values, index=pd.Index(self.labels, name="label"))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON.

        Returns
        -------
        dict
            ``pictures``, ``pairs`` (count), ``mean``, ``interval`` (95 %), ``floor``, ``higher_is_better``,
            ``networks``, ``notes``, ``failed`` and ``per_pair``; None stands where a value is NaN.
        """
        return {
            "pictures": dict(self.pictures),
            "pairs": len(self.labels),
            "mean": {measure: _or_none(value) for measure, value in self.mean.items()},
            "interval": {measure: [_or_none(end) for end in ends] for measure, ends in self.interval.items()},
            "floor": {measure: _or_none(value) for measure, value in self.floor.items()},
            "higher_is_better": {measure: about.higher_is_better for measure, about in MEASURES.items()},
            "networks": dict(self.networks),
            "notes": list(self.notes),
            "failed": dict(self.failed),
            "per_pair": [
                {
                    "label": label,
                    **{measure: _or_none(values[row]) for measure, values in self.values.items()},
                }
                for row, label in enumerate(self.labels)
            ],
        }

    def save(self, path: str | Path) -> Path:
        """Write everything, as in `to_dict`.

        Parameters
        ----------
        path : path
            Ends in ``.json``.

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
        if path.suffix.lower() != ".json":
            raise InputError(
                f"{path}: this result is written as .json. Its pairs: result.to_frame().to_csv(...)."
            )
        with draft_of(path) as draft:
            draft.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        return path

    def __str__(self) -> str:
        real, generated = self.pictures["real"], self.pictures["generated"]
        lines = [f"{f'{generated} generated, {real} real pictures':<36}   value   95 % interval     floor"]
        for measure, value in self.mean.items():
            about = MEASURES[measure]
            better = "higher" if about.higher_is_better else "lower"
            numbers = "  not measured" if math.isnan(value) else f"{value:9.4g}"
            if measure in self.interval and not math.isnan(value):
                low, high = self.interval[measure]
                ends = f"{'none':>16}" if math.isnan(low) else f"{low:6.3f} to {high:6.3f}"
                numbers += f"  {ends}  {self.floor[measure]:6.3f}"
            lines.append(f"{about.name:<14} {better:<7} {about.unit:<16} {numbers}".rstrip())
        lines.append(f"features: {self.networks['features']}; space: {self.networks['space'] or 'none'}")
        lines.extend(self.notes)
        if self.failed:
            lines.append(f"{len(self.failed)} could not be read, in whole or in part")
        return "\n".join(lines)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
