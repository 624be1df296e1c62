"""The scripts: who acts on what was read too long ago changes nothing, and a repeat of a call is told the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workers.errors import ScheduleExists
from workers.schedules.plan import plan
from workers.schedules.records import FiringState

pytestmark = pytest.mark.service

MORNING = datetime(2026, 3, 2, 6, tzinfo=UTC)


def test_who_read_an_older_next_instant_cannot_set_it_back(service, clock, add):
    stale, store = add(every="1h"), service.schedules.store
    clock.on(hours=1)
    late = plan(stale, clock())
    assert store.advance(stale, *late, clock())
    clock.on(hours=1)
    assert store.advance(service.schedules.get("nightly"), *plan(service.schedules.get("nightly"), clock()), clock())
    after = service.schedules.get("nightly")
    assert not store.advance(stale, *late, clock())
    assert service.schedules.get("nightly") == after
    assert len(service.schedules.history("nightly")) == 2


def test_who_read_an_older_firing_cannot_change_it(service, clock, add):
    schedule, store = add(every="1h"), service.schedules.store
    clock.on(hours=1)
    store.advance(schedule, *plan(schedule, clock()), clock())
    [stale] = store.firings("default", "nightly")
    starting = stale.model_copy(update={"state": FiringState.STARTING})
    skipped = stale.model_copy(update={"state": FiringState.SKIPPED, "ended_at": clock()})
    assert store.step("default", "nightly", stale, starting, clock())
    assert not store.step("default", "nightly", stale, skipped, None)
    assert store.firings("default", "nightly") == [starting]


def test_a_repeated_write_is_told_the_same_and_done_once(service, clock, add):
    schedule, store = add(every="1h"), service.schedules.store
    paused = schedule.model_copy(update={"paused": True, "next_at": None})
    assert [store.put(paused, 1, "once") for _ in range(2)] == ["ok", "ok"]
    assert service.schedules.get("nightly").revision == 2
    assert store.put(schedule, 1, "another") == "stale"
    assert store.put(schedule, 0, "a third") == "exists"
    store.remove("default", "nightly")
    assert store.put(schedule, 2, "late") == "gone"


def test_a_removed_and_added_schedule_is_another_one(service, clock, ticker, add):
    add(every="1h")
    clock.on(hours=1)
    ticker.tick()
    service.schedules.remove("nightly")
    clock.to("2026-03-02 05:00:00")
    add(every="1h", job={"kind": "complete", "model": "fake:echo", "input": {"prompt": "something else"}})
    clock.on(hours=1)
    ticker.tick()
    assert [service.get(one.id).job["input"]["prompt"] for one in service.list()] == ["something else", "on time"]


def test_tenants_do_not_see_each_other(service, clock, add):
    add(every="1h")
    assert service.schedules.list("another") == []
    job = {"kind": "complete", "model": "fake:echo", "input": {"prompt": "x"}}
    theirs = service.schedules.add("nightly", {"every": "2h", "job": job}, "another")
    assert theirs.tenant == "another"
    assert service.schedules.get("nightly").spec.every == "1h"
    with pytest.raises(ScheduleExists):
        add(every="1h")
