"""Where the recordist was when: exact at a fix, between two fixes on the way, never beyond the limits."""

import math
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import field_files as ff
import gpxpy.gpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundit_geo.errors import MissingFileError, SitesError
from soundit_geo.field.tracks import NoFixError, Places, Track, locate, read_positions, read_track

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
METHODS = ("interpolate", "nearest")


@pytest.fixture(autouse=True)
def zone_of_the_machine():
    yield
    time.tzset()


def track(*fixes):
    """A track of (seconds after noon, longitude, latitude)."""
    seconds, lon, lat = np.array(fixes, dtype=float).T
    return Track("walk", NOON.timestamp() + seconds, lon, lat)


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def slerp(one, other, share):
    """The point on the great circle of a sphere: an independent reference, within 0.3 % of the ellipsoid."""
    a, b = (
        np.array([math.cos(math.radians(p)) * math.cos(math.radians(q)), math.cos(math.radians(p))
                  * math.sin(math.radians(q)), math.sin(math.radians(p))]) for q, p in (one, other)
    )  # fmt: skip
    angle = math.acos(np.clip(a @ b, -1, 1))
    x, y, z = (math.sin((1 - share) * angle) * a + math.sin(share * angle) * b) / math.sin(angle)
    return math.degrees(math.atan2(y, x)), math.degrees(math.asin(z))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.floats(-180, 180), st.floats(-90, 90)), min_size=1, max_size=20,
                unique_by=lambda fix: fix[0]))  # fmt: skip
def test_at_the_time_of_a_fix_its_place_is_given(fixes):
    walk = track(*sorted(fixes))
    for seconds, lon, lat in fixes:
        for method in METHODS:
            found = walk.position_at(after(seconds), 0.0, method)
            assert (found.lon, found.lat, found.gap) == (lon, lat, 0.0)


@pytest.mark.parametrize(
    "ends", [((-0.1, 51.5), (-0.05, 51.6)), ((179.9, -17.0), (-179.8, -17.2)), ((10, 80), (60, 85))]
)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.75])
def test_between_two_fixes_the_way_is_the_great_circle(ends, share):
    walk = track((0, *ends[0]), (100, *ends[1]))
    found = walk.position_at(after(100 * share), 100.0, "interpolate")
    lon, lat = slerp(*ends, share)
    reach = 0.003 * max(abs(ends[0][1] - ends[1][1]), 0.01)
    assert found.lat == pytest.approx(lat, abs=reach * 3)
    assert (found.lon - lon + 180) % 360 - 180 == pytest.approx(0, abs=0.2 if abs(lat) > 75 else reach * 3)
    assert found.gap == pytest.approx(100 * max(share, 1 - share))
    assert "interpolated" in found.source


def test_the_nearest_fix_is_given_as_it_is():
    walk = track((0, 1, 2), (100, 3, 4))
    found = walk.position_at(after(70), 60.0, "nearest")
    assert (found.lon, found.lat, found.gap, found.source) == (3, 4, 30, "walk (nearest)")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seconds", [-61, 161, 1e6, -1e9])
def test_beyond_the_gap_there_is_no_place(method, seconds):
    with pytest.raises(NoFixError, match="over 60 s"):
        track((0, 1, 2), (100, 3, 4)).position_at(after(seconds), 60.0, method)


@pytest.mark.parametrize("seconds", [-30, 130])
def test_nothing_is_extrapolated(seconds):
    found = track((0, 1, 2), (100, 3, 4)).position_at(after(seconds), 60.0, "interpolate")
    assert (found.lon, found.lat) == ((1, 2) if seconds < 0 else (3, 4))
    assert (found.gap, found.source) == (30, "walk (nearest)")


def test_a_hole_in_the_track_is_not_bridged():
    walk = track((0, 1, 2), (1000, 3, 4))
    found = walk.position_at(after(30), 60.0, "interpolate")
    assert (found.lon, found.lat, found.source) == (1, 2, "walk (nearest)")
    with pytest.raises(NoFixError):
        walk.position_at(after(500), 60.0, "interpolate")


def test_the_nearest_of_several_tracks_comes_first_and_silence_has_its_reasons():
    far, near = track((0, 1, 2)), track((25, 3, 4))
    found, reason = locate([far, near], after(30), 60.0, "nearest")
    assert [p.gap for p in found] == [5, 30]
    assert reason == ""
    found, reason = locate([far, near], after(500), 60.0, "nearest")
    assert found == []
    assert "500 s away" in reason
    assert "475 s away" in reason


def test_what_gpxpy_wrote_is_read(tmp_path):
    gpx = gpxpy.gpx.GPX()
    for start in (0, 600):
        segment = gpxpy.gpx.GPXTrackSegment()
        for k in range(3):
            point = gpxpy.gpx.GPXTrackPoint(51.5 + k / 1000, -0.1, time=after(start + 60 * k))
            segment.points.append(point)
        gpx.tracks.append(gpxpy.gpx.GPXTrack())
        gpx.tracks[-1].segments.append(segment)
    (tmp_path / "walk.gpx").write_text(gpx.to_xml())
    walk = read_track(tmp_path / "walk.gpx")
    assert walk.notes == ()
    assert walk.seconds - NOON.timestamp() == pytest.approx([0, 60, 120, 600, 660, 720])
    assert walk.lat == pytest.approx([51.5, 51.501, 51.502] * 2)


def test_the_points_of_a_gpx_are_sorted_and_bad_ones_left_out_and_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # the machine's own zone must not matter
    time.tzset()
    walk = read_track(
        ff.gpx(
            tmp_path / "w.gpx",
            [
                ("2024-05-01T12:01:00Z", 1, 2),
                ("2024-05-01T12:00:00", 3, 4),
                ("2024-05-01T13:01:00+01:00", 9, 9),
                (None, 5, 6),
                ("2024-05-01T12:02:00Z", 0, 0),
                ("2024-05-01T12:03:00Z", 5, 95),
            ],
        )
    )
    assert walk.seconds - NOON.timestamp() == pytest.approx([0, 60])  # without an offset GPX means UTC
    assert (list(walk.lon), list(walk.lat)) == ([3, 1], [4, 2])
    assert sorted(note.split(" ")[0] for note in walk.notes) == ["1", "1", "2"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"<gpx><trk>", "cannot be read"),
        (b'<!DOCTYPE gpx [<!ENTITY a "b">]><gpx>&a;</gpx>', "entities"),
        (b'<gpx version="1.1"></gpx>', "no track point"),
        (b'<gpx version="1.1"><trk><trkseg><trkpt lat="1" lon="2"/></trkseg></trk></gpx>', "without a time"),
    ],
)
def test_what_is_no_track_is_refused(tmp_path, content, word):
    (tmp_path / "w.gpx").write_bytes(content)
    with pytest.raises(SitesError, match=word):
        read_track(tmp_path / "w.gpx")


def test_absent_files_are_told(tmp_path):
    for read in (read_track, read_positions):
        with pytest.raises(MissingFileError, match="does not exist"):
            read(tmp_path / "absent")


def table(folder, text):
    (folder / "p.csv").write_text(text, encoding="utf-8-sig")
    return folder / "p.csv"


def test_a_table_by_time_is_a_track(tmp_path):
    path = table(
        tmp_path, "Timestamp;Longitude;Latitude\n2024-05-01T13:00:00;1;2\n2024-05-01T12:02:00Z;3;4\n"
    )
    walk = read_positions(path, ZoneInfo("Europe/London"))
    assert isinstance(walk, Track)
    assert walk.seconds - NOON.timestamp() == pytest.approx([0, 120])  # 13:00 in London in May is 12:00 UTC
    assert (list(walk.lon), list(walk.lat)) == ([1, 3], [2, 4])


def test_times_of_a_table_get_no_zone_by_themselves(tmp_path):
    path = table(tmp_path, "time,lon,lat\n2024-05-01T13:00:00,1,2\n")
    with pytest.raises(SitesError, match="no time zone"):
        read_positions(path)


@pytest.mark.parametrize("key", ["audio", "recorder"])
def test_a_table_by_name_holds_places(tmp_path, key):
    found = read_positions(table(tmp_path, f"{key},lon,lat\na,1,2\nb,3,\nc,0,0\nd,4,91\n,5,5\na,1,2\n"))
    assert isinstance(found, Places)
    assert (found.key, found.rows) == (key, {"a": (1, 2)})
    assert len(found.notes) == 4


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "cannot be read"),
        ("audio,lon\na,1\n", "no column 'lat'"),
        ("name,lon,lat\na,1,2\n", "no column audio, recorder or time"),
        ("audio,lon,lat\n", "no row"),
        ('audio;lon;lat\na;"1,5";"2,5"\n', "no row"),
        ("audio,lon,lat\na,1,2\na,3,4\n", "two places"),
        ("time,lon,lat\n01/05/2024 12:00,1,2\n", "no time can be used"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused(tmp_path, text, word):
    with pytest.raises(SitesError, match=word):
        read_positions(table(tmp_path, text), UTC)
