"""One recording: decoded, mono, at one rate, with its level and what is wrong with it.

Conventions:

- *Mono* is the mean of all channels. ImageBind's reference code takes channel 0 alone; the mean keeps what
  only the other ear heard, and equals channel 0 for a mono file.
- *Level* is dBFS after AES17: a sine of full scale (peak 1.0) reads 0 dBFS, so a full-scale square wave reads
  +3.01. The mean is removed first, since a constant offset cannot be heard. It says nothing about sound
  pressure: recorders are rarely calibrated.
- *A part is a slice of the whole*: ``read_recording(path, start=a, seconds=b)`` returns the samples that a
  slice of the whole recording at the target rate would (up to float rounding), yet reads only that part of
  the file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from soundit_geo.errors import AudioError, MissingFileError

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

__all__ = [
    "RATE",
    "SHORTEST_SECONDS",
    "SHORT_SECONDS",
    "SILENT_DBFS",
    "Recording",
    "flags",
    "level_dbfs",
    "read_recording",
]

RATE = 16_000
"""Rate at which sounds travel through the package, in Hz."""

SILENT_DBFS = -80.0
"""Level below which a recording counts as silent, in dBFS."""

SHORT_SECONDS = 1.0
"""A recording shorter than this is flagged as short: it holds too little of a place. In seconds."""

SHORTEST_SECONDS = 0.25
"""A recording shorter than this is refused, in seconds."""

_CLIPPED_RUN = 3  # consecutive samples at full scale that make a recording clipped
_FULL_SCALE = 0.999
_RATES = (1_000, 1_000_000)  # Hz, of files that can be a soundscape
_KERNEL = 4_000_000  # most coefficients that the resampling filter may have
_REACH = 8  # input samples, at the lower of two rates, that the filter reaches to either side


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Mono sound of one recording, or of a part of it.

    Parameters
    ----------
    waveform : array
        Samples in time order, shape (n,), float32, full scale ±1.
    rate : int
        Samples per second of `waveform`, in Hz.
    seconds : float
        Length of the whole file, in seconds, however little of it was read.
    level_dbfs : float
        Level of `waveform`, see :func:`level_dbfs`.
    flags : tuple of str
        What is doubtful about `waveform`, see :func:`flags`.
    """

    waveform: NDArray[np.float32]
    rate: int
    seconds: float
    level_dbfs: float
    flags: tuple[str, ...] = ()


def level_dbfs(samples: NDArray[np.floating]) -> float:
    """Measure the level of samples: RMS about their mean, where a full-scale sine reads 0 dBFS.

    ``20 log10(√2 · rms(x - mean x))``, AES17.

    Parameters
    ----------
    samples : array
        Shape (n,) or (n, channels), full scale ±1; the mean of each channel is removed.

    Returns
    -------
    float
        DBFS; -inf for silence and for no samples, NaN where a sample is not finite.
    """
    x = np.asarray(samples, dtype=np.float64)
    if not x.size:
        return -math.inf
    if not np.isfinite(x).all():
        return math.nan
    power = 2.0 * float(np.mean(np.square(x - x.mean(axis=0))))
    return 10.0 * math.log10(power) if power > 0.0 else -math.inf


def flags(samples: NDArray[np.floating], rate: float) -> tuple[str, ...]:
    """Say what is doubtful about samples.

    Parameters
    ----------
    samples : array
        Shape (n,) or (n, channels), full scale ±1, as decoded: mixing and resampling hide clipping.
    rate : float
        Samples per second, in Hz.

    Returns
    -------
    tuple of str
        Any of ``nan`` (a sample is NaN or infinite; then nothing else is judged), ``silent`` (below
        `SILENT_DBFS`), ``clipped`` (three samples in a row at or over full scale in some channel) and
        ``short`` (under `SHORT_SECONDS`).
    """
    x = np.asarray(samples)
    if not np.isfinite(x).all():
        return ("nan",)
    found = []
    if level_dbfs(x) < SILENT_DBFS:
        found.append("silent")
    full = np.abs(x) >= _FULL_SCALE  # (n, ...)
    run = len(full) - _CLIPPED_RUN + 1
    if run > 0 and np.all([full[k : k + run] for k in range(_CLIPPED_RUN)], axis=0).any():
        found.append("clipped")
    if len(x) < SHORT_SECONDS * rate:
        found.append("short")
    return tuple(found)


def read_recording(
    path: str | PathLike[str],
    *,
    rate: int = RATE,
    start: float = 0.0,
    seconds: float | None = None,
) -> Recording:
    """Read a recording, or a part of it, as mono at one rate.

    Parameters
    ----------
    path : path
        A wav (integer or float), flac, ogg or mp3 file, or whatever else libsndfile decodes.
    rate : int
        Rate of the waveform that is wanted, in Hz.
    start : float
        Where to begin, in seconds from the beginning of the file.
    seconds : float, optional
        How much to read; less comes where the file ends earlier. By default to the end. Only this part is
        read from the disk.

    Returns
    -------
    Recording
        Its waveform is the mean of all channels, shape (n,), float32, not scaled in level.

    Raises
    ------
    MissingFileError
        There is no such file.
    AudioError
        The file cannot be decoded or is empty; the part is shorter than 0.25 s, silent, or has samples that
        are not finite.
    """
    path = Path(path)
    _check_request(path, rate, start, seconds)
    with _open(path) as file:
        if not _RATES[0] <= file.samplerate <= _RATES[1]:
            raise AudioError(
                f"{path.name} says {file.samplerate} samples per second. "
                f"Expected {_RATES[0]} to {_RATES[1]} Hz; is its header damaged?"
            )
        if not file.frames:
            raise AudioError(f"{path.name} holds no samples (0 s). Record it again, or leave the site out.")
        length = file.frames / file.samplerate
        native, waveform = _read_part(file, path, rate, start, seconds)
    _check_sound(path, native, waveform, rate, start, length)
    found = (
        *(flag for flag in flags(native, rate) if flag == "clipped"),
        *(flag for flag in flags(waveform, rate) if flag != "clipped"),
    )
    return Recording(waveform, rate, length, level_dbfs(waveform), found)


# --------------------------------------------------------------------------------------------------- decoding


def _check_request(path: Path, rate: int, start: float, seconds: float | None) -> None:
    if not _RATES[0] <= rate <= _RATES[1]:
        raise AudioError(f"rate={rate} Hz is out of range. Expected {_RATES[0]} to {_RATES[1]} Hz.")
    if not (math.isfinite(start) and start >= 0.0):
        raise AudioError(f"start={start} s is no time in a file. Expected 0 or more.")
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0.0):
        raise AudioError(f"seconds={seconds} is no length. Expected more than 0, or None for all.")
    if not path.exists():
        raise MissingFileError(f"{path} does not exist. Give the path of a recording.")
    if path.is_dir():
        raise AudioError(f"{path} is a folder. Give the path of one recording.")
    if not path.stat().st_size:
        raise AudioError(f"{path.name} is empty (0 bytes). Copy the recording again, or leave the site out.")


def _open(path: Path) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(path)
    except (soundfile.SoundFileError, TypeError, OSError) as error:  # TypeError: headerless .raw
        with path.open("rb") as file:
            head = file.read(40)
        printable = (
            head.isascii() and head.decode("ascii", "replace").replace("\n", " ").strip().isprintable()
        )
        came = f"it begins as text, {head.decode('ascii')!r}" if printable else _reason(error)
        raise AudioError(
            f"{path.name} is no audio that can be decoded: {came}. "
            "Expected wav, flac, ogg or mp3: convert it first."
        ) from error


def _read_part(
    file: soundfile.SoundFile, path: Path, rate: int, start: float, seconds: float | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read a part: its samples as decoded, (n, channels) at the file's rate, and mono at `rate`, (m,).

    The rates stand as ``inputs : outputs``, so every `inputs` samples of the file become `outputs` samples. A
    part is read from the border of such a block, as far around as the filter reaches.
    """
    ratio = _ratio(file.samplerate, rate)
    inputs, outputs = ratio.numerator, ratio.denominator
    whole = math.ceil(Fraction(file.frames) / ratio)  # samples of the whole file at `rate`
    first = round(start * rate)
    last = whole if seconds is None else min(whole, first + round(seconds * rate))
    if first >= whole:
        raise AudioError(
            f"{path.name} lasts {file.frames / file.samplerate:.3g} s, but start={start:g} s was asked for. "
            "Begin earlier."
        )
    reach = 0 if ratio == 1 else math.ceil(_REACH * max(ratio, Fraction(1)))
    block = max(0, first // outputs - math.ceil(reach / inputs))
    begin = block * inputs
    end = min(file.frames, (last // outputs + 1) * inputs + reach)
    samples = _read_frames(file, path, begin, end - begin)  # (end - begin, channels)

    mono = samples.mean(axis=1, dtype=np.float32)  # (end - begin,)
    waveform = _resample(mono, inputs, outputs)[first - block * outputs : last - block * outputs]
    part = slice(math.floor(first * ratio) - begin, math.ceil(last * ratio) - begin)
    return samples[part], np.ascontiguousarray(waveform)


def _read_frames(file: soundfile.SoundFile, path: Path, begin: int, count: int) -> NDArray[np.float32]:
    """Read some frames, by the minute: a damaged header may promise more than memory holds."""
    end = begin + count
    blocks = [np.empty((0, file.channels), dtype=np.float32)]
    try:
        while begin < end:
            # MP3 frames borrow bits from those before them, so right after a jump the first decode as gaps;
            # soundfile jumps before every read.
            run_in = min(begin, file.samplerate) if file.format == "MP3" else 0
            file.seek(begin - run_in)
            frames = min(end - begin, 60 * file.samplerate)
            block = file.read(run_in + frames, dtype="float32", always_2d=True)[run_in:]
            blocks.append(block)
            begin += len(block)
            if len(block) < frames:
                break
    except soundfile.SoundFileError as error:
        raise AudioError(
            f"{path.name} breaks off or is damaged: {_reason(error)}. Copy or convert the recording again."
        ) from error
    return np.concatenate(blocks)


def _ratio(native: int, rate: int) -> Fraction:
    """Ratio of two rates: exact for the usual ones, off by less than 10⁻⁵ where the filter would be huge."""
    exact = Fraction(native, rate)
    return exact.limit_denominator(min(1_000, max(1, math.isqrt(int(_KERNEL / exact)))))


def _resample(waveform: NDArray[np.float32], inputs: int, outputs: int) -> NDArray[np.float32]:
    if inputs == outputs or not len(waveform):
        return waveform
    import torch
    from torchaudio.functional import resample

    resampled: NDArray[np.float32] = resample(torch.from_numpy(waveform), inputs, outputs).numpy()
    return resampled


def _check_sound(
    path: Path,
    native: NDArray[np.float32],
    waveform: NDArray[np.float32],
    rate: int,
    start: float,
    length: float,
) -> None:
    """Refuse what no landscape can be drawn from."""
    part = "" if len(waveform) / rate > length - 0.001 else f" from {start:g} s on"
    if len(waveform) < SHORTEST_SECONDS * rate:
        raise AudioError(
            f"{path.name} holds {len(waveform) / rate:.3g} s{part}, shorter than {SHORTEST_SECONDS} s. "
            "Give a longer recording; 10 s serve well."
        )
    strange = int((~np.isfinite(native)).any(axis=1).sum())
    if strange or not np.isfinite(waveform).all():
        raise AudioError(
            f"{path.name} has {strange or 'some'} samples{part} that are NaN or infinite. "
            "Export the recording again."
        )
    level = level_dbfs(waveform)
    if level < SILENT_DBFS:
        why = (
            "its channels cancel each other in the mono mean: check their polarity, or give one channel"
            if level_dbfs(native) >= SILENT_DBFS
            else "check the microphone, or leave the site out"
        )
        raise AudioError(
            f"{path.name} is silent{part}: {level:.0f} dBFS, below {SILENT_DBFS:.0f} dBFS; {why}."
        )


def _reason(error: BaseException) -> str:
    text = str(getattr(error, "error_string", "") or error)
    return " ".join(text.split()).rstrip(".")
