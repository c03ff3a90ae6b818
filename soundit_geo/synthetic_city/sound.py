"""The soundscape of a place: which sources are heard, how loud and from how far, mixed into one recording.

One pascal is full scale: a level of 94 dB would be 0 dBFS, a busy highway comes out near −13 dBFS and a quiet
forest near −37 dBFS. Scene, levels, hour and weather decide together; scenes share sources on purpose (birds
in park, forest and residential streets; voices on plaza, market and beach), so that a sound alone is often
ambiguous. Every source draws from its own stream: more traffic adds vehicles and changes no bird.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundit_geo.synthetic_city import sources
from soundit_geo.synthetic_city.sources import SOUND_SPEED
from soundit_geo.synthetic_city.waves import Take, Wave

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundit_geo.synthetic_city.place import Place

SHORTEST_SECONDS = 0.25
LOWEST_RATE = 4000  # Hz; below it neither voices nor birds survive
KNEE = 0.7  # where the soft limit begins, of full scale
SHIFT_DB, MOST_SHIFT_DB = 3.5, 6.0  # how much nearer or farther a source may be: standard deviation, most
LEVEL_SHIFT = 0.3  # the sources that carry a level vary by this much of it, so that the level can be heard
LEVEL_SOURCES = ("traffic", "birds", "leaves", "water")
LEAVES_DB, WATER_DB = 28.0, 30.0  # dB more for ten times the level
LEAST_LEVEL = 0.05  # below it leaves, insects and water are as quiet as there
WIND = {"clear": 0.45, "cloudy": 0.6, "overcast": 0.7, "rain": 0.85}
INAUDIBLE_DB = 36.0  # leaves fainter than this drown in every background
TOWN = {"street", "residential_neighborhood", "plaza", "park", "harbor", "market/outdoor", "river"}
LINES = TOWN - {"plaza", "market/outdoor"} | {"field/wild", "construction_site"}  # a railway is not far
GARDEN = ("sparrow", "blackbird", "tit", "finch")
WOOD = ("finch", "tit", "warbler", "blackbird", "cuckoo", "warbler")


@dataclass(frozen=True)
class SceneSound:
    """What a scene adds to the levels of a place.

    Parameters
    ----------
    hum : float
        Background in dB.
    road : tuple of float
        Distance of the road in m, speed in km/h, vehicles in ten seconds at traffic 1, share of buses
        and trucks.
    talkers, voice : float
        Talkers at people 1, and the level of one in dB.
    walkers : float
        Walkers at people 1.
    ground : str
        What they walk on.
    children : float
        Chance of children at people 1.
    songs : float
        Bird songs in ten seconds at greenery 1 in the best hour.
    species : tuple of str
        Birds.
    leaves : float
        Wind in leaves at greenery 1, in dB of a full gust.
    gulls : float
        Rows of cries in ten seconds.
    insects : float
        dB at greenery 1 in the best hour, 0 for none.
    wind : float
        dB of a gust at the open ear.
    water : str
        "surf", "stream", "fountain", "lapping" or "" for none.
    water_level : float
        dB at water 1.
    walls : float
        How much the façades throw back, 0 to 1, times building height.
    """

    hum: float
    road: tuple[float, float, float, float]
    talkers: float = 0.0
    voice: float = 60.0
    walkers: float = 0.0
    ground: str = "stone"
    children: float = 0.0
    songs: float = 0.0
    species: tuple[str, ...] = GARDEN
    leaves: float = 0.0
    gulls: float = 0.0
    insects: float = 0.0
    wind: float = 50.0
    water: str = ""
    water_level: float = 0.0
    walls: float = 0.0


SCENE_SOUNDS: dict[str, SceneSound] = {
    "street": SceneSound(
        57, (7, 42, 9, 0.2), talkers=4, voice=63, walkers=4, songs=6, species=GARDEN[:2], leaves=63,
        walls=0.5,
    ),
    "residential_neighborhood": SceneSound(
        52, (9, 30, 6, 0.05), talkers=3, voice=60, walkers=2, children=1.2, songs=10, leaves=60, walls=0.3,
    ),
    "highway": SceneSound(
        55, (22, 112, 34, 0.25), songs=1, leaves=50, wind=55,
    ),
    "plaza": SceneSound(
        54, (35, 40, 12, 0.1), talkers=8, voice=66, walkers=6, children=0.5, songs=4,
        species=("sparrow", "blackbird"), leaves=60, water="fountain", water_level=64, walls=0.6,
    ),
    "park": SceneSound(
        50, (45, 45, 14, 0.1), talkers=4, voice=62, walkers=4, ground="gravel", children=0.9, songs=10,
        leaves=63, water="stream", water_level=61,
    ),
    "forest_path": SceneSound(
        46, (300, 60, 4, 0.1), talkers=3, voice=58, walkers=4, ground="gravel", songs=10, species=WOOD,
        leaves=61, water="stream", water_level=58,
    ),
    "beach": SceneSound(
        50, (150, 50, 6, 0.1), talkers=4, voice=64, walkers=1, ground="sand", children=1.0, gulls=3.5,
        wind=60, leaves=50, water="surf", water_level=72,
    ),
    "harbor": SceneSound(
        56, (30, 35, 6, 0.4), talkers=3, voice=62, walkers=2, gulls=4, leaves=48, wind=55, water="lapping",
        water_level=63, walls=0.2,
    ),
    "river": SceneSound(
        50, (45, 45, 14, 0.1), talkers=3, voice=60, walkers=2, ground="gravel", children=0.4, songs=9,
        leaves=64, species=("warbler", "blackbird", "finch", "sparrow"), water="stream", water_level=68,
    ),
    "field/wild": SceneSound(
        46, (200, 70, 4, 0.2), talkers=2, voice=57, walkers=1, ground="gravel", songs=5,
        species=("lark", "lark", "finch"), leaves=55, insects=58, wind=63, water="stream", water_level=50,
    ),
    "market/outdoor": SceneSound(
        56, (25, 35, 10, 0.3), talkers=14, voice=66, walkers=4, children=0.5, songs=2, species=("sparrow",),
        leaves=50, walls=0.4,
    ),
    "construction_site": SceneSound(
        57, (20, 35, 7, 0.45), talkers=2, voice=65, walkers=1, ground="gravel", songs=2, leaves=48,
        walls=0.4,
    ),
}  # fmt: skip


def render_sound(place: Place, seconds: float = 10.0, rate: int = 16000) -> Wave:
    """Render what is heard at a place.

    Parameters
    ----------
    place : Place
        Scene, levels, weather, hour and seed.
    seconds : float, optional
        Length, at least 0.25 s.
    rate : int, optional
        Samples per second, at least 4000.

    Returns
    -------
    numpy.ndarray
        (round(seconds * rate),) float32 in [−1, 1], mono; 1 is one pascal. The same for the same place.

    Raises
    ------
    ValueError
        If the length or the rate is too small.
    """
    if not SHORTEST_SECONDS <= seconds < math.inf:
        raise ValueError(f"seconds is {seconds}; a soundscape lasts at least {SHORTEST_SECONDS} s.")
    if rate < LOWEST_RATE:
        raise ValueError(f"rate is {rate}; a soundscape needs at least {LOWEST_RATE} samples per second.")
    mix = np.zeros(round(seconds * rate), np.float32)
    for layer in source_layers(place, seconds, rate).values():
        mix += layer
    return limit(echo(mix, place, rate))


def source_layers(place: Place, seconds: float = 10.0, rate: int = 16000) -> dict[str, Wave]:
    """Render every source that is heard at a place on its own, before echo and limit.

    Parameters
    ----------
    place : Place
        Scene, levels, weather, hour and seed.
    seconds : float, optional
        Length.
    rate : int, optional
        Samples per second.

    Returns
    -------
    dict of str to numpy.ndarray
        (n,) pascal by name of the source; "hum" is always there.
    """
    n = round(seconds * rate)
    streams = place.rng("sound").spawn(len(_STREAMS))
    takes = {name: Take(stream, n, rate) for name, stream in zip(_STREAMS, streams, strict=True)}
    chances = takes["chances"].rng.uniform(size=26)
    shifts = np.clip(takes["shifts"].rng.normal(0.0, SHIFT_DB, len(_STREAMS)), -MOST_SHIFT_DB, MOST_SHIFT_DB)
    shifts[[_STREAMS.index(name) for name in LEVEL_SOURCES]] *= LEVEL_SHIFT
    desk = _Desk(place, SCENE_SOUNDS[place.scene], takes, {})
    desk.add("hum", sources.hum, desk.scene.hum + 4.0 * chances[0])
    _add_traffic(desk, chances[1:3])
    _add_people(desk, chances[3:5])
    _add_plants_and_animals(desk, chances[5:9])
    _add_water_and_weather(desk, chances[5:9])
    if place.scene == "construction_site":
        _add_machines(desk, chances[9:13])
    if place.scene == "harbor":
        _add_boats(desk, chances[12:16])
    if place.scene in _BELLS:
        full_hour = abs(place.hour - round(place.hour)) < 0.1  # the bell strikes the hour
        if chances[14] < _BELLS[place.scene] + 0.3 * full_hour:
            desk.add("bell", sources.church_bell, 54.0 + 8.0 * chances[15])
    _add_neighbours(desk, chances[16:26])
    for name, shift in zip(
        _STREAMS, shifts, strict=True
    ):  # every source is nearer or farther than its middle
        if name in desk.layers:
            desk.layers[name] *= np.float32(10.0 ** (shift / 20.0))
    return desk.layers


_STREAMS = (
    "chances", "shifts", "hum", "traffic", "horn", "siren", "bus", "voices", "children", "footsteps", "calls",
    "clatter", "birds", "woodpecker", "gulls", "insects", "leaves", "wind", "water", "rain", "jackhammer",
    "beeper", "clangs", "grinder", "diesel", "rigging", "boat_horn", "bell", "far_road",
    "train",
)  # fmt: skip
_BELLS = {"plaza": 0.18, "street": 0.03, "residential_neighborhood": 0.04}
Chances = NDArray[np.float64]


@dataclass(frozen=True)
class _Desk:
    """The mixing desk: a place, its scene's settings, a take for every source, the layers so far."""

    place: Place
    scene: SceneSound
    takes: dict[str, Take]
    layers: dict[str, Wave]

    def add(
        self, name: str, source: Callable[..., Wave], *how: float | str | tuple[str, ...], **more: bool
    ) -> None:
        """Record a source on its own layer from its own stream."""
        self.layers[name] = source(self.takes[name], *how, **more)

    @property
    def wet(self) -> bool:
        """Whether it rains."""
        return self.place.weather == "rain"


def _add_traffic(desk: _Desk, chances: Chances) -> None:
    """Add vehicles by the traffic level; the more of it the likelier horn, siren and bus."""
    level = desk.place.traffic
    metres, kmh, vehicles, heavy = desk.scene.road
    if level > 0:
        desk.add("traffic", sources.traffic, vehicles * level, kmh, metres, heavy)
    if desk.place.scene == "street":
        if chances[0] < 0.45 * level:
            desk.add("horn", sources.horn, 70.0)
        if chances[0] > 1.0 - 0.10 * level:
            desk.add("siren", sources.siren, 66.0)
        if chances[1] < 0.35 * level:
            desk.add("bus", sources.idling_engine, 68.0)


def _add_people(desk: _Desk, chances: Chances) -> None:
    """Add voices and footsteps by the people level; fewer voices in the rain, early and late."""
    place, scene = desk.place, desk.scene
    if place.people == 0:
        return
    outside = place.people * (0.5 if desk.wet else 1.0)
    if place.hour < 7 or place.hour > 21.5:
        outside *= 0.6
    desk.add("voices", sources.voices, scene.voice, scene.talkers * outside)
    desk.add("footsteps", sources.footsteps, 64.0, scene.walkers * place.people, scene.ground)
    if chances[0] < scene.children * outside:
        desk.add("children", sources.voices, scene.voice, 1.0 + 3.0 * outside, children=True)
    if place.scene == "market/outdoor":
        desk.add("clatter", sources.clatter, 68.0, 3.0 * chances[1])
        if chances[0] < 0.6:
            desk.add("calls", sources.voices, 72.0, 1.0, calls=True)


def _gale(desk: _Desk, chances: Chances) -> float:
    """Strength of the wind: 0.3 a breeze, 1 strong."""
    return float(WIND[desk.place.weather] + 0.2 * (chances[0] - 0.5))


def _add_plants_and_animals(desk: _Desk, chances: Chances) -> None:
    """Add birds (most at dawn, some at dusk), leaves and insects by greenery."""
    place, scene = desk.place, desk.scene
    if place.greenery == 0:
        return
    dawn = math.exp(-(((place.hour - 6.5) / 2.0) ** 2))
    dusk = 0.6 * math.exp(-(((place.hour - 19.5) / 1.5) ** 2))
    day = 0.55 if 5.0 <= place.hour <= 21.0 else 0.1
    green_db = math.log10(max(place.greenery, LEAST_LEVEL))
    songs = scene.songs * place.greenery * min(day + dawn + dusk, 1.2) * (0.4 if desk.wet else 1.0)
    if songs > 0:
        desk.add("birds", sources.birds, 63.0, songs, scene.species)
    leaves = scene.leaves + 8.0 * (_gale(desk, chances) - 0.7) + LEAVES_DB * green_db
    if leaves > INAUDIBLE_DB:
        desk.add("leaves", sources.leaves, leaves, 0.4 + 0.5 * chances[0])
    if scene.insects and not desk.wet and place.hour > 9 and chances[2] < 0.75:
        desk.add("insects", sources.insects, scene.insects - 6.0 * chances[1] + 10.0 * green_db)
    if place.scene == "forest_path" and chances[2] < 0.3 and 6 < place.hour < 20:
        desk.add("woodpecker", sources.woodpecker, 58.0)


def _add_water_and_weather(desk: _Desk, chances: Chances) -> None:
    """Add the scene's water and the gulls over it by the water level, wind and rain by the weather."""
    place, scene = desk.place, desk.scene
    gale = _gale(desk, chances)
    desk.add("wind", sources.wind, scene.wind + 14.0 * (gale - 0.7))
    if scene.gulls and place.water > 0:
        awake = 1.0 if 5.0 <= place.hour <= 21.0 else 0.2
        desk.add("gulls", sources.gulls, 68.0, scene.gulls * chances[3] * (0.5 if desk.wet else 1.0) * awake)
    if scene.water and place.water > 0:
        level = scene.water_level + WATER_DB * math.log10(max(place.water, LEAST_LEVEL))
        if scene.water == "surf":
            desk.add("water", sources.surf, level + 4.0 * (gale - 0.6))
        elif scene.water == "lapping":
            desk.add("water", sources.lapping, level)
        elif scene.water == "fountain":
            desk.add("water", sources.running_water, level, 90.0, 1.6)
        else:
            desk.add("water", sources.running_water, level, 60.0, 0.9)
    if desk.wet:
        desk.add("rain", sources.rain, 54.0 + 9.0 * chances[1])


def _add_machines(desk: _Desk, chances: Chances) -> None:
    """Add a building site: a diesel mostly, the loud machines each some of the time, near or far."""
    if chances[0] > 0.25:
        desk.add("diesel", sources.idling_engine, 60.0 + 12.0 * chances[0])
    if chances[1] < 0.6:
        desk.add("jackhammer", sources.jackhammer, 66.0 + 20.0 * chances[1])
    if chances[2] < 0.45:
        desk.add("beeper", sources.reversing_beeper, 62.0 + 10.0 * chances[3])
    if chances[2] > 0.6:
        desk.add("grinder", sources.grinder, 64.0 + 8.0 * chances[3])
    desk.add("clangs", sources.clangs, 66.0, 0.7 * chances[3])


def _add_boats(desk: _Desk, chances: Chances) -> None:
    """Add a harbour: rigging, a boat's slow diesel and a ship's horn, each some of the time."""
    if chances[0] < 0.6:
        desk.add("rigging", sources.rigging, 60.0, 0.6 + 2.0 * chances[0])
    if chances[1] > 0.4:
        desk.add("diesel", sources.idling_engine, 46.0 + 18.0 * chances[1], 14.0)
    if chances[2] < 0.35:
        desk.add("boat_horn", sources.boat_horn, 64.0 + 8.0 * chances[3])


def _add_neighbours(desk: _Desk, chances: Chances) -> None:
    """Add what carries over from the next quarter: a harbour city has gulls, bells, building sites."""
    town, layers = desk.place.scene in TOWN, desk.layers
    if chances[0] < (0.3 if town else 0.12) and "gulls" not in layers and 5 <= desk.place.hour <= 21:
        desk.add("gulls", sources.gulls, 60.0, 3.0 * chances[1])
    if town and chances[2] < 0.12 and "jackhammer" not in layers:
        desk.add("jackhammer", sources.jackhammer, 48.0 + 14.0 * chances[3])
    elif town and chances[2] < 0.2 and "beeper" not in layers:
        desk.add("beeper", sources.reversing_beeper, 48.0 + 12.0 * chances[3])
    elif chances[2] > 0.93 and "bell" not in layers:
        desk.add("bell", sources.church_bell, 44.0 + 12.0 * chances[3])
    if chances[4] < 0.25:  # a main road beyond the houses or the trees, whatever the traffic here
        desk.add("far_road", sources.traffic, 12.0, 60.0, 120.0 + 400.0 * chances[5])
    if town and chances[6] < 0.2 and "diesel" not in layers and "bus" not in layers:
        desk.add("diesel", sources.idling_engine, 48.0 + 16.0 * chances[7])  # a delivery van
    if desk.place.scene in LINES and chances[8] < 0.12:
        desk.add("train", sources.train, 56.0 + 10.0 * chances[9])


def echo(mix: Wave, place: Place, rate: int) -> Wave:
    """Add what façades throw back: copies later by the way across the street and back, weaker each time.

    Parameters
    ----------
    mix : numpy.ndarray
        (n,) pascal.
    place : Place
        Its building height says how much comes back.
    rate : int
        Samples per second.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    share = SCENE_SOUNDS[place.scene].walls * place.building_height
    if share == 0:
        return mix
    width = 40.0 if place.scene == "plaza" else 16.0  # metres between the façades
    heard = mix.copy()
    for turn, factor in enumerate((1.0, 1.63, 2.21), 1):  # no whole multiples: a room of many sizes
        delay = int(factor * width / SOUND_SPEED * rate)
        if delay < len(mix):
            heard[delay:] += np.float32(0.6 * share / turn) * mix[:-delay]
    return heard


def limit(mix: Wave) -> Wave:
    """Keep a recording within full scale: untouched below 0.7, bent softly above.

    Parameters
    ----------
    mix : numpy.ndarray
        (n,) pascal.

    Returns
    -------
    numpy.ndarray
        (n,) float32 within ±1.
    """
    size = np.abs(mix)
    if float(size.max()) > KNEE:
        room = 1.0 - KNEE
        bent = np.minimum(size, KNEE) + room * np.tanh(np.maximum(size - KNEE, 0.0) / room)
        mix = np.copysign(bent, mix)
    return mix.astype(np.float32)
