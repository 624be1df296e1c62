"""When a schedule is due: by cron in a zone, every so long, or once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from workers.errors import ScheduleInvalid
from workers.schedules.cron import Cron, real

_PART = re.compile(r"(\d{1,9})(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SHORTEST, _LONGEST = 1, 366 * 86400


class When(Protocol):
    """Something that is due at certain instants."""

    def after(self, instant: datetime) -> Iterator[datetime]:
        """The instants (UTC) after ``instant``, in order."""
        ...


class Every:
    """Due every so many seconds after a first instant, whatever the clocks on the wall do."""

    def __init__(self, seconds: int, anchor: datetime) -> None:
        self._step = timedelta(seconds=seconds)
        self._anchor = anchor

    def after(self, instant: datetime) -> Iterator[datetime]:
        """The instants after ``instant``; the first of all is one step after the anchor."""
        count = max(1, (instant - self._anchor) // self._step + 1)
        try:
            while True:
                yield self._anchor + count * self._step
                count += 1
        except OverflowError:
            return


class Once:
    """Due at one instant."""

    def __init__(self, instant: datetime) -> None:
        self._instant = instant

    def after(self, instant: datetime) -> Iterator[datetime]:
        """The instant, if it is still to come."""
        if self._instant > instant:
            yield self._instant


def when(cron: str | None, every: str | None, at: str | None, zone: ZoneInfo, anchor: datetime) -> When:
    """What exactly one of cron, every and at say.

    Args:
        cron: An expression, see `Cron`.
        every: A span such as ``15m`` or ``1h30m``.
        at: An instant as ISO 8601; without an offset it is meant in ``zone``.
        zone: For cron and at.
        anchor: What ``every`` counts from.

    Raises:
        ScheduleInvalid: none or several are given, or one can't be read.
    """
    if sum(one is not None for one in (cron, every, at)) != 1:
        raise ScheduleInvalid(
            "A schedule has exactly one of cron, every and at.",
            hint='Such as --cron "0 6 * * 1-5", --every 15m or --at 2030-01-31T06:00.',
        )
    if cron is not None:
        return Cron(cron, zone)
    if every is not None:
        return Every(span(every), anchor)
    return Once(instant(at or "", zone))


def span(text: str) -> int:
    """Seconds of a span such as ``90s``, ``15m``, ``1h30m``, ``2d``.

    Raises:
        ScheduleInvalid: it is none, or shorter than a second or longer than a year.
    """
    plain = text.strip().lower().replace(" ", "")
    parts = _PART.findall(plain)
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != plain or not _SHORTEST <= seconds <= _LONGEST:
        raise ScheduleInvalid(
            f"{text[:40]!r} is no span of time between a second and a year.",
            hint="Write it like 90s, 15m, 1h30m, 2d or 1w.",
            field="every",
        )
    return seconds


def instant(text: str, zone: ZoneInfo) -> datetime:
    """The instant (UTC) that a date and time mean; see `real` for times that a zone's clock skips or shows twice.

    Raises:
        ScheduleInvalid: it is none.
    """
    try:
        found = datetime.fromisoformat(text.strip()).replace(microsecond=0)
        return real(found, zone) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ScheduleInvalid(
            f"{text[:40]!r} is no date and time.",
            hint="Write it like 2030-01-31T06:00 (in the schedule's zone) or 2030-01-31T06:00+01:00.",
            field="at",
        ) from error


def zone(name: str) -> ZoneInfo:
    """A time zone by its name.

    Raises:
        ScheduleInvalid: there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError) as error:
        raise ScheduleInvalid(
            f"There is no time zone {name[:64]!r}.",
            hint="Use a name such as Europe/Zagreb, America/New_York or UTC.",
            field="tz",
        ) from error


def due_until(when: When, first: datetime, now: datetime, limit: int) -> tuple[list[datetime], bool]:
    """The last instants from ``first`` up to ``now``, at most ``limit`` of them.

    Looks back from now in growing steps: a schedule that was due every minute of a month is not walked through whole.

    Returns:
        The instants in order, and whether these are all.
    """
    reach = timedelta(minutes=limit)
    while True:
        start = max(first - timedelta(microseconds=1), now - reach)
        found: list[datetime] = []
        for one in when.after(start):
            if one > now:
                break
            found.append(one)
        if start < first or len(found) >= limit:
            return found[-limit:], start < first and len(found) <= limit
        reach *= 4
