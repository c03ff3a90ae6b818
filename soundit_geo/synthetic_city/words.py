"""Scene prompts of the synthetic city: the words in which a place may be asked for.

A caption names its scene, or what is typical of it, and may say what is true of the place. The words themselves
stand in `soundit_geo.synthetic_city.vocabulary`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from soundit_geo.synthetic_city.vocabulary import NAMES, NO_ARTICLE, THINGS, UNSEEN, split_phrases

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from soundit_geo.synthetic_city.place import Place

__all__ = ["NAMES", "THINGS", "UNSEEN", "caption"]

_AT = {
    "street": "on",
    "residential_neighborhood": "in",
    "highway": "beside",
    "plaza": "on",
    "park": "in",
    "forest_path": "in",
    "beach": "on",
    "harbor": "at",
    "river": "by",
    "field/wild": "in",
    "market/outdoor": "at",
    "construction_site": "at",
}
"""How one stands there."""

_PLAIN = 0.35
"""Share of captions without any sentence around them."""

_SENTENCES = (
    "a photo of {}",
    "a photograph of {}",
    "a picture of {}",
    "picture of {}",
    "a view of {}",
    "an image of {}",
    "a snapshot of {}",
    "an eye-level view of {}",
    "a landscape with {}",
    "this is {}",
    "here is {}",
    "it looks like {}",
    "looking at {}",
    "imagine {}",
    "show me {}",
    "draw {}",
    "please draw {}",
    "the look of {}",
    "{}, seen from the ground",
    "{}, as you see it on foot",
    "{}, photographed at eye level",
    "i am standing {at} {}",
    "we are walking {at} {}",
    "a photograph taken {at} {}",
    "the view {at} {}",
    "a scene {at} {}",
    "somewhere {at} {}",
    "being {at} {}",
    "you are {at} {}",
)
_OF_ONE = (
    "what {} looks like",
    "how {} sounds and looks",
    "there is {} in front of me",
    "this is what {} is like",
)
_ABOUT_THINGS = (
    "a photo of {}",
    "a picture of {}",
    "i can see {}",
    "imagine {}",
    "looking at {}",
    "show me {}",
)

_DRIVEN = {"street", "residential_neighborhood", "highway"}  # where cars are drawn
_PEOPLED = {"plaza", "market/outdoor", "construction_site", "beach"}  # where somebody mostly stands
_UNPEOPLED = {"highway", "field/wild"}  # where hardly anybody is drawn
_WITH_TREES = {"street", "residential_neighborhood", "highway", "plaza", "park", "forest_path", "river"}
_TREELESS = {
    "street",
    "plaza",
    "market/outdoor",
    "harbor",
    "construction_site",
    "beach",
}  # green may be denied
_BETWEEN_BUILDINGS = {"street", "plaza"}
_OPEN = {"park", "river", "highway"}  # buildings stand far away, if any
_WILD = {"forest_path", "beach", "field/wild"}  # where a building is rarely drawn

_SAID = {
    "traffic": r"busy|traffic|cars?\b|car-|fast|lorries|trucks|bus|trams|rush|quiet|one-way|pedestrian|jam",
    "people": r"busy|crowded|people|quiet|vendors|traders|joggers|family|meet|walk",
    "greenery": r"\btree|green|leafy|garden|flower|vegetable|lawn|grass|wood|forest|hedge|bare",
    "water": r"water|pond|fountain|tide|wave|boats|ships|wide|stream|brook|creek",
    "building_height": r"tall|\bhigh\b|tower|buildings|blocks|houses|bungalow|narrow",
    "weather": r"rain|sunny",
    "hour": r"\bday\b|night|rush",
}
"""What a name already says; the attribute of that kind is then left out."""


def _traffic(place: Place) -> tuple[str, str]:
    level, driven = place.traffic, place.scene in _DRIVEN
    if place.scene == "construction_site":
        return "", ""
    if driven and level > 0.6:
        return (
            "busy, noisy, congested, loud",
            (
                "with heavy traffic, full of cars, with many vehicles, with lots of cars, with dense traffic, "
                "with a stream of cars, packed with vehicles"
            ),
        )
    if driven and 0.25 < level < 0.5:
        return "", "with some traffic, with moderate traffic, with light traffic, with a little traffic"
    if level < (0.04 if driven else 0.06):
        return (
            "car-free, traffic-free",
            (
                "without cars, free of traffic, with no traffic at all, without any cars, with no cars, "
                "where no cars drive, away from traffic, without vehicles"
            ),
        )
    if level < 0.15:
        return "", "with hardly any traffic, with almost no cars, with very little traffic"
    return "", ""


def _people(place: Place) -> tuple[str, str]:
    level = place.people
    if place.scene not in _UNPEOPLED and level > 0.6:
        return (
            "crowded, lively, bustling",
            (
                "with many people, full of people, with crowds of people, with lots of people, packed with people, "
                "with a crowd"
            ),
        )
    if place.scene not in _UNPEOPLED and 0.3 < level < 0.5:
        return "", "with some people, with several people"
    if place.scene not in _PEOPLED and level < 0.05:
        alone = (
            "with nobody around, with no people in sight, without people, with no one there, without a soul, "
            "with nobody to be seen"
        )
        still = place.traffic < (0.04 if place.scene in _DRIVEN else 0.06)
        return "empty, deserted, lonely, quiet" if still else "", alone
    if level < 0.2 and place.scene not in {"plaza", "market/outdoor"}:
        return (
            "calm, peaceful" if place.traffic < 0.15 and place.scene != "construction_site" else "",
            "with few people, not crowded, with hardly anyone around",
        )
    return "", ""


def _greenery(place: Place) -> tuple[str, str]:
    level, scene = place.greenery, place.scene
    if scene in _WITH_TREES and level > 0.55:
        return (
            "green, leafy, verdant",
            (
                "with trees, with many trees, with lush greenery, with lots of green, full of trees, "
                "with plenty of trees"
            ),
        )
    if scene in _WITH_TREES and 0.25 < level < 0.45 and scene != "forest_path":
        return "", "with some trees, with some greenery, with a little green"
    if scene == "field/wild":
        return _grass(level)
    if scene in _TREELESS and level < (0.008 if scene in {"harbor", "construction_site"} else 0.03):
        return (
            "treeless, bare",
            "without trees, with no trees, with not a single tree, without any greenery, with no green at all",
        )
    if scene in _TREELESS and level < 0.1:
        return "", "with hardly any green, with almost no greenery, not very green"
    return "", ""


def _grass(level: float) -> tuple[str, str]:
    """Greenery of a field, whose colour goes from straw to green."""
    if level > 0.65:
        return "green, lush", "with fresh green grass"
    return ("golden, yellow", "with yellow grass, not very green") if level < 0.4 else ("", "")


def _water(place: Place) -> tuple[str, str]:
    level = place.water
    words = {
        "plaza": (
            (0.1, "with a fountain, around a fountain, with water jets"),
            (0.04, "without a fountain, with no fountain, with no water"),
        ),
        "park": (
            (0.2, "with a pond, beside a pond, with a small lake"),
            (0.04, "without a pond, with no water nearby, with no pond"),
        ),
        "field/wild": (
            (0.1, "with a pool of water, with a small pond, with a puddle"),
            (0.03, "with no water nearby, without any water"),
        ),
        "beach": ((0.85, "at high tide, with much water"), (0.7, "at low tide, with a wide strip of sand")),
        "harbor": ((0.85, "full of boats, with many boats, with lots of boats"), (0.0, "")),
        "river": ((0.8, "with wide water, with much water"), (0.0, "")),
    }
    if place.scene not in words:
        return "", ""
    (high, much), (low, little) = words[place.scene]
    return "", much if level > high else little if level < low else ""


def _buildings(place: Place) -> tuple[str, str]:
    level, scene = place.building_height, place.scene
    if scene in _BETWEEN_BUILDINGS and level > 0.7:
        return (
            "",
            "with tall buildings, between high buildings, among high-rises, surrounded by tall buildings",
        )
    if scene in _BETWEEN_BUILDINGS and level < 0.45:
        return "", "with low buildings, without tall buildings, with no high-rises"
    if scene in _OPEN and level > 0.2:
        return "", "with buildings in the distance, with buildings behind"
    if scene in _OPEN | _WILD and level < (0.08 if scene == "beach" else 0.1):
        return "", "without buildings, with no houses in sight, with no buildings nearby"
    return "", ""


def _weather(place: Place) -> tuple[str, str]:
    day = 7.0 <= place.hour <= 18.0
    clear = (
        (
            "sunny, bright",
            "under a blue sky, in the sunshine, on a sunny day, in fine weather, in bright sunlight",
        )
        if day
        else ("", "under a clear sky, in dry weather")
    )
    return {
        "clear": clear,
        "cloudy": ("cloudy", "with clouds, under a cloudy sky, with clouds in the sky, in dry weather"),
        "overcast": (
            "grey, gray, gloomy",
            "under a grey sky, in dull weather, under an overcast sky, without sun",
        ),
        "rain": (
            "rainy, wet",
            "in the rain, in rainy weather, in wet weather, while it rains, in bad weather",
        ),
    }[place.weather]


def _hour(place: Place) -> tuple[str, str]:
    spans = (
        (5.5, "at night, after dark, in the dark, by night"),
        (8.5, "early in the morning, in the early morning, in the morning"),
        (11.0, "in the morning, by day, before noon"),
        (13.5, "at noon, at midday, in the middle of the day"),
        (17.0, "in the afternoon, by day"),
        (18.5, "in the evening, late in the day"),
        (19.5, "at dusk, in the evening, in the evening light"),
    )
    return "", next((words for end, words in spans if place.hour <= end), spans[0][1])


def _attributes(place: Place) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Adjectives and trailing phrases by what they are about, each true of the place and of its picture."""
    said = {
        "traffic": _traffic(place),
        "people": _people(place),
        "greenery": _greenery(place),
        "water": _water(place),
        "building_height": _buildings(place),
        "weather": _weather(place),
        "hour": _hour(place),
    }
    return {about: (split_phrases(before), split_phrases(after)) for about, (before, after) in said.items()}


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _with_attributes(name: str, place: Place, rng: np.random.Generator) -> str:
    """A name with at most two attributes, each of another kind and of none that the name speaks of."""
    words = {about: both for about, both in _attributes(place).items() if not re.search(_SAID[about], name)}
    adjectives = [(about, word) for about, (before, _) in words.items() for word in before]
    adjective, trailing, about = "", "", ""
    if adjectives and rng.uniform() < 0.35:
        about, adjective = adjectives[int(rng.integers(len(adjectives)))]
    kinds = [kind for kind, (_, after) in words.items() if after and kind != about]
    wanted = int(rng.choice(3, p=(0.4, 0.45, 0.15))) if not adjective else int(rng.choice(2, p=(0.55, 0.45)))
    for kind in rng.permutation(kinds)[:wanted]:
        trailing += f" {_pick(words[str(kind)][1], rng)}"
    return f"{adjective} {name}{trailing}".strip()


def _with_things(name: str, place: Place, rng: np.random.Generator) -> str:
    first, second = (str(thing) for thing in rng.choice(THINGS[place.scene], 2, replace=False))
    join = " and " if " with " in name else " with "
    return f"{name}{join}{first}" if rng.uniform() < 0.5 else f"{name}{join}{first} and {second}"


def _things_alone(place: Place, rng: np.random.Generator) -> str:
    first, second, third = (str(thing) for thing in rng.choice(THINGS[place.scene], 3, replace=False))
    forms = (first, f"{first} and {second}", f"{first}, {second}", f"{first}, {second} and {third}")
    text = _pick(forms, rng)
    return text if rng.uniform() < 0.6 else _pick(_ABOUT_THINGS, rng).format(text)


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
        English, lower case, such as "a leafy city park with many people". Every attribute that is added to the
        scene's name is true of the place and of its picture, and none is added to a name that speaks of the same
        matter. About a third of the captions speak of `THINGS` instead, which are typical of the scene and claim
        nothing about this place.
    """
    draw = rng.uniform()
    if draw < 0.15:
        return _things_alone(place, rng)
    name = _pick(NAMES[place.scene], rng)
    text = _with_things(name, place, rng) if draw < 0.35 else _with_attributes(name, place, rng)
    plain = rng.uniform() < _PLAIN
    articles = ("the",) if name in NO_ARTICLE else ("a", "a", "a", "the")
    if plain or name in NO_ARTICLE:
        articles = ("", *articles)
    article = _pick(articles, rng)
    if article == "a" and re.match(r"[aeio]|unfinished|urban", text):
        article = "an"
    whole = f"{article} {text}".strip()
    sentences = _SENTENCES if name in NO_ARTICLE else _SENTENCES + _OF_ONE
    return whole if plain else _pick(sentences, rng).format(whole, at=_AT[place.scene])
