"""Draw a place: one street-level picture, and the element mask that is exact by construction.

Every shape is drawn twice with the same outline, once in colour and once as its ADE20K class, both at a
multiple of the asked size; the colours are then averaged (anti-aliasing) and the mask is sampled.

Frame: ``x`` runs right and ``y`` down, both 0 to 1 across the picture. The ground is a plane seen from eye
height: a point at depth ``z`` (1 = lower edge, growing with distance) and lateral offset ``u`` (picture
widths at the lower edge, 0 = straight ahead) appears at ``x = vanish + u / z + bend * (1 - 1 / z) ** 2``,
``y = horizon + (1 - horizon) / z``.

Randomness: what makes the place (viewpoint, layout, sides, positions) comes from `Painter.plan`, which knows the
place's seed only; details come from `Painter.stream`, which knows the variant too. Each purpose has its own stream,
so a level that rises adds things and moves none.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from soundit_geo.synthetic_city import scenery

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from soundit_geo.synthetic_city.place import Place

Colour = tuple[float, float, float]
Point = tuple[float, float]

ELEMENT_IDS: dict[str, int] = {
    "building": 1, "sky": 2, "floor": 3, "tree": 4, "road": 6, "grass": 9, "sidewalk": 11, "person": 12,
    "earth": 13, "mountain": 16, "plant": 17, "car": 20, "water": 21, "house": 25, "sea": 26, "field": 29,
    "fence": 32, "rock": 34, "signboard": 43, "sand": 46, "path": 52, "river": 60, "bridge": 61, "bench": 69,
    "boat": 76, "bus": 80, "truck": 83, "tower": 84, "awning": 86, "streetlight": 87, "fountain": 104,
}  # fmt: skip
"""The elements that the synthetic city is made of, with their 0-based ADE20K ids."""

_SKIES: dict[str, tuple[Colour, Colour]] = {  # zenith and horizon at noon
    "clear": ((86, 148, 214), (190, 218, 240)),
    "cloudy": ((120, 160, 204), (206, 220, 232)),
    "overcast": ((158, 166, 176), (204, 208, 212)),
    "rain": ((108, 116, 128), (158, 164, 172)),
}
_TINTS: dict[str, Colour] = {
    "clear": (1.04, 1.02, 0.97),
    "cloudy": (0.98, 0.98, 0.98),
    "overcast": (0.88, 0.89, 0.92),
    "rain": (0.74, 0.77, 0.83),
}


class Spot(NamedTuple):
    """Where a thing of a kind stands: its number, depth, side (-1 or 1) and place across (0 to 1)."""

    number: int
    z: float
    side: float
    across: float


class Painter:
    """A canvas that keeps colour and element mask in step.

    Parameters
    ----------
    size : int
        Edge of the finished picture in pixels.
    place : Place
        Gives hour and weather, and with them the light.
    rng : numpy.random.Generator
        Every random choice of the drawing.
    """

    def __init__(self, size: int, place: Place, rng: np.random.Generator) -> None:
        self.size = size
        self.scale = size * (3 if size < 256 else 2)
        self.rng = rng
        self.place = place
        self.picture = Image.new("RGB", (self.scale, self.scale))
        self.mask = Image.new("L", (self.scale, self.scale), ELEMENT_IDS["sky"])
        self._colour = ImageDraw.Draw(self.picture)
        self._element = ImageDraw.Draw(self.mask)
        self._key = int(rng.integers(2**31))
        eye, (low, high), (left, right) = self.plan("view"), *scenery.VIEWS[place.scene]
        self.horizon = float(eye.uniform(low, high)) + float(rng.uniform(-0.008, 0.008))
        self.vanish = float(eye.uniform(left, right)) + float(rng.uniform(-0.03, 0.03))
        self.bend = 0.0
        elevation = float(np.sin(np.pi * (place.hour - 5.5) / 14.0))  # below 0 before 5.5 h and after 19.5 h
        day = float(np.clip(0.60 + 1.4 * elevation, 0.52, 1.0))
        warm = float(np.clip(1.0 - abs(elevation) / 0.28, 0.0, 1.0)) if place.weather != "rain" else 0.0
        tint = np.array(_TINTS[place.weather])
        self.light = day * tint * (1.0 + warm * np.array((0.12, -0.02, -0.16)))
        self.night = elevation < 0.0
        self.sky = [
            np.array(colour) * day + warm * np.array((40.0, 8.0, -25.0)) * weight
            for colour, weight in zip(_SKIES[place.weather], (0.3, 1.2), strict=True)
        ]

    # ------------------------------------------------------------------ frame
    def ground(self, u: float, z: float) -> Point:
        """Picture position of a point of the ground.

        Parameters
        ----------
        u : float
            Lateral offset in picture widths at the lower edge, right positive.
        z : float
            Depth, 1 at the lower edge.

        Returns
        -------
        tuple of float
            ``(x, y)`` in the picture's unit frame.
        """
        curve = self.bend * (1.0 - 1.0 / z) ** 2 if z > 1.0 else 0.0
        return self.vanish + u / z + curve, self.horizon + (1.0 - self.horizon) / z

    # ------------------------------------------------------------- randomness
    def plan(self, purpose: str) -> np.random.Generator:
        """Random numbers for the composition: the same in every variant of the place.

        Parameters
        ----------
        purpose : str
            Different purposes get independent streams.

        Returns
        -------
        numpy.random.Generator
            Seeded by the place and the purpose.
        """
        return self.place.rng(f"composition {purpose}")

    def stream(self, purpose: str) -> np.random.Generator:
        """Random numbers for details: another draw in each variant of the place.

        Parameters
        ----------
        purpose : str
            Different purposes get independent streams.

        Returns
        -------
        numpy.random.Generator
            Seeded by the place, the variant and the purpose.
        """
        return np.random.default_rng([self._key, *purpose.encode()])

    def scatter(self, name: str, amount: float, near: float, far: float) -> Iterator[Spot]:
        """Spots for things of one kind, from far to near, evenly spread over the picture.

        The first ``n`` spots are the same whatever the amount. While a spot is handed out, `rng` is a stream
        of its own.

        Parameters
        ----------
        name : str
            Purpose of the random numbers.
        amount : float
            How many, rounded.
        near, far : float
            Range of depth.

        Yields
        ------
        Spot
            Depth, side and place across.
        """
        plan = self.plan(name)
        start, turn, across = (float(value) for value in plan.uniform(size=3))
        first = 1.0 if turn < 0.5 else -1.0
        spots = []
        for index in range(round(amount)):
            slip, slide = (
                float(value) for value in self.stream(f"{name} {index} spot").uniform(-0.05, 0.05, 2)
            )
            nearness = float(np.clip((start + 0.618034 * index) % 1.0 + 0.5 * slip, 0.0, 1.0))
            aside = float(np.clip((across + 0.754878 * index) % 1.0 + slide, 0.0, 1.0))
            z = 1.0 / (1.0 / far + nearness * (1.0 / near - 1.0 / far))
            spots.append(Spot(index, z, first if index % 2 == 0 else -first, aside))
        before = self.rng
        for spot in sorted(spots, key=lambda spot: -spot.z):
            self.rng = self.stream(f"{name} {spot.number}")
            yield spot
        self.rng = before

    def shade(self, colour: Colour, *, z: float = 1.0, jitter: float = 0.0) -> tuple[int, int, int]:
        """A colour under the place's light, fading into the sky with depth.

        Parameters
        ----------
        colour : tuple of float
            Red, green, blue between 0 and 255, by noon light.
        z : float, optional
            Depth; far things take on the colour of the horizon.
        jitter : float, optional
            Standard deviation of a common random brightness factor.

        Returns
        -------
        tuple of int
            Red, green, blue between 0 and 255.
        """
        factor = 1.0 + (jitter * float(self.rng.standard_normal()) if jitter else 0.0)
        lit = np.array(colour) * self.light * factor
        haze = min(0.55, 0.035 * (z - 1.0))
        red, green, blue = np.clip(lit * (1.0 - haze) + self.sky[1] * haze, 0, 255).astype(int)
        return int(red), int(green), int(blue)

    # ----------------------------------------------------------------- shapes
    def polygon(
        self, points: Iterable[Point], element: str, colour: Colour, *, z: float = 1.0, jitter: float = 0.0
    ) -> None:
        """Fill a polygon.

        Parameters
        ----------
        points : iterable of (x, y)
            Corners in the unit frame.
        element : str
            Key of `ELEMENT_IDS`.
        colour : tuple of float
            Colour by noon light.
        z, jitter : float, optional
            See `shade`.
        """
        corners = [(x * self.scale, y * self.scale) for x, y in points]
        self._colour.polygon(corners, fill=self.shade(colour, z=z, jitter=jitter))
        self._element.polygon(corners, fill=ELEMENT_IDS[element])

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        element: str,
        colour: Colour,
        *,
        z: float = 1.0,
        jitter: float = 0.0,
    ) -> None:
        """Fill an upright rectangle; parameters as in `polygon`.

        Parameters
        ----------
        left, top, right, bottom : float
            Edges in the unit frame.
        element : str
            Key of `ELEMENT_IDS`.
        colour : tuple of float
            Colour by noon light.
        z, jitter : float, optional
            See `shade`.
        """
        self.polygon(
            ((left, top), (right, top), (right, bottom), (left, bottom)), element, colour, z=z, jitter=jitter
        )

    def disc(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        element: str,
        colour: Colour,
        *,
        z: float = 1.0,
        jitter: float = 0.0,
    ) -> None:
        """Fill an ellipse.

        Parameters
        ----------
        x, y : float
            Centre in the unit frame.
        width, height : float
            Half axes in the unit frame.
        element : str
            Key of `ELEMENT_IDS`.
        colour : tuple of float
            Colour by noon light.
        z, jitter : float, optional
            See `shade`.
        """
        corners = [(x - width) * self.scale, (y - height) * self.scale]
        corners += [(x + width) * self.scale, (y + height) * self.scale]
        self._colour.ellipse(corners, fill=self.shade(colour, z=z, jitter=jitter))
        self._element.ellipse(corners, fill=ELEMENT_IDS[element])

    def strip(self, left: float, right: float, element: str, colour: Colour, *, far: float = 60.0) -> None:
        """Fill a strip of ground that runs to the vanishing point.

        Parameters
        ----------
        left, right : float
            Lateral offsets of its edges.
        element : str
            Key of `ELEMENT_IDS`.
        colour : tuple of float
            Colour by noon light.
        far : float, optional
            Depth at which it ends.
        """
        depths = [0.75, 1.0, 1.25, 1.6, 2.1, 3.0, 4.5, 7.0, 12.0, far] if self.bend else [0.75, far]
        depths = [z for z in depths if z <= far]
        edge = [self.ground(left, z) for z in depths]
        self.polygon([*edge, *(self.ground(right, z) for z in reversed(depths))], element, colour)

    def patch(self, left: float, right: float, near: float, far: float, element: str, colour: Colour) -> None:
        """Fill a piece of ground.

        Parameters
        ----------
        left, right : float
            Lateral offsets of its edges.
        near, far : float
            Depths of its ends.
        element : str
            Key of `ELEMENT_IDS`.
        colour : tuple of float
            Colour by noon light.
        """
        depths = [float(1.0 / v) for v in np.linspace(1.0 / near, 1.0 / far, 9 if self.bend else 2)]
        edge = [self.ground(left, z) for z in depths]
        self.polygon([*edge, *(self.ground(right, z) for z in reversed(depths))], element, colour)

    def wall(
        self,
        u: float,
        near: float,
        far: float,
        height: float,
        element: str,
        colour: Colour,
        *,
        low: float = 0.0,
    ) -> None:
        """Fill an upright band along the way, following its bend.

        Parameters
        ----------
        u : float
            Lateral offset.
        near, far : float
            Depths of its ends.
        height : float
            Height of its upper edge over the ground, in picture heights at depth 1.
        element : str
            Key of `ELEMENT_IDS`.
        colour : tuple of float
            Colour by noon light.
        low : float, optional
            Height of its lower edge.
        """
        depths = 1.0 / np.linspace(1.0 / near, 1.0 / far, 7 if self.bend else 2)
        feet = [(self.ground(u, float(z)), float(z)) for z in depths]
        upper = [(x, y - height / z) for (x, y), z in feet]
        self.polygon([*upper, *((x, y - low / z) for (x, y), z in reversed(feet))], element, colour, z=near)

    def plain(self, element: str, colour: Colour, *, top: float | None = None) -> None:
        """Fill the ground from side to side, a little brighter towards the horizon.

        Parameters
        ----------
        element : str
            Key of `ELEMENT_IDS`.
        colour : tuple of float
            Colour by noon light.
        top : float, optional
            Upper edge in the unit frame; the horizon by default.
        """
        top = self.horizon if top is None else top
        edges = np.linspace(top, 1.0, 13)
        for index, (upper, lower) in enumerate(pairwise(edges)):
            factor = 1.06 - 0.012 * index
            tone = (colour[0] * factor, colour[1] * factor, colour[2] * factor)
            self.box(0.0, float(upper), 1.0, float(lower) + 0.003, element, tone)

    def heavens(self) -> None:
        """Fill the sky: gradient, clouds by weather."""
        zenith, low = self.sky
        edges = np.linspace(0.0, min(1.0, self.horizon + 0.12), 25)
        for index, (upper, lower) in enumerate(pairwise(edges)):
            weight = index / 23.0
            red, green, blue = np.clip(zenith * (1 - weight) + low * weight, 0, 255).astype(int)
            self._colour.rectangle(
                (0, upper * self.scale, self.scale, lower * self.scale + 1),
                fill=(int(red), int(green), int(blue)),
            )
        fewest, most = {"clear": (0, 1), "cloudy": (3, 5), "overcast": (0, 0), "rain": (0, 0)}[
            self.place.weather
        ]
        for _ in range(int(self.rng.integers(fewest, most + 1))):
            x, y = float(self.rng.uniform(0, 1)), float(self.rng.uniform(0.04, self.horizon * 0.6))
            width = float(self.rng.uniform(0.08, 0.18))
            for step in (-0.7, -0.2, 0.3, 0.8):
                bump = width * float(self.rng.uniform(0.3, 0.55))
                self.disc(x + step * width, y, bump, bump * 0.42, "sky", (244, 246, 248), z=4.0)

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Bring colour and mask to the asked size.

        Returns
        -------
        picture : numpy.ndarray
            (size, size, 3) uint8, sRGB.
        mask : numpy.ndarray
            (size, size) uint8, 0-based ADE20K ids.
        """
        edge = (self.size, self.size)
        return (
            np.asarray(self.picture.resize(edge, Image.Resampling.BOX)),
            np.asarray(self.mask.resize(edge, Image.Resampling.NEAREST)),
        )


def render_picture(place: Place, size: int = 256, variant: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw a place.

    Parameters
    ----------
    place : Place
        What to draw.
    size : int, optional
        Edge in pixels.
    variant : int, optional
        Another picture of the same place: same state, viewpoint and layout, other details.

    Returns
    -------
    picture : numpy.ndarray
        (size, size, 3) uint8, sRGB.
    mask : numpy.ndarray
        (size, size) uint8, 0-based ADE20K ids.
    """
    painter = Painter(size, place, place.rng(f"picture {variant}"))
    painter.heavens()
    scenery.PAINTERS[place.scene](painter, place)
    return painter.finish()


def element_share(mask: np.ndarray) -> np.ndarray:
    """Share of the area of each ADE20K class.

    Parameters
    ----------
    mask : numpy.ndarray
        (H, W) ids between 0 and 149.

    Returns
    -------
    numpy.ndarray
        (150,) float32, summing to 1.
    """
    return (np.bincount(mask.ravel(), minlength=150) / mask.size).astype(np.float32)
