"""A place: the few numbers from which its picture, its sound and its perception all follow."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

SCENES: tuple[str, ...] = (
    "street",
    "residential_neighborhood",
    "highway",
    "plaza",
    "park",
    "forest_path",
    "beach",
    "harbor",
    "river",
    "field/wild",
    "market/outdoor",
    "construction_site",
)
"""The twelve scenes of the synthetic city, by their Places365 names."""

WEATHERS: tuple[str, ...] = ("clear", "cloudy", "overcast", "rain")

LEVELS: tuple[str, ...] = ("traffic", "greenery", "people", "water", "building_height")
"""The levels of a place, each between 0 and 1."""

# Typical range of each level in each scene, in the order of LEVELS.
_RANGES: dict[str, tuple[tuple[float, float], ...]] = {
    "street": ((0.35, 1.0), (0.0, 0.5), (0.1, 0.8), (0.0, 0.0), (0.4, 1.0)),
    "residential_neighborhood": ((0.05, 0.4), (0.3, 0.9), (0.0, 0.4), (0.0, 0.0), (0.1, 0.4)),
    "highway": ((0.6, 1.0), (0.0, 0.5), (0.0, 0.0), (0.0, 0.0), (0.0, 0.5)),
    "plaza": ((0.0, 0.2), (0.0, 0.4), (0.4, 1.0), (0.0, 0.4), (0.3, 0.9)),
    "park": ((0.0, 0.15), (0.5, 1.0), (0.1, 0.7), (0.0, 0.6), (0.0, 0.4)),
    "forest_path": ((0.0, 0.05), (0.8, 1.0), (0.0, 0.2), (0.0, 0.2), (0.0, 0.0)),
    "beach": ((0.0, 0.05), (0.0, 0.2), (0.1, 0.8), (0.6, 1.0), (0.0, 0.2)),
    "harbor": ((0.0, 0.3), (0.0, 0.2), (0.1, 0.5), (0.6, 1.0), (0.2, 0.7)),
    "river": ((0.0, 0.15), (0.3, 0.9), (0.0, 0.4), (0.5, 1.0), (0.0, 0.5)),
    "field/wild": ((0.0, 0.1), (0.3, 0.9), (0.0, 0.1), (0.0, 0.2), (0.0, 0.05)),
    "market/outdoor": ((0.0, 0.2), (0.0, 0.3), (0.6, 1.0), (0.0, 0.0), (0.2, 0.6)),
    "construction_site": ((0.1, 0.6), (0.0, 0.2), (0.1, 0.4), (0.0, 0.0), (0.3, 0.9)),
}


@dataclass(frozen=True)
class Place:
    """One place at one moment.

    Parameters
    ----------
    scene : str
        One of `SCENES`.
    traffic, greenery, people, water, building_height : float
        Levels between 0 (none) and 1 (most).
    weather : str
        One of `WEATHERS`.
    hour : float
        Local solar time in hours, 0 to 24.
    seed : int
        Chooses among the many pictures and sounds of the same state.

    Raises
    ------
    ValueError
        If a level, the hour, the scene or the weather is out of range.
    """

    scene: str
    traffic: float
    greenery: float
    people: float
    water: float
    building_height: float
    weather: str = "clear"
    hour: float = 12.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field once, so that no station has to."""
        if self.scene not in SCENES:
            raise ValueError(f"scene {self.scene!r} is none of the twelve: {', '.join(SCENES)}.")
        if self.weather not in WEATHERS:
            raise ValueError(f"weather {self.weather!r} is none of {', '.join(WEATHERS)}.")
        for name in LEVELS:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; a level lies between 0 and 1.")
        if not 0.0 <= self.hour <= 24.0:
            raise ValueError(f"hour is {self.hour}; it lies between 0 and 24.")

    def rng(self, purpose: str) -> np.random.Generator:
        """Random numbers of this place for one purpose, the same on every machine.

        Parameters
        ----------
        purpose : str
            For example ``"picture"`` or ``"sound"``: different purposes get independent streams.

        Returns
        -------
        numpy.random.Generator
            Seeded by the place's seed and the purpose.
        """
        return np.random.default_rng([self.seed, *purpose.encode()])

    def as_dict(self) -> dict[str, object]:
        """The fields by name.

        Returns
        -------
        dict
            One entry per field.
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}


def draw_place(
    rng: np.random.Generator,
    scene: str | None = None,
    *,
    weather: str | None = None,
    hour: float | None = None,
) -> Place:
    """Draw a place at random.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    scene : str, optional
        One of `SCENES`; all twelve are equally likely where it is not given.
    weather, hour : optional
        Fixed where given, else drawn: 45 % clear, 25 % cloudy, 15 % overcast, 15 % rain; 5 to 22 h.

    Returns
    -------
    Place
        Levels uniform within the scene's typical ranges.
    """
    scene = SCENES[int(rng.integers(len(SCENES)))] if scene is None else scene
    levels = {
        name: round(float(rng.uniform(*bounds)), 4)
        for name, bounds in zip(LEVELS, _RANGES[scene], strict=True)
    }
    return place_from_levels(scene, levels, rng, weather=weather, hour=hour)


def place_from_levels(
    scene: str,
    levels: dict[str, float],
    rng: np.random.Generator,
    *,
    weather: str | None = None,
    hour: float | None = None,
) -> Place:
    """Complete a place whose scene and levels are known.

    Parameters
    ----------
    scene : str
        One of `SCENES`.
    levels : dict of str to float
        One value between 0 and 1 for each of `LEVELS`.
    rng : numpy.random.Generator
        Source of randomness for weather, hour and seed.
    weather, hour : optional
        Fixed where given.

    Returns
    -------
    Place
        The completed place.
    """
    if weather is None:
        weather = str(rng.choice(WEATHERS, p=(0.45, 0.25, 0.15, 0.15)))
    if hour is None:
        hour = round(float(rng.uniform(5.0, 22.0)), 2)
    return Place(scene=scene, weather=weather, hour=hour, seed=int(rng.integers(2**31)), **levels)


def level_range(scene: str, level: str) -> tuple[float, float]:
    """Typical range of one level in one scene.

    Parameters
    ----------
    scene : str
        One of `SCENES`.
    level : str
        One of `LEVELS`.

    Returns
    -------
    tuple of float
        Lowest and highest typical value.
    """
    return _RANGES[scene][LEVELS.index(level)]
