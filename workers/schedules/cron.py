"""Cron expressions in a time zone.

cronsim reads the expression and walks the calendar; which instants its wall-clock times mean is decided here. Its own
rules for summer time are kept (they are Debian cron's) but not its code for them: in zones whose clocks move by half
an hour it leaves times out, and asked from within the doubled hour it answers with a time that is over (measured with
2.8).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from workers.errors import ScheduleInvalid

_NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LONGEST = 200
_BACK = timedelta(hours=3)
"""More than any clock is set back by."""
_LAST_YEAR = 9999
_MINUTE = timedelta(minutes=1)


class Cron:
    """When an expression is due in a zone.

    - An expression with fixed times (neither minute nor hour begin with ``*``) that falls into the hour which is
      skipped is due once at its end; in the doubled hour it is due the first time only.
    - Any other goes by the hands of the clock as they move: what is skipped is not due, what comes twice is due twice.

    Args:
        expression: Five fields as for cron (minute, hour, day, month, weekday; also ``L``, ``#`` and names), or
            ``@daily`` and the like.
        zone: Whose clock is meant.

    Raises:
        ScheduleInvalid: it can't be read, or is never due.
    """

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        self.expression = _NAMES.get(expression.strip().lower(), " ".join(expression.split()))
        self.zone = zone
        if len(expression) > _LONGEST or len(self.expression.split()) != 5:
            raise _invalid(expression, "it must have five fields: minute, hour, day, month, weekday")
        minute, hour = self.expression.split()[:2]
        self._fixed = not (minute.startswith("*") or hour.startswith("*"))
        try:
            found = next(self._walls(datetime(2000, 1, 1)), None)  # noqa: DTZ001 - wall-clock time, of no zone
        except CronSimError as error:
            raise _invalid(expression, str(error)) from error
        except (AssertionError, TypeError, ValueError) as error:  # what cronsim does not foresee, as in MON#1/2
            raise _invalid(expression, "it can't be read") from error
        if found is None:
            raise _invalid(expression, "it is never due")

    def after(self, instant: datetime) -> Iterator[datetime]:
        """The instants (UTC) after ``instant``, in order; ends where the calendar does."""
        wall = instant.astimezone(self.zone).replace(tzinfo=None, fold=0)
        return self._fixed_after(instant, wall) if self._fixed else self._flowing_after(instant, wall)

    def _fixed_after(self, instant: datetime, wall: datetime) -> Iterator[datetime]:
        last = instant
        for one in self._walls(wall - _BACK):
            due = real(one, self.zone)
            if due > last:
                last = due
                yield due

    def _flowing_after(self, instant: datetime, wall: datetime) -> Iterator[datetime]:
        # In the doubled hour a later time on the clock's face may come first, so what is found waits its turn: no
        # later face has an instant before the first of this one's.
        found: list[datetime] = []
        for one in self._walls(wall - _BACK):
            meant = _instants(one, self.zone)
            for due in meant:
                if due > instant:
                    heapq.heappush(found, due)
            while found and meant and found[0] <= meant[0]:
                yield heapq.heappop(found)
        while found:
            yield heapq.heappop(found)

    def _walls(self, start: datetime) -> Iterator[datetime]:
        """Times on the clock's face from ``start`` (excluded) on, of no zone."""
        try:
            yield from CronSim(self.expression, start)
        except (OverflowError, ValueError) as error:
            if isinstance(error, ValueError) and start.year < _LAST_YEAR - 60:
                raise  # the expression's fault; else the calendar's end


def real(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC) of a time on a zone's clock: the first of two, and of none the end of what was skipped."""
    while not _instants(wall, zone):
        wall += _MINUTE
    return _instants(wall, zone)[0]


def _instants(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """The instants (UTC) at which a zone's clock shows a time: one, two, or none."""
    found = []
    for fold in (0, 1):
        due = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if due not in found and due.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
            found.append(due)
    return found


def _invalid(expression: str, reason: str) -> ScheduleInvalid:
    return ScheduleInvalid(
        f"The cron expression {expression[:80]!r} can't be used: {reason}.",
        hint='Write it like "0 6 * * 1-5" (minute, hour, day of the month, month, day of the week).',
        field="cron",
    )
