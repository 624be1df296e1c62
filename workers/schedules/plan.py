"""What a schedule that is due comes to: which firings, and when it is due next."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from workers.schedules.records import HISTORY, Firing, FiringState, Schedule, firing_key
from workers.schedules.when import due_until

MOST_WAITING = 20
"""Firings of a schedule that wait for others; more are skipped."""


def plan(schedule: Schedule, now: datetime) -> tuple[datetime | None, list[Firing]]:
    """The next instant and the firings from the last one up to now, by the policy for those that are missed.

    One that comes within ``grace`` is on time. Of more than `HISTORY` missed ones only the last are made up for.
    """
    following = next(iter(schedule.times.after(now)), None)
    if schedule.next_at is None:
        return following, []
    found, _ = due_until(schedule.times, schedule.next_at, now, HISTORY)
    grace = timedelta(seconds=schedule.spec.grace)
    late = [due for due in found if now - due > grace]
    if schedule.spec.missed == "once" and late:
        return following, [_firing(found[-1], now, late=True, missed=len(found) - 1)]
    made = [_firing(due, now, late=due in late) for due in found]
    if schedule.spec.missed == "none" and late:
        left_out = _firing(late[-1], now, missed=len(late) - 1)
        left_out = left_out.model_copy(update={"state": FiringState.MISSED, "ended_at": now})
        made = [left_out, *(one for one in made if not one.late)]
    return following, made


def _firing(due: datetime, now: datetime, *, late: bool = False, missed: int = 0) -> Firing:
    return Firing(key=firing_key(due), due=due, decided_at=now, late=late, missed=missed)


Turn = Literal["start", "wait", "skip", "replace"]


def turn(schedule: Schedule, firing: Firing, others: Iterable[Firing]) -> tuple[Turn, list[Firing]]:
    """What becomes of a firing that is not started yet, and the open ones before it, by the policy for overlap.

    Firings that were missed and are all made up for wait for each other: else all but one would be skipped.
    """
    before = [one for one in others if not one.state.final and (one.due, one.key) < (firing.due, firing.key)]
    if not before:
        return "start", before
    if schedule.spec.overlap == "cancel_old":
        return "replace", before
    if schedule.spec.overlap == "skip" and not firing.late:
        return "skip", before
    if sum(not one.state.begun for one in before) >= max(MOST_WAITING, HISTORY if firing.late else 0):
        return "skip", before
    return "wait", before
