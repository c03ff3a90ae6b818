"""What sounds are made of: shaped noise, slow curves, sweeping tones, struck bodies.

All work on whole arrays; noise is drawn in the frequency domain, slow curves at every 64th sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Wave = NDArray[np.float32]
"""(n,) samples, in pascal where not said otherwise."""
Shape = Callable[[Wave], NDArray[np.floating[Any]]]
"""A spectrum: frequencies in Hz -> amplitude."""

PASCAL_DB = 94.0
"""Sound pressure level of one pascal."""
BINS_PER_STEP = 16
"""Spectra of noise are drawn in steps of this many Fourier bins (3 Hz)."""
LOOP_SECONDS = 5.12
"""Noise repeats, seamlessly, after this time: no ear notices, and it halves the cost."""

COARSE = 64
"""Slow curves are computed at every 64th sample: far cheaper, and no ear hears 4 ms of a gust."""
_RAMP = np.linspace(0, 1, COARSE, endpoint=False, dtype=np.float32)


@dataclass(frozen=True)
class Take:
    """One recording in the making, for one source.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source's own stream, so that sources do not disturb each other.
    n : int
        Number of samples.
    rate : int
        Samples per second.
    """

    rng: np.random.Generator
    n: int
    rate: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.n / self.rate

    def silence(self) -> Wave:
        """Nothing, to add sounds to.

        Returns
        -------
        numpy.ndarray
            (n,) zeros.
        """
        return np.zeros(self.n, np.float32)


def pascal(level: float) -> float:
    """Root-mean-square pressure of a level.

    Parameters
    ----------
    level : float
        Sound pressure level in dB.

    Returns
    -------
    float
        Pascal.
    """
    return float(10.0 ** ((level - PASCAL_DB) / 20.0))


def band(low: float, high: float, slope: float = 2.0) -> Shape:
    """Shape of a spectrum that falls off on both sides.

    Parameters
    ----------
    low, high : float
        Corners in Hz.
    slope : float, optional
        Order of the fall: 6 dB per octave each.

    Returns
    -------
    callable
        Frequencies in Hz -> amplitude.
    """
    return lambda f: 1.0 / np.sqrt((1.0 + (low / f) ** (2 * slope)) * (1.0 + (f / high) ** (2 * slope)))


def noise(take: Take, shape: Shape) -> Wave:
    """Gaussian noise with a given spectrum and root-mean-square 1, drawn in the frequency domain.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    shape : callable
        Frequencies in Hz -> amplitude.

    Returns
    -------
    numpy.ndarray
        (n,) noise.
    """
    size = scipy.fft.next_fast_len(min(take.n, int(LOOP_SECONDS * take.rate)), real=True)
    bins = size // 2 + 1
    steps = -(-bins // BINS_PER_STEP)
    hertz = ((np.arange(steps) + 0.5) * (BINS_PER_STEP * take.rate / size)).astype(np.float32)
    envelope = np.repeat(shape(hertz).astype(np.float32), BINS_PER_STEP)[:bins]
    envelope[0] = 0.0
    envelope *= np.float32(0.5 * size * math.sqrt(12.0) / math.sqrt(float(envelope @ envelope)))
    flat = take.rng.random(2 * bins, dtype=np.float32)  # uniform will do: the sum over all bins is Gaussian
    flat -= np.float32(0.5)
    spectrum = flat.view(np.complex64)
    spectrum *= envelope
    return np.resize(scipy.fft.irfft(spectrum, size), take.n)


def drift(take: Take, period: float, low: float, high: float) -> Wave:
    """Slow random change, such as gusts of wind: straight lines between random knots.

    Parameters
    ----------
    take : Take
        Random numbers and length.
    period : float
        Seconds between knots.
    low, high : float
        Range.

    Returns
    -------
    numpy.ndarray
        (n,) values between low and high.
    """
    knots = int(take.seconds / period) + 2
    values = take.rng.uniform(low, high, knots)
    return curve(take, np.arange(knots) * period, values)


def curve(take: Take, times: NDArray[np.floating[Any]], values: NDArray[np.floating[Any]]) -> Wave:
    """Straight lines through given points of time.

    Parameters
    ----------
    take : Take
        Length and rate.
    times : numpy.ndarray
        (k,) rising, seconds.
    values : numpy.ndarray
        (k,) values.

    Returns
    -------
    numpy.ndarray
        (n,) values.
    """
    ticks = np.arange(-(-take.n // COARSE) + 1) * (COARSE / take.rate)
    return between(np.interp(ticks, times, values), take.n)


def between(values: NDArray[np.floating[Any]], n: int) -> Wave:
    """Every sample of a slow curve given at every `COARSE`-th one.

    Parameters
    ----------
    values : numpy.ndarray
        (k,) at samples 0, COARSE, 2 COARSE and so on; at least one beyond the last sample.
    n : int
        Number of samples.

    Returns
    -------
    numpy.ndarray
        (n,) by straight lines.
    """
    lines = np.diff(values).astype(np.float32)[:, None] * _RAMP
    lines += values[:-1, None].astype(np.float32)
    return lines.ravel()[:n]


def place_at(wave: Wave, event: Wave, start: int, gain: float = 1.0) -> None:
    """Add an event to a wave, cut at both ends.

    Parameters
    ----------
    wave : numpy.ndarray
        (n,) changed in place.
    event : numpy.ndarray
        (k,) the event.
    start : int
        Sample at which it starts; may lie outside.
    gain : float, optional
        Factor.
    """
    first, last = max(start, 0), min(start + len(event), len(wave))
    if last > first:
        wave[first:last] += np.float32(gain) * event[first - start : last - start]


def ring(rate: int, seconds: float, modes: tuple[tuple[float, float, float], ...]) -> Wave:
    """Strike a body: the sum of its decaying modes.

    Parameters
    ----------
    rate : int
        Samples per second.
    seconds : float
        Length.
    modes : tuple of (float, float, float)
        Frequency in Hz, amplitude, decay time in seconds; modes above hearing of the rate are left out.

    Returns
    -------
    numpy.ndarray
        (seconds * rate,) with a peak near the sum of the amplitudes.
    """
    t = np.arange(max(int(seconds * rate), 1), dtype=np.float32) / rate
    wave: Wave = np.zeros_like(t)
    for hertz, amplitude, decay in modes:
        if hertz < 0.48 * rate:
            tone = np.float32(amplitude) * np.sin(np.float32(2 * np.pi * hertz) * t)
            wave += tone * np.exp(-t / np.float32(decay))
    return wave


def glide(rate: int, seconds: float, hertz: tuple[float, ...], harmonics: tuple[float, ...] = (1.0,)) -> Wave:
    """Sweep a tone through the given pitches, with soft ends.

    Parameters
    ----------
    rate : int
        Samples per second.
    seconds : float
        Length.
    hertz : tuple of float
        Pitch at equally spaced times, in Hz.
    harmonics : tuple of float, optional
        Amplitudes of the harmonics.

    Returns
    -------
    numpy.ndarray
        (seconds * rate,) tone.
    """
    count = max(int(seconds * rate), 8)
    pitch = np.interp(np.arange(count) * ((len(hertz) - 1) / (count - 1)), np.arange(len(hertz)), hertz)
    phase = (np.cumsum(pitch) * (2 * np.pi / rate)).astype(np.float32)
    wave = np.zeros(count, np.float32)
    for order, amplitude in enumerate(harmonics, 1):
        if amplitude and order * max(hertz) < 0.48 * rate:
            wave += np.float32(amplitude) * np.sin(np.float32(order) * phase)
    return wave * _arch(count)


@lru_cache(maxsize=256)
def _arch(count: int) -> Wave:
    """Soft ends: the root of half a sine."""
    return np.sqrt(np.sin(np.linspace(0, np.pi, count)).clip(0)).astype(np.float32)


def counted(number: float, at_most: int) -> NDArray[np.float64]:
    """Weights of a fractional number of events: 2.3 events are 1, 1, 0.3, so that a level acts smoothly.

    Parameters
    ----------
    number : float
        How many events.
    at_most : int
        Length of the list.

    Returns
    -------
    numpy.ndarray
        (at_most,) weights between 0 and 1.
    """
    return np.clip(number - np.arange(at_most), 0.0, 1.0)
