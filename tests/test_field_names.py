"""Dates in the names of recordings: read where they can mean one thing, refused where they can mean several."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from soundit_geo.field.evidence import Known
from soundit_geo.field.names import read_name

PAST = st.datetimes(datetime(2001, 1, 1), datetime(2024, 12, 31)).map(lambda t: t.replace(microsecond=0))  # noqa: DTZ001


def read(stem, order=None):
    known = Known()
    read_name(stem, known, order)
    return known


def time_of(stem, order=None):
    known = read(stem, order)
    assert len(known.moments) <= 1
    return known.moments[0].time if known.moments else None


@pytest.mark.parametrize(
    "form",
    [
        "%Y%m%d_%H%M%S", "%Y%m%d_%H%M%ST", "SM4A_%Y%m%d_%H%M%S", "SM4A_%Y%m%d$%H%M%S", "SMU07_%Y%m%d_%H%M%S_000",
        "%Y%m%d%H%M%S", "%Y-%m-%d %H.%M.%S", "Recording %Y-%m-%d %H-%M-%S", "%Y-%m-%dT%H:%M:%S",
        "Memo %Y-%m-%d at %H.%M.%S", "rec_%Y_%m_%d_%H_%M_%S", "Voix 午後 %Y%m%d-%H%M%S (2)",
    ],
)  # fmt: skip
@settings(max_examples=25)
@given(time=PAST)
def test_a_date_with_the_year_first_reads_back(form, time):
    assert time_of(time.strftime(form)) == time


@given(time=PAST)
def test_minutes_suffice(time):
    assert time_of(time.strftime("%Y-%m-%d %H.%M")) == time.replace(second=0)


@given(time=PAST, quarters=st.integers(-48, 56))
def test_an_offset_in_the_name_is_kept(time, quarters):
    zone = timezone(timedelta(minutes=15 * quarters))
    assert time_of(time.replace(tzinfo=zone).strftime("%Y%m%dT%H%M%S%z_REC")) == time.replace(tzinfo=zone)


def test_a_counter_behind_the_time_is_no_offset():
    assert time_of("20240501_103000-0100") == datetime(2024, 5, 1, 10, 30)  # noqa: DTZ001


@given(time=PAST)
def test_day_and_month_are_never_guessed(time):
    known = read(time.strftime("%d-%m-%Y %H.%M.%S"))
    if time.day > 12 or time.day == time.month:
        assert [moment.time for moment in known.moments] == [time]
    else:
        assert known.moments == []
        assert "state the order" in known.problems[0]


@given(time=PAST)
def test_a_stated_order_settles_it(time):
    assert time_of(time.strftime("%d-%m-%Y %H.%M.%S"), "dmy") == time
    assert time_of(time.strftime("%m-%d-%Y %H.%M.%S"), "mdy") == time
    assert time_of(time.strftime("%y%m%d_%H%M%S"), "ymd") == time


@given(time=PAST)
def test_a_two_digit_year_is_read_only_where_one_reading_is_possible(time):
    assume(len({time.year % 100, time.month, time.day}) == 3)
    found = time_of(time.strftime("%y%m%d_%H%M%S"))
    assert found in (None, time)
    if time.year > 2012 and time.day < 25 and time.day > 12:
        assert found is None  # the day may be a year


def test_an_order_that_does_not_fit_is_told():
    known = read("31-12-2023 10.00.00", "mdy")
    assert known.moments == []
    assert "order mdy" in known.problems[0]


def test_the_first_audiomoths_name_files_by_seconds_in_hexadecimal():
    known = read("5CC97448")
    assert known.moments[0].time == datetime.fromtimestamp(0x5CC97448, UTC)
    assert "UTC" in known.moments[0].source
    for stem in ("12345678", "DEADBEEF", "00000000", "5cc97448", "CAFE"):
        assert read(stem).moments == []


def test_frontier_labs_write_the_place_into_the_name():
    known = read("20190401T000000+1000_Quiet creek_[-27.3888+152.8808]")
    assert [(p.lat, p.lon) for p in known.positions] == [(-27.3888, 152.8808)]
    assert known.moments[0].time == datetime(2019, 3, 31, 14, tzinfo=UTC)


@pytest.mark.parametrize("stem", ["20240501_103000_20240501_113000", "20240501_103000 and 01-02-2024 10.00"])
def test_several_times_in_one_name_are_none(stem):
    known = read(stem)
    assert known.moments == []
    assert "holds 2 times" in known.problems[0]


@pytest.mark.parametrize("stem", ["AUD-20240501-WA0003", "2024-05-01 garden", "garden 2024.05.01"])
def test_a_date_alone_is_a_hint(stem):
    known = read(stem)
    assert known.moments == []
    assert known.problems == []
    assert known.hints == ["file name gives a date, no time of day"]


@pytest.mark.parametrize(
    "stem",
    ["CT101", "ZOOM0001", "STE-001", "325928", "Track 12_1234", "20241301_103000", "20240501_250000", "20230229_103000",
     "99999999_999999", "", "-", "..", "20240501_10"],
)  # fmt: skip
def test_other_names_hold_no_time(stem):
    assert read(stem).moments == []


def test_a_clock_that_was_reset_is_told():
    known = read("19700101_000003")
    assert known.moments == []
    assert "clock was not set" in known.problems[0]


@given(stem=st.text())
def test_no_name_raises(stem):
    read(stem)


@given(
    digits=st.text("0123456789-_. T:+Z[]", max_size=40), order=st.sampled_from([None, "ymd", "dmy", "mdy"])
)
def test_no_row_of_digits_raises(digits, order):
    assert len(read(digits, order).moments) <= 1
