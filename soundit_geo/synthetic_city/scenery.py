"""The twelve scenes, each drawn from far to near; `PAINTERS` lists them, `VIEWS` says where the camera stands.

A scene draws its layout from ``paint.plan`` in an order that no level changes, and its things from
``paint.scatter``: one level turned up adds things of its own kind and draws none of the
others anew. Where it shapes the ground (a wider river, a narrower path), what stands at the edge moves with it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from soundit_geo.synthetic_city.things import (
    ASPHALT,
    EARTH,
    LAWN,
    LEAVES,
    PAVING,
    POND,
    TRUNK,
    barrier,
    bench,
    boat,
    bush,
    car,
    crane,
    dashes,
    digger,
    facade,
    fence,
    fountain,
    frontage,
    gantry,
    hedge,
    hedge_line,
    hills,
    house,
    lorry,
    parasol,
    person,
    pick,
    ripples,
    row,
    sign,
    stall,
    streetlight,
    toned,
    tree,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from soundit_geo.synthetic_city.picture import Colour, Painter, Point
    from soundit_geo.synthetic_city.place import Place

__all__ = ["PAINTERS", "VIEWS"]

VIEWS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "street": ((0.40, 0.56), (0.28, 0.72)),
    "residential_neighborhood": ((0.40, 0.52), (0.28, 0.72)),
    "highway": ((0.38, 0.52), (0.28, 0.72)),
    "plaza": ((0.40, 0.52), (0.30, 0.70)),
    "park": ((0.38, 0.54), (0.28, 0.72)),
    "forest_path": ((0.42, 0.56), (0.30, 0.70)),
    "beach": ((0.36, 0.50), (0.25, 0.75)),
    "harbor": ((0.36, 0.50), (0.28, 0.72)),
    "river": ((0.36, 0.50), (0.28, 0.72)),
    "field/wild": ((0.36, 0.54), (0.28, 0.72)),
    "market/outdoor": ((0.42, 0.54), (0.32, 0.68)),
    "construction_site": ((0.40, 0.54), (0.30, 0.70)),
}
"""Ranges of the horizon and of the vanishing point, by scene."""


def _kind(plan: np.random.Generator, *kinds: str) -> str:
    return kinds[int(plan.integers(len(kinds)))]


def _sign(plan: np.random.Generator) -> float:
    return 1.0 if plan.uniform() < 0.5 else -1.0


def _middle(paint: Painter, plan: np.random.Generator, strength: float = 0.8) -> float:
    """Offset of a way that leads to the vanishing point: seen from beside it where that lies off the middle."""
    return (0.5 - paint.vanish) * strength * float(plan.uniform(0.3, 1.4)) + float(plan.uniform(-0.06, 0.06))


# ------------------------------------------------------------------------ ways
def street(paint: Painter, place: Place) -> None:
    """A city street between façades, straight, bent or with a cross street."""
    plan = paint.plan("street")
    wide, walk = float(plan.uniform(0.30, 0.50)), float(plan.uniform(0.20, 0.36))
    mid, cross, shops = _middle(paint, plan), plan.uniform() < 0.4, plan.uniform() < 0.55
    bend = float(plan.uniform(-0.16, 0.16))
    paint.bend = 0.0 if cross else bend
    kind = _kind(plan, "round", "column", "small", "small")
    verge = 0.14 * min(1.0, 1.6 * place.greenery)
    row(paint, 0.05 + 0.08 * place.building_height)
    hedge_line(paint, 0.8 * place.greenery)
    paint.plain("sidewalk", pick(paint, (PAVING, (164, 160, 156), (188, 174, 152))))
    paint.strip(mid - wide, mid + wide, "road", ASPHALT)
    if cross:
        paint.box(0.0, paint.ground(0, 4.2)[1], 1.0, paint.ground(0, 2.5)[1], "road", ASPHALT)
    _verges(paint, mid, wide, verge, cross=cross)
    dashes(paint, mid)
    height = 0.6 + 1.6 * place.building_height
    edges = (14.0, 9.0, 6.2, 4.2, 2.5, 1.55, 0.9) if cross else (14.0, 8.5, 5.2, 3.4, 2.2, 1.4, 0.8)
    for number, (far, near) in enumerate(pairwise(edges)):
        rises = plan.uniform(0.72, 1.2, 2)
        if cross and far == 4.2:
            continue
        for rise, side in zip(rises, (-1.0, 1.0), strict=True):
            paint.rng = paint.stream(f"facade {number} {side}")
            facade(
                paint,
                mid + side * (wide + walk),
                (near, far),
                height * float(rise),
                shop=shops and number in {1, 4},
            )
    for spot in paint.scatter("trees", 9 * place.greenery, 1.5, 8.0):
        tree(paint, mid + spot.side * (wide + 0.11), spot.z, 0.7 + 0.3 * place.greenery, kind)
    for spot in paint.scatter("lamps", 2, 2.0, 6.0):
        streetlight(paint, mid + spot.side * (wide + 0.04), spot.z, 0.9, -spot.side)
    if plan.uniform() < 0.4:
        sign(paint, mid + _sign(plan) * (wide + 0.08), 2.3)
    _parked(paint, place.traffic, mid, wide)
    _traffic(paint, place.traffic, mid, wide, most=7, heavy=0.25)
    _walkers(paint, place, mid, wide + 0.04, walk - 0.08, most=8)


def residential(paint: Painter, place: Place) -> None:
    """Houses with gardens along a quiet road: apart or terraced, fences or hedges."""
    plan = paint.plan("residential")
    wide, mid = float(plan.uniform(0.20, 0.32)), _middle(paint, plan)
    paint.bend = float(plan.uniform(-0.22, 0.22))
    border, kind = _kind(plan, "fence", "hedge", "none"), _kind(plan, "gable", "hip", "flat")
    leaf, terraced = _kind(plan, "round", "birch", "small", "conifer"), plan.uniform() < 0.35
    back = float(plan.uniform(0.62, 0.8))
    hills(paint, 0.06)
    hedge_line(paint, place.greenery)
    paint.plain("grass", pick(paint, (LAWN, (124, 164, 84), (100, 150, 72))))
    walk = 0.12 + 0.30 * (1.0 - place.greenery)
    paint.strip(mid - wide - walk, mid + wide + walk, "sidewalk", PAVING)
    paint.strip(mid - wide, mid + wide, "road", ASPHALT)
    depths = (7.0, 5.6, 4.5, 3.6, 2.9, 2.3) if terraced else (6.5, 4.4, 3.0, 2.1)
    for number, z in enumerate(depths):
        shifts = plan.uniform(-0.08, 0.08, 2)
        for shift, side in zip(shifts, (-1.0, 1.0), strict=True):
            paint.rng = paint.stream(f"house {number} {side}")
            x, foot = paint.ground(mid + side * (wide + back + float(shift)), z)
            size = (0.78 + 0.75 * place.building_height) / z
            house(paint, x, foot, size, z, kind if terraced or (number + (side > 0)) % 3 else "gable")
    for side in (-1.0, 1.0):
        if border == "hedge":
            hedge(paint, mid + side * (wide + 0.24), 1.3, 6.0, 0.03 + 0.13 * place.greenery)
        elif border == "fence":
            fence(paint, mid + side * (wide + 0.24), 1.3, 6.0, 0.11)
    for spot in paint.scatter("trees", 1 + 8 * place.greenery, 1.7, 6.0):
        tree(paint, mid + spot.side * (wide + 0.34), spot.z, 0.40 + 0.32 * place.greenery, leaf)
    for spot in paint.scatter("bushes", 6 * place.greenery, 1.2, 3.0):
        bush(paint, mid + spot.side * (wide + 0.36), spot.z, 0.04 + 0.05 * place.greenery)
    streetlight(paint, mid + _sign(plan) * (wide + 0.06), 2.6, 0.7)
    _parked(paint, place.traffic, mid, wide, most=6)
    _traffic(paint, place.traffic, mid, wide, most=5, heavy=0.0)
    _walkers(paint, place, mid, wide + 0.03, 0.10, most=6)


def highway(paint: Painter, place: Place) -> None:
    """A wide road with two to four lanes a side, guard rails or a noise barrier, and much traffic."""
    plan = paint.plan("highway")
    lanes, mid = int(plan.integers(2, 5)), _middle(paint, plan, 0.6)
    wide = 0.22 * lanes + float(plan.uniform(0.12, 0.26))
    paint.bend = float(plan.uniform(-0.28, 0.28))
    walled, with_gantry, side = plan.uniform() < 0.35, plan.uniform() < 0.5, _sign(plan)
    kind = _kind(plan, "round", "column", "conifer")
    hills(paint, float(plan.uniform(0.06, 0.16)))
    if place.building_height > 0.15:
        row(paint, 0.10 + 0.14 * place.building_height, gaps=0.4)
    hedge_line(paint, place.greenery)
    paint.plain("earth", (170, 158, 122))
    for flank in (-1.0, 1.0):
        left, right = sorted((mid + flank * wide, mid + flank * (wide + 0.1 + 2.6 * place.greenery)))
        paint.strip(left, right, "grass", (134, 154, 86))
    paint.strip(mid - wide - 0.05, mid + wide + 0.05, "road", (112, 112, 114))
    paint.strip(mid - wide, mid + wide, "road", ASPHALT)
    for lane in range(1, lanes):
        dashes(paint, mid + wide * (2.0 * lane / lanes - 1.0))
    for spot in paint.scatter("trees", 8 * place.greenery, 1.8, 7.0):
        tree(
            paint,
            mid + spot.side * (wide + 0.35 + 0.4 * spot.across),
            spot.z,
            0.6 + 0.4 * place.greenery,
            kind,
        )
    for flank in (-1.0, 1.0):
        if walled and flank == side:
            paint.wall(mid + flank * (wide + 0.10), 0.9, 14.0, 0.42, "fence", (146, 150, 142))
            paint.wall(mid + flank * (wide + 0.10), 0.9, 14.0, 0.42, "fence", (108, 128, 118), low=0.30)
        else:
            fence(paint, mid + flank * (wide + 0.08), 1.0, 12.0, 0.12, colour=(176, 180, 184))
    if with_gantry:
        gantry(paint, mid, wide + 0.08, 4.2)
    elif plan.uniform() < 0.6:
        sign(paint, mid + side * (wide + 0.2), 2.6, 0.8)
    _traffic(paint, place.traffic, mid, wide, most=13, heavy=0.3, lanes=lanes)


# ------------------------------------------------------------------------ squares
def plaza(paint: Painter, place: Place) -> None:
    """A paved square: buildings ahead or on one side, fountain, trees in rows or scattered, café tables."""
    plan = paint.plan("plaza")
    layout, side, foot = _kind(plan, "ahead", "corner", "corner", "open"), _sign(plan), paint.horizon + 0.05
    kind, rows, cafe = _kind(plan, "round", "small", "column"), plan.uniform() < 0.5, plan.uniform() < 0.6
    spring, shops = float(plan.uniform(-0.35, 0.35)), plan.uniform() < 0.6
    tone = pick(paint, ((200, 186, 166), (186, 182, 176), (206, 178, 150)))
    height = 0.16 + 0.32 * place.building_height
    hedge_line(paint, place.greenery)
    row(paint, height, foot, shops=shops, gaps=0.45 if layout == "open" else 0.0)
    paint.plain("floor", tone, top=foot)
    for index in range(-3, 4):
        paint.strip(
            0.8 * index - 0.02,
            0.8 * index + 0.02,
            "floor",
            toned(tone, 0.92),
            far=(1 - paint.horizon) / 0.055,
        )
    beds = 0.9 * place.greenery
    if beds > 0.02:
        paint.patch(side * 0.75 - beds, side * 0.75 + beds, 2.2, 4.6, "grass", LAWN)
    if layout == "corner":
        _wing(paint, plan, side * 0.95, 0.7 + 1.2 * place.building_height, (7.0, 3.4, 2.2, 1.3), shop=shops)
    if place.water > 0.04:
        fountain(paint, spring - 0.3 * side, 2.4, 0.03 + 0.15 * place.water)
    if plan.uniform() < 0.35:
        _statue(paint, -side * 0.7)
    for spot in paint.scatter("trees", 8 * place.greenery, 1.9, 5.0):
        u = -side * 0.62 if rows else (spot.across - 0.5) * 0.9 * spot.z
        tree(paint, u, spot.z, 0.5 + 0.4 * place.greenery, kind)
    for z in (3.0, 2.2) if cafe else ():
        parasol(paint, side * 0.55, z, 0.42)
    for u in (-0.6, 0.6):
        if plan.uniform() < 0.5:
            bench(paint, u, 2.0)
    streetlight(paint, _sign(plan) * 0.75, 2.7, 0.85)
    _crowd(paint, place, most=15, near=1.3, far=6.0, least=1)


def market(paint: Painter, place: Place) -> None:
    """Stalls under coloured awnings along an alley or on one side, crowds, buildings behind."""
    plan = paint.plan("market")
    layout, side, foot = _kind(plan, "alley", "both", "one"), _sign(plan), paint.horizon + 0.04
    gap, kind = float(plan.uniform(0.50, 0.74)), _kind(plan, "round", "small")
    row(paint, 0.20 + 0.28 * place.building_height, foot, shops=True)
    paint.plain(*_kind_of_ground(plan), top=foot)
    if layout == "alley":
        for flank in (-1.0, 1.0):
            height = 0.7 + 1.3 * place.building_height
            _wing(paint, plan, flank * (gap + 0.28), height, (6.0, 3.2, 1.9, 1.0), shop=False)
    for spot in paint.scatter("trees", 6 * place.greenery, 2.6, 5.0):
        tree(paint, spot.side * (gap + 0.3), spot.z, 0.7 + 0.4 * place.greenery, kind)
    for number, z in enumerate((5.2, 3.7, 2.7, 1.95)):
        for flank in (-1.0, 1.0):
            if layout == "one" and flank != side:
                if number % 2:
                    parasol(paint, flank * gap, z, 0.46)
                continue
            paint.rng = paint.stream(f"stall {number} {flank}")
            stall(paint, flank * gap, z)
    _crowd(paint, place, most=13, near=1.3, far=5.0, least=2, narrow=0.30)


def _kind_of_ground(plan: np.random.Generator) -> tuple[str, Colour]:
    tones: tuple[Colour, ...] = ((186, 174, 158), (170, 164, 158), (190, 164, 136))
    return "sidewalk", tones[int(plan.integers(3))]


def construction(paint: Painter, place: Place) -> None:
    """A building site: pit, bare frame or scaffolded building, cranes, machines, perhaps a fence in front."""
    plan = paint.plan("site")
    stage, base = _kind(plan, "frame", "scaffold", "pit"), paint.horizon + 0.05
    left, wide, side = float(plan.uniform(0.06, 0.52)), float(plan.uniform(0.30, 0.42)), _sign(plan)
    fenced, heaps = plan.uniform() < 0.5, plan.uniform(-0.6, 0.6, 2)
    row(paint, 0.08 + 0.12 * place.building_height, gaps=0.4)
    hedge_line(paint, 2 * place.greenery)
    x = left + wide / 2 + side * 0.3
    x = x if 0.08 < x < 0.92 else left + wide / 2 - side * 0.3
    crane(paint, min(0.9, max(0.1, x)), base, 0.30 + 0.10 * place.building_height, 1.0 if x < 0.5 else -1.0)
    paint.plain("earth", pick(paint, (EARTH, (164, 138, 108), (188, 150, 104))))
    if stage == "pit":
        (x0, y0), (x1, y1) = (left - 0.1, base + 0.05), (left + wide + 0.15, base + 0.17)
        paint.polygon(((x0, y1), (x0 + 0.05, y0), (x1 - 0.05, y0), (x1, y1)), "earth", (116, 90, 66))
        paint.polygon(
            ((x0 + 0.05, y0), (x1 - 0.05, y0), (x1 - 0.07, y0 + 0.03), (x0 + 0.07, y0 + 0.03)),
            "earth",
            (92, 72, 56),
        )
    _shell(paint, place, stage, left, wide, base + 0.03)
    for number, u in enumerate(heaps):
        x, y = paint.ground(float(u) * 2.2, 2.2 + number)
        size = 0.08 + 0.04 * abs(float(u))
        paint.polygon(
            ((x - size, y), (x - 0.2 * size, y - 0.7 * size), (x + size, y)), "rock", (132, 122, 112)
        )
    for spot in paint.scatter("bushes", 14 * place.greenery, 1.7, 4.0):
        bush(paint, spot.side * 0.5 * spot.z, spot.z, 0.09)
    for spot in paint.scatter("machines", 1 + 8 * place.traffic, 1.6, 4.0):
        u = (spot.across - 0.5) * 0.8 * spot.z
        if spot.number % 2 == 0:
            digger(paint, u, spot.z, 0.44)
        else:
            lorry(paint, u, spot.z, "truck", 0.30, front=spot.side > 0)
    _crowd(paint, place, most=10, near=1.5, far=3.5, least=1)
    if fenced:
        barrier(paint, 1.08, 0.17, (216, 110, 40))
    elif plan.uniform() < 0.5:
        sign(paint, side * 0.38, 1.5, 0.42)


# ------------------------------------------------------------------------ green
def park(paint: Painter, place: Place) -> None:
    """Lawn, trees and a path: winding, an avenue, a pond in front, or an open lawn with benches."""
    plan = paint.plan("park")
    layout, side = _kind(plan, "winding", "avenue", "pond", "lawn"), _sign(plan)
    bend, wide, mid = (
        float(plan.uniform(0.12, 0.32)) * -side,
        float(plan.uniform(0.14, 0.24)),
        _middle(paint, plan),
    )
    kinds = [_kind(plan, "round", "column", "birch", "conifer", "round") for _ in range(2)]
    if place.building_height > 0.12:
        row(paint, 0.08 + 0.25 * place.building_height, gaps=0.3)
    hedge_line(paint, place.greenery)
    paint.plain("grass", pick(paint, ((106, 164, 72), (120, 168, 78), (98, 152, 76))))
    sand: Colour = (204, 184, 146)
    paint.bend = 0.0 if layout == "avenue" else bend
    mid += 0.42 * side if layout == "pond" else 0.0
    wide *= 1.0 + 1.6 * (1.0 - place.greenery)
    if layout != "lawn":
        paint.strip(mid - wide, mid + wide, "path", sand, far=16.0)
    else:
        wide = 0.25
        y, thick = paint.ground(0.0, 2.2)[1], 0.03 + 0.16 * (1.0 - place.greenery)
        paint.polygon(
            ((0.0, y - 0.02), (1.0, y + 0.03), (1.0, y + 0.03 + thick), (0.0, y - 0.02 + thick)), "path", sand
        )
    paint.bend = 0.0
    if place.water > 0.04:
        size = place.water**0.5
        if layout == "pond":
            x, y = paint.ground(mid - 0.85 * side, 1.6)
            paint.disc(x, y, 0.56 * size, 0.17 * size, "water", POND)
            paint.disc(x, y - 0.02 * size, 0.40 * size, 0.10 * size, "water", toned(POND, 1.08))
        else:
            x, y = paint.ground(side * 0.95, 2.3)
            paint.disc(x, y, 0.36 * size, 0.10 * size, "water", POND)
    for spot in paint.scatter("trees", 1 + 11 * place.greenery, 1.8, 7.0):
        u = wide + 0.25 if layout == "avenue" else 0.5 + 0.8 * spot.across
        kind = kinds[0] if layout == "avenue" or spot.number % 3 else kinds[1]
        tree(paint, mid + spot.side * u, spot.z, 0.5 + 0.38 * place.greenery, kind)
    if layout == "lawn" or plan.uniform() < 0.6:
        bench(paint, mid - side * (wide + 0.2), 1.8, 0.30)
    if plan.uniform() < 0.4:
        streetlight(paint, mid + side * (wide + 0.08), 2.4, 0.65)
    _crowd(paint, place, most=8, near=2.6 if layout == "pond" else 1.4, far=5.0, narrow=0.3)


def forest(paint: Painter, place: Place) -> None:
    """A path or a stream under close trees of one or two kinds; little sky."""
    plan = paint.plan("forest")
    wood, stream = _kind(plan, "conifer", "broad", "birch", "mixed"), plan.uniform() < 0.4
    wide, mid = float(plan.uniform(0.16, 0.28)), _middle(paint, plan)
    paint.bend = float(plan.uniform(-0.25, 0.25))
    leaves: tuple[Colour, ...] = {"birch": ((126, 160, 72), (108, 146, 62))}.get(wood, LEAVES)
    for x, y, radius in plan.uniform((-0.02, 0.14, 0.07), (1.02, paint.horizon, 0.12), (34, 3)):
        paint.disc(x, y, radius, radius, "tree", toned(pick(paint, leaves), 0.9), z=4.0)
    paint.box(0.0, paint.horizon - 0.08, 1.0, paint.horizon + 0.01, "tree", toned(leaves[1], 0.6), z=3.0)
    paint.plain("plant", pick(paint, ((74, 104, 48), (92, 112, 54), (84, 96, 48))))
    paint.strip(mid - wide, mid + wide, "path", pick(paint, ((142, 112, 80), (156, 132, 98))), far=14.0)
    if stream or place.water > 0.12:
        brook = mid + (0.62 if paint.bend < 0 else -0.62)
        half = 0.05 + 0.7 * place.water
        paint.strip(brook - half, brook + half, "water", (84, 124, 138), far=9.0)
    for spot in paint.scatter("trees", 6 + 10 * place.greenery, 1.15, 8.0):
        u, z = mid + spot.side * (wide + 0.16 + 0.9 * spot.across), spot.z
        if wood == "conifer" or (wood == "mixed" and spot.number % 2):
            tree(paint, u, z, 1.3, "conifer")
        else:
            x, foot = paint.ground(u, z)
            pale = wood == "birch"
            half = (0.026 if pale else 0.036) / z
            bark: Colour = (226, 222, 210) if pale else TRUNK
            paint.box(x - half, 0.0, x + half, foot, "tree", bark, z=z)
            if pale:
                for share in (0.3, 0.55, 0.8):
                    y = share * foot
                    paint.box(x - half, y, x + 0.3 * half, y + 0.018 / z, "tree", (70, 66, 62), z=z)
    paint.rng = paint.stream("canopy")
    for x, y in plan.uniform((0.0, -0.04), (1.0, 0.12), (12, 2)):
        paint.disc(x, y, 0.11, 0.08, "tree", pick(paint, leaves))
    for spot in paint.scatter("bushes", 4, 1.15, 3.0):
        bush(paint, mid + spot.side * (wide + 0.14 + 0.2 * spot.across), spot.z, 0.06)
    _walkers(paint, place, mid, -0.1, 0.2, most=9)


def field(paint: Painter, place: Place) -> None:
    """Open land: crop rows, a flower meadow or pasture, with fence, path and trees; hills behind."""
    plan = paint.plan("field")
    layout, side = _kind(plan, "rows", "meadow", "pasture", "path"), _sign(plan)
    hills(paint, float(plan.uniform(0.06, 0.2)))
    hedge_line(paint, place.greenery)
    colour = (200 - 80 * place.greenery, 178 - 8 * place.greenery, 96 - 24 * place.greenery)
    kinds = [_kind(plan, "round", "column", "birch", "conifer") for _ in range(2)]
    mid, fenced = float(plan.uniform(-0.3, 0.3)), plan.uniform() < 0.6
    paint.plain("field", colour)
    bare = 1.0 - place.greenery
    y = paint.horizon + 0.02 + 0.16 * bare
    paint.polygon(
        ((0.0, paint.horizon + 0.01), (1.0, paint.horizon + 0.01), (1.0, y), (0.0, y - 0.02)), "earth", EARTH
    )
    if layout == "rows":
        for u in range(-9, 10):
            middle = 0.62 * u + mid
            paint.strip(
                middle - 0.09 - 0.07 * bare, middle + 0.09 + 0.07 * bare, "earth", (142, 112, 76), far=4.0
            )
    elif layout == "path":
        paint.bend = 0.2 * side
        paint.strip(mid - 0.12 - 0.2 * bare, mid + 0.12 + 0.2 * bare, "path", (206, 184, 142), far=14.0)
        paint.bend = 0.0
    elif layout == "meadow":
        petal = pick(paint, ((214, 66, 58), (244, 214, 84), (176, 120, 190), (244, 240, 236)))
        for spot in paint.scatter("flowers", 26, 1.0, 3.2):
            x, foot = paint.ground((spot.across - 0.5) * 1.2 * spot.z, spot.z)
            paint.disc(x, foot, 0.024 / spot.z, 0.018 / spot.z, "field", petal)
    if place.water > 0.03:
        x, y = paint.ground(-0.9 * side, 2.2)
        paint.disc(x, y, 0.9 * place.water**0.5, 0.22 * place.water**0.5, "water", POND)
    for spot in paint.scatter("trees", 8 * place.greenery, 2.0, 8.0):
        kind = kinds[0] if spot.number % 3 else kinds[1]
        tree(
            paint, spot.side * (0.14 + 0.34 * spot.across) * spot.z, spot.z, 0.5 + 0.5 * place.greenery, kind
        )
    if fenced:
        fence(paint, side * 0.62 + mid, 1.0, 9.0, 0.16, colour=(128, 100, 72))
    for spot in paint.scatter("bushes", 8 * place.greenery, 1.1, 3.0):
        bush(paint, (spot.across - 0.5) * spot.z, spot.z, 0.05)
    _crowd(paint, place, most=9, near=1.8, far=4.0)


# ------------------------------------------------------------------------ water
def beach(paint: Painter, place: Place) -> None:
    """Sea, surf and sand: the sea ahead at a slant, or to one side, with a headland or without."""
    plan = paint.plan("beach")
    beside, side, tilt = plan.uniform() < 0.4, _sign(plan), float(plan.uniform(-0.12, 0.12))
    headland, sailing, rocks, top = (
        plan.uniform() < 0.4,
        plan.uniform() < 0.5,
        int(plan.integers(0, 3)),
        paint.horizon,
    )
    paint.box(0.0, top, 1.0, 1.0, "sand", (226, 204, 158))
    shore = _sea(paint, place.water, side, tilt, beside=beside)
    if headland:
        x = 0.0 if side > 0 else 1.0
        ridge = [
            (x, top - 0.10),
            (x + side * 0.16, top - 0.07),
            (x + side * 0.34, top + 0.005),
            (x, top + 0.005),
        ]
        paint.polygon(ridge, "mountain", (112, 134, 112), z=3.0)
    if sailing:
        boat(paint, 0.5 - 0.28 * side, top + 0.045, 0.045)
    if place.building_height > 0.08 and beside:
        edge = 0.93 if side > 0 else -0.06
        frontage(paint, edge, edge + 0.13, top + 0.05, 0.08 + 0.5 * place.building_height, z=2.5)
    for number in range(rocks):
        x = 0.5 + side * (0.18 + 0.2 * number)
        paint.disc(x, max(shore + 0.06, 0.88) + 0.03 * number, 0.06, 0.03, "rock", (122, 116, 108))
    for spot in paint.scatter("palms", 15 * place.greenery, 1.1, 2.4):
        u = (0.5 + side * (0.32 + 0.14 * spot.across) - paint.vanish) * spot.z
        if beside or paint.ground(0.0, spot.z)[1] > shore + 0.03:
            tree(paint, u, spot.z, 0.9, "palm")
    _bathers(paint, place, side, shore, beside=beside)
    if place.greenery > 0.05:
        bush(paint, 0.5 + 0.46 * side - paint.vanish, 1.05, 0.03 + 0.45 * place.greenery)


def harbor(paint: Painter, place: Place) -> None:
    """Boats on harbour water between warehouses and a quay: in front of us, or along one side."""
    plan = paint.plan("harbor")
    layout, side, far = _kind(plan, "front", "side", "side"), _sign(plan), paint.horizon + 0.03
    reach, tops, cranes = plan.uniform(0.24, 0.34), plan.uniform(0.2, 0.8, 2), int(plan.integers(1, 3))
    row(paint, 0.10 + 0.24 * place.building_height, far, gaps=0.2)
    for number in range(cranes):
        crane(
            paint, float(tops[number]), far, float(reach) - 0.05 * number, 1.0 if tops[number] < 0.5 else -1.0
        )
    hedge_line(paint, 2.5 * place.greenery)
    colour = (66, 104, 124)
    if layout == "front":
        depth = (1.0 - paint.horizon) / 0.03
        for spot in paint.scatter("lorries", 8 * place.traffic, 1.0, 2.0):
            u = (0.08 + 0.84 * spot.across - paint.vanish) * depth
            lorry(paint, u, depth, "truck", 0.09 * depth, front=spot.side > 0)
    paint.box(0.0, far, 1.0, 1.0, "water", colour)
    ripples(paint, "water", far, 0.70 + 0.22 * place.water if layout == "front" else 1.0, colour, 10)
    stone = pick(paint, ((166, 160, 150), (150, 150, 150), (176, 160, 138)))
    if layout == "front":
        _quay_ahead(paint, place, stone)
    else:
        _quay_beside(paint, place, stone, side)


def river(paint: Painter, place: Place) -> None:
    """A river seen along it from a bridge, along it from a bank, or across; green banks, perhaps a bridge."""
    plan = paint.plan("river")
    layout, side, colour = _kind(plan, "along", "bank", "across"), _sign(plan), (74, 122, 132)
    kind, bridged = _kind(plan, "round", "birch", "column", "conifer"), plan.uniform() < 0.55
    bend = float(plan.uniform(-0.3, 0.3))
    if place.building_height > 0.12:
        row(paint, 0.08 + 0.25 * place.building_height, gaps=0.35)
    hills(paint, 0.07)
    hedge_line(paint, place.greenery)
    paint.plain("earth", (168, 152, 120))
    wide, bare = 0.30 + 0.55 * place.water, 1.0 - place.greenery
    if layout == "across":
        _river_across(paint, place, kind, side, bridged=bridged)
        return
    mid = side * 0.55 + _middle(paint, plan, 0.4) if layout == "bank" else _middle(paint, plan, 0.5)
    paint.bend = bend
    for flank in (-1.0, 1.0):
        start = mid + flank * (wide + 0.03 + 0.5 * bare)
        paint.patch(start, flank * 30.0, 0.75, 60.0, "grass", (118, 158, 80))
    paint.strip(mid - wide, mid + wide, "river", colour, far=10.0)
    for spot in paint.scatter("waves", 8, 1.05, 5.0):
        x, y = paint.ground(mid + (spot.across - 0.5) * 1.5 * wide, spot.z)
        paint.box(x - 0.08 / spot.z, y, x + 0.08 / spot.z, y + 0.016 / spot.z, "river", (108, 152, 160))
    if bridged:
        _bridge(paint, mid, wide)
    for spot in paint.scatter("trees", 1 + 11 * place.greenery, 1.5, 6.0):
        tree(
            paint,
            mid + spot.side * (wide + 0.25 + 0.5 * spot.across),
            spot.z,
            0.42 + 0.36 * place.greenery,
            kind,
        )
    for spot in paint.scatter("bushes", 8 * place.greenery, 1.1, 3.0):
        bush(paint, mid + spot.side * (wide + 0.10), spot.z, 0.06)
    if plan.uniform() < 0.35:
        x, y = paint.ground(mid, 2.4)
        boat(paint, x, y, 0.07)
    if layout == "bank":
        bench(paint, mid - side * (wide + 0.3), 1.8)
    _walkers(paint, place, mid, wide + 0.12, 0.15, most=7)


def _river_across(paint: Painter, place: Place, kind: str, side: float, *, bridged: bool) -> None:
    near = paint.horizon + 0.07 + 0.34 * place.water
    far, colour, bare = paint.horizon + 0.05, (74, 122, 132), 1.0 - place.greenery
    paint.box(0.0, paint.horizon + 0.004, 1.0, far - 0.03 * bare, "grass", (118, 158, 80))
    for spot in paint.scatter("far trees", 2 + 9 * place.greenery, 5.5, 8.0):
        u = ((0.07 + 0.86 * spot.across) - paint.vanish) * spot.z
        tree(paint, u, spot.z, 0.8 + 0.6 * place.greenery, kind)
    paint.box(0.0, far, 1.0, near, "river", colour)
    ripples(paint, "river", far, near, colour, 8)
    if bridged:
        _bridge(paint, 0.6 * side, 0.9)
    lawn = near + 0.01 + 0.16 * bare
    paint.box(0.0, lawn, 1.0, 1.0, "grass", (118, 158, 80))
    limit = (1 - paint.horizon) / (near + 0.02 - paint.horizon)
    for spot in paint.scatter("trees", 5 * place.greenery, 1.05, max(1.06, min(limit, 2.0))):
        tree(
            paint,
            (0.5 + spot.side * (0.25 + 0.25 * spot.across) - paint.vanish) * spot.z,
            spot.z,
            0.36 + 0.2 * place.greenery,
            kind,
        )
    bench(paint, (0.5 + 0.2 * side - paint.vanish) * 1.15, 1.15)
    for spot in paint.scatter("bushes", 8 * place.greenery, 1.0, max(1.01, min(limit, 2.0))):
        bush(paint, (spot.across - paint.vanish) * spot.z, spot.z, 0.06)
    for spot in paint.scatter("people", 7 * place.people, 1.05, max(1.06, min(limit, 2.0))):
        person(paint, (0.1 + 0.8 * spot.across - paint.vanish) * spot.z, spot.z, 0.28)


# ------------------------------------------------------------------------ groupings
def _verges(paint: Painter, mid: float, wide: float, verge: float, *, cross: bool) -> None:
    """Strips of lawn along both kerbs, open at a cross street."""
    if verge < 0.01:
        return
    for side in (-1.0, 1.0):
        edge = mid + side * (wide + 0.03)
        for near, far in ((0.75, 2.5), (4.2, 12.0)) if cross else ((0.75, 12.0),):
            paint.patch(edge, edge + side * verge, near, far, "grass", LAWN)


def _statue(paint: Painter, u: float) -> None:
    x, y = paint.ground(u, 3.0)
    paint.box(x - 0.035, y - 0.09, x + 0.035, y, "rock", (150, 146, 140))
    paint.box(x - 0.016, y - 0.20, x + 0.016, y - 0.09, "rock", (96, 116, 104))
    paint.disc(x, y - 0.21, 0.018, 0.02, "rock", (96, 116, 104))


def _wing(
    paint: Painter,
    plan: np.random.Generator,
    u: float,
    height: float,
    edges: tuple[float, ...],
    *,
    shop: bool,
) -> None:
    """Façades along one side, from far to near."""
    rises = plan.uniform(0.8, 1.1, len(edges))
    for number, (far, near) in enumerate(pairwise(edges)):
        paint.rng = paint.stream(f"wing {number} {u > 0}")
        facade(paint, u, (near, far), height * float(rises[number]), shop=shop)


def _shell(paint: Painter, place: Place, stage: str, left: float, wide: float, foot: float) -> None:
    """A building that rises: bare frame or scaffolded walls."""
    floors = 1 + round(4 * place.building_height)
    tall = 0.085 * (1 + 4 * place.building_height) * (0.6 if stage == "pit" else 1.0)
    step, grey, orange = tall / floors, (158, 156, 152), (222, 170, 60)
    if stage == "scaffold":
        wall = pick(paint, ((196, 170, 140), (176, 120, 96)))
        paint.box(left, foot - tall, left + wide, foot, "building", wall)
    for floor in range(floors):
        for column in range(4):
            if stage == "scaffold":
                centre, top = left + wide * (column + 0.5) / 4, foot - tall + step * (floor + 0.25)
                paint.box(centre - 0.022, top, centre + 0.022, top + 0.5 * step, "building", (74, 84, 98))
            else:
                post, y = left + wide * column / 3, foot - floor * step
                paint.box(post - 0.009, y - step, post + 0.009, y, "building", grey)
    for floor in range(floors + 1):
        y = foot - floor * step
        paint.box(left, y - 0.012, left + wide, y, "building", orange if stage == "scaffold" else grey)
    for column in range(5 if stage == "scaffold" else 0):
        post = left + wide * column / 4
        paint.box(post - 0.005, foot - tall - 0.02, post + 0.005, foot, "building", orange)


def _sea(paint: Painter, level: float, side: float, tilt: float, *, beside: bool) -> float:
    """Sea with surf; returns the picture height below which there is sand in the middle of the picture."""
    top, colour, foam = paint.horizon, (58, 128, 160), (236, 242, 244)
    shore = 0.9 if beside else top + 0.05 + (0.86 - top) * (0.15 + 0.62 * level)
    low = top + 0.05 if beside else shore - 0.12
    if beside:
        near, far = -0.30 + 0.95 * level, 0.10 + 0.75 * level
        start, stop, outer = (far, near, 0.0) if side > 0 else (1.0 - far, 1.0 - near, 1.0)
        for shift, tone in ((0.05, foam), (0.0, colour)):
            bank: list[Point] = [(start + side * 0.5 * shift, top)]
            bank += [((start + stop) / 2 + side * (0.06 + shift), top + 0.22), (stop + side * shift, 1.05)]
            paint.polygon([*bank, (outer, 1.05), (outer, top)], "sea", tone)
    else:
        for lift, tone in ((0.0, foam), (0.026, colour)):
            edge = [
                (0.0, shore + tilt / 2 - lift),
                (0.5, shore - 0.02 - lift),
                (1.0, shore - tilt / 2 - lift),
            ]
            paint.polygon([(0.0, top), *edge, (1.0, top)], "sea", tone)
    if low - top > 0.06:
        ripples(paint, "sea", top, low, colour)
    return shore


def _bathers(paint: Painter, place: Place, side: float, shore: float, *, beside: bool) -> None:
    for spot in paint.scatter("bathers", 1 + 11 * place.people, 1.12, 2.6):
        foot = paint.ground(0.0, spot.z)[1]
        across = 0.5 + side * (0.14 + 0.34 * spot.across) if beside else 0.06 + 0.88 * spot.across
        if not beside and foot < shore + 0.06:
            continue
        u = (across - paint.vanish) * spot.z
        if spot.number % 4 == 1:
            parasol(paint, u, spot.z, 0.36)
        else:
            person(paint, u, spot.z, 0.28)


def _quay_ahead(paint: Painter, place: Place, stone: Colour) -> None:
    """The quay we stand on, boats beyond its edge."""
    quay = 0.70 + 0.22 * place.water
    for spot in paint.scatter("boats", 3 + 3 * place.traffic + 2 * place.water, 1.9, 6.0):
        y = paint.ground(0.0, spot.z)[1]
        if y < quay - 0.02:
            boat(paint, 0.06 + 0.88 * spot.across, y, 0.20 / spot.z + 0.02)
    paint.box(0.0, quay, 1.0, 1.0, "sidewalk", stone)
    paint.box(0.0, quay, 1.0, quay + 0.02, "sidewalk", toned(stone, 0.7))
    for x in (0.15, 0.5, 0.85):
        paint.box(x - 0.014, quay - 0.03, x + 0.014, quay + 0.012, "sidewalk", (58, 58, 62))
    limit = (1.0 - paint.horizon) / (quay + 0.04 - paint.horizon)
    for spot in paint.scatter("people", 9 * place.people, 1.05, 1.3):
        person(paint, (spot.across - paint.vanish) * spot.z, min(spot.z, limit), 0.3)


def _quay_beside(paint: Painter, place: Place, stone: Colour, side: float) -> None:
    """A quay along one side with a shed and lorries, boats moored beside it."""
    edge = -0.45 + 0.78 * place.water
    for spot in paint.scatter("boats", 3 + 3 * place.traffic + 2 * place.water, 1.9, 6.0):
        bank, y = paint.ground(side * edge, spot.z)
        boat(paint, bank - side * (0.14 + 0.45 * spot.across), y, 0.20 / spot.z + 0.02)
    paint.patch(side * edge, side * 4.0, 0.75, 9.0, "sidewalk", stone)
    paint.patch(side * edge, side * (edge + 0.06), 0.75, 9.0, "sidewalk", toned(stone, 0.7))
    paint.rng = paint.stream("shed")
    facade(paint, side * (edge + 0.85), (2.2, 6.0), 0.5 + 0.9 * place.building_height)
    streetlight(paint, side * (edge + 0.16), 2.4, 0.7)
    for spot in paint.scatter("lorries", 8 * place.traffic, 1.9, 4.0):
        lorry(paint, side * (edge + 0.55), spot.z, "truck", 0.34)
    for spot in paint.scatter("people", 9 * place.people, 1.05, 3.0):
        person(paint, side * (edge + 0.12 + 0.3 * spot.across), spot.z + 0.1, 0.32)


def _bridge(paint: Painter, mid: float, wide: float, z: float = 4.0) -> None:
    (left, y), (right, _) = paint.ground(mid - wide - 0.35, z), paint.ground(mid + wide + 0.35, z)
    stone: Colour = (164, 150, 134)
    paint.box(left, y - 0.13, right, y - 0.07, "bridge", stone, z=2.0)
    paint.box(left, y - 0.14, right, y - 0.12, "bridge", toned(stone, 0.8), z=2.0)
    for share in (0.0, 0.33, 0.67, 1.0):
        x = left + share * (right - left)
        paint.box(x - 0.016, y - 0.08, x + 0.016, y + 0.012, "bridge", stone, z=2.0)


def _traffic(
    paint: Painter, level: float, mid: float, wide: float, *, most: int, heavy: float, lanes: int = 2
) -> None:
    """Vehicles on the lanes; on a two-lane road those on the left come towards us."""
    mix = paint.plan("mix").uniform(size=most + 1)
    for spot in paint.scatter("traffic", level * most, 1.4, 8.0):
        lane = int(spot.across * lanes) if lanes > 2 else int(spot.side > 0)
        u = mid + wide * (2 * (lane + 0.5) / lanes - 1)
        size, front = min(0.34, 0.62 * wide * 2 / lanes), lanes == 2 and lane == 0
        chance = float(mix[spot.number])
        if chance < heavy:
            lorry(paint, u, spot.z, "bus" if chance < 0.5 * heavy else "truck", size * 1.2, front=front)
        else:
            car(paint, u, spot.z, size, front=front)


def _parked(paint: Painter, level: float, mid: float, wide: float, *, most: int = 4) -> None:
    """Cars along the kerbs."""
    for spot in paint.scatter("parked", level * most, 1.9, 6.0):
        car(paint, mid + spot.side * (wide - 0.06), spot.z, 0.24, front=spot.side < 0)


def _walkers(paint: Painter, place: Place, mid: float, start: float, span: float, *, most: int) -> None:
    """People on both sides of a way, alone or in pairs."""
    for spot in paint.scatter("walkers", place.people * most, 1.35, 5.0):
        u = mid + spot.side * (start + span * spot.across)
        person(paint, u, spot.z)
        if spot.number % 4 == 2:
            person(paint, u + 0.1 * spot.side, spot.z)


def _crowd(
    paint: Painter, place: Place, *, most: int, near: float, far: float, least: int = 0, narrow: float = 0.42
) -> None:
    """People spread over open ground."""
    amount = least + place.people * most if least or place.people > 0.02 else 0
    for spot in paint.scatter("crowd", amount, near, far):
        person(paint, (0.5 + 2 * narrow * (spot.across - 0.5) - paint.vanish) * spot.z, spot.z, 0.33)


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
