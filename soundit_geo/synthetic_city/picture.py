"""Draw a place: one street-level picture, and the element mask that is exact by construction.

Every shape is drawn twice with the same outline, once in colour and once as its ADE20K class, both at a
multiple of the asked size; the colours are then averaged (anti-aliasing) and the mask is sampled.

Frame: ``x`` runs right and ``y`` down, both 0 to 1 across the picture. The ground is a plane seen from eye
height: a point at depth ``z`` (1 = lower edge, growing with distance) and lateral offset ``u`` (picture
widths at the lower edge, 0 = middle) appears at ``x = vanish + u / z``, ``y = horizon + (1 - horizon) / z``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from soundit_geo.synthetic_city import scenery

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        self.horizon = float(rng.uniform(0.42, 0.52))
        self.vanish = float(rng.uniform(0.40, 0.60))
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
        return self.vanish + u / z, self.horizon + (1.0 - self.horizon) / z

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
        near = 0.75
        corners = [self.ground(left, near), self.ground(left, far), self.ground(right, far)]
        self.polygon([*corners, self.ground(right, near)], element, colour)

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
        clouds = {"clear": 1, "cloudy": 5, "overcast": 0, "rain": 0}[self.place.weather]
        for _ in range(int(self.rng.integers(clouds + 1))):
            x, y = self.rng.uniform(0, 1), self.rng.uniform(0.04, self.horizon * 0.6)
            width = self.rng.uniform(0.08, 0.18)
            for step in (-0.7, -0.2, 0.3, 0.8):
                bump = width * self.rng.uniform(0.3, 0.55)
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
        Another picture of the same place: same state, other viewpoint and details.

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
