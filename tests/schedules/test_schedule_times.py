"""When schedules are due: ordinary days, the skipped and the doubled hour, and any expression in several zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.errors import ScheduleInvalid
from workers.schedules.cron import Cron, real
from workers.schedules.when import Every, due_until, instant, span, when, zone

ZONES = ("Europe/Zagreb", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "UTC")
MINUTE = timedelta(minutes=1)


def faces(expression: str, name: str, start: str, count: int) -> list[str]:
    """What the zone's clock shows at the next instants, with the offset, after a local time."""
    where = ZoneInfo(name)
    found = islice(Cron(expression, where).after(real(datetime.fromisoformat(start), where)), count)
    return [due.astimezone(where).strftime("%d %H:%M %z") for due in found]


@pytest.mark.parametrize(
    ("expression", "name", "start", "expected"),
    [
        ("0 6 * * 1-5", "Europe/Zagreb", "2026-03-27T12:00", ["30 06:00 +0200", "31 06:00 +0200"]),
        # Skipped: due once at the end of the gap, however many of its times lie in it.
        ("30 2 * * *", "Europe/Zagreb", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:30 +0200"]),
        ("0,15,30 2 * * *", "Europe/Zagreb", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:00 +0200"]),
        ("0 2,3 * * *", "Europe/Zagreb", "2026-03-28T12:00", ["29 03:00 +0200", "30 02:00 +0200"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["04 02:30 +1100", "05 02:15 +1100"]),
        ("0 0 * * *", "America/Santiago", "2026-09-05T12:00", ["06 01:00 -0300", "07 00:00 -0300"]),
        # Doubled: the first time only.
        ("30 2 * * *", "Europe/Zagreb", "2026-10-24T12:00", ["25 02:30 +0200", "26 02:30 +0100"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00", ["01 01:30 -0400", "02 01:30 -0500"]),
        # By the hands of the clock: what is skipped is not due, what comes twice is due twice.
        ("*/30 * * * *", "Europe/Zagreb", "2026-03-29T01:15", ["29 01:30 +0100", "29 03:00 +0200", "29 03:30 +0200"]),
        ("*/30 2 * * *", "Europe/Zagreb", "2026-03-28T12:00", ["30 02:00 +0200"]),
        (
            "30 * * * *",
            "Europe/Zagreb",
            "2026-10-25T01:45",
            ["25 02:30 +0200", "25 02:30 +0100", "25 03:30 +0100"],
        ),
        ("*/15 2 * * *", "Europe/Zagreb", "2026-10-25T02:50", ["25 02:00 +0100", "25 02:15 +0100"]),
        # Clocks that move by half an hour (cronsim's own code leaves 03:00 and 03:20 out).
        ("*/20 3 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["04 03:00 +1100", "04 03:20 +1100"]),
        ("*/15 1 * * *", "Australia/Lord_Howe", "2026-04-05T01:20", ["05 01:30 +1100", "05 01:45 +1100"]),
    ],
)
def test_the_hour_that_is_skipped_and_the_one_that_comes_twice(expression, name, start, expected):
    assert faces(expression, name, start, len(expected)) == expected


def test_asked_from_within_the_doubled_hour_what_is_over_is_not_due():
    where = ZoneInfo("Europe/Zagreb")
    second_time = datetime(2026, 10, 25, 2, 10, tzinfo=where, fold=1).astimezone(UTC)
    due = next(Cron("30 2 * * *", where).after(second_time))
    assert due.astimezone(where).isoformat() == "2026-10-26T02:30:00+01:00"


fields = st.tuples(
    st.sampled_from(["*", "*/7", "*/30", "0", "15,45", "30"]),
    st.sampled_from(["*", "*/2", "0", "1-3", "2", "2,3", "23"]),
    st.sampled_from(["*", "*", "L", "1-7"]),
    st.just("*"),
    st.sampled_from(["*", "SUN", "1-5", "SUN#1"]),
).map(" ".join)
# Around the days on which the clocks of these zones are set, and any other.
starts = st.one_of(
    st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-05", "2026-04-24", "2026-09-06", "2026-10-04", "2026-10-25"]),
    st.dates(date(2026, 1, 1), date(2037, 1, 1)).map(str),
)


@settings(max_examples=60, deadline=None)
@given(fields, st.sampled_from(ZONES), starts, st.integers(-1440, 1440))
def test_as_a_clock_watched_minute_by_minute(expression, name, day, minutes):
    """Against the plainest reading: every minute of a day is asked whether the clock's face matches."""
    where = ZoneInfo(name)
    cron = Cron(expression, where)
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) + minutes * MINUTE
    end = start + timedelta(days=1)
    found = []
    for due in cron.after(start):
        if due > end:
            break
        found.append(due)
    assert all(earlier < later for earlier, later in pairwise([start, *found]))
    midnight = (start.astimezone(where) - timedelta(days=3)).replace(tzinfo=None, hour=0, minute=0, fold=0)
    plain = set(_faces_of(expression, midnight, 7))
    every = [start + number * MINUTE for number in range(1, 1440 + 1)]
    shown = {one: one.astimezone(where).replace(tzinfo=None, fold=0) for one in every}
    fixed = not (expression.split()[0].startswith("*") or expression.split()[1].startswith("*"))
    if not fixed:
        assert found == [one for one in every if shown[one] in plain]
        return
    expected = []
    for one in every:
        before = (one - MINUTE).astimezone(where).replace(tzinfo=None, fold=0)
        first = one.astimezone(where).fold == 0 and shown[one] in plain
        gap = int((shown[one] - before) / MINUTE) - 1  # minutes that the clock left out just before
        skipped = any(shown[one] - number * MINUTE in plain for number in range(1, gap + 1))
        if first or skipped:
            expected.append(one)
    assert found == expected


def _faces_of(expression: str, start: datetime, days: int) -> list[datetime]:
    utc = Cron(expression, ZoneInfo("UTC"))
    found = []
    for due in utc.after(start.replace(tzinfo=UTC) - MINUTE):
        if due > start.replace(tzinfo=UTC) + timedelta(days=days):
            break
        found.append(due.replace(tzinfo=None))
    return found


def test_every_so_long_whatever_the_clocks_do():
    anchor = datetime(2026, 3, 28, 12, tzinfo=UTC)
    every = Every(span("6h"), anchor)
    assert next(every.after(anchor)) == anchor + timedelta(hours=6)
    assert next(every.after(anchor - timedelta(days=9))) == anchor + timedelta(hours=6)
    assert list(islice(every.after(anchor + timedelta(hours=6)), 2)) == [
        anchor + timedelta(hours=12),
        anchor + timedelta(hours=18),
    ]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("2W", 1209600)])
def test_spans(text, seconds):
    assert span(text) == seconds


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-07-01T06:00", "2026-07-01T04:00:00+00:00"),
        ("2026-07-01T06:00+05:30", "2026-07-01T00:30:00+00:00"),
        ("2026-03-29 02:30", "2026-03-29T01:00:00+00:00"),
        ("2026-10-25 02:30", "2026-10-25T00:30:00+00:00"),
    ],
)
def test_at_an_instant(text, utc):
    assert instant(text, ZoneInfo("Europe/Zagreb")).isoformat() == utc


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "0 0 30 2 *",
        "0 0 * * MON#1/2",
        "*/0 * * * *",
        "a b c d e",
        "0 " * 500,
    ],
)
def test_expressions_that_are_none_are_refused(expression):
    with pytest.raises(ScheduleInvalid) as caught:
        Cron(expression, ZoneInfo("Europe/Zagreb"))
    assert caught.value.details["field"] == "cron"


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "Europe", "../../etc/passwd", "/etc/passwd", "x" * 300, "a\0b"])
def test_zones_that_are_none_are_refused(name):
    with pytest.raises(ScheduleInvalid):
        zone(name)


@pytest.mark.parametrize("text", ["", "m", "15", "15 minutes", "0s", "-5m", "1.5h", "400d", "9" * 40 + "s"])
def test_spans_that_are_none_are_refused(text):
    with pytest.raises(ScheduleInvalid):
        span(text)


@pytest.mark.parametrize("given", [{}, {"cron": "* * * * *", "every": "5m"}, {"at": "tomorrow"}, {"at": "0001-01-01"}])
def test_one_time_exactly(given):
    with pytest.raises(ScheduleInvalid):
        when(
            **{"cron": None, "every": None, "at": None, **given},
            zone=ZoneInfo("Europe/Zagreb"),
            anchor=datetime.now(UTC),
        )


def test_a_long_absence_is_not_walked_through_minute_by_minute():
    cron = Cron("* * * * *", ZoneInfo("Europe/Zagreb"))
    now = datetime(2026, 11, 1, tzinfo=UTC)
    found, whole = due_until(cron, now - timedelta(days=400), now, 100)
    assert (len(found), found[-1], whole) == (100, now, False)
    yearly = Cron("0 0 1 1 *", ZoneInfo("UTC"))
    found, whole = due_until(yearly, datetime(2020, 1, 1, tzinfo=UTC), now, 100)
    assert ([due.year for due in found], whole) == ([2020, 2021, 2022, 2023, 2024, 2025, 2026], True)
