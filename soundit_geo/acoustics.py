"""Acoustics: level, spectrum and the usual indices of each recording, as they were measured, not as predicted.

=============== ========= ============================================================================
`level_dbfs`    dB        level re full scale after AES17: a sine of peak 1.0 reads 0 (`soundit_geo.audio`)
`laeq`          dB        equivalent A-weighted sound pressure level, with a calibration
`la10`, `la90`  dB        levels that `LAeq` over 125 ms exceeds in 10 % and 90 % of the time, likewise
`centroid_hz`   Hz        centre of the mean power spectrum
`aci`           1         Acoustic Complexity Index (Pieretti, Farina & Morri 2011, doi:10.1016/j.ecolind.2010.11.005)
`ndsi`          1         Normalized Difference Soundscape Index (Kasten et al. 2012, doi:10.1016/j.ecoinf.2012.08.001)
`h`             1         Acoustic Entropy Index (Sueur et al. 2008, doi:10.1371/journal.pone.0004065)
`bi`            dB/Hz     Bioacoustic Index (Boelman et al. 2007, doi:10.1890/07-0004.1), as soundecology scales it
=============== ========= ============================================================================

Levels are energy means over the channels; spectrum and indices are of the mean of the channels, at the rate of the
file. The indices are scikit-maad's, on Hann frames of 1024 samples that overlap by half: ACI of the amplitude
spectrogram; NDSI with 1 to 2 kHz against 2 to 8 kHz, in bands of 1 kHz; H the product of the entropies of the
Hilbert envelope and of the mean amplitude spectrum; BI from 2 to 8 kHz. Each is computed on segments of
60 s, and given as their mean, weighted by length; so a file of any length fits in memory.

An index depends on the rate of the file and, below 60 s, on its length: compare recordings made alike.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import soundfile

from soundit_geo.audio import SHORTEST_SECONDS, flags
from soundit_geo.errors import AudioError, InputError, MissingFileError, SitesError
from soundit_geo.recordings import read_sites

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from os import PathLike

    import geopandas as gpd
    from numpy.typing import ArrayLike, NDArray

__all__ = ["MEASURES", "SOUND_PRESSURE", "a_weighting", "acoustics", "measure"]

MEASURES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "level_dbfs": ("dB", "level re full scale, uncalibrated; a full-scale sine reads 0 (AES17)"),
        "laeq": ("dB", "equivalent A-weighted sound pressure level re 20 uPa"),
        "la10": ("dB", "A-weighted level exceeded in 10 % of the time (LAeq over 125 ms), re 20 uPa"),
        "la90": ("dB", "A-weighted level exceeded in 90 % of the time (LAeq over 125 ms), re 20 uPa"),
        "centroid_hz": ("Hz", "spectral centroid of the mean power spectrum"),
        "aci": ("1", "Acoustic Complexity Index, mean over segments of 60 s"),
        "ndsi": ("1", "Normalized Difference Soundscape Index, 2-8 kHz against 1-2 kHz"),
        "h": ("1", "Acoustic Entropy Index"),
        "bi": ("dB/Hz", "Bioacoustic Index, 2-8 kHz"),
    }
)
"""What is measured: name to unit and meaning."""

SOUND_PRESSURE: Final = ("laeq", "la10", "la90")
"""Those of them that need a calibration."""

SEGMENT_SECONDS: Final = 60
"""Length of the parts on which indices are computed, in seconds."""

_BLOCKS_PER_SECOND = 8  # of 125 ms, the time constant "fast"
_MARGIN_SECONDS = 1  # in which the A-weighting of a neighbouring sound has died away
_BAND = (2_000.0, 8_000.0)  # Hz, of biophony
_FRAME = 1024
_LOWEST_RATE = 1_000  # Hz, of a file that can be a soundscape
_INDICES = ("aci", "ndsi", "h", "bi")


def a_weighting(frequency: ArrayLike) -> NDArray[np.float64]:
    """Give the A-weighting of frequencies, by its formula.

    IEC 61672-1:2013, annex E: ``A(f) = 20 log10(f₄² f⁴ / ((f²+f₁²) √(f²+f₂²) √(f²+f₃²) (f²+f₄²))) - A₁₀₀₀``.

    Parameters
    ----------
    frequency : array
        Hz, any shape.

    Returns
    -------
    array
        dB, the same shape; 0 at 1000 Hz, -inf at 0.
    """
    square = np.square(np.asarray(frequency, dtype=np.float64))
    f1, f2, f3, f4 = (f * f for f in (20.598997, 107.65265, 737.86223, 12194.217))
    with np.errstate(divide="ignore"):
        gain = f4 * square**2 / ((square + f1) * np.sqrt((square + f2) * (square + f3)) * (square + f4))
        return np.asarray(20.0 * np.log10(gain) + 1.999702, dtype=np.float64)


def acoustics(
    sites: gpd.GeoDataFrame | str | PathLike[str],
    calibration: float | str | Mapping[str, float] | pd.Series | None = None,
    *,
    workers: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure the recordings of sites.

    Parameters
    ----------
    sites : GeoDataFrame or path
        As `read_sites` gives, or reads.
    calibration : float, str, mapping or Series, optional
        Sound pressure level of a recording at 0 dBFS, in dB re 20 µPa: one for all, the column that holds it, or
        one for each site by name. A calibrator of 94 dB that reads -26 dBFS makes it 120. Without it, sound
        pressure levels are NaN.
    workers : int
        Recordings measured at a time, in threads; each holds two segments of 60 s in memory.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    DataFrame
        Index ``site``; a column for each of `MEASURES`, ``seconds`` and ``rate`` (Hz) of the file, and ``message``:
        why a value is NaN, or what is doubtful; empty where there is nothing to say. A recording that cannot be
        measured has NaN and stops no other.

    Raises
    ------
    InputError
        `workers` is below 1, the calibration is no number, or scikit-maad is not installed.
    SitesError
        There is no such column; or as `read_sites`.
    """
    _load_maad()
    if workers < 1:
        raise InputError(f"workers={workers}; expected 1 or more.")
    sites = read_sites(sites, absent="keep")
    levels = _calibrations(sites, calibration)
    jobs = list(zip(sites["audio"], levels, strict=True))
    from tqdm import tqdm

    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(jobs), desc="acoustics", disable=not progress) as bar,
    ):
        rows = []
        for row in pool.map(lambda job: _measured(*job, stated=calibration is not None), jobs):
            rows.append(row)
            bar.update()
    return pd.DataFrame(rows, index=sites.index, columns=[*MEASURES, "seconds", "rate", "message"])


def measure(path: str | PathLike[str], calibration: float = np.nan) -> dict[str, Any]:
    """Measure one recording.

    Parameters
    ----------
    path : path
        Whatever libsndfile decodes; it is read by segments of 60 s.
    calibration : float
        Sound pressure level at 0 dBFS, in dB re 20 µPa.

    Returns
    -------
    dict
        `MEASURES` to float, ``seconds``, ``rate``, and ``message``.

    Raises
    ------
    MissingFileError
        There is no such file.
    AudioError
        It cannot be decoded, is shorter than 0.25 s, digitally silent, or has samples that are not finite.
    """
    try:
        with soundfile.SoundFile(path) as file:
            return _measure(file, calibration)
    except soundfile.SoundFileError as error:
        if not Path(path).exists():
            raise MissingFileError(f"{path} does not exist. Give the path of a recording.") from error
        raise AudioError(f"{path} cannot be decoded: {getattr(error, 'error_string', error)}") from error


def _measure(file: soundfile.SoundFile, calibration: float) -> dict[str, Any]:
    rate, count = file.samplerate, 0
    if rate < _LOWEST_RATE:
        raise AudioError(f"it says {rate} samples per second, under {_LOWEST_RATE}: is its header damaged?")
    squares, total = np.zeros(file.channels), np.zeros(file.channels)
    weighted, short, spectra, indices = 0.0, [], [], []
    clipped = False
    for samples, first, last in _with_margins(_segments(file), _MARGIN_SECONDS * rate):
        segment = samples[first:last].astype(np.float64)  # (n, channels)
        if not np.isfinite(segment).all():
            raise AudioError("it has samples that are NaN or infinite: export the recording again")
        count += len(segment)
        total += segment.sum(axis=0)
        squares += np.square(segment).sum(axis=0)
        clipped |= "clipped" in flags(segment, rate)
        power = np.square(_weight(samples, rate)[first:last]).mean(axis=1)  # (n,)
        weighted += float(power.sum())
        short.append(_blocks(power, rate))
        mono = segment.mean(axis=1)
        if len(mono) >= 4 * _FRAME and mono.any():
            spectrum, frequency, values = _indices(mono, rate)
            spectra.append(spectrum * len(mono))
            indices.append((len(mono), values))
    if count < SHORTEST_SECONDS * rate:
        raise AudioError(f"it holds {count / rate:.3g} s of sound, under {SHORTEST_SECONDS} s")
    variance = float((squares / count - np.square(total / count)).mean())
    if not variance > 0.0:
        raise AudioError("it is digitally silent")

    found: dict[str, Any] = dict.fromkeys(MEASURES, np.nan)
    found["level_dbfs"] = 10.0 * np.log10(2.0 * variance)
    with np.errstate(divide="ignore"):
        found["laeq"] = calibration + 10.0 * np.log10(2.0 * weighted / count)
        blocks = calibration + 10.0 * np.log10(2.0 * np.concatenate(short))
    if len(blocks) and np.isfinite(calibration):
        found["la10"], found["la90"] = np.quantile(blocks, (0.9, 0.1))
    if spectra:
        mean = np.sum(spectra, axis=0)[1:]  # without the constant part
        found["centroid_hz"] = float(frequency[1:] @ mean / mean.sum())
        weights = [length for length, _ in indices]
        found |= dict(
            zip(_INDICES, np.average([v for _, v in indices], axis=0, weights=weights), strict=True)
        )
    said = [
        "clipped: levels are too low" if clipped else "",
        "breaks off" if 0 < count < file.frames else "",
        "too short for the indices" if not spectra else "",
        "" if rate >= 2 * _BAND[1] else f"sampled at {rate} Hz, NDSI and BI need {2 * _BAND[1]:.0f} Hz",
    ]
    return {
        **found,
        "seconds": count / rate,
        "rate": rate,
        "message": "; ".join(text for text in said if text),
    }


def _indices(
    mono: NDArray[np.float64], rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[float]]:
    """Mean power spectrum, its frequencies, and ACI, NDSI, H, BI of one segment."""
    from maad import features
    from maad.sound import spectrogram

    power, _, frequency, _ = spectrogram(mono, rate, nperseg=_FRAME)  # (frequencies, frames)
    amplitude = np.sqrt(power)
    with np.errstate(divide="ignore", invalid="ignore"):
        aci = features.acoustic_complexity_index(amplitude)[2]
        spectral, _ = features.frequency_entropy(power, compatibility="seewave")
        temporal = features.temporal_entropy(mono, compatibility="seewave", mode="hilbert")
        ndsi = bi = np.nan
        if rate >= 2 * _BAND[1]:
            # maad takes both ends of a range of bins: bins of 1 kHz are named by their lower edge here, or 2 to
            # 3 kHz would count on both sides
            ndsi = features.soundscape_index(
                power, frequency, (2_000, 7_000), (1_000, 1_000), R_compatible=None
            )[0]
            bi = features.bioacoustics_index(amplitude, frequency, flim=_BAND)
    return power.mean(axis=1), frequency, [float(aci), float(ndsi), float(spectral * temporal), float(bi)]


# ---------------------------------------------------------------------------------------------------- segments


def _segments(file: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    """Read a file by segments, (n, channels)."""
    while len(samples := file.read(SEGMENT_SECONDS * file.samplerate, dtype="float32", always_2d=True)):
        yield samples


def _with_margins(
    segments: Iterable[NDArray[np.float32]], margin: int
) -> Iterator[tuple[NDArray[np.float32], int, int]]:
    """Each segment amid the samples around it, and where it begins and ends among them."""
    before = current = None
    for following in chain(segments, [None]):
        if current is not None:
            if before is None:
                before = _continued(current[::-1], margin)[::-1]
            after = _continued(current, margin) if following is None else following[:margin]
            first = len(before)
            yield np.concatenate([before, current, after]), first, first + len(current)
            before = current[-margin:]
        current = following


def _continued(samples: NDArray[np.float32], margin: int) -> NDArray[np.float32]:
    """What follows samples if the sound does not break off with a click: they, turned about their last one."""
    return 2.0 * samples[-1:] - samples[-2 : -margin - 2 : -1]


def _weight(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Weight samples by A, exactly and without delay, in the frequency domain, (n, channels)."""
    from scipy import fft

    size = fft.next_fast_len(
        len(samples) + _MARGIN_SECONDS * rate, real=True
    )  # zeros keep end and beginning apart
    gain = 10.0 ** (a_weighting(fft.rfftfreq(size, 1.0 / rate)) / 20.0)
    spectrum = fft.rfft(samples, size, axis=0)
    weighted: NDArray[np.float64] = fft.irfft(spectrum * gain[:, None], size, axis=0)[: len(samples)]
    return weighted


def _blocks(power: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Mean power in each whole block of 125 ms."""
    count = len(power) * _BLOCKS_PER_SECOND // rate
    edges = np.round(np.arange(count + 1) * rate / _BLOCKS_PER_SECOND).astype(int)
    sums = np.concatenate([[0.0], np.cumsum(power)])[edges]
    return np.maximum(np.diff(sums), 0.0) / np.diff(edges)


# -------------------------------------------------------------------------------------------------------- sites


def _measured(path: str, calibration: float, *, stated: bool) -> dict[str, Any]:
    """Measure a recording; a failure is a message."""
    try:
        found = measure(path, calibration)
    except Exception as error:  # noqa: BLE001 - one recording never stops the others
        return {"message": " ".join(str(error).split()) or type(error).__name__}
    if stated and not np.isfinite(calibration):
        found["message"] = "; ".join(text for text in (found["message"], "no calibration") if text)
    return found


def _calibrations(sites: gpd.GeoDataFrame, calibration: Any) -> NDArray[np.float64]:
    """One calibration for each site, NaN where there is none."""
    if isinstance(calibration, str):
        if calibration not in sites.columns:
            columns = ", ".join(map(str, sites.columns))
            raise SitesError(
                f"The sites have no column {calibration!r} of calibrations. They have: {columns}."
            )
        calibration = sites[calibration]
    elif calibration is None or np.isscalar(calibration):
        calibration = dict.fromkeys(sites.index, np.nan if calibration is None else calibration)
    try:
        levels = pd.to_numeric(pd.Series(calibration).reindex(sites.index)).to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"The calibration is no number of dB for each site: {error}.") from error
    if np.isinf(levels).any():
        raise InputError("The calibration of a site is infinite. Give dB re 20 µPa at 0 dBFS, such as 120.")
    return levels


def _load_maad() -> None:
    try:
        import_module("maad.features")
    except ImportError as error:
        raise InputError(
            "Acoustic indices need scikit-maad. Install it: pip install 'soundit-geo[field]'"
        ) from error


class _CallableModule(
    ModuleType
):  # Python binds the module's name in its parent, where the function is wanted
    def __call__(self, *args: Any, **kwargs: Any) -> pd.DataFrame:
        """Measure sites; see `acoustics`."""
        return acoustics(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
