"""Laws of the synthetic soundscapes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

from soundit_geo.synthetic_city import sources
from soundit_geo.synthetic_city.place import SCENES, draw_place
from soundit_geo.synthetic_city.sound import LINES, limit, render_sound, source_layers
from soundit_geo.synthetic_city.waves import Take

RATE = 16000
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)


def decibel(wave):
    return 10 * np.log10(np.mean(np.square(wave, dtype=np.float64)) + 1e-20)


def band_energy(wave, low, high, rate=RATE):
    hertz = np.fft.rfftfreq(len(wave), 1 / rate)
    power = np.abs(np.fft.rfft(wave.astype(np.float64))) ** 2
    return float(power[(hertz >= low) & (hertz < high)].sum())


def places(scene, number, seed=3, **fixed):
    rng = np.random.default_rng(seed)
    return [draw_place(rng, scene, **fixed) for _ in range(number)]


@pytest.mark.parametrize("scene", SCENES)
def test_the_same_place_sounds_the_same_and_another_seed_does_not(scene):
    (place,) = places(scene, 1)
    first = render_sound(place, 2.0)
    assert np.array_equal(first, render_sound(place, 2.0))
    assert not np.array_equal(first, render_sound(replace(place, seed=place.seed + 1), 2.0))


@pytest.mark.parametrize("scene", SCENES)
def test_every_recording_is_finite_within_full_scale_and_of_a_realistic_level(scene):
    for place in places(scene, 6):
        wave = render_sound(place)
        assert wave.shape == (160000,)
        assert wave.dtype == np.float32
        assert np.isfinite(wave).all()
        assert np.abs(wave).max() <= 1.0
        assert -44.0 < decibel(wave) < -6.0
        assert abs(wave.mean()) < 0.1 * wave.std()  # hardly any constant pressure


@pytest.mark.parametrize(
    ("seconds", "rate"), [(0.25, 16000), (0.3, 4000), (1.0, 8000), (3.3, 22050), (2.0, 48000)]
)
def test_length_follows_seconds_and_rate(seconds, rate):
    rng = np.random.default_rng(5)
    for scene in SCENES:
        wave = render_sound(draw_place(rng, scene), seconds, rate)
        assert wave.shape == (round(seconds * rate),)
        assert np.isfinite(wave).all()


@pytest.mark.parametrize(
    "bad", [{"seconds": 0.1}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"rate": 2000}]
)
def test_a_length_or_rate_too_small_is_refused_with_its_value(bad):
    (place,) = places("park", 1)
    with pytest.raises(ValueError, match=str(next(iter(bad.values())))):
        render_sound(place, **bad)


@pytest.mark.parametrize(
    ("scene", "level", "low", "high", "least"),
    [
        ("street", "traffic", 50, 1000, 4.0),
        ("residential_neighborhood", "traffic", 50, 1000, 2.0),
        ("highway", "traffic", 50, 1000, 8.0),
        ("construction_site", "traffic", 50, 1000, 0.0),
        ("park", "greenery", 2000, 6000, 1.0),
        ("residential_neighborhood", "greenery", 2000, 6000, 1.0),
        ("beach", "water", 50, 7900, 2.0),
        ("river", "water", 50, 7900, 4.0),
        ("plaza", "people", 200, 4000, 2.0),
        ("market/outdoor", "people", 200, 4000, 2.0),
    ],
)
def test_more_of_a_level_is_more_energy_in_its_band(scene, level, low, high, least):
    gains = []
    for place in places(scene, 3, seed=2, weather="clear"):
        energies = [
            10 * np.log10(band_energy(render_sound(replace(place, **{level: step})), low, high))
            for step in STEPS
        ]
        assert np.all(np.diff(energies) > -0.1)  # sources add incoherently: chance may take a tenth of a dB
        gains.append(energies[-1] - energies[0])
    assert min(gains) > 0
    assert np.median(gains) > least


def test_more_traffic_leaves_the_birds_as_they_were():
    (place,) = places("park", 1, seed=2, weather="clear")
    few, many = (source_layers(replace(place, traffic=level)) for level in (0.1, 0.9))
    assert np.array_equal(few["birds"], many["birds"])
    assert not np.array_equal(few["traffic"], many["traffic"])


@pytest.mark.parametrize("scene", ["park", "plaza", "field/wild"])
def test_rain_is_heard_from_low_to_high(scene):
    for place in places(scene, 3, weather="clear"):
        layers = source_layers(replace(place, weather="rain"))
        assert "rain" not in source_layers(place)
        for low, high in ((200, 1000), (1000, 3000), (3000, 7000)):
            assert band_energy(layers["rain"], low, high) > 0.03 * band_energy(layers["rain"], 50, 8000)
        rest = sum(layer for name, layer in layers.items() if name != "rain")
        assert band_energy(rest + layers["rain"], 1000, 7000) > 1.05 * band_energy(rest, 1000, 7000)


def test_a_highway_is_louder_than_a_forest():
    loud, quiet = (
        [decibel(render_sound(p)) for p in places(scene, 8)] for scene in ("highway", "forest_path")
    )
    assert np.median(loud) > np.median(quiet) + 8.0
    assert min(loud) > -26.0


def test_a_passing_car_falls_in_pitch_as_doppler_says(monkeypatch):
    def whistle(take, kmh, *, heavy):
        return np.sin(2 * np.pi * 1000.0 * np.arange(take.n) / take.rate).astype(np.float32)

    monkeypatch.setattr(sources, "_vehicle_texture", whistle)
    take = sources.Take(np.random.default_rng(1), 10 * RATE, RATE)
    wave = sources.traffic(take, 1.0, 50.0, 7.5, heavy=0.0)
    hertz, _, spectrum = scipy.signal.stft(wave, RATE, nperseg=8192, noverlap=6144)
    near = (hertz > 900) & (hertz < 1100)
    power = np.abs(spectrum[near])
    passing = int(power.max(0).argmax())
    before, after = (float(hertz[near][power[:, passing + shift].argmax()]) for shift in (-16, 16))  # 2 s
    assert before > 1000.0 > after
    approach = 343.0 * (before - after) / (before + after)  # v · v t / r: nearly the speed at 2 s
    assert 0.85 * 0.85 * 50 / 3.6 < approach < 1.15 * 50 / 3.6


def test_the_limit_leaves_quiet_sound_alone_and_keeps_loud_sound_inside():
    quiet = np.linspace(-0.7, 0.7, 101, dtype=np.float32)
    assert np.array_equal(limit(quiet), quiet)
    loud = np.linspace(-9, 9, 1001, dtype=np.float32)
    bent = limit(loud)
    assert np.abs(bent).max() <= 1.0
    assert np.all(np.diff(bent) >= 0)


def test_birds_are_most_at_dawn_and_insects_not_before_nine():
    (place,) = places("field/wild", 1, weather="clear")
    dawn, noon = (source_layers(replace(place, hour=hour, greenery=0.9)) for hour in (6.5, 13.0))
    assert decibel(dawn["birds"]) > decibel(noon["birds"]) + 0.5
    meadows = [replace(one, greenery=0.9) for one in places("field/wild", 12, weather="clear")]
    early, late = ([source_layers(replace(one, hour=hour), 0.5) for one in meadows] for hour in (8.9, 9.1))
    assert not any("insects" in layers for layers in early)
    assert any("insects" in layers for layers in late)


@pytest.mark.parametrize(
    ("scene", "level", "layer", "slope"),
    [
        ("forest_path", "traffic", "traffic", 15.0),  # 300 m away: the roar alone
        ("park", "water", "water", 30.0),
        ("harbor", "water", "water", 30.0),
        ("plaza", "water", "water", 30.0),
    ],
)
def test_a_tenfold_level_is_heard_as_the_page_says(scene, level, layer, slope):
    (place,) = places(scene, 1, weather="clear")
    few, many = (source_layers(replace(place, **{level: share}))[layer] for share in (0.1, 1.0))
    assert decibel(many) - decibel(few) == pytest.approx(slope, abs=0.05)


def test_leaves_rise_by_28_db_for_ten_times_the_greenery():
    (place,) = places("park", 1, weather="rain")
    few, many = (source_layers(replace(place, greenery=share))["leaves"] for share in (0.5, 1.0))
    assert decibel(many) - decibel(few) == pytest.approx(28 * np.log10(2), abs=0.05)


def test_trains_pass_where_a_line_is_near_and_only_there():
    heard = {
        scene for scene in SCENES for place in places(scene, 40) if "train" in source_layers(place, 0.25)
    }
    assert heard
    assert heard <= LINES


def test_a_train_swells_and_fades():
    take = Take(np.random.default_rng(0), 30 * RATE, RATE)
    power = np.square(sources.train(take, 60.0)).reshape(60, -1).mean(1)
    assert power.max() > 30 * power[[0, -1]].min()


def features(wave):
    """Mean and deviation over time of the logarithm of 40 mel bands; nothing tuned."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 7900 / 700), 42) / 2595) - 1)
    hertz, _, spectrum = scipy.signal.stft(wave, RATE, nperseg=512, noverlap=256)
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    mel = np.log(np.clip(np.minimum(rise, fall), 0, None) @ np.abs(spectrum) ** 2 + 1e-10)
    return np.concatenate([mel.mean(1), mel.std(1), np.diff(mel).std(1)])


@pytest.mark.slow
def test_scenes_are_mostly_told_by_their_sound_but_not_always():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = [(features(render_sound(place)), scene) for scene in SCENES for place in places(scene, 20, seed=8)]
    inputs, names = np.array([row for row, _ in rows]), np.array([name for _, name in rows])
    learn = np.arange(len(rows)) % 4 != 0
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    accuracy = model.fit(inputs[learn], names[learn]).score(inputs[~learn], names[~learn])
    assert 0.5 < accuracy < 0.99
