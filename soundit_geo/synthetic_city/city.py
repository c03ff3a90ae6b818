"""A fictional harbour city around (0°, 0°): land and water, districts, roads, and recording sites in it.

Geometry is laid out in metres east and north of (0°, 0°) and handed out in EPSG:4326, where one degree is
taken as 111,319.49 m in both directions; so near the equator that errs by less than 1 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundit_geo.synthetic_city.place import LEVELS, SCENES, Place, level_range, place_from_levels
from soundit_geo.synthetic_city.words import NAMES

if TYPE_CHECKING:
    import geopandas as gpd
    from shapely.geometry.base import BaseGeometry

METRES_PER_DEGREE = 111_319.49
HALF = 3000.0  # m; half the edge of the square that holds the sites
FAR = 9000.0  # m; half the edge of the base map, which runs on beyond them

_DISTRICTS: tuple[tuple[str, float, float], ...] = (
    ("Old Town", 0.0, 100.0),
    ("Harbour", -1500.0, -700.0),
    ("Sands", 1900.0, -700.0),
    ("Riverside", 900.0, 900.0),
    ("Parkside", -1000.0, 700.0),
    ("Northgate", 0.0, 1900.0),
    ("Westfields", -2300.0, 1700.0),
    ("Hillwood", 2300.0, 1900.0),
    ("New Docks", -2500.0, -100.0),
)
_FILLS = ("#efe6d8", "#eee2da", "#f3ead6", "#e9eadb", "#e6ecd9", "#ece6e0", "#edecd2", "#e0e9d6", "#e9e4e4")


@dataclass(frozen=True)
class City:
    """The synthetic city.

    Parameters
    ----------
    sites : geopandas.GeoDataFrame
        Index ``site``; columns ``scene`` (prompt), ``district``, ``time`` and the geometry.
    places : dict of str to Place
        The state behind each site.
    districts, coast, river, parks, roads : geopandas.GeoDataFrame
        The base map: polygons, and lines for the roads; column ``name``, ``fill`` or ``stroke`` colours.
    """

    sites: gpd.GeoDataFrame
    places: dict[str, Place]
    districts: gpd.GeoDataFrame
    coast: gpd.GeoDataFrame
    river: gpd.GeoDataFrame
    parks: gpd.GeoDataFrame
    roads: gpd.GeoDataFrame

    @property
    def base(self) -> dict[str, gpd.GeoDataFrame]:
        """The base map's layers, from the bottom up."""
        return {name: getattr(self, name) for name in ("coast", "districts", "parks", "river", "roads")}


def build_city(sites: int = 36, seed: int = 7) -> City:
    """Build the city and place sites in it.

    Parameters
    ----------
    sites : int, optional
        Number of sites, the twelve scenes in equal shares.
    seed : int, optional
        Of sites, states and times; the base map is always the same.

    Returns
    -------
    City
        Reproducible by seed. Levels of neighbouring sites of one scene are alike.

    Raises
    ------
    ValueError
        If fewer than one site is asked for.
    """
    import geopandas as gpd
    import pandas as pd
    from shapely import Point

    if sites < 1:
        raise ValueError(f"{sites} sites came; a city needs at least one.")
    ground = _ground()
    rng = np.random.default_rng([seed, 2026])
    waves = {level: rng.normal(size=(4, 3)) for level in LEVELS}
    weather = [str(name) for name in rng.choice(("clear", "clear", "cloudy", "overcast"), size=3)]

    rows: list[dict[str, Any]] = []
    places: dict[str, Place] = {}
    spots: list[tuple[float, float]] = []
    for index in range(sites):
        scene = SCENES[index % len(SCENES)]
        spot = _spot(ground[scene], spots, 220.0 / max(1.0, (sites / 36.0) ** 0.5), rng)
        spots.append(spot)
        levels = {level: _level(scene, level, spot, waves[level]) for level in LEVELS}
        day = index % 3
        hour = round(float(rng.uniform(8.0, 18.5)), 2)
        name = f"S{index + 1:03d}"
        places[name] = place_from_levels(scene, levels, rng, weather=weather[day], hour=hour)
        prompt = NAMES[scene][0]
        time = pd.Timestamp("2026-05-04") + pd.Timedelta(days=day, minutes=round(hour * 60))
        where = next(
            (row for row in ground["districts"] if row[1].covers(Point(spot))), ground["districts"][0]
        )
        rows.append(
            {
                "site": name,
                "scene": f"an {prompt}" if prompt[0] in "aeiou" else f"a {prompt}",
                "district": where[0],
                "time": time.isoformat(),
                "geometry": Point(spot),
            }
        )

    def frame(records: list[dict[str, Any]]) -> gpd.GeoDataFrame:
        table = gpd.GeoDataFrame(records, geometry="geometry", crs="EPSG:4326")
        table["geometry"] = table.geometry.affine_transform(
            [1 / METRES_PER_DEGREE, 0, 0, 1 / METRES_PER_DEGREE, 0, 0]
        ).set_precision(1e-7)
        return table

    return City(
        sites=frame(rows).set_index("site"),
        places=places,
        districts=frame(
            [
                {"name": name, "fill": fill, "stroke": "#d5cabb", "geometry": area}
                for (name, area), fill in zip(ground["districts"], _FILLS, strict=True)
            ]
        ),
        coast=frame(
            [{"name": "Sound of Null", "fill": "#bcd9e6", "stroke": "#9cc3d6", "geometry": ground["sea"]}]
        ),
        river=frame(
            [{"name": "River Meridian", "fill": "#bcd9e6", "stroke": "#9cc3d6", "geometry": ground["water"]}]
        ),
        parks=frame(
            [
                {"name": name, "fill": fill, "stroke": "#b4cf9f", "geometry": area}
                for name, area, fill in ground["greens"]
            ]
        ),
        roads=frame(
            [
                {"name": name, "stroke": colour, "width": width, "geometry": line}
                for name, line, colour, width in ground["roads"]
            ]
        ),
    )


def _ground() -> dict[str, Any]:
    """The fixed map in metres: areas, lines, and where each scene is found."""
    from shapely import LineString, MultiPoint, Point, Polygon, box, voronoi_polygons

    square, world = box(-HALF, -HALF, HALF, HALF), box(-FAR, -FAR, FAR, FAR)
    shore = [
        (x, -1300.0 + 220.0 * np.sin(x / 700.0) + 90.0 * np.sin(x / 260.0 + 1.0))
        for x in np.linspace(-FAR, FAR, 241)
    ]
    basin = Polygon(
        [(-1900, -1900), (-1900, -950), (-1650, -850), (-1050, -880), (-1000, -1100), (-1250, -1900)]
    )
    sea = Polygon([(-FAR, -FAR), *shore, (FAR, -FAR)]).union(basin)
    land = world.difference(sea)
    course = [(900 + 350 * np.sin(y / 620.0), y) for y in np.linspace(FAR, -1700, 160)]
    river = LineString(course)
    water = river.buffer(65).intersection(land)

    anchors = [Point(x, y) for _, x, y in _DISTRICTS]
    cells = list(voronoi_polygons(MultiPoint(anchors), extend_to=world).geoms)
    districts = [
        (name, next(cell for cell in cells if cell.covers(anchor)).intersection(land))
        for (name, _, _), anchor in zip(_DISTRICTS, anchors, strict=True)
    ]
    area = {name: cell.intersection(square) for name, cell in districts}

    park = Point(-850, 750).buffer(480).union(Point(-450, 950).buffer(330)).intersection(land)
    wood = Polygon([(1500, 2100), (2050, 1350), (3600, 1100), (4200, 2600), (3300, 3600), (1900, 3200)])
    meadow = Polygon(
        [(-4200, 700), (-1900, 1250), (-1500, 2200), (-1700, 3000), (-2600, 3700), (-4200, 3300)]
    )
    green = Point(1950, -250).buffer(260).intersection(land)

    highway = LineString(
        [
            (-FAR, -300),
            (-HALF, 500),
            (-1900, 1000),
            (-900, 1600),
            (300, 1750),
            (1500, 1250),
            (HALF, 700),
            (FAR, 200),
        ]
    )
    streets = [
        LineString([(-2400, -350), (-900, -150), (0, 0), (900, 60), (2200, -150), (HALF, -250), (FAR, 100)]),
        LineString([(-150, -1000), (-60, 0), (80, 900), (150, 1750), (200, HALF), (-300, FAR)]),
        LineString([(-1500, -800), (-1300, 0), (-1500, 800), (-1650, 1150)]),
        LineString([(1900, -900), (1750, 0), (1950, 700), (2300, 1000)]),
        LineString([(-700, -900), (-500, -350), (0, -250), (500, -420), (650, -900)]),
        LineString([(350, 60), (420, 700), (200, 1200), (-250, 1400)]),
    ]
    beachside = LineString(shore).buffer(70).intersection(land).intersection(box(900, -HALF, HALF, HALF))
    quay = sea.boundary.intersection(box(-2300, -1500, -900, -700)).buffer(80).intersection(land)
    lanes = streets[0].union(streets[1]).union(streets[4]).buffer(35)
    return {
        "sea": sea,
        "water": water,
        "districts": districts,
        "greens": [
            ("City Park", park, "#cfe3bd"),
            ("Hillwood Forest", wood, "#b9d3a6"),
            ("West Meadows", meadow, "#dfe6b8"),
            ("Sands Green", green, "#cfe3bd"),
        ],
        "roads": [
            ("Ring Motorway", highway, "#e0a35c", 5.0),
            *[(f"Street {index + 1}", line, "#ffffff", 3.0) for index, line in enumerate(streets)],
        ],
        "street": lanes.intersection(area["Old Town"].union(area["Harbour"]).union(area["Northgate"])),
        "residential_neighborhood": area["Riverside"].union(area["Parkside"]).difference(park.union(water)),
        "highway": highway.buffer(40).intersection(square),
        "plaza": Point(0, 0).buffer(420).difference(water),
        "park": park.union(green),
        "forest_path": wood.buffer(-80).intersection(square),
        "beach": beachside,
        "harbor": quay,
        "river": river.buffer(120).intersection(land).intersection(box(-HALF, -700, HALF, 2400)),
        "field/wild": meadow.buffer(-80).intersection(square),
        "market/outdoor": Point(-420, -420).buffer(360).intersection(land),
        "construction_site": area["New Docks"].intersection(box(-2900, -900, -1900, 500)).buffer(-60),
    }


def _spot(
    area: BaseGeometry, taken: list[tuple[float, float]], apart: float, rng: np.random.Generator
) -> tuple[float, float]:
    """A random point of an area, as far from the others as `apart` where there is room, else nearer."""
    from shapely import Point

    left, bottom, right, top = area.bounds
    others = np.array(taken).reshape(-1, 2)
    while True:
        for _ in range(60):
            x, y = float(rng.uniform(left, right)), float(rng.uniform(bottom, top))
            if area.covers(Point(x, y)) and (
                not len(others) or float(np.hypot(*(others - (x, y)).T).min()) >= apart
            ):
                return x, y
        apart *= 0.8


def _level(scene: str, level: str, spot: tuple[float, float], waves: np.ndarray) -> float:
    """A level that varies smoothly with position, within the scene's typical range."""
    x, y = spot[0] / 900.0, spot[1] / 900.0
    wave = sum(np.sin(a * x + b * y + 3.0 * c) for a, b, c in waves) / len(waves)
    low, high = level_range(scene, level)
    return round(float(low + (high - low) * np.clip(0.5 + 0.75 * wave, 0.0, 1.0)), 4)
