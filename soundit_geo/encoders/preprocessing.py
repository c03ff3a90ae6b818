"""What ImageBind is fed: filter banks of sound clips, pixels of pictures.

Every constant here is part of the published model: weights trained with it know no other input.

Source: Girdhar et al., "ImageBind: One Embedding Space To Bind Them All", CVPR 2023, and its reference
code; the filter banks follow Gong et al., "AST: Audio Spectrogram Transformer", Interspeech 2021.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from soundit_geo.audio import RATE, SHORTEST_SECONDS, SILENT_DBFS, level_dbfs, read_recording
from soundit_geo.errors import AudioError, InputError, MissingFileError, PictureError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

Channel = Literal["mean", "first"]

CLIPS = 3
CLIP_SECONDS = 2
LONG_SECONDS = 600  # of a longer file only the clips are read
FBANK_MEAN, FBANK_STD = -4.268, 9.138  # natural log of mel energy, over AudioSet
_LARGEST_RATIO = 1000  # of the rates' whole numbers; 44 100 : 16 000 is 441 : 160
PICTURE_MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's, of RGB in 0 to 1
PICTURE_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_spans(samples: int) -> list[tuple[int, int]]:
    """Where the three clips of a recording lie.

    They begin at 0, (T - 2)/2 and T - 2 seconds; all three at 0 where T ≤ 2.

    Parameters
    ----------
    samples : int
        Length of the recording in samples at 16 kHz.

    Returns
    -------
    list of (int, int)
        First sample and the one after the last, of each clip. A clip of a recording under 2 s ends
        where the recording ends.

    Notes
    -----
    The reference computes with exact fractions of a float and cuts off towards zero; so does this.
    It relies on the release of pytorchvideo that its requirements pin: version 0.1.5 on PyPI divides
    by three instead of two, and its last clip ends before the recording does.
    """
    latest = Fraction(max(samples / RATE - CLIP_SECONDS, 0))
    starts = [latest * index / (CLIPS - 1) for index in range(CLIPS)]
    return [(int(start * RATE), min(int((start + CLIP_SECONDS) * RATE), samples)) for start in starts]


def fbanks_of(waveform: Any, *, mel_bins: int = 128, frames: int = 204) -> torch.Tensor:
    """Normalised log-mel filter banks of the three clips of one recording.

    Parameters
    ----------
    waveform : array or torch.Tensor of shape (n,)
        Mono sound at 16 kHz, in -1 to 1, at least 0.25 s.
    mel_bins : int
        Mel bands from 20 Hz to 8 kHz.
    frames : int
        Frames of 10 ms to which a clip is padded on the right, or cut. A clip of 2 s gives 198.

    Returns
    -------
    torch.Tensor of shape (3, 1, mel_bins, frames)
        Float32 on the CPU. Padding is 0 *before* normalising: padded cells hold 4.268/9.138.

    Raises
    ------
    AudioError
        If the waveform is not one-dimensional, shorter than 0.25 s, not finite, or silent (below -80 dBFS).

    Notes
    -----
    The reference subtracts each clip's mean in place on a view of the recording. Where clips overlap
    (T < 6 s) a later clip therefore sees samples that an earlier one has shifted; the same order is
    kept here, on a copy, so that the published weights get the numbers that they were measured with.
    """
    return _fbanks_of_channels(checked_waveform(waveform)[None], mel_bins, frames)


def fbanks_of_channels(waveforms: Any, *, mel_bins: int = 128, frames: int = 204) -> torch.Tensor:
    """Filter banks of a recording with several channels, exactly as the reference treats one.

    The first channel is analysed; the mean that is subtracted is that of all channels. Unless told otherwise,
    the package averages the channels instead, which keeps what only the other channel heard.

    Parameters
    ----------
    waveforms : array or torch.Tensor of shape (channels, n)
        Sound at 16 kHz, in -1 to 1, at least 0.25 s.
    mel_bins, frames : int
        As in `fbanks_of`.

    Returns
    -------
    torch.Tensor of shape (3, 1, mel_bins, frames)
        As from `fbanks_of`.

    Raises
    ------
    AudioError
        As in `fbanks_of`. Channels but the first may be silent.
    """
    if getattr(waveforms, "ndim", None) != 2 or not len(waveforms):
        raise AudioError(
            f"Waveforms have shape {np.shape(waveforms)}; expected (channels, samples) at 16 kHz."
        )
    rows = [checked_waveform(row, may_be_silent=place > 0) for place, row in enumerate(waveforms)]
    return _fbanks_of_channels(torch.stack(rows), mel_bins, frames)


def fbanks_of_file(
    path: str | PathLike[str], *, mel_bins: int = 128, frames: int = 204, channel: Channel = "mean"
) -> torch.Tensor:
    """Normalised log-mel filter banks of the three clips of one audio file.

    Parameters
    ----------
    path : path
        An audio file that `soundit_geo.audio.read_recording` reads.
    mel_bins, frames : int
        As in `fbanks_of`.
    channel : {"mean", "first"}
        What is heard of several channels: their mean, or the first alone, as the reference does (see
        `fbanks_of_channels`). Of a file with one channel both are the same.

    Returns
    -------
    torch.Tensor of shape (3, 1, mel_bins, frames)
        As from `fbanks_of`. Of a file longer than ten minutes only the clips are read, each of which must
        then hold sound; with ``first`` it is read whole.

    Raises
    ------
    AudioError
        If the file cannot be used.
    MissingFileError
        If there is no such file.
    InputError
        If `channel` is neither.
    """
    check_channel(channel)
    if channel == "first":
        sound = _channels_of(path)
        try:
            return fbanks_of_channels(sound, mel_bins=mel_bins, frames=frames)
        except AudioError as error:
            raise AudioError(f"{Path(path).name} cannot be heard by its first channel. {error}") from error
    samples = _samples_of(path)
    if samples <= LONG_SECONDS * RATE:
        return fbanks_of(read_recording(path).waveform, mel_bins=mel_bins, frames=frames)
    parts = [
        read_recording(path, start=start / RATE, seconds=(stop - start) / RATE)
        for start, stop in clip_spans(samples)
    ]
    banks = [_fbank(torch.tensor(part.waveform)[None], mel_bins, frames) for part in parts]
    return _normalised(banks)


def _samples_of(path: str | PathLike[str]) -> int:
    """Length of a file in samples at 16 kHz; 0 where it cannot be told, which reading will explain."""
    import soundfile

    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, TypeError, OSError):
        return 0
    return ceil(Fraction(info.frames * RATE, info.samplerate))


def _channels_of(path: str | PathLike[str]) -> torch.Tensor:
    """All channels (channels, n) of a file at 16 kHz, resampled as the reference does."""
    import soundfile
    from torchaudio.functional import resample

    name = Path(path).name
    if not Path(path).is_file():
        raise MissingFileError(f"There is no file {path}. Give the path of a recording.")
    try:
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)  # (n, channels)
    except (soundfile.SoundFileError, TypeError, OSError) as error:  # TypeError: headerless .raw
        raise AudioError(
            f"{name} is no audio that can be decoded ({error}). Expected wav, flac, ogg or mp3."
        ) from error
    if not len(sound):
        raise AudioError(f"{name} holds no samples (0 s). Record it again, or leave it out.")
    if rate // gcd(rate, RATE) > _LARGEST_RATIO:
        raise AudioError(
            f"{name} has {rate} samples per second, which has too little in common with {RATE} to be "
            f'resampled exactly. Convert it to {RATE} Hz, or take channel="mean".'
        )
    return resample(torch.from_numpy(sound.T.copy()), rate, RATE)


def check_channel(channel: str) -> None:
    """Refuse what is no way to hear several channels.

    Parameters
    ----------
    channel : str
        What the caller gave.

    Raises
    ------
    InputError
        If it is neither ``mean`` nor ``first``.
    """
    if channel not in get_args(Channel):
        raise InputError(f"Channel {channel!r} is none of {', '.join(get_args(Channel))}.")


def _fbanks_of_channels(sound: torch.Tensor, mel_bins: int, frames: int) -> torch.Tensor:
    """Normalised filter banks (3, 1, mel_bins, frames) of a recording (channels, n), which is used up."""
    spans = clip_spans(sound.shape[1])
    return _normalised([_fbank(sound[:, start:stop], mel_bins, frames) for start, stop in spans])


def _normalised(banks: list[torch.Tensor]) -> torch.Tensor:
    """Stack filter banks and normalise them by AudioSet's mean and standard deviation."""
    return (torch.stack(banks) - FBANK_MEAN) / FBANK_STD


def _fbank(clip: torch.Tensor, mel_bins: int, frames: int) -> torch.Tensor:
    """Log-mel energies (1, mel_bins, frames) of one clip (channels, n), padded with 0 on the right."""
    from torchaudio.compliance import kaldi

    clip -= clip.mean()  # in place, on the view: see the Notes of fbanks_of
    bank: torch.Tensor = kaldi.fbank(
        clip,
        htk_compat=True,
        sample_frequency=RATE,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=mel_bins,
        dither=0.0,
        frame_length=25,  # ms
        frame_shift=10,  # ms
    )
    bank = bank.T[None, :, :frames]  # (1, mel_bins, ≤ frames)
    return torch.nn.functional.pad(bank, (0, frames - bank.shape[-1]))


def checked_waveform(waveform: Any, *, may_be_silent: bool = False) -> torch.Tensor:
    """Copy a waveform as float32, or say why it cannot be encoded.

    Parameters
    ----------
    waveform : array or torch.Tensor of shape (n,)
        Mono sound at 16 kHz, in -1 to 1, at least 0.25 s.
    may_be_silent : bool
        Whether silence is let pass.

    Returns
    -------
    torch.Tensor of shape (n,)
        Float32 on the CPU.

    Raises
    ------
    AudioError
        If the waveform is not one-dimensional, shorter than 0.25 s, not finite, or silent (below -80 dBFS).
    """
    if isinstance(waveform, torch.Tensor):
        waveform = waveform.detach().cpu().float().numpy() if waveform.is_floating_point() else waveform.cpu()
    sound = np.asarray(waveform)
    if sound.ndim != 1:
        raise AudioError(
            f"A waveform has shape {sound.shape}; expected (samples,), mono at 16 kHz. "
            "Choose or average the channels first."
        )
    if sound.dtype.kind != "f":
        raise AudioError(
            f"A waveform has dtype {sound.dtype}; expected floating point in -1 to 1. "
            "Divide integer samples by their full scale first."
        )
    if sound.shape[0] < SHORTEST_SECONDS * RATE:
        raise AudioError(
            f"A waveform has {sound.shape[0]} samples, {sound.shape[0] / RATE:.3f} s at 16 kHz; "
            f"at least {SHORTEST_SECONDS} s are needed."
        )
    if not np.isfinite(sound).all():
        raise AudioError("A waveform holds samples that are not finite (NaN or infinite). Repair it first.")
    level = level_dbfs(sound)
    if level < SILENT_DBFS and not may_be_silent:
        raise AudioError(
            f"A waveform is silent: {level:.0f} dBFS, below {SILENT_DBFS:.0f} dBFS. Leave it out."
        )
    return torch.from_numpy(np.array(sound, dtype=np.float32, order="C"))


def pixels_of(picture: Any, size: int = 224) -> torch.Tensor:
    """Normalised pixels of one picture: bicubic resize of the short side, centre crop.

    Parameters
    ----------
    picture : PIL.Image.Image or array of shape (H, W, 3)
        A picture of any mode and size, or sRGB pixels as uint8.
    size : int
        Side of the square that the model takes, in pixels.

    Returns
    -------
    torch.Tensor of shape (3, size, size)
        Float32 on the CPU, RGB, minus CLIP's mean, over CLIP's standard deviation.

    Raises
    ------
    PictureError
        If it is neither a picture nor an uint8 array (H, W, 3), or has no pixels.
    """
    from PIL import Image

    if isinstance(picture, torch.Tensor):
        picture = picture.detach().cpu().numpy()
    if isinstance(picture, np.ndarray):
        if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != np.uint8:
            raise PictureError(
                f"A picture array has shape {picture.shape} and dtype {picture.dtype}; "
                "expected (height, width, 3) of uint8."
            )
        if picture.size == 0:
            raise PictureError(f"A picture array of shape {picture.shape} has no pixels.")
        picture = Image.fromarray(picture)
    if not isinstance(picture, Image.Image):
        raise PictureError(
            f"A {type(picture).__name__} came where a picture was expected. "
            "Give a PIL image or an uint8 array (height, width, 3); open files with PIL.Image.open."
        )
    image = picture.convert("RGB")
    width, height = image.size
    if min(width, height) == 0:
        raise PictureError(f"A picture of {width} × {height} has no pixels.")
    if width <= height:
        wide, high = size, int(size * height / width)
    else:
        wide, high = int(size * width / height), size
    image = image.resize((wide, high), Image.Resampling.BICUBIC)
    left, top = round((wide - size) / 2), round((high - size) / 2)
    image = image.crop((left, top, left + size, top + size))
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).to(torch.float32) / 255  # (3, size, size)
    return (pixels - torch.tensor(PICTURE_MEAN)[:, None, None]) / torch.tensor(PICTURE_STD)[:, None, None]


def sequence_of(values: Any, what: str) -> Sequence[Any]:
    """Refuse one bare value where a sequence of them is meant, and an empty sequence.

    Parameters
    ----------
    values : object
        What the caller gave.
    what : str
        Its name in the plural, for the message.

    Returns
    -------
    sequence
        The values, as a list.

    Raises
    ------
    InputError
        If it is a single string, path, array of one item, or empty.
    """
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise InputError(f"One {type(values).__name__} came where {what} were expected: give a list of them.")
    items = list(values)
    if not items:
        raise InputError(f"No {what} came: the list is empty.")
    return items
