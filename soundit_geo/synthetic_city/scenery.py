"""What stands in each of the twelve scenes, drawn from far to near.

One function per thing (`tree`, `car`, ...), one per scene; `PAINTERS` lists the scenes. Sizes are in picture
heights at depth 1, colours by noon light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundit_geo.synthetic_city.picture import Colour, Painter
    from soundit_geo.synthetic_city.place import Place

__all__ = ["PAINTERS"]

ASPHALT: Colour = (92, 94, 98)
PAVING: Colour = (178, 170, 158)
LAWN: Colour = (112, 160, 74)
LEAVES: tuple[Colour, ...] = ((62, 118, 52), (78, 132, 58), (54, 104, 62))
TRUNK: Colour = (98, 74, 54)
FACADES: tuple[Colour, ...] = (
    (190, 148, 120),
    (206, 192, 168),
    (160, 110, 92),
    (176, 178, 182),
    (214, 204, 190),
)
WINDOW: Colour = (74, 94, 118)
LAMPLIT: Colour = (420, 360, 210)
CARS: tuple[Colour, ...] = ((196, 52, 46), (54, 92, 164), (232, 232, 232), (48, 50, 56), (206, 168, 60))
CLOTHES: tuple[Colour, ...] = ((178, 62, 66), (62, 84, 150), (224, 196, 92), (70, 70, 78), (92, 138, 112))
WATER: Colour = (70, 118, 142)


def _pick(paint: Painter, options: tuple[Colour, ...]) -> Colour:
    return options[int(paint.rng.integers(len(options)))]


def _depths(paint: Painter, count: int, near: float, far: float) -> list[float]:
    """Depths from far to near, evenly spread over the picture rather than over the ground."""
    nearness = sorted(paint.rng.uniform(1.0 / far, 1.0 / near, count))
    return [float(1.0 / value) for value in nearness]


def _count(level: float, most: int) -> int:
    return round(level * most)


# ------------------------------------------------------------------------ things
def tree(paint: Painter, u: float, z: float, height: float = 0.55) -> None:
    """A broad-leaved tree: trunk and a crown of overlapping discs."""
    x, foot = paint.ground(u, z)
    height = height / z * paint.rng.uniform(0.85, 1.2)
    paint.box(x - 0.022 * height, foot - 0.5 * height, x + 0.022 * height, foot, "tree", TRUNK, z=z)
    leaf = _pick(paint, LEAVES)
    for dx, dy, radius in ((-0.17, 0.62, 0.20), (0.17, 0.62, 0.20), (0.0, 0.82, 0.19), (0.0, 0.62, 0.24)):
        dark = 0.92 if dy < 0.7 else 1.06
        tone = (leaf[0] * dark, leaf[1] * dark, leaf[2] * dark)
        paint.disc(x + dx * height, foot - dy * height, radius * height, radius * height, "tree", tone, z=z)


def conifer(paint: Painter, u: float, z: float, height: float = 0.8) -> None:
    """A conifer: trunk and three stacked triangles."""
    x, foot = paint.ground(u, z)
    height = height / z * paint.rng.uniform(0.85, 1.2)
    paint.box(x - 0.018 * height, foot - 0.3 * height, x + 0.018 * height, foot, "tree", TRUNK, z=z)
    for base, width in ((0.15, 0.20), (0.40, 0.16), (0.64, 0.12)):
        points = ((x - width * height, foot - base * height), (x + width * height, foot - base * height))
        paint.polygon((*points, (x, foot - (base + 0.36) * height)), "tree", LEAVES[2], z=z)


def bush(paint: Painter, u: float, z: float, size: float = 0.07) -> None:
    """A bush: three discs on the ground."""
    x, foot = paint.ground(u, z)
    size = size / z
    colour = _pick(paint, LEAVES)
    for dx in (-0.7, 0.0, 0.7):
        paint.disc(x + dx * size, foot - 0.6 * size, size, 0.8 * size, "plant", colour, z=z)


def person(paint: Painter, u: float, z: float, height: float = 0.34) -> None:
    """A standing person: legs, coat, head."""
    x, foot = paint.ground(u, z)
    height = height / z * paint.rng.uniform(0.9, 1.08)
    wide = 0.13 * height
    paint.box(x - 0.6 * wide, foot - 0.48 * height, x + 0.6 * wide, foot, "person", (52, 54, 66), z=z)
    paint.box(
        x - wide, foot - 0.84 * height, x + wide, foot - 0.42 * height, "person", _pick(paint, CLOTHES), z=z
    )
    paint.disc(x, foot - 0.92 * height, 0.085 * height, 0.085 * height, "person", (214, 168, 138), z=z)


def car(paint: Painter, u: float, z: float, width: float = 0.30) -> None:
    """A car seen from behind: body, cabin, window, wheels."""
    x, foot = paint.ground(u, z)
    half, colour = width / z / 2, _pick(paint, CARS)
    for side in (-0.72, 0.72):
        paint.box(
            x + (side - 0.14) * half,
            foot - 0.3 * half,
            x + (side + 0.14) * half,
            foot,
            "car",
            (30, 30, 32),
            z=z,
        )
    paint.box(x - half, foot - 0.85 * half, x + half, foot - 0.18 * half, "car", colour, z=z)
    roof = ((x - 0.62 * half, foot - 1.42 * half), (x + 0.62 * half, foot - 1.42 * half))
    paint.polygon(
        (*roof, (x + 0.82 * half, foot - 0.84 * half), (x - 0.82 * half, foot - 0.84 * half)),
        "car",
        colour,
        z=z,
    )
    paint.box(x - 0.55 * half, foot - 1.3 * half, x + 0.55 * half, foot - 0.9 * half, "car", WINDOW, z=z)
    for side in (-0.8, 0.8):
        lamp = (250, 60, 44)
        paint.box(
            x + (side - 0.14) * half,
            foot - 0.7 * half,
            x + (side + 0.14) * half,
            foot - 0.5 * half,
            "car",
            lamp,
            z=z,
        )


def lorry(paint: Painter, u: float, z: float, element: str, colour: Colour, width: float = 0.36) -> None:
    """A bus or a truck seen from behind: a tall box on wheels."""
    x, foot = paint.ground(u, z)
    half = width / z / 2
    for side in (-0.7, 0.7):
        paint.box(
            x + (side - 0.16) * half,
            foot - 0.4 * half,
            x + (side + 0.16) * half,
            foot,
            element,
            (30, 30, 32),
            z=z,
        )
    paint.box(x - half, foot - 2.3 * half, x + half, foot - 0.2 * half, element, colour, z=z)
    if element == "bus":
        paint.box(x - 0.8 * half, foot - 2.0 * half, x + 0.8 * half, foot - 1.2 * half, element, WINDOW, z=z)
    else:
        shadow = (colour[0] * 0.8, colour[1] * 0.8, colour[2] * 0.8)
        paint.box(
            x - 0.05 * half, foot - 2.2 * half, x + 0.05 * half, foot - 0.4 * half, element, shadow, z=z
        )


def streetlight(paint: Painter, u: float, z: float, height: float = 0.75) -> None:
    """A mast with an arm towards the middle and a lamp."""
    x, foot = paint.ground(u, z)
    height, side = height / z, -1.0 if u > 0 else 1.0
    thin, tip = 0.012 * height, x + side * 0.16 * height
    grey = (84, 88, 92)
    paint.box(x - thin, foot - height, x + thin, foot, "streetlight", grey, z=z)
    paint.box(min(x, tip), foot - height, max(x, tip), foot - height + 2 * thin, "streetlight", grey, z=z)
    lamp = LAMPLIT if paint.night else (220, 220, 210)
    paint.disc(tip, foot - height + 2 * thin, 0.04 * height, 0.022 * height, "streetlight", lamp, z=z)


def bench(paint: Painter, u: float, z: float, width: float = 0.22) -> None:
    """A bench: seat, back, two legs."""
    x, foot = paint.ground(u, z)
    half, wood = width / z / 2, (150, 104, 66)
    for side in (-0.8, 0.8):
        paint.box(
            x + (side - 0.08) * half,
            foot - 0.5 * half,
            x + (side + 0.08) * half,
            foot,
            "bench",
            (70, 66, 62),
            z=z,
        )
    paint.box(x - half, foot - 0.55 * half, x + half, foot - 0.4 * half, "bench", wood, z=z)
    paint.box(x - half, foot - 1.0 * half, x + half, foot - 0.72 * half, "bench", wood, z=z)


def boat(paint: Painter, x: float, y: float, size: float) -> None:
    """A sailing boat at anchor, placed in the picture rather than on the ground."""
    hull = ((x - size, y - 0.3 * size), (x + size, y - 0.3 * size), (x + 0.7 * size, y), (x - 0.7 * size, y))
    paint.polygon(hull, "boat", _pick(paint, ((236, 236, 232), (52, 76, 120), (168, 60, 52))))
    paint.box(x - 0.4 * size, y - 0.6 * size, x + 0.3 * size, y - 0.28 * size, "boat", (226, 222, 210))
    paint.box(x - 0.03 * size, y - 2.4 * size, x + 0.03 * size, y - 0.3 * size, "boat", (110, 92, 76))
    if paint.rng.uniform() < 0.6:
        sail = (
            (x + 0.06 * size, y - 2.2 * size),
            (x + 0.06 * size, y - 0.6 * size),
            (x + 0.9 * size, y - 0.7 * size),
        )
        paint.polygon(sail, "boat", (244, 240, 228))


def facade(
    paint: Painter, u: float, z: tuple[float, float], height: float, element: str = "building"
) -> None:
    """A façade along the street, from depth ``z[0]`` to ``z[1]`` at offset ``u``, with windows."""
    colour = _pick(paint, FACADES)
    dark = 0.86 if (u > 0) == (paint.place.hour < 12) else 1.0
    tone = (colour[0] * dark, colour[1] * dark, colour[2] * dark)

    def at(depth: float, rise: float) -> tuple[float, float]:
        x, foot = paint.ground(u, depth)
        return x, foot - rise / depth

    near, far = z
    corners = (at(near, 0.0), at(far, 0.0), at(far, height), at(near, height))
    paint.polygon(corners, element, tone, z=near, jitter=0.04)
    floors = max(1, round((height - 0.25) / 0.30))
    columns = max(1, round((far - near) / (0.40 * near + 0.15)))
    for floor in range(floors):
        low = 0.28 + floor * 0.30
        for column in range(columns):
            start = near + (far - near) * (column + 0.25) / columns
            stop = near + (far - near) * (column + 0.75) / columns
            pane = LAMPLIT if paint.night and paint.rng.uniform() < 0.4 else WINDOW
            paint.polygon(
                (at(start, low), at(stop, low), at(stop, low + 0.17), at(start, low + 0.17)),
                element,
                pane,
                z=near,
            )


def frontage(paint: Painter, left: float, right: float, foot: float, height: float, z: float = 2.0) -> None:
    """A façade that faces us, with windows and a door."""
    colour = _pick(paint, FACADES)
    paint.box(left, foot - height, right, foot, "building", colour, z=z, jitter=0.03)
    paint.box(left, foot - height, right, foot - height + 0.012, "building", (120, 104, 92), z=z)
    columns, floors = max(1, round((right - left) / 0.065)), max(1, round(height / 0.085) - 1)
    for floor in range(floors):
        top = foot - height + 0.03 + floor * 0.085
        for column in range(columns):
            x = left + (right - left) * (column + 0.5) / columns
            pane = LAMPLIT if paint.night and paint.rng.uniform() < 0.4 else WINDOW
            paint.box(x - 0.014, top, x + 0.014, top + 0.045, "building", pane, z=z)


def house(paint: Painter, left: float, right: float, foot: float, height: float, z: float) -> None:
    """A house that faces us: wall, gabled roof, windows, door."""
    middle, wide = (left + right) / 2, right - left
    paint.box(left, foot - height, right, foot, "house", _pick(paint, FACADES), z=z)
    roof = _pick(paint, ((150, 72, 58), (104, 84, 78), (122, 62, 52)))
    gable = (
        (left - 0.08 * wide, foot - height),
        (right + 0.08 * wide, foot - height),
        (middle, foot - 1.75 * height),
    )
    paint.polygon(gable, "house", roof, z=z)
    pane = LAMPLIT if paint.night else WINDOW
    for x in (left + 0.22 * wide, right - 0.22 * wide):
        paint.box(
            x - 0.09 * wide, foot - 0.75 * height, x + 0.09 * wide, foot - 0.38 * height, "house", pane, z=z
        )
    paint.box(
        middle - 0.07 * wide, foot - 0.55 * height, middle + 0.07 * wide, foot, "house", (92, 62, 48), z=z
    )


def row(paint: Painter, height: float, foot: float | None = None, *, gaps: float = 0.0) -> None:
    """A row of buildings across the picture, behind everything."""
    foot = paint.horizon + 0.02 if foot is None else foot
    x = -0.05
    while x < 1.0:
        width = float(paint.rng.uniform(0.14, 0.28))
        if paint.rng.uniform() >= gaps:
            frontage(paint, x, x + width, foot, height * float(paint.rng.uniform(0.7, 1.15)), z=3.0)
        x += width


def hills(paint: Painter, height: float = 0.12) -> None:
    """Distant hills."""
    for _ in range(2):
        base = paint.horizon + 0.01
        xs = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        ridge = [(x, base - height * float(paint.rng.uniform(0.25, 1.0))) for x in xs]
        paint.polygon([(0.0, base), *ridge, (1.0, base)], "mountain", (112, 128, 128), z=6.0, jitter=0.04)
        height *= 0.6


def hedge_line(paint: Painter, share: float) -> None:
    """A line of distant trees at the horizon, over a share of the width."""
    if share <= 0.02:
        return
    start = float(paint.rng.uniform(0.0, 1.0 - share)) if share < 1 else 0.0
    for index in range(int(share * 22) + 1):
        x = start + index / 22
        radius = float(paint.rng.uniform(0.030, 0.055))
        paint.disc(x, paint.horizon - 0.2 * radius, radius, radius, "tree", _pick(paint, LEAVES), z=5.0)


def ripples(paint: Painter, element: str, top: float, bottom: float, colour: Colour, count: int = 14) -> None:
    """Bright short waves on water."""
    bright = (colour[0] * 1.25, colour[1] * 1.2, colour[2] * 1.16)
    for _ in range(count):
        y = float(paint.rng.uniform(top + 0.01, bottom))
        near = (y - top) / max(1e-3, bottom - top)
        x, half = float(paint.rng.uniform(0, 1)), 0.02 + 0.06 * near
        paint.box(x - half, y, x + half, y + 0.004 + 0.005 * near, element, bright)


# ------------------------------------------------------------------------ scenes
def street(paint: Painter, place: Place) -> None:
    """A city street between façades."""
    wide = float(paint.rng.uniform(0.36, 0.52))
    hedge_line(paint, 0.5 * place.greenery)
    paint.plain("sidewalk", PAVING)
    paint.strip(-wide, wide, "road", ASPHALT)
    _dashes(paint, 0.0)
    height = 0.55 + 1.5 * place.building_height
    for side in (-1.0, 1.0):
        z = 14.0
        while z > 0.8:
            near = max(0.75, z * float(paint.rng.uniform(0.55, 0.72)))
            facade(paint, side * (wide + 0.30), (near, z), height * float(paint.rng.uniform(0.75, 1.2)))
            z = near if near > 0.75 else 0.0
    for z in _depths(paint, _count(place.greenery, 8), 1.6, 8.0):
        tree(paint, float(paint.rng.choice((-1, 1))) * (wide + 0.12), z, 0.8)
    for z in (5.0, 2.6):
        streetlight(paint, float(paint.rng.choice((-1, 1))) * (wide + 0.04), z, 0.9)
    _traffic(paint, place.traffic, wide, most=9, heavy=0.2)
    for z in _depths(paint, _count(place.people, 7), 1.3, 5.0):
        person(paint, float(paint.rng.choice((-1, 1))) * (wide + float(paint.rng.uniform(0.05, 0.2))), z)


def residential(paint: Painter, place: Place) -> None:
    """Houses with gardens along a quiet road."""
    wide = float(paint.rng.uniform(0.22, 0.30))
    hills(paint, 0.06)
    hedge_line(paint, 0.4 + 0.6 * place.greenery)
    paint.plain("grass", LAWN)
    paint.strip(-wide - 0.14, wide + 0.14, "sidewalk", PAVING)
    paint.strip(-wide, wide, "road", ASPHALT)
    for z in (5.5, 3.6, 2.3):
        for side in (-1.0, 1.0):
            x, foot = paint.ground(side * (wide + 0.85), z)
            size = (0.62 + 0.5 * place.building_height) / z
            house(paint, x - 0.55 * size, x + 0.55 * size, foot, 0.55 * size, z)
            if paint.rng.uniform() < 0.3 + 0.7 * place.greenery:
                tree(paint, side * (wide + float(paint.rng.uniform(0.3, 0.45))), z * 0.92, 0.62)
    for side in (-1.0, 1.0):
        _fence(paint, side * (wide + 0.24), 1.2, 5.0, 0.10)
    for z in _depths(paint, _count(place.greenery, 5), 1.2, 3.0):
        bush(paint, float(paint.rng.choice((-1, 1))) * (wide + 0.34), z, 0.09)
    _traffic(paint, place.traffic, wide, most=4, heavy=0.0)
    for z in _depths(paint, _count(place.people, 5), 1.3, 4.0):
        person(paint, float(paint.rng.choice((-1, 1))) * (wide + 0.08), z)


def highway(paint: Painter, place: Place) -> None:
    """A wide road with lanes, guard rails and much traffic."""
    wide = float(paint.rng.uniform(0.80, 1.0))
    hills(paint, 0.10)
    if place.building_height > 0.15:
        row(paint, 0.10 + 0.14 * place.building_height, gaps=0.4)
    hedge_line(paint, place.greenery)
    paint.plain("grass", (134, 154, 86))
    paint.strip(-wide, wide, "road", ASPHALT)
    for lane in (-0.5, 0.0, 0.5):
        _dashes(paint, lane * wide)
    for side in (-1.0, 1.0):
        _fence(paint, side * (wide + 0.06), 1.0, 12.0, 0.11, colour=(176, 180, 184))
    for z in _depths(paint, _count(place.greenery, 6), 2.0, 7.0):
        tree(paint, float(paint.rng.choice((-1, 1))) * (wide + 0.5), z, 0.7)
    if paint.rng.uniform() < 0.6:
        x, foot = paint.ground(0.0, 4.5)
        reach = (wide + 0.1) / 4.5
        top = foot - 0.30
        for side in (-1.0, 1.0):
            paint.box(
                x + side * reach - 0.006,
                top,
                x + side * reach + 0.006,
                foot,
                "signboard",
                (120, 124, 128),
                z=4.5,
            )
        paint.box(
            x - 0.62 * reach, top - 0.03, x + 0.62 * reach, top + 0.05, "signboard", (36, 92, 156), z=2.0
        )
        paint.box(x - reach, top + 0.01, x + reach, top + 0.022, "signboard", (120, 124, 128), z=4.5)
    _traffic(paint, place.traffic, wide, most=12, heavy=0.35, lanes=4)


def plaza(paint: Painter, place: Place) -> None:
    """A paved square with people, a fountain and buildings around."""
    foot = paint.horizon + 0.06
    row(paint, 0.20 + 0.30 * place.building_height, foot)
    paint.plain("floor", (200, 186, 166), top=foot)
    seam = (182, 168, 148)
    for u in (-2.4, -1.6, -0.8, 0.0, 0.8, 1.6, 2.4):
        near, far = paint.ground(u, 0.75), paint.ground(u, (1 - paint.horizon) / 0.06)
        paint.polygon((near, far, (far[0] + 0.002, far[1]), (near[0] + 0.012, near[1])), "floor", seam)
    for z in _depths(paint, _count(place.greenery, 7), 2.2, 5.0):
        tree(paint, float(paint.rng.uniform(-1.6, 1.6)), z, 0.6)
    if place.water > 0.08:
        x, y = paint.ground(float(paint.rng.uniform(-0.4, 0.4)), 2.6)
        size = 0.06 + 0.09 * place.water
        paint.disc(x, y, 1.5 * size, 0.42 * size, "fountain", (150, 142, 132))
        paint.disc(x, y - 0.05 * size, 1.3 * size, 0.32 * size, "fountain", (112, 168, 190))
        paint.box(x - 0.05 * size, y - 1.5 * size, x + 0.05 * size, y, "fountain", (214, 232, 240))
        paint.disc(x, y - 1.45 * size, 0.42 * size, 0.34 * size, "fountain", (222, 236, 242))
    for u in (-0.8, 0.8):
        if paint.rng.uniform() < 0.6:
            bench(paint, u, 2.0)
    streetlight(paint, float(paint.rng.choice((-0.9, 0.9))), 2.8, 0.8)
    for z in _depths(paint, 2 + _count(place.people, 14), 1.25, 6.0):
        person(paint, float(paint.rng.uniform(-0.42, 0.42)) * z, z)


def park(paint: Painter, place: Place) -> None:
    """Lawn, trees, a winding path, perhaps a pond."""
    if place.building_height > 0.12:
        row(paint, 0.08 + 0.25 * place.building_height, gaps=0.3)
    hedge_line(paint, 1.0)
    paint.plain("grass", (106, 164, 72))
    bend = float(paint.rng.uniform(-0.5, 0.5))
    _winding(paint, bend, 0.20, "path", (204, 184, 146))
    if place.water > 0.15:
        side = -1.0 if bend > 0 else 1.0
        x, y = paint.ground(side * 0.95, 2.4)
        paint.disc(x, y, 0.10 + 0.20 * place.water, 0.025 + 0.06 * place.water, "water", WATER)
    for z in _depths(paint, 3 + _count(place.greenery, 7), 1.7, 7.0):
        side = float(paint.rng.choice((-1, 1)))
        tree(paint, side * float(paint.rng.uniform(0.55, 1.5)), z, 0.75)
    if paint.rng.uniform() < 0.7:
        bench(paint, 0.42 * float(paint.rng.choice((-1, 1))), 1.9)
    for z in _depths(paint, _count(place.people, 7), 1.4, 4.5):
        person(paint, float(paint.rng.uniform(-0.5, 0.5)), z, 0.30)


def forest(paint: Painter, place: Place) -> None:
    """A path under close trees; little sky."""
    for _ in range(36):
        x, y = float(paint.rng.uniform(0, 1)), float(paint.rng.uniform(0.10, paint.horizon))
        radius = float(paint.rng.uniform(0.07, 0.12))
        paint.disc(x, y, radius, radius, "tree", _pick(paint, LEAVES), z=4.0, jitter=0.08)
    paint.plain("plant", (74, 104, 48))
    _winding(paint, float(paint.rng.uniform(-0.4, 0.4)), 0.24, "path", (142, 112, 80))
    for z in _depths(paint, 10 + _count(place.greenery, 8), 1.15, 8.0):
        u = float(paint.rng.choice((-1, 1))) * float(paint.rng.uniform(0.42, 1.5))
        if paint.rng.uniform() < 0.5:
            conifer(paint, u, z, 1.25)
        else:
            x, foot = paint.ground(u, z)
            paint.box(x - 0.03 / z, 0.0, x + 0.03 / z, foot, "tree", TRUNK, z=z, jitter=0.06)
    for _ in range(14):
        x, y = float(paint.rng.uniform(0, 1)), float(paint.rng.uniform(-0.02, 0.14))
        paint.disc(x, y, 0.10, 0.08, "tree", _pick(paint, LEAVES), jitter=0.08)
    for z in _depths(paint, 4, 1.1, 3.0):
        bush(paint, float(paint.rng.choice((-1, 1))) * float(paint.rng.uniform(0.35, 0.6)), z, 0.06)
    for z in _depths(paint, _count(place.people, 8), 1.8, 4.0):
        person(paint, float(paint.rng.uniform(-0.1, 0.1)), z, 0.30)


def beach(paint: Painter, place: Place) -> None:
    """Sea, surf and sand."""
    shore = paint.horizon + 0.08 + 0.24 * place.water
    colour = (58, 128, 160)
    paint.box(0.0, paint.horizon, 1.0, shore + 0.05, "sea", colour)
    ripples(paint, "sea", paint.horizon, shore, colour)
    slope = float(paint.rng.uniform(-0.10, 0.10))
    sand = ((0.0, shore + slope / 2), (1.0, shore - slope / 2), (1.0, 1.0), (0.0, 1.0))
    foam = ((0.0, shore + slope / 2 - 0.022), (1.0, shore - slope / 2 - 0.022), sand[1], sand[0])
    paint.polygon(foam, "sea", (236, 242, 244))
    paint.polygon(sand, "sand", (226, 204, 158))
    for _ in range(int(paint.rng.integers(0, 4))):
        x, y = float(paint.rng.uniform(0, 1)), float(paint.rng.uniform(shore + 0.04, 0.95))
        paint.disc(x, y, 0.05, 0.025, "rock", (122, 116, 108), jitter=0.08)
    if paint.rng.uniform() < 0.4:
        boat(paint, float(paint.rng.uniform(0.1, 0.9)), paint.horizon + 0.035, 0.035)
    for z in _depths(paint, 1 + _count(place.people, 8), 1.2, 3.0):
        x, _y = paint.ground(0.0, z)
        if paint.ground(0.0, z)[1] > shore + 0.05:
            u = float(paint.rng.uniform(-0.45, 0.45)) * z
            if paint.rng.uniform() < 0.35:
                _parasol(paint, u, z)
            else:
                person(paint, u, z, 0.28)
    if place.greenery > 0.08:
        for side in (-1.0, 1.0):
            bush(paint, side * 0.55, 1.25, 0.05 + 0.25 * place.greenery)


def harbor(paint: Painter, place: Place) -> None:
    """A quay, boats, warehouses and a crane across the water."""
    far = paint.horizon + 0.03
    row(paint, 0.12 + 0.20 * place.building_height, far, gaps=0.2)
    for _ in range(2):
        _crane(paint, float(paint.rng.uniform(0.1, 0.9)), far, float(paint.rng.uniform(0.22, 0.34)))
    paint.box(0.0, far, 1.0, 1.0, "water", (66, 104, 124))
    quay = 0.84 - 0.10 * (1 - place.water)
    ripples(paint, "water", far, quay, (66, 104, 124), 18)
    for index, y in enumerate(sorted(paint.rng.uniform(far + 0.06, quay - 0.02, 3 + _count(place.water, 4)))):
        near = (float(y) - far) / (quay - far)
        boat(
            paint, float((index * 0.37 + paint.rng.uniform(0.0, 0.25)) % 1.0), float(y), 0.045 + 0.075 * near
        )
    paint.box(0.0, quay, 1.0, 1.0, "sidewalk", (166, 160, 150))
    paint.box(0.0, quay, 1.0, quay + 0.018, "sidewalk", (120, 114, 106))
    for x in (0.15, 0.5, 0.85):
        paint.box(x - 0.012, quay - 0.03, x + 0.012, quay + 0.01, "sidewalk", (58, 58, 62))
    for _ in range(_count(place.people, 7)):
        person(paint, float(paint.rng.uniform(-0.45, 0.45)), 1.12, 0.30)


def river(paint: Painter, place: Place) -> None:
    """A river between green banks, with a bridge."""
    if place.building_height > 0.15:
        row(paint, 0.08 + 0.25 * place.building_height, gaps=0.35)
    hills(paint, 0.07)
    hedge_line(paint, 1.0)
    paint.plain("grass", (118, 158, 80))
    wide, colour = 0.40 + 0.45 * place.water, (74, 122, 132)
    shift = float(paint.rng.uniform(-0.25, 0.25))
    paint.strip(shift - wide, shift + wide, "river", colour, far=9.0)
    for z in _depths(paint, 9, 1.05, 6.0):
        x, y = paint.ground(shift + float(paint.rng.uniform(-0.7, 0.7)) * wide, z)
        paint.box(x - 0.07 / z, y, x + 0.07 / z, y + 0.012 / z, "river", (108, 152, 160), z=z)
    if paint.rng.uniform() < 0.65:
        z = 4.2
        (left, y), (right, _) = paint.ground(shift - wide - 0.25, z), paint.ground(shift + wide + 0.25, z)
        stone = (164, 150, 134)
        paint.box(left, y - 0.115, right, y - 0.065, "bridge", stone, z=z)
        for share in (0.0, 0.33, 0.67, 1.0):
            x = left + share * (right - left)
            paint.box(x - 0.012, y - 0.07, x + 0.012, y + 0.01, "bridge", stone, z=z)
    for z in _depths(paint, 2 + _count(place.greenery, 8), 1.4, 6.0):
        tree(
            paint,
            shift + float(paint.rng.choice((-1, 1))) * (wide + float(paint.rng.uniform(0.2, 0.7))),
            z,
            0.6,
        )
    for z in _depths(paint, 3, 1.1, 2.4):
        bush(paint, shift + float(paint.rng.choice((-1, 1))) * (wide + 0.05), z, 0.06)
    for z in _depths(paint, _count(place.people, 6), 1.6, 4.0):
        person(paint, shift + float(paint.rng.choice((-1, 1))) * (wide + 0.15), z, 0.28)


def field(paint: Painter, place: Place) -> None:
    """Open land under a wide sky, furrows, a fence, distant hills."""
    hills(paint, 0.16)
    hedge_line(paint, 0.2 + 0.4 * place.greenery)
    colour = (196 - 70 * place.greenery, 178 - 4 * place.greenery, 96 - 24 * place.greenery)
    paint.plain("field", colour)
    furrow = (colour[0] * 0.88, colour[1] * 0.9, colour[2] * 0.86)
    for u in range(-14, 15, 2):
        near, far = paint.ground(0.45 * u, 0.75), paint.ground(0.45 * u, 40.0)
        paint.polygon((near, far, (near[0] + 0.03, near[1])), "field", furrow)
    if place.water > 0.06:
        x, y = paint.ground(float(paint.rng.uniform(-0.6, 0.6)), 3.0)
        paint.disc(x, y, 0.10 + 0.3 * place.water, 0.015 + 0.07 * place.water, "water", WATER)
    if paint.rng.uniform() < 0.6:
        _fence(paint, float(paint.rng.choice((-0.8, 0.8))), 1.0, 8.0, 0.14, colour=(128, 100, 72))
    for z in _depths(paint, 1 + _count(place.greenery, 3), 2.5, 8.0):
        tree(paint, float(paint.rng.uniform(-0.45, 0.45)) * z, z, 0.8)
    for z in _depths(paint, 5, 1.05, 2.5):
        bush(paint, float(paint.rng.uniform(-0.5, 0.5)) * z, z, 0.04)


def market(paint: Painter, place: Place) -> None:
    """Stalls under coloured awnings, crowds, houses behind."""
    foot = paint.horizon + 0.04
    row(paint, 0.24 + 0.24 * place.building_height, foot)
    paint.plain("sidewalk", (186, 174, 158), top=foot)
    stripes: tuple[Colour, ...] = ((206, 64, 58), (62, 120, 176), (232, 180, 62), (74, 146, 92))
    for z in (4.6, 3.0, 2.0):
        for side in (-1.0, 1.0):
            _stall(paint, side * float(paint.rng.uniform(0.62, 0.76)), z, _pick(paint, stripes))
        for _ in range(1 + _count(place.people, 3)):
            person(
                paint, float(paint.rng.uniform(-0.34, 0.34)), z * float(paint.rng.uniform(0.82, 1.0)), 0.32
            )
    for z in _depths(paint, _count(place.greenery, 4), 3.0, 5.0):
        tree(paint, float(paint.rng.choice((-1, 1))) * 1.4, z, 0.6)
    for _ in range(_count(place.people, 3)):
        person(paint, float(paint.rng.uniform(-0.4, 0.4)), 1.35, 0.36)


def construction(paint: Painter, place: Place) -> None:
    """A building site: crane, bare frame, earth, fence, machines."""
    base = paint.horizon + 0.04
    row(paint, 0.10 + 0.10 * place.building_height, gaps=0.5)
    _crane(paint, float(paint.rng.uniform(0.12, 0.88)), base, 0.36 + 0.08 * place.building_height)
    paint.plain("earth", (176, 140, 98))
    left = float(paint.rng.uniform(0.12, 0.45))
    floors, wide = 2 + round(3 * place.building_height), 0.34
    grey = (158, 156, 152)
    for floor in range(floors + 1):
        y = base + 0.03 - floor * 0.075
        paint.box(left, y - 0.014, left + wide, y, "building", grey)
        if floor < floors:
            for column in range(5):
                x = left + wide * column / 4
                paint.box(x - 0.008, y - 0.075, x + 0.008, y, "building", grey)
    for _ in range(2):
        x, y = paint.ground(float(paint.rng.uniform(-0.8, 0.8)), float(paint.rng.uniform(1.8, 3.0)))
        size = float(paint.rng.uniform(0.07, 0.13))
        paint.polygon(
            ((x - size, y), (x, y - 0.7 * size), (x + size, y)), "rock", (132, 122, 112), jitter=0.06
        )
    for z in _depths(paint, 1 + _count(place.traffic, 4), 1.8, 4.0):
        lorry(paint, float(paint.rng.uniform(-0.35, 0.35)) * z, z, "truck", (226, 164, 44), 0.30)
    for z in _depths(paint, 1 + _count(place.people, 6), 1.5, 3.0):
        person(paint, float(paint.rng.uniform(-0.4, 0.4)) * z, z, 0.28)
    top = 0.80
    for index in range(9):
        x = index / 8
        paint.box(x - 0.007, top, x + 0.007, 0.98, "fence", (216, 110, 40))
    for y in (top + 0.03, top + 0.10):
        paint.box(0.0, y, 1.0, y + 0.022, "fence", (232, 232, 226))


# --------------------------------------------------------------------- groupings
def _dashes(paint: Painter, u: float) -> None:
    z = 0.8
    while z < 16.0:
        corners = (paint.ground(u - 0.012, z), paint.ground(u + 0.012, z))
        ends = (paint.ground(u + 0.012, z * 1.22), paint.ground(u - 0.012, z * 1.22))
        paint.polygon((*corners, *ends), "road", (226, 226, 220), z=min(z, 6.0))
        z *= 1.55


def _fence(
    paint: Painter, u: float, near: float, far: float, height: float, colour: Colour = (206, 200, 188)
) -> None:
    (x0, y0), (x1, y1) = paint.ground(u, near), paint.ground(u, far)
    for share in (0.45, 0.95):
        low, high = share * height, (share - 0.22) * height
        rail = ((x0, y0 - low / near), (x1, y1 - low / far), (x1, y1 - high / far), (x0, y0 - high / near))
        paint.polygon(rail, "fence", colour)
    z = far
    while z > near:
        x, y = paint.ground(u, z)
        paint.box(x - 0.008 / z, y - height / z, x + 0.008 / z, y, "fence", colour, z=z)
        z /= 1.25


def _traffic(paint: Painter, level: float, wide: float, *, most: int, heavy: float, lanes: int = 2) -> None:
    for z in _depths(paint, _count(level, most), 1.35, 9.0):
        lane = int(paint.rng.integers(lanes))
        u = wide * (2 * (lane + 0.5) / lanes - 1)
        size = 0.62 * wide * 2 / lanes
        if paint.rng.uniform() < heavy:
            if paint.rng.uniform() < 0.5:
                lorry(paint, u, z, "bus", (204, 62, 50), size * 1.2)
            else:
                lorry(paint, u, z, "truck", (222, 222, 216), size * 1.2)
        else:
            car(paint, u, z, size)


def _winding(paint: Painter, bend: float, wide: float, element: str, colour: Colour) -> None:
    left, right = [], []
    z = 0.75
    while z < 14.0:
        middle = bend * (1.0 - 1.0 / z) ** 2 * z * 0.8
        left.append(paint.ground(middle - wide, z))
        right.append(paint.ground(middle + wide, z))
        z *= 1.25
    paint.polygon([*left, *reversed(right)], element, colour)


def _parasol(paint: Painter, u: float, z: float) -> None:
    x, foot = paint.ground(u, z)
    size = 0.30 / z
    paint.box(x - 0.02 * size, foot - size, x + 0.02 * size, foot, "awning", (238, 236, 228), z=z)
    roof = (
        (x - 0.5 * size, foot - 0.72 * size),
        (x + 0.5 * size, foot - 0.72 * size),
        (x, foot - 1.05 * size),
    )
    paint.polygon(roof, "awning", _pick(paint, ((206, 64, 58), (62, 120, 176), (232, 180, 62))), z=z)


def _stall(paint: Painter, u: float, z: float, colour: Colour) -> None:
    x, foot = paint.ground(u, z)
    wide, height = 0.40 / z, 0.46 / z
    for side in (-0.92, 0.92):
        paint.box(
            x + side * wide / 2 - 0.008,
            foot - height,
            x + side * wide / 2 + 0.008,
            foot,
            "awning",
            (150, 140, 128),
            z=z,
        )
    paint.box(
        x - wide / 2, foot - 0.42 * height, x + wide / 2, foot - 0.05 * height, "awning", (146, 106, 70), z=z
    )
    for index in range(6):
        left = x - 0.56 * wide + index * 1.12 * wide / 6
        tone = colour if index % 2 == 0 else (238, 234, 224)
        paint.box(
            left, foot - 1.08 * height, left + 1.12 * wide / 6, foot - 0.78 * height, "awning", tone, z=z
        )


def _crane(paint: Painter, x: float, foot: float, height: float) -> None:
    yellow, reach = (226, 178, 52), (1.0 if x < 0.5 else -1.0) * 0.75 * height
    paint.box(x - 0.011, foot - height, x + 0.011, foot, "tower", yellow)
    paint.box(
        min(x - 0.25 * reach, x + reach),
        foot - height,
        max(x - 0.25 * reach, x + reach),
        foot - height + 0.018,
        "tower",
        yellow,
    )
    hook = x + 0.7 * reach
    paint.box(hook - 0.003, foot - height, hook + 0.003, foot - 0.6 * height, "tower", (74, 74, 78))
    paint.box(x - 0.02, foot - height - 0.035, x + 0.02, foot - height, "tower", yellow)


PAINTERS: dict[str, Callable[[Painter, Place], None]] = {
    "street": street,
    "residential_neighborhood": residential,
    "highway": highway,
    "plaza": plaza,
    "park": park,
    "forest_path": forest,
    "beach": beach,
    "harbor": harbor,
    "river": river,
    "field/wild": field,
    "market/outdoor": market,
    "construction_site": construction,
}
