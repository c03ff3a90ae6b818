"""A folder of recordings as it comes: sites, report, files and exit codes."""

import json
import os
import sys
from datetime import UTC, datetime
from types import SimpleNamespace

import field_files as ff
import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import soundfile

import soundit_geo as sg
from soundit_geo.cli import main
from soundit_geo.errors import InputError, MissingFileError, SitesError
from soundit_geo.field import Limits, save_sites, sites_from_folder
from soundit_geo.field.files import AUDIO_SUFFIXES

WALK = [
    ("2024-05-01T10:30:00Z", -0.1000, 51.5),
    ("2024-05-01T10:31:00Z", -0.1010, 51.5),
    ("2024-05-01T10:40:00Z", -0.2000, 51.5),
]


def row(found, file):
    rows = found.report[found.report["file"] == file]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture
def walk(tmp_path):
    """A soundwalk: one file tagged, one to be found on the track, one too late, one broken, one without a time."""
    folder = tmp_path / "walk"
    ff.wav(
        folder / "tagged.wav", ff.guano("Loc Position: 51.5 -0.1\nTimestamp: 2024-05-01T10:30:00Z"), seed=1
    )
    ff.wav(folder / "moth" / "20240501_103000.WAV", ff.info(ICMT=ff.moth()), seconds=60, seed=2)
    ff.wav(folder / "moth" / "20240501_123000.WAV", ff.info(ICMT=ff.moth(time="12:30:00 01/05/2024")), seed=3)
    (folder / "broken.flac").write_bytes(b"fLaC no more")
    ff.wav(folder / "untold.wav", seed=4)
    ff.gpx(tmp_path / "walk.gpx", WALK)
    return folder


def test_every_file_is_accounted_for(walk, tmp_path):
    found = sites_from_folder(walk, track=[tmp_path / "walk.gpx"])
    assert set(found.sites.index) == {"tagged", "20240501_103000"}
    assert len(found.report) == 5
    assert row(found, "tagged.wav")[["position", "gap_s", "time_from", "missing", "problems"]].tolist() == [
        "GUANO", 0.0, "GUANO", "", "",
    ]  # fmt: skip
    moth = row(found, "moth/20240501_103000.WAV")
    assert (moth["position"], moth["gap_s"], moth["recorder"]) == (
        "walk.gpx (interpolated)",
        30,
        "24E144085F256F3A",
    )
    assert moth["time"] == "2024-05-01T10:30:00+00:00"
    assert "6600 s away" in row(found, "moth/20240501_123000.WAV")["missing"]
    assert row(found, "broken.flac")["missing"].endswith("sound: it cannot be decoded")
    assert "time: none is known" in row(found, "untold.wav")["missing"]


def test_the_place_is_that_of_the_middle_unless_the_start_is_asked_for(walk, tmp_path):
    middle = sites_from_folder(walk, track=[tmp_path / "walk.gpx"]).sites.loc["20240501_103000"].geometry
    start = (
        sites_from_folder(walk, track=[tmp_path / "walk.gpx"], at="start")
        .sites.loc["20240501_103000"]
        .geometry
    )
    assert (start.x, start.y) == (-0.1, 51.5)
    assert (middle.x, middle.y) == pytest.approx((-0.1005, 51.5), abs=1e-7)  # half a minute of one on the way


def test_a_naive_time_finds_no_place_until_its_zone_is_stated(tmp_path):
    folder = tmp_path / "a"
    ff.wav(folder / "20240501_113000.wav")
    ff.gpx(tmp_path / "walk.gpx", WALK)
    silent = sites_from_folder(folder, track=[tmp_path / "walk.gpx"])
    assert len(silent.sites) == 0
    assert "time zone: file name states none" in silent.report["missing"][0]
    assert silent.report["time"][0] == "2024-05-01T11:30:00"
    stated = sites_from_folder(folder, track=[tmp_path / "walk.gpx"], timezone="Europe/London", at="start")
    assert stated.sites.geometry.iloc[0].x == -0.1
    assert stated.report["time"][0] == "2024-05-01T11:30:00+01:00"
    for wrong in ("Europe/Camden", "+25:00", "../../etc/passwd", ""):
        with pytest.raises(InputError, match="timezone"):
            sites_from_folder(folder, timezone=wrong)


@pytest.mark.parametrize(("name", "word"), [("20241027_013000", "twice"), ("20240331_013000", "not at all")])
def test_hours_that_daylight_saving_repeats_or_skips_are_not_guessed(tmp_path, name, word):
    ff.wav(tmp_path / f"{name}.wav", ff.guano("Loc Position: 51.5 -0.1"))
    found = sites_from_folder(tmp_path, timezone="Europe/London")
    assert word in found.report["problems"][0]
    assert found.report["time"][0] == ""
    assert len(found.sites) == 1


def test_contradictions_are_reported_and_the_file_itself_is_trusted(tmp_path):
    folder = tmp_path / "a"
    ff.wav(
        folder / "20240501_123000.wav", ff.guano("Loc Position: 51.6 -0.1\nTimestamp: 2024-05-01T10:30:00Z")
    )
    ff.gpx(tmp_path / "walk.gpx", WALK)
    found = sites_from_folder(folder, track=[tmp_path / "walk.gpx"], timezone="UTC")
    problems = found.report["problems"][0]
    assert "file name says 2024-05-01T12:30:00" in problems
    assert "7200 s apart" in problems
    assert "walk.gpx (interpolated) lies 11" in problems  # a tenth of a degree of latitude is 11.1 km
    assert found.report["lat"][0] == 51.6
    assert found.report["time"][0] == "2024-05-01T10:30:00+00:00"


def test_a_name_in_the_local_time_of_its_tag_is_no_contradiction(tmp_path):
    ff.wav(tmp_path / "20240501_103000.wav", ff.info(ICMT=ff.moth("(UTC+1)")))
    assert sites_from_folder(tmp_path).report["problems"][0] == ""
    assert sites_from_folder(tmp_path, timezone="America/Lima").report["problems"][0] == ""


def test_a_time_with_an_offset_goes_before_one_without(tmp_path):
    ff.wav(tmp_path / "a.wav", ff.bext("2024-05-01", "12:00:00"), ff.info(ICRD="2024-05-01T10:30:00Z"))
    report = sites_from_folder(tmp_path, timezone="Asia/Tokyo").report
    assert report[["time", "time_from"]].iloc[0].tolist() == ["2024-05-01T10:30:00+00:00", "INFO icrd"]
    assert "BWF bext says 2024-05-01T12:00:00" in report["problems"][0]


def test_two_tracks_that_disagree_give_no_place(tmp_path):
    folder = tmp_path / "a"
    ff.wav(folder / "a.wav", ff.info(ICMT=ff.moth()))
    ff.gpx(tmp_path / "one.gpx", WALK)
    ff.gpx(tmp_path / "two.gpx", [(time, lon, lat + 0.01) for time, lon, lat in WALK])
    found = sites_from_folder(folder, track=[tmp_path / "one.gpx", tmp_path / "two.gpx"])
    assert len(found.sites) == 0
    assert "1113 m apart" in found.report["missing"][0]
    assert len(sites_from_folder(folder, track=[tmp_path / "one.gpx"] * 2).sites) == 1


def test_tables_place_files_and_recorders(tmp_path):
    folder = tmp_path / "a"
    ff.wav(folder / "x" / "rec.wav", seed=1)
    ff.wav(folder / "y" / "rec.wav", seed=2)
    ff.wav(folder / "z.wav", ff.info(ICMT=ff.moth()), seed=3)
    (tmp_path / "files.csv").write_text("file,lon,lat\nx/rec.wav,1,2\nrec.wav,5,6\n")
    (tmp_path / "moths.csv").write_text("recorder,lon,lat\n24E144085F256F3A,3,4\n")
    found = sites_from_folder(folder, positions=[tmp_path / "files.csv", tmp_path / "moths.csv"])
    assert {site: (p.x, p.y) for site, p in found.sites.geometry.items()} == {"rec": (1, 2), "z": (3, 4)}
    assert row(found, "x/rec.wav")["position"] == "files.csv by audio"
    assert row(found, "z.wav")["position"] == "moths.csv by recorder"
    assert "2 files are named so" in row(found, "y/rec.wav")["problems"]


def test_photos_join_and_those_without_exif_are_told(tmp_path):
    folder = tmp_path / "a"
    ff.wav(folder / "a.wav", ff.guano("Loc Position: 51.5 -0.1\nTimestamp: 2024-05-01T10:30:00Z"))
    ff.photo(folder / "shots" / "near.jpg", "2024:05:01 11:32:00", "+01:00", ff.degrees(51.5, -0.1))
    ff.photo(folder / "shots" / "far.jpg", "2024:05:01 11:30:00", "+01:00", ff.degrees(51.6, -0.1))
    ff.photo(folder / "shots" / "plain.jpg")
    found = sites_from_folder(folder, photo_folder=folder)
    assert found.sites["photo"].iloc[0].endswith("near.jpg")
    assert row(found, "a.wav")["photo_s"] == 119
    assert row(found, "a.wav")["photo_m"] < 0.1
    assert row(found, "shots/plain.jpg")["missing"] == "no time and no place in its EXIF"
    assert (
        sites_from_folder(folder, photo_folder=folder, limits=Limits(photo_gap=100))
        .sites["photo"]
        .isna()
        .all()
    )


def test_every_ending_that_is_looked_for_can_be_decoded(tmp_path):
    formats = {
        "wave": "WAV",
        "bwf": "WAV",
        "oga": "OGG",
        "opus": "OGG",
        "aif": "AIFF",
        "aifc": "AIFF",
        "snd": "AU",
    }
    for suffix in AUDIO_SUFFIXES:
        kind = formats.get(suffix[1:], suffix[1:].upper())
        codec = "OPUS" if suffix == ".opus" else None
        soundfile.write(tmp_path / f"a{suffix.upper()}", np.zeros(48_000), 48_000, format=kind, subtype=codec)
    report = sites_from_folder(tmp_path).report
    assert len(report) == len(AUDIO_SUFFIXES)
    assert report["seconds"].tolist() == pytest.approx([1.0] * len(report), abs=0.1)
    assert not report["missing"].str.contains("decoded").any()


def test_hostile_folders_stop_nothing(tmp_path):
    folder, outside = tmp_path / "a", tmp_path / "outside"
    tag = ff.guano("Loc Position: 51.5 -0.1\nTimestamp: 2024-05-01T10:30:00Z")
    ff.wav(outside / "secret.wav", tag)
    ff.wav(folder / "Straße 午後 \u202e.wav", tag, seed=1)
    ff.wav(folder / "copy.wav", tag, seed=1)
    ff.wav(folder / "no suffix", tag)
    ff.wav(folder / "._hidden.wav", tag)
    (folder / "way out.wav").symlink_to(outside / "secret.wav")
    (folder / "way.wav").symlink_to(folder / "nowhere.wav")
    (folder / "round.wav").symlink_to(folder / "round.wav")
    (folder / "linked").symlink_to(outside)
    (folder / "folder.wav").mkdir()
    (folder / "empty.wav").write_bytes(b"")
    ff.mp4(folder / "phone.m4a", "2024-05-01T10:30:00Z")
    with open(os.fsencode(folder) + b"/\xff.wav", "wb"):  # noqa: PTH123
        pass
    found = sites_from_folder(folder)
    assert set(found.sites.index) == {"Straße 午後 \u202e", "copy"}
    assert "leads out" in row(found, "way out.wav")["missing"]
    assert "cannot be opened" in row(found, "way.wav")["missing"]
    assert "cannot be opened" in row(found, "round.wav")["missing"]
    assert row(found, "linked")[["kind", "missing"]].tolist() == [
        "folder",
        "a link to a folder is not followed",
    ]
    assert "decoded" in row(found, "empty.wav")["missing"]
    assert ".m4a is not decoded" in row(found, "phone.m4a")["missing"]
    assert "not valid UTF-8" in row(found, "\\udcff.wav")["missing"]
    assert "the same bytes as" in found.report["problems"].str.cat()
    assert len(found.report) == 9
    found.report.to_csv(tmp_path / "report.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_and_folders_without_permission_are_told(tmp_path):
    ff.wav(tmp_path / "closed.wav").chmod(0)
    ff.wav(tmp_path / "locked" / "a.wav").parent.chmod(0)
    try:
        found = sites_from_folder(tmp_path)
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert "cannot be opened" in row(found, "closed.wav")["missing"]
    assert row(found, "locked")["kind"] == "folder"


def test_nothing_to_read_is_refused(tmp_path):
    with pytest.raises(SitesError, match="holds no recordings"):
        sites_from_folder(tmp_path)
    with pytest.raises(MissingFileError):
        sites_from_folder(tmp_path / "absent")
    for wrong in ({"method": "spline"}, {"at": "end"}, {"date_order": "ydm"}):
        with pytest.raises(InputError):
            sites_from_folder(tmp_path, **wrong)
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="limit"):
            Limits(gap=wrong)


# -------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "parquet", "csv", "fgb", "shp"])
def test_what_is_written_reads_back_as_sites(walk, tmp_path, ending):
    ff.photo(walk / "p.jpg", "2024:05:01 11:30:00", "+01:00")
    found = sites_from_folder(walk, track=[tmp_path / "walk.gpx"], photo_folder=walk)
    assert save_sites(found.sites, tmp_path / f"sites.{ending}") is None
    read = sg.read_sites(tmp_path / f"sites.{ending}").loc[found.sites.index]
    assert read["audio"].tolist() == found.sites["audio"].tolist()
    assert read["photo"].tolist() == found.sites["photo"].tolist()
    assert read.geometry.geom_equals_exact(found.sites.geometry, 1e-9).all()
    assert read.crs == "EPSG:4326"
    assert read["seconds"].tolist() == found.sites["seconds"].tolist()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    if ending not in ("csv", "parquet"):
        raw = pyogrio.read_dataframe(tmp_path / f"sites.{ending}")
        assert not any(os.path.isabs(path) for path in raw["audio"])  # noqa: PTH117


def test_recordings_elsewhere_are_named_whole_and_need_their_folder(walk, tmp_path):
    found = sites_from_folder(walk, track=[tmp_path / "walk.gpx"])
    target = tmp_path / "elsewhere" / "sites.gpkg"
    root = save_sites(found.sites, target)
    assert root == walk
    with pytest.raises(SitesError, match="lies outside"):
        sg.read_sites(target)
    assert sg.read_sites(target, audio_root=root)["audio"].tolist() == found.sites["audio"].tolist()


def test_blanks_around_a_name_survive(tmp_path):
    ff.wav(tmp_path / " a .wav", ff.guano("Loc Position: 51.5 -0.1"))
    save_sites(sites_from_folder(tmp_path).sites, tmp_path / "sites.csv")
    assert sg.read_sites(tmp_path / "sites.csv")["audio"].tolist() == [str(tmp_path / " a .wav")]


def test_a_file_that_is_there_stays_unless_it_may_go(walk, tmp_path, monkeypatch):
    sites = sites_from_folder(walk).sites
    path = tmp_path / "sites.gpkg"
    path.write_text("mine")
    with pytest.raises(InputError, match="there already"):
        save_sites(sites, path)

    def fail(self, target, **_):
        target.write_text("half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(gpd.GeoDataFrame, "to_file", fail)
    with pytest.raises(SitesError, match="disk full"):
        save_sites(sites, path, overwrite=True)
    assert path.read_text() == "mine"
    monkeypatch.undo()
    save_sites(sites, path, overwrite=True)
    assert len(gpd.read_file(path)) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sites.gpkg", "walk", "walk.gpx"]
    with pytest.raises(InputError, match="no driver"):
        save_sites(sites, tmp_path / "sites.xyz")
    with pytest.raises(SitesError, match="no sites"):
        save_sites(sites.iloc[:0], tmp_path / "none.gpkg")


# ------------------------------------------------------------------------------------------------- command line


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command in this process, as the installed script does; give its code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["soundit-geo", "sites", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        return SimpleNamespace(returncode=stop.value.code, stdout=said.out, stderr=said.err)

    return run


def test_the_command_writes_sites_and_report_and_tells_by_its_code(call, walk, tmp_path):
    out, report = tmp_path / "sites.gpkg", tmp_path / "report.csv"
    done = call(walk, "--out", out, "--track", tmp_path / "walk.gpx", "--report", report, "--max-gap", "1min")
    assert done.returncode == 1, done.stderr
    assert "2 sites, 3 left out" in done.stdout
    assert "untold.wav: no position · no time" in done.stdout
    assert set(sg.read_sites(out).index) == {"tagged", "20240501_103000"}
    assert len(pd.read_csv(report)) == 5
    again = call(walk, "--out", out)
    assert again.returncode == 2
    assert "there already" in again.stderr
    assert len(again.stderr.splitlines()) == 1


def test_the_command_is_content_where_all_is_known(call, tmp_path):
    ff.wav(tmp_path / "a" / "a.wav", ff.guano("Loc Position: 51.5 -0.1\nTimestamp: 2024-05-01T10:30:00Z"))
    done = call(tmp_path / "a", "--out", tmp_path / "s.csv", "--json", "--nearest", "--start")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["sites"], said["left_out"], said["audio_root"]) == (1, 0, None)
    assert said["report"][0]["position"] == "GUANO"


def test_the_command_fails_where_nothing_is_known(call, tmp_path):
    ff.wav(tmp_path / "a" / "a.wav")
    done = call(tmp_path / "a", "--out", tmp_path / "s.gpkg", "--report", tmp_path / "r.csv")
    assert done.returncode == 2
    assert "no recording has a position" in done.stderr
    assert not (tmp_path / "s.gpkg").exists()
    assert (tmp_path / "r.csv").exists()
    for wrong in (["--max-gap", "soon"], ["--max-gap", "-3s"], ["--timezone", "Mars"], ["--dates", "ydm"]):
        done = call(tmp_path / "a", "--out", tmp_path / "s.gpkg", *wrong)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_real_recordings_become_sites(shared_data):
    found = sites_from_folder(shared_data, timezone="UTC")
    assert set(found.sites.index) == {"30463", "325928", "330594", "35339"}
    assert len(found.report) == 23
    assert datetime.fromisoformat(found.sites["time"]["330594"]) == datetime(2012, 9, 19, 11, 18, tzinfo=UTC)
