"""How a place of the synthetic city feels: six scores by formula.

**An assumption, not a finding.** The formula gives the synthetic city a known truth with the signs that the
literature on Place Pulse leads one to expect (green and water please, traffic and grey depress, people enliven).
It says nothing about any real place.

Each score lies on a scale from 0 to 10 and is ``5 + 4 tanh(linear combination)`` of what is visible:

========== ==================================================================================
green      square root of the share of tree, grass, plant, field
water      square root of the share of sea, river, water, fountain
built      share of building and house
vehicles   square root of the share of car, bus, truck
people     square root of the share of person
grey       share of road, earth, fence, tower, rock
daylight   0 at night to 1 in full day
fair       1 under a clear sky, 0.7 cloudy, 0.35 overcast, 0 in rain
========== ==================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundit_geo.synthetic_city.picture import ELEMENT_IDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from soundit_geo.synthetic_city.place import Place

CUES: tuple[str, ...] = ("green", "water", "built", "vehicles", "people", "grey", "daylight", "fair")

_GROUPS: dict[str, tuple[str, ...]] = {
    "green": ("tree", "grass", "plant", "field"),
    "water": ("sea", "river", "water", "fountain"),
    "built": ("building", "house"),
    "vehicles": ("car", "bus", "truck"),
    "people": ("person",),
    "grey": ("road", "earth", "fence", "tower", "rock"),
}
_ROOTED = ("green", "water", "vehicles", "people")
_FAIR = {"clear": 1.0, "cloudy": 0.7, "overcast": 0.35, "rain": 0.0}

# Rows: safe, lively, beautiful, wealthy, depressing, boring. Columns: constant, then CUES.
_WEIGHTS: NDArray[np.float64] = np.array(
    [
        [-0.55, 0.55, 0.20, 0.35, -0.70, 0.90, -1.40, 0.80, 0.10],
        [-0.60, -0.20, 0.15, 0.90, 1.40, 3.20, -0.80, 0.20, 0.15],
        [-0.95, 1.20, 1.35, 0.15, -1.20, 0.10, -1.50, 0.45, 0.40],
        [-0.50, 0.35, 0.35, 1.50, 0.20, 0.60, -1.80, 0.30, 0.15],
        [0.75, -0.75, -0.85, 0.10, 0.50, -1.20, 1.70, -0.60, -0.60],
        [0.65, -0.10, -0.35, -0.60, -1.00, -2.80, 0.80, -0.25, -0.20],
    ]
)


def cues(place: Place, share: NDArray[np.floating]) -> NDArray[np.float64]:
    """What the formula looks at.

    Parameters
    ----------
    place : Place
        Gives daylight and weather.
    share : numpy.ndarray
        (150,) element shares of a picture of the place.

    Returns
    -------
    numpy.ndarray
        (8,) in the order of `CUES`, each between 0 and 1.
    """
    values = {name: float(sum(share[ELEMENT_IDS[key]] for key in keys)) for name, keys in _GROUPS.items()}
    for name in _ROOTED:
        values[name] = values[name] ** 0.5
    elevation = np.sin(np.pi * (place.hour - 5.5) / 14.0)
    values["daylight"] = float(np.clip((0.08 + 1.4 * elevation) / 0.48, 0.0, 1.0))
    values["fair"] = _FAIR[place.weather]
    return np.array([values[name] for name in CUES])


def perceive(
    place: Place, share: NDArray[np.floating], rng: np.random.Generator | None = None
) -> NDArray[np.float32]:
    """Score a place: safe, lively, beautiful, wealthy, depressing, boring.

    Parameters
    ----------
    place : Place
        The place.
    share : numpy.ndarray
        (150,) element shares of the picture that is judged.
    rng : numpy.random.Generator, optional
        Adds the noise of a panel: normal with standard deviation 0.25. Without it the scores are exact.

    Returns
    -------
    numpy.ndarray
        (6,) float32, 0 to 10.
    """
    score = 5.0 + 4.0 * np.tanh(_WEIGHTS[:, 0] + _WEIGHTS[:, 1:] @ cues(place, share))
    if rng is not None:
        score = score + rng.normal(0.0, 0.25, 6)
    return np.clip(score, 0.0, 10.0).astype(np.float32)
