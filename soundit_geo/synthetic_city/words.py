"""Scene prompts of the synthetic city: the words in which a place may be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from soundit_geo.synthetic_city.place import Place

NAMES: dict[str, tuple[str, ...]] = {
    "street": (
        "street",
        "city street",
        "avenue",
        "boulevard",
        "downtown street",
        "main street",
        "busy street",
        "road between tall buildings",
        "urban road",
        "high street",
        "shopping street",
        "street canyon",
    ),
    "residential_neighborhood": (
        "residential neighborhood",
        "residential street",
        "suburb",
        "suburban street",
        "quiet road with houses",
        "housing estate",
        "neighbourhood of family houses",
        "row of houses",
        "quiet residential area",
        "street of houses with gardens",
        "suburban road",
        "village street",
    ),
    "highway": (
        "highway",
        "motorway",
        "freeway",
        "expressway",
        "multi-lane road",
        "busy highway",
        "dual carriageway",
        "ring road",
        "six-lane road",
        "arterial road with fast traffic",
        "interstate",
        "autobahn",
    ),
    "plaza": (
        "plaza",
        "town square",
        "square",
        "piazza",
        "pedestrian plaza",
        "pedestrian zone",
        "public square",
        "paved square",
        "city square with a fountain",
        "car-free square",
        "civic plaza",
        "pedestrian area",
    ),
    "park": (
        "park",
        "city park",
        "public garden",
        "green park",
        "urban park",
        "park with a pond",
        "garden",
        "lawn with trees",
        "park with a path",
        "pocket park",
        "green space",
        "botanical garden",
    ),
    "forest_path": (
        "forest path",
        "forest",
        "woodland",
        "trail in the woods",
        "forest trail",
        "wood",
        "path between trees",
        "woodland path",
        "dense forest",
        "footpath through a forest",
        "hiking trail",
        "grove",
    ),
    "beach": (
        "beach",
        "sandy beach",
        "seaside",
        "sea shore",
        "beach with waves",
        "coast",
        "seashore",
        "sand and sea",
        "ocean beach",
        "bathing beach",
        "shoreline",
        "coastal beach",
    ),
    "harbor": (
        "harbor",
        "harbour",
        "port",
        "marina",
        "quay with boats",
        "waterfront with cranes",
        "docks",
        "boat harbour",
        "fishing port",
        "harbour front",
        "wharf",
        "pier with sailing boats",
    ),
    "river": (
        "river",
        "riverside",
        "river bank",
        "river with a bridge",
        "riverbank",
        "waterway",
        "stream",
        "river between green banks",
        "canal",
        "riverfront",
        "river walk",
        "wide river",
    ),
    "field/wild": (
        "field",
        "wild field",
        "open field",
        "meadow",
        "farmland",
        "grassland",
        "countryside",
        "pasture",
        "open country",
        "meadow with hills",
        "prairie",
        "rural field",
    ),
    "market/outdoor": (
        "outdoor market",
        "market",
        "street market",
        "market stalls",
        "farmers market",
        "open-air market",
        "market square with stalls",
        "crowded market",
        "food market",
        "flea market",
        "bazaar",
        "market place",
    ),
    "construction_site": (
        "construction site",
        "building site",
        "construction",
        "site with a crane",
        "excavation",
        "construction works",
        "building under construction",
        "crane and earthworks",
        "roadworks",
        "unfinished building",
        "construction zone",
        "demolition site",
    ),
}
"""Twelve ways to name each scene."""

_OPENINGS = (
    "",
    "",
    "",
    "a ",
    "a ",
    "a photo of a ",
    "a view of a ",
    "the ",
    "picture of a ",
    "this is a ",
    "looking at a ",
)


def _attributes(place: Place) -> tuple[list[str], list[str]]:
    """Adjectives and trailing phrases that are true of a place."""
    before: list[str] = []
    after: list[str] = []
    if place.traffic > 0.6:
        before += ["busy", "noisy"]
        after += ["with heavy traffic", "full of cars", "with many vehicles"]
    elif place.traffic < 0.08:
        after += ["without cars", "free of traffic"]
    if place.greenery > 0.55:
        before += ["green", "leafy"]
        after += ["with trees", "with many trees", "with lush greenery"]
    if place.people > 0.6:
        before += ["crowded", "lively"]
        after += ["with many people", "full of people"]
    elif place.people < 0.1:
        after += ["with nobody around"]
        if place.traffic < 0.1:
            before += ["empty", "quiet", "deserted"]
    if place.building_height > 0.7:
        after += ["with tall buildings", "between high buildings"]
    before += {"clear": ["sunny"], "cloudy": [], "overcast": ["grey"], "rain": ["rainy"]}[place.weather]
    after += {
        "clear": ["under a blue sky"],
        "cloudy": ["with clouds"],
        "overcast": [],
        "rain": ["in the rain"],
    }[place.weather]
    if place.hour < 6 or place.hour > 19.5:
        after += ["at night", "after dark"]
    return before, after


def caption(place: Place, rng: np.random.Generator) -> str:
    """Put a place into words.

    Parameters
    ----------
    place : Place
        What to describe.
    rng : numpy.random.Generator
        Chooses among the phrasings.

    Returns
    -------
    str
        English, lower case, such as "a leafy city park with many people"; every attribute that is added to
        the scene's name is true.
    """
    before, after = _attributes(place)
    name = str(rng.choice(NAMES[place.scene]))
    adjective = f"{rng.choice(before)} " if before and rng.uniform() < 0.4 else ""
    trailing = f" {rng.choice(after)}" if after and rng.uniform() < 0.4 else ""
    opening = str(rng.choice(_OPENINGS))
    if opening.endswith("a ") and (adjective + name)[0] in "aeio":
        opening = f"{opening[:-1]}n "
    return f"{opening}{adjective}{name}{trailing}"
