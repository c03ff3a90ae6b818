"""The draws of a site under one prompt, and how they differ from those under another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundit_geo.classes import ADE20K, COMPARATIVES, PERCEPTIONS
from soundit_geo.cube import DONE
from soundit_geo.maps.change import standard_error
from soundit_geo.maps.variables import elements_of, perception_range, scene_name, scenes_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Landscape:
    """The draws of one site under one prompt, and what the judges say of them.

    Parameters
    ----------
    site : str
        Name of the site.
    prompt : str
        The scene prompt; empty = the sound alone.
    pictures : tuple of bytes
        PNG files, one per draw.
    cube : xarray.Dataset
        A cube of this site and one scenario.
    foreign : int or None
        How many pictures lie outside the world of the judges; None where it was not counted.
    """

    site: str
    prompt: str
    pictures: tuple[bytes, ...]
    cube: xr.Dataset
    foreign: int | None = None

    @property
    def perception(self) -> NDArray[np.float32]:
        """Scores of the draws.

        Returns
        -------
        numpy.ndarray
            (draw, 6) in the order of `PERCEPTIONS`, on the judge's scale.
        """
        return np.asarray(self.cube["perception"].to_numpy()[0, 0])

    @property
    def scores(self) -> dict[str, float]:
        """Mean scores over the draws.

        Returns
        -------
        dict of str to float
            By perception.
        """
        return dict(zip(PERCEPTIONS, self.perception.mean(axis=0).tolist(), strict=True))

    @property
    def scale(self) -> tuple[float, float]:
        """Ends of the perception scale.

        Returns
        -------
        tuple of float
            Lowest and highest score that the judge can give.
        """
        return perception_range(self.cube)

    @property
    def elements(self) -> list[tuple[str, float]]:
        """What covers most of the pictures.

        Returns
        -------
        list of tuple
            ADE20K element and its mean share, 0 to 1, the largest first.
        """
        ids, shares = elements_of(self.cube["element_share"].to_numpy(), self._counted)
        pairs = zip(ids[0, 0].tolist(), shares[0, 0].tolist(), strict=True)
        return [(ADE20K[k], share) for k, share in pairs if k >= 0]

    @property
    def scene(self) -> tuple[str, float]:
        """The likeliest scene.

        Returns
        -------
        tuple
            Its name and mean probability; an empty name where scenes are not judged.
        """
        ids, chances = scenes_of(self.cube, self._counted)
        first = int(ids[0, 0, 0])
        return (scene_name(first), float(chances[0, 0, 0])) if first >= 0 else ("", 0.0)

    @property
    def _counted(self) -> NDArray[np.bool_]:
        return np.asarray(self.cube["status"].to_numpy() == DONE)


@dataclass(frozen=True)
class Change:
    """How much one perception changes from one landscape to another.

    Parameters
    ----------
    perception : str
        One of the six.
    mean : float
        Mean difference over the draws that both have, in points of the judge's scale.
    error : float
        Its standard error; NaN below two draws.
    """

    perception: str
    mean: float
    error: float

    @property
    def words(self) -> str:
        """The change as people would say it.

        Returns
        -------
        str
            For example ``"0.42 ± 0.10 points safer"``.
        """
        size = f"{abs(self.mean):.2f}"
        more = COMPARATIVES[self.perception] if self.mean > 0 else f"less {self.perception}"
        spread = f" ± {self.error:.2f}" if np.isfinite(self.error) else ""
        return f"{size}{spread} points {more}" if float(size) else f"no change{spread}"


def changes(new: Landscape, old: Landscape) -> list[Change]:
    """Compare two landscapes of one site, draw by draw: each pair had the same first noise.

    Parameters
    ----------
    new, old : Landscape
        Of one site and study.

    Returns
    -------
    list of Change
        `new` minus `old`, in the order of `PERCEPTIONS`.
    """
    pairs = (new.perception.astype(float) - old.perception).T  # (6, draw)
    error = standard_error(pairs, np.ones(pairs.shape[1], bool))
    found = zip(PERCEPTIONS, pairs.mean(axis=1).tolist(), error.tolist(), strict=True)
    return [Change(name, mean, spread) for name, mean, spread in found]
