"""Photos: EXIF as Pillow writes it, and which photo belongs to which recording."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import field_files as ff
import pytest
from PIL import Image

from soundit_geo.field.evidence import Position
from soundit_geo.field.photos import Photo, find_photo, read_photo

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
HERE = Position(-0.1426, 51.5391, "tag")
METRE = 1 / 111_200  # degrees of latitude


@pytest.mark.parametrize("lat", [51.5391, -33.8568])
@pytest.mark.parametrize("lon", [-0.1426, 151.2153])
def test_the_place_is_read_in_every_quarter_of_the_earth(tmp_path, lat, lon):
    found = read_photo(ff.photo(tmp_path / "a.jpg", gps=ff.degrees(lat, lon)))
    assert (found.position.lat, found.position.lon) == pytest.approx((lat, lon), abs=1e-5)
    assert found.time is None
    assert found.problems == ()


def test_the_time_is_read_with_its_offset_or_in_the_stated_zone(tmp_path):
    stated = ff.photo(tmp_path / "a.jpg", "2024:05:01 14:00:00", "+02:00")
    assert read_photo(stated).time == NOON
    silent = ff.photo(tmp_path / "b.jpg", "2024:05:01 13:00:00")
    assert read_photo(silent, ZoneInfo("Europe/London")).time == NOON
    found = read_photo(silent)
    assert found.time is None
    assert "no time zone" in found.problems[0]


def test_the_receivers_time_is_utc_and_goes_before_a_clock_without_an_offset(tmp_path):
    gps = {**ff.degrees(51.5, -0.1), 7: (12.0, 0.0, 0.0), 29: "2024:05:01"}
    assert read_photo(ff.photo(tmp_path / "a.jpg", "2024:05:01 09:00:00", gps=gps)).time == NOON


@pytest.mark.parametrize(
    ("gps", "word"),
    [
        ({2: (51.0, 0.0, 0.0), 4: (0.0, 6.0, 0.0)}, "hemisphere"),
        (ff.degrees(0.0, 0.0), "without a fix"),
        ({**ff.degrees(1, 1), 2: (95.0, 0.0, 0.0)}, "outside"),
    ],
)
def test_a_place_that_cannot_be_meant_is_told(tmp_path, gps, word):
    found = read_photo(ff.photo(tmp_path / "a.jpg", gps=gps))
    assert found.position is None
    assert word in found.problems[0]


def test_a_clock_that_was_reset_is_told(tmp_path):
    found = read_photo(ff.photo(tmp_path / "a.jpg", "1980:01:01 00:00:11", "+00:00"))
    assert found.time is None
    assert "clock was not set" in found.problems[0]


def test_pictures_without_exif_and_no_pictures_at_all_raise_nothing(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    assert read_photo(tmp_path / "plain.png") == Photo(tmp_path / "plain.png", None, None, ())
    whole = ff.photo(tmp_path / "a.jpg", "2024:05:01 14:00:00", "+02:00", ff.degrees(1, 2)).read_bytes()
    for cut in (0, 3, 30, 60, 100, 150):
        (tmp_path / "cut.jpg").write_bytes(whole[:cut])
        assert read_photo(tmp_path / "cut.jpg").position is None


def shot(name, seconds=None, metres=None):
    """A photo some seconds after noon, some metres north of here."""
    time = None if seconds is None else NOON + timedelta(seconds=seconds)
    place = None if metres is None else Position(HERE.lon, HERE.lat + metres * METRE, "EXIF GPS")
    return Photo(Path(name), time, place)


def find(*photos, start=NOON, seconds=60.0):
    match = find_photo(photos, start, seconds, HERE, max_seconds=600, max_metres=50)
    return match and (match.photo.path.name, match.seconds, match.metres and round(match.metres))


@pytest.mark.parametrize(
    ("photo", "found"),
    [
        (shot("a", 30, 10), ("a", 0.0, 10)),  # while it ran
        (shot("a", 70, 10), ("a", 10.0, 10)),
        (shot("a", -5, 10), ("a", 5.0, 10)),
        (shot("a", 30), ("a", 0.0, None)),
        (shot("a", None, 10), ("a", None, 10)),
        (shot("a", 661, 10), None),
        (shot("a", -601, 10), None),
        (shot("a", 30, 60), None),
        (shot("a", None, 60), None),
        (shot("a", 661), None),
        (shot("a"), None),
    ],
)
def test_a_photo_belongs_to_a_recording_within_the_limits_of_both_time_and_place(photo, found):
    assert find(photo) == found


def test_the_best_photo_is_the_surest_then_the_nearest():
    assert find(shot("by time", 30), shot("by both", 500, 40))[0] == "by both"
    assert find(shot("late", 200, 1), shot("soon", 100, 40))[0] == "soon"
    assert find(shot("far", 30, 40), shot("near", 30, 2))[0] == "near"


def test_a_recording_without_a_time_finds_its_photo_by_place_alone():
    assert find(shot("a", 99_999, 10), start=None) == ("a", None, 10)
    assert find(shot("a", 30), start=None) is None
