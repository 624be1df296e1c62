"""Schedules fire once, by their policies, whoever ticks and whenever it dies. Real Redis, a clock of the test's."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from workers.jobs import State
from workers.schedules import Ticker, work

pytestmark = pytest.mark.service


def states(service, name="nightly"):
    return [(one.key, str(one.state)) for one in service.schedules.history(name)[::-1]]


def end(service, run):
    """End a firing's job; no worker runs in these tests."""
    service.cancel(run)


def test_a_firing_is_a_job_with_an_id_of_its_own_and_says_where_it_came_from(service, clock, ticker, add):
    added = add(cron="0 6 * * 1-5", tz="Europe/Zagreb")
    assert added.next_at == datetime(2026, 3, 3, 5, tzinfo=UTC)  # 06:00 is just over, at 05:00 UTC
    ticker.tick()
    assert service.list() == []
    clock.to("2026-03-03 05:00:01")
    ticker.tick()
    [record] = service.list()
    assert service.get(record.id).job["origin"] == "schedule/nightly/20260303T050000Z"
    assert record.lane == "batch"
    assert service.schedules.get("nightly").next_at == datetime(2026, 3, 4, 5, tzinfo=UTC)
    [firing] = service.schedules.history("nightly")
    assert (firing.run, firing.state, firing.due) == (record.id, "running", datetime(2026, 3, 3, 5, tzinfo=UTC))
    end(service, record.id)
    clock.on(minutes=1)
    ticker.tick()
    assert states(service) == [("20260303T050000Z", "cancelled")]


def test_two_schedulers_at_once_fire_each_instant_once(service, clock, add):
    add(every="1m", overlap="queue", missed="all", grace=0)
    tickers = [Ticker(service, clock) for _ in range(2)]
    for _ in range(6):
        clock.on(seconds=61)
        start = threading.Barrier(2)

        def both(ticker, start=start):
            start.wait()
            ticker.tick()

        threads = [threading.Thread(target=both, args=(ticker,)) for ticker in tickers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for record in service.list(states=[State.QUEUED]):
            end(service, record.id)
    for _ in range(30):
        clock.on(seconds=1)
        tickers[0].tick()
        for record in service.list(states=[State.QUEUED]):
            end(service, record.id)
    keys = [key for key, _ in states(service)]
    assert len(keys) == len(set(keys)) == 6
    assert len(service.list()) == 6


@pytest.mark.parametrize("where", ["advanced", "claimed", "submitted"])
def test_a_scheduler_that_dies_on_the_way_loses_nothing_and_doubles_nothing(
    service, clock, ticker, add, where, monkeypatch
):
    class Died(BaseException):
        """Not an exception that anything of ours would catch, as a kill is none."""

    add(every="1h")
    clock.on(hours=1)
    proper = work.start

    def dies(*args):
        if where == "submitted":
            proper(*args)
        raise Died

    with monkeypatch.context() as broken:
        if where == "advanced":
            broken.setattr(Ticker, "_step", dies)
        else:
            broken.setattr(work, "start", dies)
        with pytest.raises(Died):
            ticker.tick()
    assert service.schedules.get("nightly").next_at == datetime(2026, 3, 2, 7, tzinfo=UTC)
    assert len(service.list()) == (where == "submitted")
    clock.on(seconds=5)
    Ticker(service, clock).tick()
    assert len(service.list()) == 1
    assert states(service) == [("20260302T060000Z", "running")]


def test_overlap_skip(service, clock, ticker, add):
    add(every="1h", overlap="skip")
    for _ in range(3):
        clock.on(hours=1)
        ticker.tick()
    [record] = service.list()
    assert [state for _, state in states(service)] == ["running", "skipped", "skipped"]
    assert record.id in service.schedules.history("nightly")[0].reason
    end(service, record.id)
    clock.on(minutes=1)
    ticker.tick()
    clock.on(hours=1)
    ticker.tick()
    assert [state for _, state in states(service)] == ["cancelled", "skipped", "skipped", "running"]


def test_overlap_queue_starts_them_one_after_the_other(service, clock, ticker, add):
    add(every="1h", overlap="queue")
    for _ in range(3):
        clock.on(hours=1)
        ticker.tick()
    assert [state for _, state in states(service)] == ["running", "waiting", "waiting"]
    started = []
    for _ in range(3):
        [record] = service.list(states=[State.QUEUED])
        started.append(service.get(record.id).job["origin"].rsplit("/", 1)[1])
        end(service, record.id)
        for _ in range(2):
            clock.on(seconds=3)
            ticker.tick()
    assert started == ["20260302T060000Z", "20260302T070000Z", "20260302T080000Z"]


def test_overlap_cancel_old(service, clock, ticker, add):
    add(every="1h", overlap="cancel_old")
    clock.on(hours=1)
    ticker.tick()
    [old] = service.list()
    clock.on(hours=1)
    ticker.tick()
    assert service.get(old.id).state is State.CANCELLED
    for _ in range(2):
        clock.on(seconds=3)
        ticker.tick()
    assert [state for _, state in states(service)] == ["cancelled", "running"]


@pytest.mark.parametrize(
    ("missed", "fired"),
    [
        ("once", ["20260302T100000Z"]),
        ("all", ["20260302T060000Z", "20260302T070000Z", "20260302T080000Z", "20260302T090000Z", "20260302T100000Z"]),
        ("none", []),
    ],
)
def test_firings_that_nobody_was_there_for(service, clock, ticker, add, missed, fired):
    add(every="1h", missed=missed)
    clock.to("2026-03-02 10:30:00")
    for _ in range(20):
        ticker.tick()
        for record in service.list(states=[State.QUEUED]):
            end(service, record.id)
        clock.on(seconds=3)
    assert sorted(service.get(record.id).job["origin"].rsplit("/", 1)[1] for record in service.list()) == fired
    assert service.schedules.get("nightly").next_at == datetime(2026, 3, 2, 11, tzinfo=UTC)
    history = service.schedules.history("nightly")
    if missed == "all":
        assert all(one.late for one in history)
    else:
        assert [(one.missed, str(one.state)) for one in history] == [(4, "missed" if missed == "none" else "cancelled")]


def test_a_firing_within_its_grace_is_not_missed(service, clock, ticker, add):
    add(every="1h", missed="none", grace=600)
    clock.to("2026-03-02 06:09:00")
    ticker.tick()
    assert states(service) == [("20260302T060000Z", "running")]


def test_a_one_off_fires_once_and_is_done(service, clock, ticker, add):
    add(at="2026-03-02T08:00", tz="Europe/Zagreb")
    clock.to("2026-03-02 07:00:00")
    ticker.tick()
    assert service.schedules.get("nightly").next_at is None
    clock.on(days=400)
    ticker.tick()
    assert len(service.list()) == 1


def test_what_cannot_be_started_for_good_is_failed_with_the_reason(service, clock, ticker, add, monkeypatch):
    add(every="1h")
    monkeypatch.setattr(service, "settings", service.settings.model_copy(update={"allow_fake_engine": False}))
    service.__dict__.pop("_registry", None)
    clock.on(hours=1)
    ticker.tick()
    [firing] = service.schedules.history("nightly")
    assert (firing.state, firing.error["code"]) == ("failed", "engine_refused")


def test_what_cannot_be_started_for_now_is_tried_again(service, clock, ticker, add):
    from workers.ledger import Limits

    add(every="1h")
    service.submit(work.job_of(service.schedules.get("nightly")))
    service.set_limits("default", Limits(queued=1))
    clock.on(hours=1)
    ticker.tick()
    [firing] = service.schedules.history("nightly")
    assert (firing.state, firing.tries, firing.error["code"]) == ("starting", 1, "quota_exceeded")
    end(service, service.list()[0].id)
    clock.on(minutes=2)
    ticker.tick()
    [firing] = service.schedules.history("nightly")
    assert (firing.state, firing.error) == ("running", None)


def test_one_schedules_trouble_is_not_the_others(service, clock, ticker, add, redis_url):
    add("broken", every="1h")
    add("nightly", every="1h")
    service.ledger.scripts.client.hset("phiq:schedule:record:default:broken", "spec", "{")
    clock.on(hours=1)
    ticker.tick()
    assert states(service) == [("20260302T060000Z", "running")]


def test_the_history_is_bounded_and_keeps_what_is_open(service, clock, ticker, add):
    add(every="1m", overlap="skip")
    clock.on(minutes=1)
    ticker.tick()
    [record] = service.list()
    for _ in range(130):
        clock.on(minutes=1)
        ticker.tick()
    history = service.schedules.history("nightly")
    assert len(history) == 101
    assert (history[-1].run, history[-1].state) == (record.id, "running")
    assert service.ledger.scripts.client.zcard("phiq:schedule:open") == 1


def test_webhooks_are_told_what_becomes_of_firings(service, clock, ticker, add, monkeypatch):
    from knowledge.errors import PhiqError
    from workers.webhooks import EndpointNew

    with pytest.raises(PhiqError) as caught:
        add(every="1h", webhook="pager")
    assert caught.value.code == "webhook_not_found"
    service.webhooks.add("default", EndpointNew(name="pager", url="http://127.0.0.1:9/hook", events=["schedule.*"]))
    add(every="1h", overlap="skip", webhook="pager")
    for _ in range(2):
        clock.on(hours=1)
        ticker.tick()
    [record] = service.list()
    assert record.id == service.schedules.history("nightly")[1].run
    assert service.get(record.id).job["webhook"] == "pager"
    end(service, record.id)
    clock.on(minutes=1)
    with monkeypatch.context() as broken:
        # Told, and not written down: the next tick tells it again, as the same message.
        broken.setattr(type(service.schedules.store), "step", lambda *_: False)
        ticker.tick()
    ticker.tick()
    told = [(one.type, one.data["key"]) for one in service.webhooks.deliveries("default")][::-1]
    assert told == [
        ("schedule.fired", "20260302T060000Z"),
        ("schedule.skipped", "20260302T070000Z"),
        ("schedule.cancelled", "20260302T060000Z"),
    ]
    last = service.webhooks.deliveries("default")[0]
    assert last.data["links"] == {"self": "/v1/schedules/nightly", "run": f"/v1/jobs/{record.id}"}


def test_a_schedule_ends_with_the_key_that_asked_for_it_until_somebody_takes_it_over(service, clock, ticker, add):
    from workers.access.key import KeySpec

    key, _ = service.access.create(KeySpec(name="leaked"))
    add(every="1h")
    service.schedules.change("nightly", {}, key=key.id)
    clock.on(hours=1)
    ticker.tick()
    [record] = service.list()
    assert service.get(record.id).key == key.id
    end(service, record.id)
    service.access.revoke(key.id)
    clock.on(hours=1)
    ticker.tick()
    [firing, *_] = service.schedules.history("nightly")
    assert (firing.state, firing.error["code"]) == ("failed", "key_invalid")
    service.schedules.change("nightly", {})
    clock.on(hours=1)
    ticker.tick()
    assert service.schedules.history("nightly")[0].state == "running"


def test_the_audit_log_knows_who_changed_what(service, add):
    add(every="1h")
    schedules = service.schedules
    schedules.pause("nightly")
    schedules.resume("nightly")
    schedules.run("nightly")
    schedules.change("nightly", {"every": "2h"})
    schedules.remove("nightly")
    entries = [(one.action, one.subject) for one in service.access.audit.read()[::-1]]
    actions = ("add", "pause", "resume", "run", "change", "remove")
    assert entries == [(f"schedule.{action}", "schedule nightly") for action in actions]


def test_many_that_are_due_at_once_are_fired_over_several_ticks(service, clock, ticker, add):
    for number in range(60):
        add(f"s{number}", every="1h")
    clock.on(hours=1)
    assert [ticker.tick(), ticker.tick(), ticker.tick()] == [True, False, False]
    assert len(service.list(limit=100)) == 60
