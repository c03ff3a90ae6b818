"""What one recording says of itself, and that no file, however broken, raises."""

from datetime import UTC, datetime, timedelta, timezone

import field_files as ff
import guano
import mutagen
import mutagen.flac
import mutagen.id3
import mutagen.oggvorbis
import mutagen.wave
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from soundit_geo.field.evidence import Known
from soundit_geo.field.riff import LARGEST_CHUNK
from soundit_geo.field.tags import read_audiomoth, read_guano, read_tags

LONDON = (51.539124, -0.142624)  # latitude, longitude


def times(known):
    return [moment.time for moment in known.moments]


def places(known):
    return [(position.lat, position.lon) for position in known.positions]


def said(known):
    return "; ".join(known.problems)


def test_what_the_guano_library_wrote_is_read(tmp_path):
    path = ff.wav(tmp_path / "a.wav")
    file = guano.GuanoFile(str(path))
    file["Timestamp"] = datetime(2024, 5, 1, 10, 30, tzinfo=timezone(timedelta(hours=-7)))
    file["Loc Position"] = LONDON
    file["Serial"] = "SM4-17"
    file.write(make_backup=False)
    known = read_tags(path)
    assert times(known) == [datetime(2024, 5, 1, 17, 30, tzinfo=UTC)]
    assert places(known) == [pytest.approx(LONDON)]
    assert known.recorder == "SM4-17"
    assert known.seconds == 1.0
    assert known.problems == []


def test_guano_in_a_float_file_is_read_which_the_library_itself_refuses(tmp_path):
    path = tmp_path / "float.wav"
    soundfile.write(path, np.zeros(800), 8000, subtype="FLOAT")
    path.write_bytes(path.read_bytes() + ff.guano("Loc Position: 51.5 -0.1"))
    with pytest.raises(Exception, match="unknown format"):
        guano.GuanoFile(str(path))
    assert places(read_tags(path)) == [(51.5, -0.1)]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("Loc Position: 0.0 0.0", "without a fix"),
        ("Loc Position: 123.4 5.0", "outside"),
        ("Loc Position: 51.5 -200", "outside"),
        ("Loc Position: nan 4", "not two numbers"),
        ("Loc Position: 51.5", "no latitude and longitude"),
        ("Loc Position: 51,5 -0,1", "no latitude and longitude"),
        ("Timestamp: 1970-01-01T00:00:00", "clock was not set"),
        ("Timestamp: 2000-01-03T04:05:06Z", "clock was not set"),
        ("Timestamp: 2999-01-01T00:00:00", "future"),
        ("Timestamp: 01/05/2024 10:30", "ISO 8601"),
        ("Length: -3", "lasts 1.0 s"),
        ("Length: long", "no number"),
        ("no colon at all", "GUANO is broken"),
    ],
)
def test_guano_that_cannot_be_meant_is_told_and_not_used(tmp_path, line, word):
    known = read_tags(ff.wav(tmp_path / "a.wav", ff.guano(line)))
    assert word in said(known)
    assert known.positions == []
    assert known.moments == []
    assert known.seconds == 1.0


def test_guano_reads_fractions_of_a_second_however_many():
    known = Known()
    read_guano(b"GUANO|Version: 1.0\nTimestamp: 2024-05-01T10:30:00.5+02:00", known)
    assert times(known) == [datetime(2024, 5, 1, 8, 30, 0, 500_000, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        ("(UTC)", 0),
        ("(UTC+1)", 1),
        ("(UTC-5)", -5),
        ("(UTC+5:30)", 5.5),
        ("(UTC-3:30)", -3.5),
        ("(UTC+12:45)", 12.75),
    ],
)
def test_an_audiomoth_comment_tells_its_offset_from_utc(tmp_path, zone, hours):
    known = read_tags(
        ff.wav(tmp_path / "a.wav", ff.info(ICMT=ff.moth(zone), IART="AudioMoth 24E144085F256F3A"))
    )
    assert times(known) == [datetime(2024, 5, 1, 10, 30, tzinfo=UTC) - timedelta(hours=hours)]
    assert known.recorder == "24E144085F256F3A"
    assert known.problems == []


@pytest.mark.parametrize(
    "comment",
    [
        (
            "Recorded at 10:30:00 01/05/2024 (UTC) by AudioMoth 24E144085F256F3A at gain setting 2 while battery state "
            "was 4.2V"
        ),
        (
            "Recorded at 10:30:00 01/05/2024 (UTC) by AudioMoth 24E144085F256F3A at gain setting 2 while battery state "
            "was greater than 4.9V."
        ),
        (
            "Recorded at 10:30:00 01/05/2024 (UTC) by AudioMoth 24E144085F256F3A at medium gain while battery was 4.2V "
            "and temperature was 20.1C. Recording stopped due to switch position change."
        ),
    ],
    ids=["1.0.1", "1.2.2", "1.6.0"],
)
def test_comments_of_other_firmware_are_read(comment):
    known = Known()
    read_audiomoth(comment, known)
    assert times(known) == [datetime(2024, 5, 1, 10, 30, tzinfo=UTC)]
    assert (known.recorder, known.problems) == ("24E144085F256F3A", [])


def test_a_comment_without_a_zone_has_a_time_without_one():
    known = Known()
    moth = "AudioMoth 24E144085F256F3A"
    comment = f"Recorded at 10:30:00 01/05/2024 by {moth} at gain setting 2 while battery state was 4.2V"
    read_audiomoth(comment, known)
    assert times(known) == [datetime(2024, 5, 1, 10, 30)]  # noqa: DTZ001
    assert "names no time zone" in said(known)


@pytest.mark.parametrize(
    ("comment", "word", "count"),
    [
        ("Recorded at 10:30:00.123 01/05/2024 (UTC) by AudioMoth of tomorrow", "metamoth does not know", 1),
        ("Recorded at 10:30:00 32/05/2024 (UTC) by AudioMoth 24E144085F256F3A", "holds no time", 0),
        ("Recorded at 10:30:00 01/05/2024 (UTC+99) by AudioMoth 24E144085F256F3A", "no such offset", 0),
        ("Recorded at noon", "holds no time", 0),
        ("Recorded at 00:00:07 01/01/1970 (UTC) by AudioMoth 24E144085F256F3A", "clock was not set", 0),
    ],
)
def test_strange_comments_are_told(comment, word, count):
    known = Known()
    read_audiomoth(comment, known)
    assert word in said(known)
    assert len(known.moments) == count


def test_metadata_behind_the_sound_is_found(tmp_path):
    path = ff.wav(tmp_path / "a.wav", ff.info(ICMT=ff.moth()), ff.guano("Loc Position: 1 2"), before=False)
    known = read_tags(path)
    assert len(known.moments) == 1
    assert places(known) == [(1, 2)]


def test_bext_and_ixml_are_read(tmp_path):
    ixml = (
        b'<?xml version="1.0"?><BWFXML><LOCATION><LOCATION_GPS>51.5, -0.1</LOCATION_GPS></LOCATION></BWFXML>'
    )
    known = read_tags(ff.wav(tmp_path / "a.wav", ff.bext("2024:05:01", "10-30-00"), ff.riff(b"iXML", ixml)))
    assert times(known) == [datetime(2024, 5, 1, 10, 30)]  # noqa: DTZ001
    assert places(known) == [(51.5, -0.1)]


@pytest.mark.parametrize(
    ("chunk", "word"),
    [
        (ff.riff(b"iXML", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"), "entities"),
        (ff.riff(b"iXML", b"<x><y></x>"), "iXML is broken"),
        (
            ff.riff(b"iXML", b"<x><LOCATION><LOCATION_GPS>by the lake</LOCATION_GPS></LOCATION></x>"),
            "no latitude",
        ),
        (ff.bext("2024-13-45", "10:30:00"), "ISO 8601"),
        (ff.riff(b"guan", b"x" * (LARGEST_CHUNK + 1)), "not read"),
        (ff.info(ICMT="Recorded at " + "x" * 100_000), "holds no time"),
        (b"\0\1\2\3\4\5\6\7\10\11", "structure is broken"),
        (b"guan" + b"\xff\xff\xff\x00", "breaks off"),
    ],
    ids=["entity", "xml", "words", "date", "huge", "long", "noise", "cut"],
)
def test_broken_chunks_are_told_and_the_sound_stays(tmp_path, chunk, word):
    known = read_tags(ff.wav(tmp_path / "a.wav", chunk, before=False))
    assert word in said(known)
    assert known.seconds == 1.0
    assert len(said(known)) < 500


def test_a_bext_without_a_date_says_nothing(tmp_path):
    known = read_tags(
        ff.wav(tmp_path / "a.wav", ff.bext("0000-00-00", "00:00:00"), ff.bext("\0" * 10, "\0" * 8))
    )
    assert known == Known(seconds=1.0)


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "ogg", "opus"])
def test_tags_that_mutagen_wrote_are_read(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, np.zeros(48000), 48000, format="OGG" if kind == "opus" else None,
                    subtype="OPUS" if kind == "opus" else None)  # fmt: skip
    file = mutagen.File(path)
    if kind in ("wav", "mp3"):
        if file.tags is None:
            file.add_tags()
        file.tags.add(mutagen.id3.TDRC(text="2024-05-01T10:30:00"))
        file.tags.add(mutagen.id3.TXXX(desc="Latitude", text="51.539124"))
        file.tags.add(mutagen.id3.TXXX(desc="Longitude", text="-0.142624"))
    else:
        file["DATE"], file["LATITUDE"], file["LONGITUDE"] = "2024-05-01T10:30:00", "51.539124", "-0.142624"
    file.save()
    known = read_tags(path)
    assert times(known) == [datetime(2024, 5, 1, 10, 30)]  # noqa: DTZ001
    assert places(known) == [LONDON]
    assert known.problems == []
    assert known.seconds == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+51.5391-000.1426/", (51.5391, -0.1426)),
        ("+27.5916+086.5640+8850CRSWGS_84/", (27.5916, 86.564)),
        ("geo:-33.85,151.21", (-33.85, 151.21)),
        ("51.5, -0.1", (51.5, -0.1)),
        ("Camden, stop 3", None),
        ("0,0", None),
        ("99 99", None),
    ],
)
def test_a_location_tag_is_a_place_or_told(tmp_path, text, place):
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.zeros(8000), 8000)
    file = mutagen.oggvorbis.OggVorbis(path)
    file["LOCATION"] = text
    file.save()
    known = read_tags(path)
    assert places(known) == ([] if place is None else [place])
    assert bool(known.problems) == (place is None)


def test_a_location_in_words_is_no_problem(tmp_path):
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.zeros(8000), 8000)
    file = mutagen.oggvorbis.OggVorbis(path)
    file["LOCATION"] = "Camden Town"
    file.save()
    assert read_tags(path).problems == []


def test_the_tags_of_an_mp4_are_read_though_its_sound_is_not(tmp_path):
    known = read_tags(ff.mp4(tmp_path / "a.m4a", "2024-05-01T10:30:00Z"))
    assert times(known) == [datetime(2024, 5, 1, 10, 30, tzinfo=UTC)]
    assert known.seconds is None


def test_a_date_without_a_time_of_day_is_a_hint_only(tmp_path):
    known = read_tags(ff.wav(tmp_path / "a.wav", ff.info(ICRD="2024-05-01")))
    assert known.moments == []
    assert known.hints == ["INFO icrd gives 2024-05-01, no time of day"]


def test_radio_aporee_comments_hold_time_and_place(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.zeros(8000), 8000)
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    text = "2012-09-19 11:18:00 Ponte Longo 5/7, 30141 Murano, Italy 45.456055932481/12.352669537067"
    file.tags.add(mutagen.id3.TXXX(desc="comment", text=text))
    file.save()
    known = read_tags(path)
    assert times(known) == [datetime(2012, 9, 19, 11, 18)]  # noqa: DTZ001
    assert places(known) == [(45.456055932481, 12.352669537067)]


def test_metadata_come_before_the_name(tmp_path):
    known = read_tags(ff.wav(tmp_path / "20240501_113000.wav", ff.guano("Timestamp: 2024-05-01T10:30:00Z")))
    assert [moment.source for moment in known.moments] == ["GUANO", "file name"]


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFF\xff\xff\xff\xffWAVE", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"OggS"]
)
def test_files_that_are_no_sound_are_told(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    known = read_tags(path)
    assert known.seconds is None
    assert "sound cannot be read" in said(known)


@settings(max_examples=80)
@given(
    name=st.sampled_from([b"guan", b"bext", b"iXML", b"LIST", b"ds64", b"data", b"id3 "]),
    content=st.binary(max_size=700) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")),
)
def test_no_chunk_raises(tmp_path_factory, name, content):
    folder = tmp_path_factory.mktemp("chunk")
    text = content.decode("latin-1")
    blocks = {b"guan": f"Loc Position: {text}\nTimestamp: {text}", b"LIST": "INFOICMT" + text}
    content = blocks.get(name, "").encode() + content
    known = read_tags(ff.wav(folder / "a.wav", ff.riff(name, content)))
    assert isinstance(known, Known)


@settings(max_examples=60)
@given(place=st.integers(0, 1200), byte=st.integers(0, 255), cut=st.integers(0, 1200))
def test_no_flipped_byte_and_no_cut_raises(tmp_path_factory, place, byte, cut):
    folder = tmp_path_factory.mktemp("flip")
    whole = ff.wav(
        folder / "a.wav", ff.info(ICMT=ff.moth()), ff.guano("Loc Position: 51 0\nTimestamp: 2024-05-01T10:30:00Z"),
        ff.bext("2024-05-01", "10:30:00"), seconds=0.01,
    ).read_bytes()  # fmt: skip
    broken = bytearray(whole)
    broken[min(place, len(broken) - 1)] = byte
    path = folder / "b.wav"
    path.write_bytes(bytes(broken[: len(broken) - cut]))
    assert isinstance(read_tags(path), Known)


def test_nothing_is_printed_by_the_libraries(tmp_path, capfd):
    read_tags(ff.wav(tmp_path / "a.wav", ff.guano("Timestamp: nonsense\nTE: x")))
    assert capfd.readouterr() == ("", "")


def test_real_recordings_from_radio_aporee_tell_their_place(shared_data):
    known = {path.stem: read_tags(path) for path in (shared_data / "soundit_samples" / "audio").glob("*.mp3")}
    located = {stem: places(one)[0] for stem, one in known.items() if one.positions}
    assert set(located) == {"30463", "325928", "330594", "35339"}
    assert located["330594"] == pytest.approx((45.456, 12.3527), abs=1e-3)  # Murano, Venice
    assert not said(known["330594"])


def test_real_recordings_without_metadata_say_nothing(shared_data):
    for path in sorted((shared_data / "camden").glob("*.wav")) + sorted(
        (shared_data / "ambient").glob("*.ogg")
    ):
        known = read_tags(path)
        assert known == Known(seconds=known.seconds)
        assert known.seconds in (3.0, 10.0)
