"""The things that stand in the scenes: trees, vehicles, people, houses, furniture, distant lines.

One function per thing. A thing stands at a lateral offset ``u`` and a depth ``z`` of the ground; sizes are in
picture heights at depth 1, colours by noon light. Everything random comes from the painter's current stream. They
are the hands of `scenery` and of nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soundit_geo.synthetic_city.picture import Colour, Painter, Point

__all__ = ["toned"]

ASPHALT: Colour = (92, 94, 98)
PAVING: Colour = (178, 170, 158)
LAWN: Colour = (112, 160, 74)
EARTH: Colour = (176, 140, 98)
LEAVES: tuple[Colour, ...] = ((62, 118, 52), (84, 138, 58), (54, 104, 62), (112, 142, 56))
TRUNK: Colour = (98, 74, 54)
STEEL: Colour = (84, 88, 92)
TYRE: Colour = (30, 30, 32)
WALLS: tuple[Colour, ...] = (
    (190, 148, 120),
    (206, 192, 168),
    (160, 110, 92),
    (176, 178, 182),
    (214, 204, 190),
    (196, 176, 112),
    (148, 166, 172),
)
WINDOW: Colour = (74, 94, 118)
LAMPLIT: Colour = (420, 360, 210)
CARS: tuple[Colour, ...] = ((196, 52, 46), (54, 92, 164), (232, 232, 232), (48, 50, 56), (206, 168, 60))
CLOTHES: tuple[Colour, ...] = ((178, 62, 66), (62, 84, 150), (224, 196, 92), (70, 70, 78), (92, 138, 112))
CLOTHS: tuple[Colour, ...] = ((206, 64, 58), (62, 120, 176), (232, 180, 62), (74, 146, 92))
POND: Colour = (70, 118, 142)
WHITE: Colour = (238, 236, 228)


def toned(colour: Colour, factor: float) -> Colour:
    """A colour made darker or brighter.

    Parameters
    ----------
    colour : tuple of float
        Red, green, blue.
    factor : float
        Below 1 darker.

    Returns
    -------
    tuple of float
        Red, green, blue.
    """
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def pick(paint: Painter, options: tuple[Colour, ...]) -> Colour:
    """One of several colours."""
    return options[int(paint.rng.integers(len(options)))]


def _pane(paint: Painter) -> Colour:
    return LAMPLIT if paint.night and paint.rng.uniform() < 0.4 else WINDOW


# ------------------------------------------------------------------------ plants
def tree(paint: Painter, u: float, z: float, height: float = 0.55, kind: str = "round") -> None:
    """A tree: ``round``, ``column``, ``conifer``, ``birch``, ``palm`` or ``small`` (a clipped street tree)."""
    x, foot = paint.ground(u, z)
    height = height / z * float(paint.rng.uniform(0.9, 1.12))
    leaf = pick(paint, LEAVES)
    if kind == "conifer":
        _stem(paint, x, foot, height, 0.3, 0.022, TRUNK, z)
        for base, width in ((0.12, 0.21), (0.38, 0.17), (0.62, 0.12)):
            corners = (
                (x - width * height, foot - base * height),
                (x + width * height, foot - base * height),
                (x, foot - (base + 0.38) * height),
            )
            paint.polygon(corners, "tree", toned(LEAVES[2], 0.86 + 0.3 * base), z=z)
    elif kind == "column":
        _stem(paint, x, foot, height, 0.3, 0.022, TRUNK, z)
        paint.disc(x, foot - 0.60 * height, 0.13 * height, 0.46 * height, "tree", toned(leaf, 0.9), z=z)
        paint.disc(x - 0.02 * height, foot - 0.66 * height, 0.09 * height, 0.36 * height, "tree", leaf, z=z)
    elif kind == "birch":
        _stem(paint, x, foot, height, 0.7, 0.02, (226, 222, 212), z)
        for dx, dy, wide in ((0.10, 0.55, 0.12), (-0.10, 0.66, 0.13), (0.03, 0.80, 0.14)):
            paint.disc(
                x + dx * height, foot - dy * height, wide * height, 0.15 * height, "tree", (140, 172, 74), z=z
            )
    elif kind == "palm":
        _palm(paint, x, foot, height, z)
    elif kind == "small":
        _stem(paint, x, foot, height, 0.5, 0.022, TRUNK, z)
        paint.disc(x, foot - 0.68 * height, 0.25 * height, 0.28 * height, "tree", toned(leaf, 0.92), z=z)
        paint.disc(
            x - 0.05 * height,
            foot - 0.74 * height,
            0.16 * height,
            0.18 * height,
            "tree",
            toned(leaf, 1.1),
            z=z,
        )
    else:
        _stem(paint, x, foot, height, 0.5, 0.028, TRUNK, z)
        for dx, dy, radius in ((-0.17, 0.60, 0.20), (0.17, 0.62, 0.20), (0.0, 0.80, 0.20), (0.0, 0.62, 0.24)):
            tone = toned(leaf, 0.92 if dy < 0.7 else 1.08)
            paint.disc(
                x + dx * height, foot - dy * height, radius * height, radius * height, "tree", tone, z=z
            )


def _stem(
    paint: Painter, x: float, foot: float, height: float, share: float, wide: float, colour: Colour, z: float
) -> None:
    paint.box(x - wide * height, foot - share * height, x + wide * height, foot, "tree", colour, z=z)


def _palm(paint: Painter, x: float, foot: float, height: float, z: float) -> None:
    lean = height * float(paint.rng.uniform(-0.14, 0.14))
    top, half = foot - 0.80 * height, 0.024 * height
    trunk = ((x - half, foot), (x + half, foot), (x + lean + half, top), (x + lean - half, top))
    paint.polygon(trunk, "tree", (150, 118, 84), z=z)
    for dx, dy in ((-0.36, 0.12), (0.36, 0.12), (-0.32, -0.10), (0.32, -0.10), (-0.12, -0.2), (0.14, -0.2)):
        tip = (x + lean + dx * height, top + dy * height)
        knee = (x + lean + 0.5 * dx * height, top + (0.5 * dy - 0.12) * height)
        under = (x + lean + 0.5 * dx * height, top + (0.5 * dy - 0.01) * height)
        paint.polygon(((x + lean, top), knee, tip, under), "tree", (84, 136, 62), z=z)


def bush(paint: Painter, u: float, z: float, size: float = 0.07) -> None:
    """A bush: three discs on the ground."""
    x, foot = paint.ground(u, z)
    size, colour = size / z, pick(paint, LEAVES)
    for dx, rise in ((-0.8, 0.6), (0.8, 0.55), (0.0, 0.75)):
        paint.disc(x + dx * size, foot - rise * size, size, 0.85 * size, "plant", colour, z=z)


def hedge(paint: Painter, u: float, near: float, far: float, height: float) -> None:
    """A clipped hedge along the street."""
    paint.wall(u, near, far, height, "plant", (70, 116, 56))
    paint.wall(u, near, far, height, "plant", (92, 140, 66), low=0.78 * height)


# ------------------------------------------------------------------------ people and vehicles
def person(paint: Painter, u: float, z: float, height: float = 0.34) -> None:
    """A standing person: legs, coat, head; now and then a child or a skirt."""
    x, foot = paint.ground(u, z)
    height = height / z * float(paint.rng.uniform(0.9, 1.08)) * (0.72 if paint.rng.uniform() < 0.12 else 1.0)
    wide, coat = 0.14 * height, pick(paint, CLOTHES)
    paint.box(x - 0.65 * wide, foot - 0.48 * height, x + 0.65 * wide, foot, "person", (52, 54, 66), z=z)
    flare = 1.5 if paint.rng.uniform() < 0.3 else 1.0
    hem = 0.28 if flare > 1 else 0.42
    corners = (
        (x - wide, foot - 0.84 * height),
        (x + wide, foot - 0.84 * height),
        (x + flare * wide, foot - hem * height),
        (x - flare * wide, foot - hem * height),
    )
    paint.polygon(corners, "person", coat, z=z)
    paint.disc(x, foot - 0.92 * height, 0.09 * height, 0.09 * height, "person", (214, 168, 138), z=z)


def car(paint: Painter, u: float, z: float, width: float = 0.30, *, front: bool = False) -> None:
    """A car or a van seen from behind or from the front."""
    x, foot = paint.ground(u, z)
    half, colour, van = width / z / 2, pick(paint, CARS), paint.rng.uniform() < 0.2
    for side in (-0.74, 0.74):
        paint.box(
            x + (side - 0.16) * half, foot - 0.3 * half, x + (side + 0.16) * half, foot, "car", TYRE, z=z
        )
    roof, slope = (1.9, 0.86) if van else (1.45, 0.62)
    corners = (
        (x - slope * half, foot - roof * half),
        (x + slope * half, foot - roof * half),
        (x + 0.9 * half, foot - 0.84 * half),
        (x - 0.9 * half, foot - 0.84 * half),
    )
    paint.polygon(corners, "car", toned(colour, 0.92), z=z)
    paint.box(x - half, foot - 0.9 * half, x + half, foot - 0.16 * half, "car", colour, z=z)
    inner = 0.86 * slope
    glass = (
        (x - inner * half, foot - (roof - 0.12) * half),
        (x + inner * half, foot - (roof - 0.12) * half),
        (x + 0.74 * half, foot - 0.92 * half),
        (x - 0.74 * half, foot - 0.92 * half),
    )
    paint.polygon(glass, "car", (120, 148, 170) if front else WINDOW, z=z)
    lamp = (LAMPLIT if paint.night else (250, 246, 220)) if front else (250, 60, 44)
    for side in (-0.78, 0.78):
        paint.box(
            x + (side - 0.17) * half,
            foot - 0.72 * half,
            x + (side + 0.17) * half,
            foot - 0.48 * half,
            "car",
            lamp,
            z=z,
        )
    if front:
        paint.box(x - 0.42 * half, foot - 0.6 * half, x + 0.42 * half, foot - 0.4 * half, "car", TYRE, z=z)


def lorry(
    paint: Painter, u: float, z: float, element: str, width: float = 0.36, *, front: bool = False
) -> None:
    """A bus or a truck seen from behind or from the front: a tall box on wheels."""
    x, foot = paint.ground(u, z)
    half = width / z / 2
    if element == "bus":
        colour = pick(paint, ((204, 62, 50), (62, 128, 178), (232, 190, 70)))
    else:
        colour = pick(paint, ((222, 222, 216), (226, 164, 44), (96, 132, 96)))
    for side in (-0.7, 0.7):
        paint.box(
            x + (side - 0.17) * half, foot - 0.4 * half, x + (side + 0.17) * half, foot, element, TYRE, z=z
        )
    paint.box(x - half, foot - 2.3 * half, x + half, foot - 0.2 * half, element, colour, z=z)
    dark = toned(colour, 0.78)
    if element == "bus" or front:
        low = 1.0 if element == "bus" else 1.15
        paint.box(
            x - 0.82 * half, foot - 2.0 * half, x + 0.82 * half, foot - low * half, element, WINDOW, z=z
        )
    else:
        paint.box(x - 0.06 * half, foot - 2.2 * half, x + 0.06 * half, foot - 0.4 * half, element, dark, z=z)
    paint.box(x - half, foot - 0.42 * half, x + half, foot - 0.2 * half, element, dark, z=z)
    lamp = (250, 246, 220) if front else (250, 60, 44)
    for side in (-0.78, 0.78):
        paint.box(
            x + (side - 0.15) * half,
            foot - 0.7 * half,
            x + (side + 0.15) * half,
            foot - 0.48 * half,
            element,
            lamp,
            z=z,
        )


def digger(paint: Painter, u: float, z: float, width: float = 0.5) -> None:
    """An excavator from the side: tracks, cab, boom (a truck by its class)."""
    x, foot = paint.ground(u, z)
    half, side = width / z / 2, float(paint.rng.choice((-1.0, 1.0)))
    yellow = (226, 164, 44)
    paint.box(x - 0.8 * half, foot - 0.36 * half, x + 0.8 * half, foot, "truck", (58, 56, 54), z=z)
    paint.box(x - 0.7 * half, foot - 0.85 * half, x + 0.7 * half, foot - 0.36 * half, "truck", yellow, z=z)
    cab = sorted((x - side * 0.1 * half, x + side * 0.5 * half))
    paint.box(cab[0], foot - 1.35 * half, cab[1], foot - 0.8 * half, "truck", WINDOW, z=z)
    knee, tip = (x + side * 1.2 * half, foot - 1.7 * half), (x + side * 1.7 * half, foot - 0.5 * half)
    arm = ((x + side * 0.5 * half, foot - 0.6 * half), knee, (knee[0], knee[1] + 0.24 * half))
    paint.polygon((*arm, (x + side * 0.6 * half, foot - 0.4 * half)), "truck", yellow, z=z)
    fore = (knee, (knee[0] + side * 0.12 * half, knee[1]), tip, (tip[0] - side * 0.2 * half, tip[1]))
    paint.polygon(fore, "truck", yellow, z=z)
    bucket = (tip, (tip[0] - side * 0.35 * half, tip[1]), (tip[0] - side * 0.2 * half, tip[1] + 0.32 * half))
    paint.polygon(bucket, "truck", (70, 66, 62), z=z)


def boat(paint: Painter, x: float, y: float, size: float) -> None:
    """A sailing boat or a motor boat, placed in the picture rather than on the ground."""
    hull = (
        (x - size, y - 0.34 * size),
        (x + size, y - 0.34 * size),
        (x + 0.7 * size, y),
        (x - 0.7 * size, y),
    )
    paint.polygon(hull, "boat", pick(paint, ((236, 236, 232), (52, 76, 120), (168, 60, 52))))
    cabin = 0.95 if paint.rng.uniform() < 0.4 else 0.6
    paint.box(x - 0.45 * size, y - cabin * size, x + 0.3 * size, y - 0.32 * size, "boat", (226, 222, 210))
    if cabin > 0.9:
        paint.box(x - 0.35 * size, y - 0.82 * size, x + 0.2 * size, y - 0.58 * size, "boat", WINDOW)
        return
    paint.box(x - 0.04 * size, y - 2.4 * size, x + 0.04 * size, y - 0.3 * size, "boat", (110, 92, 76))
    if paint.rng.uniform() < 0.7:
        side = float(paint.rng.choice((-1.0, 1.0)))
        paint.polygon(
            (
                (x + side * 0.07 * size, y - 2.2 * size),
                (x + side * 0.07 * size, y - 0.6 * size),
                (x + side * 0.9 * size, y - 0.7 * size),
            ),
            "boat",
            (244, 240, 228),
        )


# ------------------------------------------------------------------------ furniture
def streetlight(paint: Painter, u: float, z: float, height: float = 0.75, side: float | None = None) -> None:
    """A mast with an arm towards the middle and a lamp."""
    x, foot = paint.ground(u, z)
    side = (-1.0 if u > 0 else 1.0) if side is None else side
    height = height / z
    thin, tip = 0.014 * height, x + side * 0.17 * height
    paint.box(x - thin, foot - height, x + thin, foot, "streetlight", STEEL, z=z)
    paint.box(min(x, tip), foot - height, max(x, tip), foot - height + 2 * thin, "streetlight", STEEL, z=z)
    lamp = LAMPLIT if paint.night else (220, 220, 210)
    paint.disc(tip, foot - height + 2 * thin, 0.05 * height, 0.026 * height, "streetlight", lamp, z=z)


def sign(paint: Painter, u: float, z: float, height: float = 0.46) -> None:
    """A signboard on a post."""
    x, foot = paint.ground(u, z)
    height = height / z
    paint.box(x - 0.025 * height, foot - height, x + 0.025 * height, foot, "signboard", STEEL, z=z)
    board = pick(paint, ((36, 92, 156), (232, 190, 70), (196, 62, 54), (60, 128, 84)))
    paint.box(
        x - 0.24 * height,
        foot - 1.1 * height,
        x + 0.24 * height,
        foot - 0.72 * height,
        "signboard",
        board,
        z=z,
    )


def bench(paint: Painter, u: float, z: float, width: float = 0.24) -> None:
    """A bench: seat, back, two legs."""
    x, foot = paint.ground(u, z)
    half, wood = width / z / 2, (150, 104, 66)
    for side in (-0.8, 0.8):
        left, right = x + (side - 0.08) * half, x + (side + 0.08) * half
        paint.box(left, foot - 0.8 * half, right, foot, "bench", (70, 66, 62), z=z)
    paint.box(x - half, foot - 0.55 * half, x + half, foot - 0.36 * half, "bench", wood, z=z)
    paint.box(x - half, foot - 1.05 * half, x + half, foot - 0.72 * half, "bench", wood, z=z)


def fence(
    paint: Painter, u: float, near: float, far: float, height: float, colour: Colour = (206, 200, 188)
) -> None:
    """A fence along the way: two rails and posts."""
    for share in (0.45, 0.95):
        paint.wall(u, near, far, share * height, "fence", colour, low=(share - 0.22) * height)
    z = far
    while z > near:
        x, y = paint.ground(u, z)
        paint.box(x - 0.010 / z, y - height / z, x + 0.010 / z, y, "fence", colour, z=z)
        z /= 1.3


def barrier(paint: Painter, z: float, height: float, colour: Colour) -> None:
    """A fence across the whole picture, posts and two rails, at depth ``z``."""
    foot = paint.ground(0.0, z)[1]
    for index in range(8):
        x = (index + 0.5) / 8
        paint.box(x - 0.009, foot - height, x + 0.009, foot, "fence", colour)
    for share in (0.5, 0.95):
        paint.box(0.0, foot - share * height, 1.0, foot - (share - 0.24) * height, "fence", (232, 232, 226))


def parasol(paint: Painter, u: float, z: float, size: float = 0.32) -> None:
    """A parasol: pole and a triangular cloth."""
    x, foot = paint.ground(u, z)
    size = size / z
    paint.box(x - 0.025 * size, foot - size, x + 0.025 * size, foot, "awning", WHITE, z=z)
    cloth = (
        (x - 0.55 * size, foot - 0.7 * size),
        (x + 0.55 * size, foot - 0.7 * size),
        (x, foot - 1.08 * size),
    )
    paint.polygon(cloth, "awning", pick(paint, CLOTHS), z=z)


def stall(paint: Painter, u: float, z: float) -> None:
    """A market stall: counter with wares under a striped or plain awning."""
    x, foot = paint.ground(u, z)
    wide, height = 0.42 / z, 0.48 / z
    colour, striped = pick(paint, CLOTHS), paint.rng.uniform() < 0.6
    for side in (-0.46, 0.46):
        left, right = x + side * wide - 0.012 / z, x + side * wide + 0.012 / z
        paint.box(left, foot - height, right, foot, "awning", (150, 140, 128), z=z)
    paint.box(x - wide / 2, foot - 0.42 * height, x + wide / 2, foot, "awning", (146, 106, 70), z=z)
    wares = pick(paint, ((214, 120, 50), (120, 160, 66), (190, 70, 62)))
    paint.box(
        x - 0.46 * wide, foot - 0.5 * height, x + 0.46 * wide, foot - 0.36 * height, "awning", wares, z=z
    )
    for index in range(6 if striped else 1):
        step = 1.12 * wide / (6 if striped else 1)
        left = x - 0.56 * wide + index * step
        tone = colour if index % 2 == 0 else WHITE
        paint.box(left, foot - 1.08 * height, left + step, foot - 0.76 * height, "awning", tone, z=z)


def fountain(paint: Painter, u: float, z: float, size: float) -> None:
    """A round basin with a jet."""
    x, y = paint.ground(u, z)
    paint.disc(x, y, 1.5 * size, 0.46 * size, "fountain", (150, 142, 132))
    paint.disc(x, y - 0.08 * size, 1.32 * size, 0.36 * size, "fountain", (112, 168, 190))
    paint.box(x - 0.07 * size, y - 1.5 * size, x + 0.07 * size, y, "fountain", (214, 232, 240))
    paint.disc(x, y - 1.4 * size, 0.46 * size, 0.38 * size, "fountain", (222, 236, 242))


def crane(paint: Painter, x: float, foot: float, height: float, side: float) -> None:
    """A tower crane: mast, jib to one side, hook."""
    yellow, reach = (226, 178, 52), side * 0.8 * height
    paint.box(x - 0.013, foot - height, x + 0.013, foot, "tower", yellow)
    ends = sorted((x - 0.3 * reach, x + reach))
    paint.box(ends[0], foot - height, ends[1], foot - height + 0.024, "tower", yellow)
    hook, back = x + 0.75 * reach, x - 0.26 * reach
    paint.box(hook - 0.005, foot - height, hook + 0.005, foot - 0.6 * height, "tower", (74, 74, 78))
    paint.box(back - 0.025, foot - height, back + 0.025, foot - height + 0.06, "tower", (110, 108, 106))
    paint.polygon(
        ((x - 0.02, foot - height), (x + 0.02, foot - height), (x, foot - 1.16 * height)), "tower", yellow
    )


# ------------------------------------------------------------------------ buildings
def facade(paint: Painter, u: float, z: tuple[float, float], height: float, *, shop: bool = False) -> None:
    """A building along the street from depth ``z[0]`` to ``z[1]``, its end wall turned to us."""
    colour = pick(paint, WALLS)
    kind = str(paint.rng.choice(("plain", "balcony", "glass", "cornice")))
    if kind == "glass":
        colour = (120, 148, 168)
    tone = toned(colour, 0.86 if (u > 0) == (paint.place.hour < 12) else 1.0)
    near, far = z

    def panel(start: float, stop: float, low: float, high: float, element: str, fill: Colour) -> None:
        (x0, y0), (x1, y1) = paint.ground(u, start), paint.ground(u, stop)
        corners = (
            (x0, y0 - low / start),
            (x1, y1 - low / stop),
            (x1, y1 - high / stop),
            (x0, y0 - high / start),
        )
        paint.polygon(corners, element, fill, z=near)

    x, foot = paint.ground(u, near)
    beyond = x + (0.9 if u > 0 else -0.9) / near
    left, right = sorted((x, beyond))
    paint.box(left, foot - height / near, right, foot, "building", toned(colour, 0.76), z=near)
    panel(near, far, 0.0, height, "building", tone)
    floors, columns = (
        max(1, round((height - 0.25) / 0.32)),
        max(1, round((far - near) / (0.45 * near + 0.15))),
    )
    if kind == "cornice":
        panel(near, far, 0.94 * height, height, "building", toned(colour, 0.66))
    for floor in range(floors):
        low = 0.32 + floor * 0.32
        if low + 0.2 > height:
            break
        if kind == "glass":
            panel(near, far, low, low + 0.22, "building", _pane(paint))
            continue
        for column in range(columns):
            start = near + (far - near) * (column + 0.22) / columns
            stop = near + (far - near) * (column + 0.78) / columns
            panel(start, stop, low, low + 0.19, "building", _pane(paint))
            if kind == "balcony":
                panel(start, stop, low - 0.03, low + 0.05, "building", toned(colour, 0.62))
    if shop:
        panel(near, far, 0.03, 0.2, "building", LAMPLIT if paint.night else (66, 78, 92))
        cloth = pick(paint, CLOTHS)
        wall, out = u, u * (1.0 - 0.10 / abs(u))
        (x0, y0), (x1, y1) = paint.ground(wall, near), paint.ground(wall, far)
        (x2, y2), (x3, y3) = paint.ground(out, far), paint.ground(out, near)
        corners = ((x0, y0 - 0.29 / near), (x1, y1 - 0.29 / far), (x2, y2 - 0.2 / far), (x3, y3 - 0.2 / near))
        paint.polygon(corners, "awning", cloth, z=near)


def frontage(
    paint: Painter,
    left: float,
    right: float,
    foot: float,
    height: float,
    *,
    z: float = 2.0,
    shop: bool = False,
) -> None:
    """A building that faces us: flat, gabled or with a cornice, windows, perhaps a shop with an awning."""
    colour = pick(paint, WALLS)
    roof = str(paint.rng.choice(("flat", "cornice", "gable", "glass")))
    if roof == "glass":
        colour = (128, 154, 172)
    wide, top = right - left, foot - height
    paint.box(left, top, right, foot, "building", colour, z=z, jitter=0.03)
    if roof == "gable":
        peak = ((left - 0.01, top), (right + 0.01, top), ((left + right) / 2, top - min(0.08, 0.4 * wide)))
        paint.polygon(peak, "building", (150, 82, 66), z=z)
    elif roof == "cornice":
        paint.box(left - 0.006, top, right + 0.006, top + 0.02, "building", toned(colour, 0.62), z=z)
    columns, floors = max(1, round(wide / 0.07)), max(1, round(height / 0.09) - 1)
    for floor in range(floors):
        y = top + 0.032 + floor * 0.09
        if roof == "glass":
            paint.box(left + 0.008, y, right - 0.008, y + 0.052, "building", _pane(paint), z=z)
            continue
        for column in range(columns):
            x = left + wide * (column + 0.5) / columns
            paint.box(x - 0.016, y, x + 0.016, y + 0.048, "building", _pane(paint), z=z)
    if shop:
        glass = LAMPLIT if paint.night else (66, 78, 92)
        paint.box(left + 0.015, foot - 0.05, right - 0.015, foot, "building", glass, z=z)
        paint.box(left + 0.005, foot - 0.075, right - 0.005, foot - 0.042, "awning", pick(paint, CLOTHS), z=z)


def house(paint: Painter, x: float, foot: float, size: float, z: float, kind: str = "gable") -> None:
    """A house that faces us, ``size`` wide: ``gable`` to the front, ``hip`` roof, or ``flat``."""
    wall = pick(paint, WALLS)
    left, right, height = x - 0.5 * size, x + 0.5 * size, (0.72 if kind == "flat" else 0.52) * size
    top = foot - height
    paint.box(left, top, right, foot, "house", wall, z=z)
    roof = pick(paint, ((150, 72, 58), (104, 84, 78), (122, 62, 52), (96, 104, 116)))
    if kind == "gable":
        paint.polygon(
            ((left - 0.06 * size, top), (right + 0.06 * size, top), (x, top - 0.42 * size)),
            "house",
            roof,
            z=z,
        )
    elif kind == "hip":
        eaves = ((left - 0.06 * size, top), (right + 0.06 * size, top))
        paint.polygon(
            (*eaves, (right - 0.2 * size, top - 0.3 * size), (left + 0.2 * size, top - 0.3 * size)),
            "house",
            roof,
            z=z,
        )
        paint.box(
            x + 0.14 * size, top - 0.42 * size, x + 0.24 * size, top - 0.2 * size, "house", (140, 90, 74), z=z
        )
    else:
        paint.box(left - 0.03 * size, top, right + 0.03 * size, top + 0.07 * size, "house", roof, z=z)
    pane = LAMPLIT if paint.night else WINDOW
    for side in (-0.28, 0.28):
        centre = x + side * size
        paint.box(
            centre - 0.1 * size, foot - 0.4 * size, centre + 0.1 * size, foot - 0.2 * size, "house", pane, z=z
        )
        if kind == "flat":
            paint.box(
                centre - 0.1 * size,
                top + 0.12 * size,
                centre + 0.1 * size,
                top + 0.25 * size,
                "house",
                pane,
                z=z,
            )
    paint.box(x - 0.07 * size, foot - 0.32 * size, x + 0.07 * size, foot, "house", (92, 62, 48), z=z)


def gantry(paint: Painter, u: float, half: float, z: float) -> None:
    """A sign bridge over a road whose middle lies at ``u``."""
    x, foot = paint.ground(u, z)
    reach, top = half / z, foot - 1.3 / z
    for side in (-1.0, 1.0):
        paint.box(
            x + side * reach - 0.007, top, x + side * reach + 0.007, foot, "signboard", (120, 124, 128), z=z
        )
    paint.box(x - reach, top + 0.012, x + reach, top + 0.028, "signboard", (120, 124, 128), z=z)
    for side in (-0.5, 0.5):
        left, right = x + (side - 0.36) * reach, x + (side + 0.36) * reach
        paint.box(left, top - 0.03, right, top + 0.06, "signboard", (36, 92, 156), z=2.0)


# ------------------------------------------------------------------------ far things and surfaces
def row(
    paint: Painter, height: float, foot: float | None = None, *, gaps: float = 0.0, shops: bool = False
) -> None:
    """A row of buildings across the picture, behind everything; the layout is the place's own."""
    foot = paint.horizon + 0.02 if foot is None else foot
    plan = paint.plan("row")
    x = -0.05 - 0.1 * float(plan.uniform())
    while x < 1.0:
        wide, rise, gap = (float(value) for value in plan.uniform((0.14, 0.65, 0.0), (0.28, 1.2, 1.0)))
        if gap >= gaps:
            frontage(paint, x, x + wide, foot, height * rise, z=3.0, shop=shops and gap > 0.5)
        x += wide


def hills(paint: Painter, height: float = 0.12) -> None:
    """Distant hills, rolling or peaked; the ridge is the place's own."""
    plan = paint.plan("hills")
    peaked = plan.uniform() < 0.4
    base = paint.horizon + 0.01
    for layer in range(2):
        xs = [-0.02, 0.12, 0.27, 0.42, 0.58, 0.73, 0.88, 1.02]
        rises = plan.uniform(0.2, 1.0, len(xs))
        if peaked:
            rises[::2] *= 0.4
        ridge: list[Point] = [(x, base - height * float(rise)) for x, rise in zip(xs, rises, strict=True)]
        tone = toned((112, 128, 128), 1.0 - 0.12 * layer)
        paint.polygon([(-0.02, base), *ridge, (1.02, base)], "mountain", tone, z=6.0)
        height *= 0.6


def hedge_line(paint: Painter, share: float) -> None:
    """A line of distant trees at the horizon: over a share of the width, and taller with it."""
    plan = paint.plan("hedge")
    order, sizes, colours = plan.permutation(23), plan.uniform(0.75, 1.25, 23), plan.integers(3, size=23)
    for index in order[: round(23 * min(1.0, share))]:
        radius = 0.042 * float(sizes[index]) * (0.6 + 0.5 * share)
        leaf = LEAVES[int(colours[index])]
        paint.disc(float(index) / 22, paint.horizon - 0.25 * radius, radius, radius, "tree", leaf, z=5.0)


def ripples(paint: Painter, element: str, top: float, bottom: float, colour: Colour, count: int = 9) -> None:
    """Bright short waves on water, inside a band that is water from side to side."""
    bright = (colour[0] * 1.25, colour[1] * 1.2, colour[2] * 1.16)
    for _ in range(count):
        near = float(paint.rng.uniform(0.03, 0.95))
        y, x, half = top + near * (bottom - top), float(paint.rng.uniform(0, 1)), 0.03 + 0.06 * near
        paint.box(x - half, y, x + half, y + 0.005 + 0.006 * near, element, bright)


def dashes(paint: Painter, u: float) -> None:
    """A broken white line along the road."""
    z = 0.8
    while z < 12.0:
        corners = (paint.ground(u - 0.014, z), paint.ground(u + 0.014, z))
        ends = (paint.ground(u + 0.014, z * 1.25), paint.ground(u - 0.014, z * 1.25))
        paint.polygon((*corners, *ends), "road", (226, 226, 220), z=min(z, 6.0))
        z *= 1.6
