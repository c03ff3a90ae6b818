"""The sound sources of the synthetic city: one function for each, in pascal at the listener's ear.

Every function takes a `Take` (random numbers, length, rate) and says how strong the source is and how far
away; it returns the pressure over time. A sound pressure level of 94 dB is one pascal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from soundit_geo.synthetic_city.waves import (
    COARSE,
    Take,
    Wave,
    band,
    between,
    counted,
    curve,
    drift,
    glide,
    noise,
    pascal,
    place_at,
    ring,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SOUND_SPEED = 343.0
"""Metres per second, air at 20 °C."""
Points = NDArray[np.float64]

# ------------------------------------------------------------------------------------------------- traffic

CAR_DB, CAR_METRES, CAR_KMH = 71.0, 7.5, 50.0  # pass-by level of a car at 50 km/h, 7.5 m away
HEAVY_DB = 7.0  # a bus or truck above a car
FAR_METRES = 50.0  # from here on no single vehicle is told apart
TEXTURE_SECONDS = 3.0  # length of the loop that a vehicle carries along


def _vehicle_texture(take: Take, kmh: float, *, heavy: bool) -> Wave:
    """Mix tyres (broad noise, higher with speed) and engine (pulses of the cylinders, faint at speed)."""
    tyres = noise(take, band(350 + 3 * kmh, 700 + 6 * kmh, 1.3))
    hertz = (38.0 if heavy else 72.0) * take.rng.uniform(0.85, 1.2)
    engine = noise(take, band(0.6 * hertz, 2.2 * hertz if heavy else 3.0 * hertz, 2.5))
    t = np.arange(take.n, dtype=np.float32) / take.rate
    engine *= 1 + 0.8 * np.sin(np.float32(2 * np.pi * hertz) * t)  # firing of the cylinders
    share = np.clip((1.3 if heavy else 0.75) - kmh / 150.0, 0.15, 1.1)
    return np.asarray(tyres + np.float32(share) * engine, np.float32)


def traffic(take: Take, flow: float, kmh: float, metres: float, heavy: float = 0.1) -> Wave:
    """Hear vehicles on a road: single pass-bys (1/r, Doppler) over the roar of the farther ones.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    flow : float
        Vehicles in ten seconds.
    kmh : float
        Speed in km/h: tyre noise rises with 30 dB per tenfold speed.
    metres : float
        Distance of the road.
    heavy : float, optional
        Share of buses and trucks.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave = take.rng, take.silence()
    level = CAR_DB + 30.0 * np.log10(kmh / CAR_KMH)
    at_most = int(np.ceil(8 * max(take.seconds / 10.0, 1.0))) if metres < FAR_METRES else 0
    near = counted(flow * max(take.seconds / 10.0, 1.0), at_most)
    textures = {
        kind: _vehicle_texture(Take(child, int(TEXTURE_SECONDS * take.rate), take.rate), kmh, heavy=kind)
        for kind, child in zip((False, True), rng.spawn(2), strict=True)
        if at_most
    }
    times = rng.uniform(-1.0, take.seconds + 1.0, at_most)
    draws = rng.uniform(size=(at_most, 5))
    for weight, passing, (u_heavy, u_lane, u_speed, u_offset, u_loud) in zip(near, times, draws, strict=True):
        if weight == 0:
            break
        texture = textures[bool(u_heavy < heavy)]
        side = metres + 4.0 * (u_lane < 0.5)  # two lanes
        speed = kmh / 3.6 * (0.85 + 0.3 * u_speed)
        reach = min(8.0 * side / speed + 0.5, 4.0)
        first = max(int((passing - reach) * take.rate), 0)
        last = min(int((passing + reach) * take.rate), take.n)
        if last <= first:
            continue
        t = (np.arange(first, last + 2 * COARSE, COARSE) / take.rate) - passing
        distance = np.hypot(side, speed * t)
        loud = level + HEAVY_DB * (u_heavy < heavy) + 3.0 * (u_loud - 0.5)
        envelope = weight * pascal(loud) * CAR_METRES / distance
        envelope *= np.cos(np.clip(t / reach, -1, 1) * (0.5 * np.pi)) ** 2
        emitted = (
            t + reach - distance / SOUND_SPEED
        ) * take.rate  # heard now, emitted then: the Doppler shift
        heard = np.maximum(between(emitted, last - first), 0)
        at = heard.astype(np.int32)
        heard -= at
        loop = np.tile(texture, int(2 * reach / TEXTURE_SECONDS) + 3)[int(u_offset * len(texture)) :]
        here = loop[at]
        here += heard * (loop[at + 1] - here)
        here *= between(envelope, last - first)
        wave[first:last] += here
    # The rest of the road is a line source: 3 dB less per doubled distance. Ten times the vehicles would give
    # 10 dB at the same speed; 15 dB here, for dense traffic also brakes and starts more.
    rest = level + 15.0 * np.log10(max(flow, 1e-3) / 8.0) - 10.0 * np.log10((metres + 8.0) / CAR_METRES) - 5.0
    absorbed = 900.0 + 6.0 * kmh - min(8.0 * metres, 700.0)  # air and houses swallow the high part
    roar = noise(take, band(70.0, absorbed, 1.2)) * drift(take, 1.3, 0.75, 1.1)
    return wave + np.float32(pascal(rest)) * roar


def idling_engine(take: Take, level: float, hertz: float = 28.0) -> Wave:
    """Hear a diesel standing by: low noise beating at the firing rate, with a rattle above.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.
    hertz : float, optional
        Firing rate.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    hertz *= take.rng.uniform(0.85, 1.2)
    t = np.arange(take.n, dtype=np.float32) / take.rate
    beat = np.exp(2.0 * (np.cos(np.float32(2 * np.pi * hertz) * t) - 1.0))
    rumble = noise(take, lambda f: band(45, 160, 2.5)(f) + 0.12 * band(500, 1800)(f))
    return np.asarray(
        np.float32(2.0 * pascal(level)) * beat * rumble * drift(take, 2.0, 0.8, 1.1), np.float32
    )


def train(take: Take, level: float, kmh: float = 70.0) -> Wave:
    """Hear a train pass on a line some way off: rolling noise that swells and fades, and wheels over rail joints.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the nearest moment.
    kmh : float, optional
        Speed in km/h.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng = take.rng
    speed = kmh / 3.6 * rng.uniform(0.8, 1.2)
    middle, half = (
        rng.uniform(0.2, 0.8) * take.seconds,
        rng.uniform(60.0, 140.0) / speed,
    )  # half of its length
    grid = np.arange(0.0, take.seconds + 0.1, 0.05)
    beyond = np.maximum(np.abs(grid - middle) - half, 0.0) * speed / 80.0  # the line lies some 80 m away
    swell = 1.0 / (1.0 + beyond * beyond)
    wave = noise(take, band(120, 1500, 1.2)) * curve(take, grid, swell)
    knock = ring(take.rate, 0.12, ((310.0, 1.0, 0.02), (720.0, 0.6, 0.015)))
    bogie = 18.0 / speed  # seconds from one bogie to the next over a joint
    for at in np.arange(max(middle - half - 1.0, 0.0), min(middle + half + 1.0, take.seconds), bogie):
        loud = float(np.interp(at, grid, swell))
        for pair in (0.0, 2.4 / speed):
            place_at(wave, knock, int((at + pair) * take.rate), 2.0 * loud)
    return np.asarray(np.float32(pascal(level)) * wave, np.float32)


def horn(take: Take, level: float) -> Wave:
    """Hear a car's horn: two discs a third apart, rich in harmonics, one to three times.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave = take.rng, take.silence()
    pitch, length, times = rng.uniform(380, 450), rng.uniform(0.2, 0.8), int(rng.integers(1, 4))
    start = rng.uniform(0.0, max(take.seconds - 1.0, 0.1))
    for turn in range(times):
        for ratio in (1.0, 1.25):
            tone = glide(take.rate, length, (pitch * ratio,) * 2, (1, 0.9, 0.8, 0.6, 0.5, 0.3, 0.2))
            place_at(wave, tone, int((start + 1.4 * length * turn) * take.rate), 0.5 * pascal(level))
    return wave


def siren(take: Take, level: float) -> Wave:
    """Hear an ambulance some streets away: a high and a low tone in turn, half a second or more each.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave = take.rng, take.silence()
    low, beat = rng.uniform(420, 460), rng.uniform(0.5, 0.75)
    swell = drift(take, 4.0, 0.2, 1.0)
    for turn in range(int(take.seconds / beat) + 1):
        tone = glide(take.rate, beat, (low * (1.33 if turn % 2 else 1.0),) * 2, (1, 0.6, 0.5, 0.3, 0.2))
        place_at(wave, tone, int(turn * beat * take.rate), pascal(level))
    return wave * swell


# ------------------------------------------------------------------------------------------ building site


def jackhammer(take: Take, level: float) -> Wave:
    """Hear a chisel on concrete: 15 to 25 blows a second in bursts of seconds, each a broad click that rings.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener while it runs.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave = take.rng, take.silence()
    rate, pace = take.rate, rng.uniform(15, 25)
    tone = rng.uniform(0.8, 1.25)
    blow = ring(rate, 0.05, ((110 * tone, 1.2, 0.02), (620 * tone, 0.8, 0.012), (1700 * tone, 0.7, 0.008)))
    blow += (
        1.2
        * rng.standard_normal(len(blow), dtype=np.float32)
        * np.exp(-np.arange(len(blow)) / (0.006 * rate))
    )
    blow = (blow / np.sqrt(np.square(blow).sum() * pace / rate)).astype(
        np.float32
    )  # loudness does not hang on pace
    at = -rng.uniform(0, 3)
    while at < take.seconds:
        length, rest = rng.uniform(1.5, 5.0), rng.uniform(0.4, 2.0)
        for index in range(int(length * pace)):
            start = int((at + (index + rng.uniform(-0.06, 0.06)) / pace) * rate)
            place_at(wave, blow, start, pascal(level) * rng.uniform(0.8, 1.2))
        at += length + rest
    return wave


def reversing_beeper(take: Take, level: float) -> Wave:
    """Hear the warning of a reversing truck: about one beep a second near 1.2 kHz.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave = take.rng, take.silence()
    pitch, period = rng.uniform(1000, 1400), rng.uniform(0.8, 1.1)
    beep = glide(take.rate, 0.45 * period, (pitch, pitch), (1.0, 0.0, 0.3, 0.0, 0.12))
    first, beeps = rng.uniform(0, 0.4 * take.seconds), int(rng.integers(4, 12))
    for turn in range(beeps):
        place_at(wave, beep, int((first + turn * period) * take.rate), 1.4 * pascal(level))
    return wave


def clangs(take: Take, level: float, per_second: float) -> Wave:
    """Hear steel on steel: few inharmonic modes that ring for half a second.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB of a blow at the listener.
    per_second : float
        Mean number of blows.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave = take.rng, take.silence()
    pitch = rng.uniform(350, 900)
    bar = ring(
        take.rate,
        0.9,
        tuple((pitch * r, 1 / (1 + i), 0.25 / (1 + 0.4 * i)) for i, r in enumerate((1, 2.76, 5.4, 8.9))),
    )
    for start in rng.uniform(0, take.seconds, rng.poisson(per_second * take.seconds)):
        place_at(wave, bar, int(start * take.rate), 2.0 * pascal(level) * rng.uniform(0.4, 1.2))
    return wave


def grinder(take: Take, level: float) -> Wave:
    """Hear an angle grinder or saw: a whining tone that sinks under load, with a spray of high noise.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng = take.rng
    length = rng.uniform(2.0, 6.0)
    start = int(rng.uniform(-0.5, max(take.seconds - 2.0, 0.1)) * take.rate)
    pitch = rng.uniform(380, 520)
    whine = glide(
        take.rate,
        length,
        (0.8 * pitch, pitch, 0.93 * pitch, 0.95 * pitch, 0.7 * pitch),
        (1, 0.6, 0.7, 0.5, 0.5, 0.3),
    )
    spray = Take(rng, len(whine), take.rate)
    whine *= np.float32(0.5)
    whine += noise(spray, band(2500, 6500)) * drift(spray, 0.4, 0.3, 1.0)
    wave = take.silence()
    place_at(wave, whine, start, pascal(level))
    return wave


# ------------------------------------------------------------------------------------------------- people

VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
"""Formants in Hz of a, i, u, e (Peterson and Barney 1952, men)."""
VOICED = 900.0
"""Brings a talker who talks to about the level asked for; measured."""
MOST_TALKERS = 14
"""A crowd of more sounds no different."""
VOICE_RATE = 8000
"""Voiced sound is made at this rate: above 4 kHz there is little of it."""


def _formants(hertz: Wave, vowel: tuple[int, int, int], stretch: float) -> Wave:
    """Filter as the vocal tract: three resonances; glottis and lips together fall by 6 dB per octave."""
    shape = np.zeros_like(hertz)
    for order, centre in enumerate(vowel):
        width = 60.0 + 0.05 * centre
        shape += (1.0, 0.6, 0.3)[order] / (1.0 + ((hertz - stretch * centre) / width) ** 2)
    return np.asarray(shape / (1.0 + hertz / 500.0), np.float32)


def voices(take: Take, level: float, talkers: float, *, children: bool = False, calls: bool = False) -> Wave:
    """Hear people talking: pulses of the glottis through the resonances of changing vowels.

    All talkers who are in the same vowel pass through one filter together, so a crowd costs no more than one.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB of one talker at the listener, while talking.
    talkers : float
        How many.
    children : bool, optional
        Higher pitch, shorter vocal tract, squealing melody.
    calls : bool, optional
        Long loud syllables, as of someone who calls out wares.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    pace = 2.2 if calls else 4.2  # syllables a second
    count = int(take.seconds * VOICE_RATE)
    trains = [(np.zeros(1, np.int64), np.zeros(1))]
    hiss = take.silence()
    bump = np.hanning(int(0.07 * take.rate)).astype(np.float32)
    weights = counted(talkers, MOST_TALKERS)
    for weight, child in zip(weights, take.rng.spawn(MOST_TALKERS), strict=True):
        if weight == 0:
            break
        syllables = int(take.seconds * pace) + 3
        edges = np.cumsum(child.uniform(0.6, 1.4, syllables)) / pace - 0.3
        phrases = child.uniform(size=syllables // 4 + 1) < (0.5 if children else 0.75)
        talking = np.repeat(phrases, 4)[:syllables]
        loud = talking * child.uniform(0.4, 1.0, syllables) * weight * child.uniform(0.35, 1.0)
        if children:
            middle, reach = child.uniform(260, 420), 1.7
        else:
            middle, reach = child.choice((118.0, 205.0)) * child.uniform(0.85, 1.2), 1.35
        melody = middle * child.uniform(0.85, reach, syllables) * (1.25 if calls else 1.0)
        trains += _glottis(child, take.seconds, pace, edges, loud, melody)
        if not children:
            for edge, gain, sharp in zip(edges, loud, child.uniform(size=syllables), strict=True):
                if gain > 0 and sharp < 0.4:
                    place_at(hiss, bump, int(edge * take.rate), gain)
    spots, gains = (np.concatenate(part) for part in zip(*trains, strict=True))
    pulses = np.bincount(spots, gains, len(VOWELS) * (count + 2)).astype(np.float32).reshape(len(VOWELS), -1)
    bins, step = count // 2 + 1, max(count // VOICE_RATE, 1)  # the filters change little within 1 Hz
    hertz = (np.arange(-(-bins // step)) * (step * VOICE_RATE / count)).astype(np.float32)
    spectrum = np.zeros(bins, np.complex64)
    for train, vowel in zip(pulses, VOWELS, strict=True):
        tract = _formants(hertz, vowel, 1.3 if children else 1.08) * (hertz > 90)
        spectrum += scipy.fft.rfft(train[:count]) * np.repeat(tract, step)[:bins]
    full = np.zeros(take.n // 2 + 1, np.complex64)
    shared = min(len(full), len(spectrum))
    full[:shared] = spectrum[:shared]
    voice = scipy.fft.irfft(full, take.n).astype(np.float32) * np.float32(take.n / count)
    wave = np.float32(VOICED * pascal(level)) * voice
    if not children:
        wave += np.float32(0.25 * pascal(level)) * hiss * noise(take, band(2500, 7000, 2))
    return np.asarray(wave, np.float32)


def _glottis(
    rng: np.random.Generator, seconds: float, pace: float, edges: Points, loud: Points, melody: Points
) -> list[tuple[NDArray[np.int64], Points]]:
    """Open the glottis of a talker once a period: places (vowel after vowel), strengths of the pulses."""
    count = int(seconds * VOICE_RATE)
    grid = np.arange(0, seconds, 0.005)
    pitch = np.interp(grid, edges, melody)
    phase = np.cumsum(pitch) * 0.005
    beats = np.interp(np.arange(1, int(phase[-1])), phase, grid)
    beats = beats + rng.normal(0, 0.00012, len(beats))  # the jitter of a living voice
    index = np.clip(np.searchsorted(edges, beats) - 1, 0, len(edges) - 1)
    width = np.diff(edges, append=edges[-1] + 1 / pace)[index]
    within = np.clip((beats - edges[index]) / width, 0, 1)
    voiced = np.clip((within - 0.2) / 0.8, 0, 1)  # a syllable opens with its consonant
    strength = loud[index] * np.sin(np.pi * voiced) ** 0.7 / np.sqrt(pitch.mean())
    vowel = rng.integers(len(VOWELS), size=len(edges))[index]
    spot = np.clip(beats * VOICE_RATE, 0, count - 1)
    whole = spot.astype(np.int64)
    part = spot - whole
    flat = vowel * (count + 2) + whole
    return [(flat, strength * (1 - part)), (flat + 1, strength * part)]


def footsteps(take: Take, level: float, walkers: float, ground: str = "stone") -> Wave:
    """Hear walkers passing: a thud of the heel and a scuff of the sole, nearly two steps a second.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB of one step close by.
    walkers : float
        How many.
    ground : str, optional
        "stone" clicks, "gravel" crunches, "sand" only rustles.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave, rate = take.rng, take.silence(), take.rate
    length, corner, thud = {
        "stone": (0.035, 0.12, 0.8),
        "gravel": (0.16, 0.5, 0.35),
        "sand": (0.2, 0.2, 0.3),
    }[ground]
    at_most = 6
    for weight, child in zip(counted(walkers, at_most), rng.spawn(at_most), strict=True):
        if weight == 0:
            break
        size = int(0.25 * rate)
        t = np.arange(size, dtype=np.float32) / rate
        grit = child.standard_normal(size, dtype=np.float32)
        scuff = grit - np.float32(1 - corner) * np.concatenate([np.zeros(1, np.float32), grit[:-1]])
        step = np.asarray(scuff * np.exp(-t / np.float32(length)), np.float32)
        step *= np.minimum(t / np.float32(0.25 * length), 1)
        step += (
            np.float32(3 * thud)
            * np.sin(np.float32(2 * np.pi * child.uniform(80, 150)) * t)
            * np.exp(-t / np.float32(0.025))
        )
        pace, passing = child.uniform(1.6, 2.1), child.uniform(0, take.seconds)
        start = child.uniform(0, 1 / pace)
        for at in np.arange(start, take.seconds, 1 / pace):
            metres = np.hypot(2.0, 1.4 * (at - passing))
            sample = int((at + child.normal(0, 0.012)) * rate)
            place_at(wave, step, sample, 2 * weight * pascal(level) / metres * child.uniform(0.7, 1.1))
    return wave


def clatter(take: Take, level: float, per_second: float) -> Wave:
    """Hear crates, dishes and stalls: short wooden knocks and small clinks.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB of a knock at the listener.
    per_second : float
        Mean number.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave = take.rng, take.silence()
    for start in rng.uniform(0, take.seconds, rng.poisson(per_second * take.seconds)):
        pitch, wood = rng.uniform(0.8, 1.3), rng.uniform() < 0.65
        modes = (
            ((320, 1.0, 0.02), (760, 0.8, 0.015), (1500, 0.5, 0.008))
            if wood
            else ((2600, 0.6, 0.08), (4300, 0.5, 0.06), (5900, 0.3, 0.04))
        )
        knock = ring(take.rate, 0.12 if wood else 0.25, tuple((pitch * f, a, d) for f, a, d in modes))
        place_at(wave, knock, int(start * take.rate), 2.0 * pascal(level) * rng.uniform(0.2, 1.2))
    return wave


# ------------------------------------------------------------------------------------------------ animals


Note = tuple[float, float, tuple[float, ...]]
"""Start and length in seconds, pitches in Hz."""


def _finch(rng: np.random.Generator) -> list[Note]:
    """Sing a run of falling notes that quicken and end in a flourish."""
    top = rng.uniform(4000, 5200)
    return [
        (0.13 * i - 0.003 * i * i, 0.08, (top - 150 * i, top - 1300 - 130 * i))
        for i in range(int(rng.integers(7, 12)))
    ]


def _tit(rng: np.random.Generator) -> list[Note]:
    """Sing two pitches in turn, "tea-cher tea-cher"."""
    high = rng.uniform(4300, 5600)
    low = 0.76 * high
    return [
        (0.19 * i, 0.13, (high, high) if i % 2 == 0 else (low, 0.98 * low))
        for i in range(2 * int(rng.integers(2, 6)))
    ]


def _blackbird(rng: np.random.Generator) -> list[Note]:
    """Sing slow fluted phrases at 1.6 to 2.8 kHz with a twitter at the end."""
    flute = [(0.28 * i, rng.uniform(0.15, 0.26), tuple(rng.uniform(1600, 2800, 3))) for i in range(5)]
    return flute + [
        (1.45 + 0.06 * i, 0.05, (rng.uniform(4000, 6000), rng.uniform(3500, 6500))) for i in range(5)
    ]


def _sparrow(rng: np.random.Generator) -> list[Note]:
    """Give single chirps, bent up and down."""
    return [
        (0.34 * i + rng.uniform(0, 0.1), 0.09, (2700, rng.uniform(4200, 5000), 2900))
        for i in range(int(rng.integers(3, 8)))
    ]


def _warbler(rng: np.random.Generator) -> list[Note]:
    """Sing a fast trill on one falling pitch."""
    top = rng.uniform(4800, 6300)
    return [
        (0.055 * i, 0.045, (top - 40 * i, top - 900 - 40 * i, top - 40 * i))
        for i in range(int(rng.integers(14, 28)))
    ]


def _cuckoo(rng: np.random.Generator) -> list[Note]:
    """Call a falling third near 600 Hz, far away."""
    pitch = rng.uniform(620, 680)
    return [
        (1.3 * (i // 2) + 0.33 * (i % 2), 0.2, (pitch, pitch) if i % 2 == 0 else (0.82 * pitch,) * 2)
        for i in range(6)
    ]


def _lark(rng: np.random.Generator) -> list[Note]:
    """Sing as a skylark: seconds of hurried varied notes without a pause."""
    return [(0.085 * i, 0.07, tuple(rng.uniform(2600, 6200, 2))) for i in range(int(rng.integers(25, 50)))]


BIRDS: dict[str, Callable[[np.random.Generator], list[Note]]] = {
    "finch": _finch,
    "tit": _tit,
    "blackbird": _blackbird,
    "sparrow": _sparrow,
    "warbler": _warbler,
    "cuckoo": _cuckoo,
    "lark": _lark,
}


def birds(take: Take, level: float, songs: float, species: tuple[str, ...]) -> Wave:
    """Hear bird song: each song a series of frequency sweeps from birds 4 to 16 m away.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB of a bird five metres away.
    songs : float
        Number of songs within ten seconds.
    species : tuple of str
        Among the names of `BIRDS`.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    wave, scale = take.silence(), max(take.seconds / 10.0, 0.5)
    at_most = int(np.ceil(12 * scale))
    for weight, child in zip(counted(songs * scale, at_most), take.rng.spawn(at_most), strict=True):
        if weight == 0:
            break
        notes = BIRDS[species[int(child.integers(len(species)))]](child)
        start, metres = child.uniform(-0.5, take.seconds - 0.5), 4.0 * 4.0 ** child.uniform()
        gain = 1.4 * weight * pascal(level) * 5.0 / metres
        for at, length, pitches in notes:
            first = int((start + at) * take.rate)
            if -length * take.rate < first < take.n:
                place_at(wave, glide(take.rate, length, pitches), first, gain)
    return wave


def woodpecker(take: Take, level: float) -> Wave:
    """Hear drumming on a dry branch: a dozen knocks in half a second.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave = take.rng, take.silence()
    pitch = rng.uniform(0.8, 1.2)
    knock = ring(take.rate, 0.04, ((900 * pitch, 1.0, 0.008), (1700 * pitch, 0.7, 0.005)))
    for start in rng.uniform(0, take.seconds, int(rng.integers(1, 4))):
        for index in range(int(rng.integers(9, 16))):
            place_at(wave, knock, int((start + 0.05 * index) * take.rate), 3 * pascal(level) * 0.95**index)
    return wave


def gulls(take: Take, level: float, cries: float) -> Wave:
    """Hear gulls: rows of falling cries with strong harmonics.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB of a near gull.
    cries : float
        Rows of cries within ten seconds.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    wave, scale = take.silence(), max(take.seconds / 10.0, 0.5)
    at_most = int(np.ceil(6 * scale))
    for weight, child in zip(counted(cries * scale, at_most), take.rng.spawn(at_most), strict=True):
        if weight == 0:
            break
        pitch, length = child.uniform(750, 1150), child.uniform(0.25, 0.5)
        cry = glide(
            take.rate,
            length,
            (0.8 * pitch, 1.25 * pitch, 1.1 * pitch, 0.75 * pitch),
            (0.5, 1, 0.8, 0.5, 0.25, 0.15),
        )
        start, gain = (
            child.uniform(-0.5, take.seconds - 0.5),
            weight * pascal(level) * child.uniform(0.25, 1.0),
        )
        for turn in range(int(child.integers(2, 7))):
            place_at(wave, cry, int((start + 1.35 * length * turn) * take.rate), gain * 0.9**turn)
    return wave


def insects(take: Take, level: float) -> Wave:
    """Hear crickets and grasshoppers: high tones beaten by the wings, in chirps, over a fine hiss.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng = take.rng
    t = np.arange(take.n, dtype=np.float32) / take.rate
    wave = noise(take, band(4500, 7000, 4)) * np.float32(0.5)
    wave *= 1 + 0.8 * np.sin(np.float32(2 * np.pi * rng.uniform(9, 16)) * t)
    for _ in range(2):
        pitch, wings, chirps = rng.uniform(3900, 5600), rng.uniform(26, 40), rng.uniform(1.8, 3.2)
        beat = np.sin(np.float32(np.pi * wings) * t)
        gate = np.sin(np.float32(2 * np.pi * chirps) * t + np.float32(rng.uniform(0, 6))) > 0.1
        wave += (
            np.float32(rng.uniform(0.5, 1.3)) * np.sin(np.float32(2 * np.pi * pitch) * t) * beat * beat * gate
        )
    return np.asarray(np.float32(pascal(level)) * wave, np.float32)


# -------------------------------------------------------------------------------------------- wind and water


def leaves(take: Take, level: float, gust: float) -> Wave:
    """Hear wind in leaves: high noise that swells with the gusts (the pressure goes with wind speed squared).

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB in a full gust.
    gust : float
        Depth of the gusts, 0 to 1.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    speed = drift(take, 1.6, 1.0 - 0.6 * gust, 1.0)
    rustle = noise(take, band(700, 4200, 1.1))
    return np.asarray(np.float32(pascal(level)) * speed * speed * rustle, np.float32)


def wind(take: Take, level: float) -> Wave:
    """Hear wind at the ear in the open: low noise below 200 Hz in gusts.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB in a full gust.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    speed = drift(take, 1.1, 0.35, 1.0)
    return np.asarray(np.float32(pascal(level)) * speed * speed * noise(take, band(25, 130, 1.5)), np.float32)


def surf(take: Take, level: float) -> Wave:
    """Hear breaking waves: every 6 to 10 s a roar that breaks and runs out in a hiss of bubbles on sand.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB of a breaking wave.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng = take.rng
    period = rng.uniform(6.0, 10.0)
    breaks = np.arange(-period * rng.uniform(), take.seconds + period, period)
    breaks = breaks + rng.uniform(-0.8, 0.8, len(breaks))
    grid = np.arange(0, take.seconds + 0.1, 0.05)
    since = grid[:, None] - breaks
    size = rng.uniform(0.8, 1.0, len(breaks))
    roar = (size * np.where(since < 0, np.exp(since / 1.0), np.exp(-since / 1.3))).sum(1)
    wash = (size * np.where(since < 0.3, np.exp((since - 0.3) / 0.35), np.exp(-(since - 0.3) / 2.4))).sum(1)
    low = noise(take, band(90, 700, 1.2)) * curve(take, grid, roar + 0.25)
    high = noise(take, band(1200, 5500, 1.2)) * curve(take, grid, 0.75 * wash + 0.12)
    return np.asarray(np.float32(pascal(level)) * (low + high), np.float32)


def running_water(take: Take, level: float, bubbles: float = 60.0, pitch: float = 1.0) -> Wave:
    """Hear a stream or fountain: the noise of the flow, and bubbles ringing at their Minnaert tones.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.
    bubbles : float, optional
        Bubbles heard singly in a second.
    pitch : float, optional
        Factor on their tones: small bubbles ring high.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    wave = noise(take, band(450 * pitch, 3800 * pitch, 1.2)) * drift(take, 0.7, 0.85, 1.05)
    _add_bubbles(wave, take, bubbles, pitch)
    return np.asarray(np.float32(pascal(level)) * wave, np.float32)


def _add_bubbles(wave: Wave, take: Take, bubbles: float, pitch: float) -> None:
    """Add bubbles of ten sizes at random times, short tones that rise as the bubble nears the surface."""
    rng, kinds = take.rng, []
    for hertz in 420.0 * pitch * 1.22 ** np.arange(10):
        blip = glide(take.rate, min(14 / hertz, 0.04), (hertz, 1.25 * hertz))
        kinds.append(blip * np.linspace(1, 0, len(blip), dtype=np.float32))
    number = rng.poisson(bubbles * take.seconds)
    starts, kind = rng.integers(0, take.n, number), rng.integers(len(kinds), size=number)
    gains = rng.exponential(1.3, number)
    for start, which, gain in zip(starts, kind, gains, strict=True):
        place_at(wave, kinds[which], int(start), gain)


def lapping(take: Take, level: float) -> Wave:
    """Hear small waves against a quay or a hull: soft low slaps and gurgles, about one a second.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    slap = drift(take, 0.35, 0.0, 1.0)
    water = noise(take, band(180, 1100, 1.5)) * (0.15 + slap * slap * slap)
    _add_bubbles(water, take, 9.0, 0.6)
    return np.asarray(np.float32(1.8 * pascal(level)) * water, np.float32)


def rain(take: Take, level: float) -> Wave:
    """Hear rain: the hiss of many drops with single near drops as clicks.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng = take.rng
    wave = noise(take, lambda f: band(800, 7000, 1.0)(f) + 0.25 * band(80, 900, 1.0)(f))
    number = rng.poisson(70 * take.seconds)
    drops = [
        ring(take.rate, 0.012, ((f, 1.0, 0.0015), (1.9 * f, 0.7, 0.001))) for f in rng.uniform(900, 4000, 12)
    ]
    kind = rng.integers(len(drops), size=number)
    for start, which, gain in zip(
        rng.integers(0, take.n, number), kind, rng.exponential(1.8, number), strict=True
    ):
        place_at(wave, drops[which], int(start), gain)
    return np.asarray(np.float32(pascal(level)) * wave, np.float32)


# ------------------------------------------------------------------------------------------ bells and boats


def church_bell(take: Take, level: float) -> Wave:
    """Hear a tower bell: hum, prime, tierce, quint, nominal and above; a stroke about every two seconds.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB of a stroke.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave = take.rng, take.silence()
    prime = rng.uniform(280, 460)
    partials = (
        (0.5, 0.5, 3.0),
        (1.0, 0.8, 2.0),
        (1.2, 0.9, 1.6),
        (1.5, 0.4, 1.2),
        (2.0, 1.0, 1.0),
        (2.67, 0.5, 0.6),
        (4.2, 0.4, 0.3),
    )
    bell = ring(take.rate, 4.0, tuple((prime * ratio, a, d) for ratio, a, d in partials))
    beat = rng.uniform(1.6, 2.4)
    for start in np.arange(rng.uniform(-3, 3), take.seconds, beat):
        place_at(wave, bell, int(start * take.rate), 0.7 * pascal(level))
    return wave


def rigging(take: Take, level: float, per_second: float) -> Wave:
    """Hear halyards against masts: bright pings in the rhythm of the wind.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB of a ping.
    per_second : float
        Mean number.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave = take.rng, take.silence()
    for _ in range(3):
        pitch = rng.uniform(1500, 2600)
        mast = ring(take.rate, 0.3, ((pitch, 1.0, 0.06), (2.3 * pitch, 0.6, 0.04), (2.9 * pitch, 0.3, 0.03)))
        gaps = (
            rng.exponential(3.0 / per_second, int(2 * per_second * take.seconds) + 2) * 0.6 + 1.2 / per_second
        )
        for start in np.cumsum(gaps) - 2.0 / per_second:
            place_at(wave, mast, int(start * take.rate), 2.5 * pascal(level) * rng.uniform(0.2, 1.0))
    return wave


def boat_horn(take: Take, level: float) -> Wave:
    """Hear a ship's horn: one or two seconds of a low tone with many harmonics.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    rng, wave = take.rng, take.silence()
    pitch, length = rng.uniform(110, 190), rng.uniform(1.2, 2.6)
    blast = glide(
        take.rate,
        length,
        (0.98 * pitch, pitch, pitch, 0.97 * pitch),
        (1, 0.9, 0.8, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1),
    )
    start = rng.uniform(-0.3, max(take.seconds - length, 0.1))
    place_at(wave, blast, int(start * take.rate), 0.8 * pascal(level))
    return wave


def hum(take: Take, level: float) -> Wave:
    """Hear the town far off and the microphone itself: low noise falling with frequency over a faint hiss.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    level : float
        dB at the listener.

    Returns
    -------
    numpy.ndarray
        (n,) pascal.
    """
    corner = take.rng.uniform(120, 450)
    murmur = noise(take, lambda f: band(40, corner, 0.9)(f) + 0.01)
    return np.asarray(np.float32(pascal(level)) * murmur * drift(take, 2.5, 0.85, 1.1), np.float32)
