"""Names of the classes that judges speak of, in the order of their data sets.

Facts only: the 150 elements of ADE20K (SceneParse150; Zhou et al. 2017), the 365 scenes of Places365
(Zhou et al. 2018) and which of them are indoors, the six perceptions of Place Pulse 2.0 (Dubey et al. 2016),
and a few urban indicators as sums of elements.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PERCEPTIONS: tuple[str, ...] = ("safe", "lively", "beautiful", "wealthy", "depressing", "boring")
"""The six perceptions, in the order of every perception array."""

COMPARATIVES: Mapping[str, str] = MappingProxyType(
    {
        "safe": "safer",
        "lively": "livelier",
        "beautiful": "more beautiful",
        "wealthy": "wealthier",
        "depressing": "more depressing",
        "boring": "more boring",
    }
)
"""What a higher score of a perception means, in words."""

# fmt: off
INDICATORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "greenery": ("tree", "grass", "plant", "field", "flower", "palm"),
        "sky": ("sky",),
        "buildings": ("building", "house", "skyscraper", "tower", "hovel"),
        "enclosure": (
            "building", "house", "skyscraper", "tower", "hovel",
            "wall", "fence", "column", "tree", "palm",
        ),
        "carriageway": ("road", "runway"),
        "walkway": ("sidewalk", "path", "dirt track", "stairs", "stairway", "step"),
        "water": ("water", "sea", "river", "lake", "waterfall", "fountain", "swimming pool"),
        "people": ("person",),
        "vehicles": ("car", "bus", "truck", "van", "minibike", "bicycle"),
    }
)
# fmt: on
"""Urban indicators: the share of a picture that a group of ADE20K elements covers, 0 to 1.

Reading: the grouping is this project's, after the literature that `soundit_geo.pss.indicators` names. Groups may
overlap: trees are greenery and enclose.
"""

# fmt: off
ADE20K: tuple[str, ...] = (
    "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass",
    "cabinet", "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair",
    "car", "water", "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field", "armchair",
    "seat", "fence", "desk", "rock", "wardrobe", "lamp", "bathtub", "railing", "cushion", "base", "box",
    "column", "signboard", "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace",
    "refrigerator", "grandstand", "path", "stairs", "runway", "case", "pool table", "pillow",
    "screen door", "stairway", "river", "bridge", "bookcase", "blind", "coffee table", "toilet", "flower",
    "book", "hill", "bench", "countertop", "stove", "palm", "kitchen island", "computer", "swivel chair",
    "boat", "bar", "arcade machine", "hovel", "bus", "towel", "light", "truck", "tower", "chandelier",
    "awning", "streetlight", "booth", "television receiver", "airplane", "dirt track", "apparel", "pole",
    "land", "bannister", "escalator", "ottoman", "bottle", "buffet", "poster", "stage", "van", "ship",
    "fountain", "conveyer belt", "canopy", "washer", "plaything", "swimming pool", "stool", "barrel",
    "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball", "food", "step", "tank",
    "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher", "screen", "blanket",
    "sculpture", "hood", "sconce", "vase", "traffic light", "tray", "ashcan", "fan", "pier", "crt screen",
    "plate", "monitor", "bulletin board", "shower", "radiator", "glass", "clock", "flag",
)
# fmt: on
"""The 150 elements; the position is the 0-based id in every mask."""

# fmt: off
PLACES365: tuple[str, ...] = (
    "airfield", "airplane_cabin", "airport_terminal", "alcove", "alley", "amphitheater",
    "amusement_arcade", "amusement_park", "apartment_building/outdoor", "aquarium", "aqueduct", "arcade",
    "arch", "archaelogical_excavation", "archive", "arena/hockey", "arena/performance", "arena/rodeo",
    "army_base", "art_gallery", "art_school", "art_studio", "artists_loft", "assembly_line",
    "athletic_field/outdoor", "atrium/public", "attic", "auditorium", "auto_factory", "auto_showroom",
    "badlands", "bakery/shop", "balcony/exterior", "balcony/interior", "ball_pit", "ballroom",
    "bamboo_forest", "bank_vault", "banquet_hall", "bar", "barn", "barndoor", "baseball_field",
    "basement", "basketball_court/indoor", "bathroom", "bazaar/indoor", "bazaar/outdoor", "beach",
    "beach_house", "beauty_salon", "bedchamber", "bedroom", "beer_garden", "beer_hall", "berth",
    "biology_laboratory", "boardwalk", "boat_deck", "boathouse", "bookstore", "booth/indoor",
    "botanical_garden", "bow_window/indoor", "bowling_alley", "boxing_ring", "bridge", "building_facade",
    "bullring", "burial_chamber", "bus_interior", "bus_station/indoor", "butchers_shop", "butte",
    "cabin/outdoor", "cafeteria", "campsite", "campus", "canal/natural", "canal/urban", "candy_store",
    "canyon", "car_interior", "carrousel", "castle", "catacomb", "cemetery", "chalet", "chemistry_lab",
    "childs_room", "church/indoor", "church/outdoor", "classroom", "clean_room", "cliff", "closet",
    "clothing_store", "coast", "cockpit", "coffee_shop", "computer_room", "conference_center",
    "conference_room", "construction_site", "corn_field", "corral", "corridor", "cottage", "courthouse",
    "courtyard", "creek", "crevasse", "crosswalk", "dam", "delicatessen", "department_store",
    "desert/sand", "desert/vegetation", "desert_road", "diner/outdoor", "dining_hall", "dining_room",
    "discotheque", "doorway/outdoor", "dorm_room", "downtown", "dressing_room", "driveway", "drugstore",
    "elevator/door", "elevator_lobby", "elevator_shaft", "embassy", "engine_room", "entrance_hall",
    "escalator/indoor", "excavation", "fabric_store", "farm", "fastfood_restaurant", "field/cultivated",
    "field/wild", "field_road", "fire_escape", "fire_station", "fishpond", "flea_market/indoor",
    "florist_shop/indoor", "food_court", "football_field", "forest/broadleaf", "forest_path",
    "forest_road", "formal_garden", "fountain", "galley", "garage/indoor", "garage/outdoor",
    "gas_station", "gazebo/exterior", "general_store/indoor", "general_store/outdoor", "gift_shop",
    "glacier", "golf_course", "greenhouse/indoor", "greenhouse/outdoor", "grotto", "gymnasium/indoor",
    "hangar/indoor", "hangar/outdoor", "harbor", "hardware_store", "hayfield", "heliport", "highway",
    "home_office", "home_theater", "hospital", "hospital_room", "hot_spring", "hotel/outdoor",
    "hotel_room", "house", "hunting_lodge/outdoor", "ice_cream_parlor", "ice_floe", "ice_shelf",
    "ice_skating_rink/indoor", "ice_skating_rink/outdoor", "iceberg", "igloo", "industrial_area",
    "inn/outdoor", "islet", "jacuzzi/indoor", "jail_cell", "japanese_garden", "jewelry_shop", "junkyard",
    "kasbah", "kennel/outdoor", "kindergarden_classroom", "kitchen", "lagoon", "lake/natural", "landfill",
    "landing_deck", "laundromat", "lawn", "lecture_room", "legislative_chamber", "library/indoor",
    "library/outdoor", "lighthouse", "living_room", "loading_dock", "lobby", "lock_chamber",
    "locker_room", "mansion", "manufactured_home", "market/indoor", "market/outdoor", "marsh",
    "martial_arts_gym", "mausoleum", "medina", "mezzanine", "moat/water", "mosque/outdoor", "motel",
    "mountain", "mountain_path", "mountain_snowy", "movie_theater/indoor", "museum/indoor",
    "museum/outdoor", "music_studio", "natural_history_museum", "nursery", "nursing_home", "oast_house",
    "ocean", "office", "office_building", "office_cubicles", "oilrig", "operating_room", "orchard",
    "orchestra_pit", "pagoda", "palace", "pantry", "park", "parking_garage/indoor",
    "parking_garage/outdoor", "parking_lot", "pasture", "patio", "pavilion", "pet_shop", "pharmacy",
    "phone_booth", "physics_laboratory", "picnic_area", "pier", "pizzeria", "playground", "playroom",
    "plaza", "pond", "porch", "promenade", "pub/indoor", "racecourse", "raceway", "raft",
    "railroad_track", "rainforest", "reception", "recreation_room", "repair_shop",
    "residential_neighborhood", "restaurant", "restaurant_kitchen", "restaurant_patio", "rice_paddy",
    "river", "rock_arch", "roof_garden", "rope_bridge", "ruin", "runway", "sandbox", "sauna",
    "schoolhouse", "science_museum", "server_room", "shed", "shoe_shop", "shopfront",
    "shopping_mall/indoor", "shower", "ski_resort", "ski_slope", "sky", "skyscraper", "slum", "snowfield",
    "soccer_field", "stable", "stadium/baseball", "stadium/football", "stadium/soccer", "stage/indoor",
    "stage/outdoor", "staircase", "storage_room", "street", "subway_station/platform", "supermarket",
    "sushi_bar", "swamp", "swimming_hole", "swimming_pool/indoor", "swimming_pool/outdoor",
    "synagogue/outdoor", "television_room", "television_studio", "temple/asia", "throne_room",
    "ticket_booth", "topiary_garden", "tower", "toyshop", "train_interior", "train_station/platform",
    "tree_farm", "tree_house", "trench", "tundra", "underwater/ocean_deep", "utility_room", "valley",
    "vegetable_garden", "veterinarians_office", "viaduct", "village", "vineyard", "volcano",
    "volleyball_court/outdoor", "waiting_room", "water_park", "water_tower", "waterfall", "watering_hole",
    "wave", "wet_bar", "wheat_field", "wind_farm", "windmill", "yard", "youth_hostel", "zen_garden",
)
# fmt: on
"""The 365 scenes; the position is the class id."""

# fmt: off
INDOOR: frozenset[int] = frozenset((
    1, 2, 3, 6, 9, 11, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23, 25, 26, 27, 28, 29, 31, 34, 35, 37, 38,
    39, 43, 44, 45, 46, 50, 51, 52, 54, 55, 56, 60, 61, 63, 64, 65, 69, 70, 72, 75, 80, 82, 85, 88, 89,
    90, 92, 93, 95, 96, 98, 99, 100, 101, 102, 106, 114, 115, 120, 121, 122, 124, 126, 128, 129, 130,
    131, 133, 134, 135, 137, 139, 146, 147, 148, 155, 156, 160, 162, 165, 168, 169, 172, 176, 177, 179,
    182, 185, 188, 195, 196, 198, 202, 203, 208, 210, 211, 212, 215, 217, 219, 222, 225, 228, 235, 236,
    238, 239, 240, 241, 244, 246, 248, 250, 253, 255, 261, 262, 264, 267, 269, 274, 280, 281, 282, 284,
    285, 295, 297, 298, 300, 302, 303, 311, 315, 317, 318, 320, 321, 322, 324, 325, 328, 329, 331, 332,
    335, 336, 337, 343, 346, 352, 358, 363,
))
# fmt: on
"""Ids of the 160 scenes that are indoors; the other 205 are outdoors.

Source: the authors' indoor and outdoor labels, ``IO_places365.txt`` of github.com/CSAILVision/places365, CC BY; taken
as they are, so that ``bus_station/indoor`` counts as outdoors.
"""
