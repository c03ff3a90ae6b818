"""A recording is decoded as it is, or refused with a reason."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from soundit_geo.audio import RATE, SILENT_DBFS, Recording, flags, level_dbfs, read_recording
from soundit_geo.errors import AudioError, MissingFileError, SounditError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 44_101, 48_000, 96_000]

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audio")


def noise(seed: int, count: int, channels: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (count, channels))


def sine(rate: int, seconds: float = 1.5, hertz: float = 440.0, peak: float = 0.5) -> NDArray[np.float64]:
    return peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write(path: Path, samples: NDArray[np.generic], rate: int = RATE, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


# --------------------------------------------------------------------------------------------------- decoding


@given(seeds, st.integers(4_000, 9_000))
def test_integer_samples_come_back_as_they_are(folder: Path, seed: int, count: int) -> None:
    samples = np.random.default_rng(seed).integers(-(2**15), 2**15, count, dtype=np.int16)
    recording = read_recording(write(folder / "int.wav", samples))
    np.testing.assert_array_equal(recording.waveform, samples.astype(np.float32) / 32768)


@given(seeds, st.integers(4_000, 9_000), st.sampled_from(["FLOAT", "DOUBLE"]))
def test_float_samples_come_back_as_they_are(folder: Path, seed: int, count: int, subtype: str) -> None:
    samples = noise(seed, count)[:, 0].astype(np.float32)
    recording = read_recording(write(folder / "float.wav", samples, subtype=subtype))
    np.testing.assert_array_equal(recording.waveform, samples)
    assert recording.waveform.dtype == np.float32
    assert recording.seconds == count / RATE


@pytest.mark.parametrize(
    ("name", "slack"), [("a.flac", 1e-4), ("a.wav", 1e-4), ("a.ogg", 0.05), ("a.mp3", 0.05)]
)
def test_every_format_gives_the_same_sound(folder: Path, name: str, slack: float) -> None:
    tone = sine(RATE)
    waveform = read_recording(write(folder / name, tone)).waveform
    middle = slice(4_000, 16_000)
    assert np.abs(waveform[middle] - tone[middle]).max() < slack


@given(seeds, st.integers(1, 6))
def test_mono_is_the_mean_of_the_channels(folder: Path, seed: int, channels: int) -> None:
    samples = noise(seed, 5_000, channels)
    recording = read_recording(write(folder / "many.wav", samples, subtype="DOUBLE"))
    np.testing.assert_allclose(recording.waveform, samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("native", RATES)
def test_a_tone_keeps_its_pitch_at_any_rate(folder: Path, native: int) -> None:
    waveform = read_recording(write(folder / "tone.wav", sine(native), native, "FLOAT")).waveform
    middle = slice(4_000, 20_000)
    assert np.abs(waveform[middle] - sine(RATE)[middle]).max() < 0.005


@pytest.mark.parametrize("native", [44_100, 48_000])
def test_what_cannot_be_heard_at_the_new_rate_does_not_fold_back(folder: Path, native: int) -> None:
    samples = sine(native, hertz=12_000) + sine(native, peak=0.01)
    waveform = read_recording(write(folder / "high.wav", samples, native, "FLOAT")).waveform
    spectrum = np.abs(np.fft.rfft(waveform[4_000:20_000] * np.hanning(16_000)))  # one bin per hertz
    assert spectrum.argmax() == 440


# ------------------------------------------------------------------------------------------------------ parts


@settings(max_examples=60)
@given(seeds, st.sampled_from(RATES), st.floats(0, 1.9), st.floats(0.3, 3), st.booleans())
def test_a_part_is_a_slice_of_the_whole(
    folder: Path, seed: int, native: int, start: float, seconds: float, to_the_end: bool
) -> None:
    path = write(folder / "whole.wav", noise(seed, int(2.4 * native), 2), native, "FLOAT")
    whole = read_recording(path)
    part = read_recording(path, start=start, seconds=None if to_the_end else seconds)
    first = round(start * RATE)
    last = None if to_the_end else first + round(seconds * RATE)
    expected = whole.waveform[first:last]
    assert part.waveform.shape == expected.shape
    np.testing.assert_allclose(part.waveform, expected, atol=2e-6)
    assert part.seconds == whole.seconds


@pytest.mark.parametrize("name", ["part.ogg", "part.mp3", "part.flac"])
@given(st.floats(0, 6), st.floats(0.3, 2))
def test_a_part_of_a_compressed_file_is_a_slice_of_the_whole(
    folder: Path, name: str, start: float, seconds: float
) -> None:
    path = folder / name
    if not path.exists():
        write(path, np.concatenate([sine(24_000, 4), noise(1, 72_000)[:, 0]]), 24_000)
    whole = read_recording(path).waveform
    part = read_recording(path, start=start, seconds=seconds).waveform
    first = round(start * RATE)
    np.testing.assert_allclose(part, whole[first : first + round(seconds * RATE)], atol=1e-4)


@pytest.mark.parametrize("name", ["minutes.ogg", "minutes.mp3", "minutes.flac"])
def test_a_long_recording_has_no_seams(folder: Path, name: str) -> None:
    tone = sine(RATE, 125)
    waveform = read_recording(write(folder / name, tone)).waveform
    assert len(waveform) == len(tone)
    assert np.abs(waveform - tone)[RATE:-RATE].max() < 0.05


def test_only_the_part_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(folder / "long.wav", noise(0, 600 * 8_000)[:, 0], 8_000)
    read = soundfile.SoundFile.read
    frames = []

    def counting(self: soundfile.SoundFile, *args: object, **kwargs: object) -> NDArray[np.float32]:
        block = read(self, *args, **kwargs)
        frames.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    recording = read_recording(path, start=300, seconds=2)
    assert sum(frames) < 2.1 * 8_000
    assert recording.seconds == 600


# -------------------------------------------------------------------------------------------- level and flags


@given(st.floats(1e-3, 1.0), st.integers(20, 7_000))
def test_a_sine_reads_its_peak_in_decibels(peak: float, hertz: int) -> None:
    samples = sine(RATE, seconds=1, hertz=hertz, peak=peak)  # whole periods
    assert abs(level_dbfs(samples) - 20 * math.log10(peak)) < 1e-6


@given(seeds, st.floats(-0.5, 0.5), st.floats(0.01, 1))
def test_level_follows_gain_and_ignores_an_offset(seed: int, offset: float, gain: float) -> None:
    samples = noise(seed, 4_000)[:, 0]
    assert abs(level_dbfs(samples * gain + offset) - level_dbfs(samples) - 20 * math.log10(gain)) < 1e-6


def test_nothing_has_no_level() -> None:
    assert level_dbfs(np.zeros(10)) == -math.inf
    assert level_dbfs(np.zeros(0)) == -math.inf
    assert math.isnan(level_dbfs(np.array([0.0, np.nan])))


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (sine(RATE), ()),
        (sine(RATE, peak=1.5).clip(-1, 1), ("clipped",)),
        (np.stack([sine(RATE), sine(RATE, peak=1.5).clip(-1, 1)], axis=1), ("clipped",)),
        (sine(RATE, seconds=0.9), ("short",)),
        (sine(RATE, peak=5e-5), ("silent",)),
        (np.full(RATE, 0.5), ("silent",)),
        (np.where(np.arange(RATE) == 7, np.nan, sine(RATE, 1)), ("nan",)),
        (np.zeros(0), ("silent", "short")),
    ],
)
def test_flags_say_what_is_doubtful(samples: NDArray[np.float64], expected: tuple[str, ...]) -> None:
    assert flags(samples, RATE) == expected


def test_single_full_samples_are_not_clipping() -> None:
    samples = sine(RATE)
    samples[::100] = 1.0
    assert flags(samples, RATE) == ()


def test_clipping_in_one_ear_is_flagged_though_the_mean_hides_it(folder: Path) -> None:
    samples = np.stack([sine(44_100), sine(44_100, peak=2).clip(-1, 1)], axis=1)
    recording = read_recording(write(folder / "ear.wav", samples, 44_100))
    assert recording.flags == ("clipped",)
    assert np.abs(recording.waveform).max() < 0.99


def test_clipping_outside_the_part_is_no_matter(folder: Path) -> None:
    samples = np.concatenate([sine(44_100, 2, peak=2).clip(-1, 1), sine(44_100, 2)])
    path = write(folder / "later.wav", samples, 44_100)
    assert read_recording(path, start=2).flags == ()
    assert read_recording(path, seconds=2).flags == ("clipped",)


def test_a_short_recording_is_read_and_flagged(folder: Path) -> None:
    recording = read_recording(write(folder / "short.wav", sine(RATE, 0.5)))
    assert isinstance(recording, Recording)
    assert recording.flags == ("short",)
    assert recording.seconds == 0.5


# -------------------------------------------------------------------------------------------- what is refused


def spoilt(value: float) -> NDArray[np.float64]:
    samples = sine(48_000)
    samples[30_000] = value
    return samples


UNUSABLE = {
    "text.wav": (b"these are words, not waves", "begins as text, 'these are words"),
    "empty.wav": (b"", "is empty"),
    "bytes.wav": (bytes(range(256)) * 4, "no audio that can be decoded"),
    "headerless.raw": (bytes(range(256)) * 4, "no audio that can be decoded"),
    "cut.wav": (b"RIFF\x24\x00\x00\x00WAVEfmt ", "no audio that can be decoded"),
    "frameless.wav": (np.zeros(0), "holds no samples"),
    "nan.wav": (spoilt(math.nan), "NaN or infinite"),
    "inf.wav": (spoilt(math.inf), "NaN or infinite"),
    "silence.wav": (np.zeros(RATE), "is silent: -inf dBFS, below -80 dBFS"),
    "offset.wav": (np.full(RATE, 0.25), "is silent"),
    "faint.wav": (sine(RATE, peak=5e-5), "is silent: -86 dBFS"),
    "tenth.wav": (sine(RATE, 0.1), "holds 0.1 s, shorter than 0.25 s"),
    "polarity.wav": (np.stack([sine(RATE), -sine(RATE)], axis=1), "cancel each other"),
    "slow.wav": (sine(RATE), "100 samples per second"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_recording_is_refused_in_one_clear_line(folder: Path, name: str) -> None:
    content, words = UNUSABLE[name]
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write(path, content, {"nan.wav": 48_000, "slow.wav": 100}.get(name, RATE), "FLOAT")
    with pytest.raises(AudioError, match=words) as caught:
        read_recording(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_silent_threshold_is_the_documented_one(folder: Path) -> None:
    for decibels, passes in ((SILENT_DBFS + 0.5, True), (SILENT_DBFS - 0.5, False)):
        path = write(folder / "faint.wav", sine(RATE, peak=10 ** (decibels / 20)), subtype="FLOAT")
        if passes:
            assert abs(read_recording(path).level_dbfs - decibels) < 0.01
        else:
            with pytest.raises(AudioError, match="silent"):
                read_recording(path)


def test_absent_files_and_folders_are_told_apart(folder: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        read_recording(folder / "none.wav")
    with pytest.raises(AudioError, match="is a folder"):
        read_recording(folder)


@pytest.mark.parametrize(
    "request_",
    [
        {"start": -1},
        {"start": math.nan},
        {"start": 2},
        {"start": 1.4},
        {"seconds": 0},
        {"seconds": 0.1},
        {"rate": 1},
    ],
)
def test_a_part_that_cannot_be_had_is_refused(folder: Path, request_: dict[str, float]) -> None:
    with pytest.raises(AudioError):
        read_recording(write(folder / "asked.wav", sine(RATE)), **request_)  # type: ignore[arg-type]


@settings(max_examples=150)
@given(st.data(), st.sampled_from(["wav", "flac", "ogg", "mp3"]))
def test_damaged_files_are_read_or_refused_but_never_stumbled_over(
    folder: Path, data: st.DataObject, kind: str
) -> None:
    path = folder / f"sound.{kind}"
    if not path.exists():
        write(path, sine(RATE, 1))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content) - 1, 400)))] = data.draw(st.integers(0, 255))
    broken = folder / f"broken.{kind}"
    broken.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        recording = read_recording(broken)
    except SounditError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert np.isfinite(recording.waveform).all()


# ------------------------------------------------------------------------------------------- the surroundings


def test_the_module_itself_is_light() -> None:
    code = "import sys, soundit_geo.audio; sys.exit(any(m.startswith('torch') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_real_recordings_are_read(shared_data: Path) -> None:
    paths = [path for path in shared_data.rglob("*.*") if path.suffix in (".wav", ".ogg", ".mp3")]
    assert len(paths) > 20
    for path in paths:
        recording = read_recording(path, seconds=3)
        assert recording.rate == RATE
        assert len(recording.waveform) == 3 * RATE
        assert -70 < recording.level_dbfs < 0
