"""Acoustic measures against known levels, the standard's table, literal formulas and other libraries."""

import itertools
import json
import subprocess
import sys
import tracemalloc

import field_files as ff
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile

import soundit_geo as sg
from soundit_geo.acoustics import MEASURES, SEGMENT_SECONDS, a_weighting, acoustics, measure
from soundit_geo.audio import level_dbfs
from soundit_geo.errors import AudioError, InputError, MissingFileError, SitesError

RATE = 32_000

# IEC 61672-1:2013, table 3: A-weighting at nominal frequencies (exact ones are 1000 · 10^(n/10))
TABLE = {
    10: -70.4, 12.5: -63.4, 16: -56.7, 20: -50.5, 25: -44.7, 31.5: -39.4, 40: -34.6, 50: -30.2, 63: -26.2, 80: -22.5,
    100: -19.1, 125: -16.1, 160: -13.4, 200: -10.9, 250: -8.6, 315: -6.6, 400: -4.8, 500: -3.2, 630: -1.9, 800: -0.8,
    1000: 0.0, 1250: 0.6, 1600: 1.0, 2000: 1.2, 2500: 1.3, 3150: 1.2, 4000: 1.0, 5000: 0.5, 6300: -0.1, 8000: -1.1,
    10000: -2.5, 12500: -4.3, 16000: -6.6, 20000: -9.3,
}  # fmt: skip
EXACT = {nominal: 1000.0 * 10 ** ((k - 20) / 10) for k, nominal in enumerate(TABLE)}


def tone(frequency, seconds=2.0, rate=RATE, peak=1.0):
    return peak * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def noise(seconds, rate=RATE, level=0.05, seed=0):
    return level * np.random.default_rng(seed).standard_normal(round(seconds * rate))


def write(path, samples, rate=RATE):
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


@pytest.fixture
def of(tmp_path):
    """Measure samples through a file."""
    return lambda samples, rate=RATE, calibration=0.0: measure(
        write(tmp_path / "a.wav", samples, rate), calibration
    )


def sites_of(folder, names):
    points = gpd.points_from_xy(range(len(names)), range(len(names)), crs=4326)
    index = pd.Index([name.split(".")[0] for name in names], name="site")
    frame = gpd.GeoDataFrame({"audio": names}, index=index, geometry=points)
    frame.attrs["audio_root"] = str(folder)
    return frame


# ------------------------------------------------------------------------------------------------------- levels


def test_the_weighting_is_the_standards_table():
    assert a_weighting(list(EXACT.values())) == pytest.approx(list(TABLE.values()), abs=0.0501)
    assert a_weighting(1000.0) == pytest.approx(0.0, abs=1e-4)
    assert a_weighting(0.0) == -np.inf


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 96_000])
def test_a_sine_is_weighted_as_the_table_says(of, rate):
    for nominal in (25, 63, 250, 1000, 4000, 6300, 12_500, 20_000):
        if EXACT[nominal] < 0.48 * rate:
            found = of(tone(EXACT[nominal], 5, rate, 0.5), rate, 100.0)
            assert found["laeq"] - found["level_dbfs"] == pytest.approx(100 + TABLE[nominal], abs=0.08)


@pytest.mark.parametrize(("peak", "level"), [(1.0, 0.0), (0.1, -20.0), (10 ** (-60 / 20), -60.0)])
def test_a_sine_reads_its_peak_re_full_scale(of, peak, level):
    assert of(tone(1000, peak=peak))["level_dbfs"] == pytest.approx(level, abs=0.01)
    assert of(tone(1000, peak=peak) + 0.3)["level_dbfs"] == pytest.approx(
        level, abs=0.01
    )  # a constant is no sound


def test_the_level_is_that_of_the_audio_room(of):
    stereo = np.stack([noise(3, seed=1), noise(3, level=0.2, seed=2)], axis=1)
    assert of(stereo)["level_dbfs"] == pytest.approx(level_dbfs(stereo.astype(np.float32)), abs=1e-3)


def test_channels_count_by_energy(of):
    mono, silent = noise(3), np.zeros(3 * RATE)
    alone, both = of(mono, calibration=120.0), of(np.stack([mono, silent], axis=1), calibration=120.0)
    opposed = of(np.stack([mono, -mono], axis=1), calibration=120.0)
    for name in ("level_dbfs", "laeq", "la10", "la90"):
        assert both[name] == pytest.approx(alone[name] - 10 * np.log10(2), abs=1e-6)
        assert opposed[name] == pytest.approx(alone[name], abs=1e-6)


def test_a_calibrator_reads_what_it_is(of):
    assert of(tone(1000, 10, peak=10 ** (-26 / 20)), calibration=120.0)["laeq"] == pytest.approx(
        94.0, abs=0.01
    )


def test_percentile_levels_are_those_exceeded_in_their_share_of_the_time(of):
    steps = [-20.0] * 6 + [-40.0] * 10 + [-60.0] * 4  # a second each: 30 %, 50 %, 20 %
    found = of(np.concatenate([tone(1000, 1, peak=10 ** (dB / 20)) for dB in steps]), calibration=100.0)
    assert found["la10"] == pytest.approx(80.0, abs=0.1)
    assert found["la90"] == pytest.approx(40.0, abs=0.1)
    assert found["laeq"] == pytest.approx(
        100 + 10 * np.log10(np.mean([10 ** (dB / 10) for dB in steps])), abs=0.05
    )


def test_without_a_calibration_nothing_is_said_of_sound_pressure(of):
    found = of(noise(2), calibration=np.nan)
    assert np.isnan([found["laeq"], found["la10"], found["la90"]]).all()
    assert np.isfinite(found["level_dbfs"])


@pytest.mark.parametrize("rate", [8_000, 11_025])
def test_segments_leave_no_seams(of, rate, monkeypatch):
    """A file of more than two segments: level, LAeq and percentiles equal those of the whole at once."""
    monkeypatch.setattr("soundit_geo.acoustics.SEGMENT_SECONDS", 4)
    samples = noise(9.3, rate) * np.linspace(0.1, 1.0, round(9.3 * rate))
    found = of(samples, rate, 100.0)
    whole = samples.astype(np.float32).astype(float)
    spectrum = np.fft.rfft(np.pad(whole, rate, mode="reflect", reflect_type="odd"))
    gain = 10 ** (a_weighting(np.fft.rfftfreq(len(whole) + 2 * rate, 1 / rate)) / 20)
    weighted = np.fft.irfft(spectrum * gain, len(whole) + 2 * rate)[rate:-rate]
    assert found["level_dbfs"] == pytest.approx(level_dbfs(whole), abs=1e-9)
    assert found["laeq"] == pytest.approx(100 + 10 * np.log10(2 * np.mean(weighted**2)), abs=1e-6)
    edges = np.round(np.arange(int(len(whole) / rate * 8) + 1) * rate / 8).astype(int)
    blocks = [100 + 10 * np.log10(2 * np.mean(weighted[a:b] ** 2)) for a, b in itertools.pairwise(edges)]
    assert found["la10"] == pytest.approx(np.quantile(blocks, 0.9), abs=0.01)
    assert found["la90"] == pytest.approx(np.quantile(blocks, 0.1), abs=0.01)


# ------------------------------------------------------------------------------------------ spectrum and indices


def literal_indices(samples, rate):
    """ACI, NDSI, H and BI as their papers write them, on SciPy's own short-time transform."""
    frequency, _, power = scipy.signal.spectrogram(
        samples, rate, "hann", 1024, 512, detrend="constant", mode="psd"
    )
    power = power[:-1, : len(samples) // 512 - 1] * rate / 1024
    frequency = frequency[:-1]
    aci = 0.0
    for row in np.sqrt(power):
        aci += sum(abs(b - a) for a, b in itertools.pairwise(row)) / sum(row)
    mean = power.mean(axis=1)
    low = mean[(frequency >= 1000) & (frequency < 2000)].mean()
    high = sum(mean[(frequency >= k) & (frequency < k + 1000)].mean() for k in range(2000, 8000, 1000))

    def entropy(values):
        shares = values / values.sum()
        return -(shares * np.log(shares)).sum() / np.log(len(shares))

    h = entropy(np.sqrt(mean)) * entropy(np.abs(scipy.signal.hilbert(samples)))
    spectrum = 20 * np.log10((np.sqrt(power) / np.sqrt(power).max()).mean(axis=1))
    band = spectrum[(frequency > 1999) & (frequency < 8001)]
    return {
        "aci": aci,
        "ndsi": (high - low) / (high + low),
        "h": h,
        "bi": (band - band.min()).sum() / (rate / 1024),
    }


@pytest.mark.parametrize("rate", [16_000, 32_000])
def test_indices_are_their_formulas(of, rate):
    samples = (
        (noise(3, rate) + tone(3000, 3, rate, 0.2) * (tone(1, 3, rate) > 0)).astype(np.float32).astype(float)
    )
    found = of(samples, rate)
    for name, value in literal_indices(samples, rate).items():
        assert found[name] == pytest.approx(value, rel=2e-3), name


def test_indices_of_long_files_are_means_over_segments_by_length(of, monkeypatch):
    monkeypatch.setattr("soundit_geo.acoustics.SEGMENT_SECONDS", 4)
    rate = 16_000
    parts = [noise(4, rate, seed=1), noise(2, rate, seed=2) * (0.1 + (tone(3, 2, rate) > 0))]
    whole, first, last = (of(part, rate) for part in (np.concatenate(parts), *parts))
    for name in ("aci", "ndsi", "h", "bi"):
        assert abs(first[name] - last[name]) > 1e-4
        assert whole[name] == pytest.approx((2 * first[name] + last[name]) / 3, rel=1e-5)


def test_white_noise_has_its_centre_in_the_middle_and_a_tone_where_it_is(of):
    assert of(noise(10))["centroid_hz"] == pytest.approx(RATE / 4, rel=0.01)
    assert of(tone(3000) + 0.5)["centroid_hz"] == pytest.approx(3000, abs=20)


def test_pink_noise_has_its_centre_where_its_density_says(of):
    count = 30 * RATE
    spectrum = np.fft.rfft(np.random.default_rng(3).standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / RATE)
    spectrum[1:] /= np.sqrt(frequency[1:])
    spectrum[frequency < 100] = 0
    pink = np.fft.irfft(spectrum, count)
    expected = (RATE / 2 - 100) / np.log(RATE / 2 / 100)  # ∫ f · 1/f over ∫ 1/f
    assert of(0.1 * pink / pink.std())["centroid_hz"] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("frequency", "ndsi"), [(1500, -1), (2500, 1), (5000, 1), (7500, 1)])
def test_a_tone_lies_on_one_side_of_ndsi(of, frequency, ndsi):
    """2 to 3 kHz is biophony only, though scikit-maad's own ranges would count it on both sides."""
    assert of(tone(frequency) + noise(2, level=1e-6))["ndsi"] == pytest.approx(ndsi, abs=0.01)


def test_entropy_is_high_for_noise_and_low_for_a_tone(of):
    assert of(noise(5))["h"] > 0.9
    assert of(tone(3000, 5))["h"] < 0.5


def test_indices_that_a_rate_cannot_carry_are_not_given(of):
    found = of(noise(2, 8000), 8000)
    assert np.isnan([found["ndsi"], found["bi"]]).all()
    assert np.isfinite([found["aci"], found["h"]]).all()
    assert "NDSI and BI need 16000 Hz" in found["message"]


# ------------------------------------------------------------------------------------------------- bad recordings


def test_clipping_and_brevity_are_told(of):
    assert "clipped" in of(np.clip(tone(1000, peak=3.0), -1, 1))["message"]
    found = of(noise(0.3, 12_000), 12_000)
    assert "too short for the indices" in found["message"]
    assert np.isfinite(found["level_dbfs"])


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        (np.zeros(RATE), "digitally silent"),
        (np.full(RATE, 0.25), "digitally silent"),
        (np.zeros(0), "0 s of sound"),
        (noise(0.2), "0.2 s of sound"),
        (np.r_[noise(1), np.nan], "NaN or infinite"),
    ],
)
def test_what_cannot_be_measured_is_refused(of, samples, word):
    with pytest.raises(AudioError, match=word):
        of(samples)


def test_one_bad_recording_stops_no_other(tmp_path):
    write(tmp_path / "good.wav", noise(2))
    (tmp_path / "text.wav").write_text("no sound")
    write(tmp_path / "silent.wav", np.zeros(RATE))
    names = ["good.wav", "text.wav", "silent.wav", "absent.wav"]
    table = acoustics(sites_of(tmp_path, names), workers=2)
    assert list(table.index) == ["good", "text", "silent", "absent"]
    assert list(table.columns) == [*MEASURES, "seconds", "rate", "message"]
    assert table["level_dbfs"].notna().tolist() == [True, False, False, False]
    assert table.loc["good", "message"] == ""
    assert "cannot be decoded" in table.loc["text", "message"]
    assert "does not exist" in table.loc["absent", "message"]
    with pytest.raises(MissingFileError):
        measure(tmp_path / "absent.wav")


def test_a_file_that_breaks_off_is_measured_as_far_as_it_goes(tmp_path):
    path = ff.wav(tmp_path / "a.wav", seconds=3)
    path.write_bytes(path.read_bytes()[:-20_000])
    found = measure(path)
    assert found["seconds"] == pytest.approx(3 - 10_000 / ff.RATE)


def test_a_calibration_comes_as_number_column_or_table(tmp_path):
    for name in ("a.wav", "b.wav"):
        write(tmp_path / name, tone(1000, peak=0.1))
    sites = sites_of(tmp_path, ["a.wav", "b.wav"])
    sites["cal"] = [120.0, 110.0]
    assert acoustics(sites, 120)["laeq"].tolist() == pytest.approx([100, 100], abs=0.01)
    assert acoustics(sites, "cal")["laeq"].tolist() == pytest.approx([100, 90], abs=0.01)
    some = acoustics(sites, {"b": 110})
    assert some["laeq"].tolist() == pytest.approx([np.nan, 90], abs=0.01, nan_ok=True)
    assert some["message"].tolist() == ["no calibration", ""]
    for wrong, error in (("gain", SitesError), ({"a": "loud"}, InputError), (np.inf, InputError)):
        with pytest.raises(error):
            acoustics(sites, wrong)
    with pytest.raises(InputError, match="workers"):
        acoustics(sites, workers=0)


def test_workers_change_nothing(tmp_path):
    names = [f"{k}.wav" for k in range(4)]
    for k, name in enumerate(names):
        write(tmp_path / name, noise(2, seed=k))
    sites = sites_of(tmp_path, names)
    pd.testing.assert_frame_equal(acoustics(sites, 100.0), acoustics(sites, 100.0, workers=3))


def test_a_long_file_takes_no_more_memory_than_a_few_segments(tmp_path):
    peaks = []
    for segments in (3, 6):
        path = write(tmp_path / "a.wav", noise(segments * SEGMENT_SECONDS, 4000), 4000)
        tracemalloc.start()
        measure(path, 100.0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


# ------------------------------------------------------------------------------------------------------- doors


def test_the_face_the_accessor_and_the_function_are_one(tmp_path):
    write(tmp_path / "a.wav", noise(2))
    sites = sg.read_sites(sites_of(tmp_path, ["a.wav"]))
    table = acoustics(sites, 94.0)
    pd.testing.assert_frame_equal(sg.acoustics(sites, 94.0), table)
    pd.testing.assert_frame_equal(sites.soundit.acoustics(94.0), table)


def test_no_torch_is_loaded(tmp_path):
    write(tmp_path / "a.wav", noise(2), RATE)
    (tmp_path / "s.csv").write_text("site,lon,lat,audio\na,0.1,51.5,a.wav\n")
    program = (
        "import sys, soundit_geo as sg\n"
        f"sg.read_sites({str(tmp_path / 's.csv')!r}).soundit.acoustics()\n"
        f"sg.sites_from_folder({str(tmp_path)!r})\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_command_writes_a_table_and_tells_by_its_code(tmp_path, monkeypatch, capsys):
    from soundit_geo.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["soundit-geo", "acoustics", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capsys.readouterr()

    write(tmp_path / "a.wav", tone(1000, peak=0.1))
    (tmp_path / "s.csv").write_text("site,lon,lat,audio,cal\na,0.1,51.5,a.wav,110\n")
    code, said = call(tmp_path / "s.csv", "--calibration", "cal", "--out", tmp_path / "t.csv", "--quiet")
    assert code == 0, said.err
    assert pd.read_csv(tmp_path / "t.csv", index_col="site").loc["a", "laeq"] == pytest.approx(90, abs=0.01)
    (tmp_path / "s.csv").write_text("site,lon,lat,audio\na,0.1,51.5,a.wav\nb,0.1,51.5,b.wav\n")
    code, said = call(tmp_path / "s.csv", "--calibration", "120", "--json", "--quiet")
    assert code == 1
    assert json.loads(said.out)["a"]["laeq"] == pytest.approx(100, abs=0.01)
    assert "b: " in said.err
    (tmp_path / "s.csv").write_text("site,lon,lat,audio\nb,0.1,51.5,b.wav\n")
    assert call(tmp_path / "s.csv", "--quiet")[0] == 2
    assert call(tmp_path / "s.csv", "--out", tmp_path / "t.xlsx", "--quiet")[0] == 2


def test_real_recordings_can_be_measured(shared_data):
    table = acoustics(sg.read_sites(shared_data / "camden" / "sites.geojson"))
    assert (table["message"] == "").all()
    assert table["level_dbfs"].between(-40, 0).all()
    assert table["centroid_hz"].between(50, 1000).all()  # traffic
    assert table["ndsi"].between(-1, 0).all()
