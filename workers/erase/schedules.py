"""Schedules whose work holds the words that are to go: they would bring them back at their next firing."""

from __future__ import annotations

from workers.erase.scope import Scope
from workers.schedules import Schedule
from workers.schedules.store import Store


def find_schedules(store: Store, scope: Scope) -> list[Schedule]:
    """The schedules that are meant; with one job, the schedule that made it: it holds the same words."""
    return [one for one in store.all_of(scope.tenant) if _meant(store, one, scope)]


def _meant(store: Store, schedule: Schedule, scope: Scope) -> bool:
    if scope.whole:
        return True
    if scope.job is not None:
        return any(one.run == scope.job for one in store.firings(schedule.tenant, schedule.name))
    job = schedule.spec.job
    return job is not None and scope.submits({**job, "tenant": schedule.tenant}, "", schedule.tenant)
