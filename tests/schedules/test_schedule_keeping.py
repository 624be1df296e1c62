"""What schedules mean for keeping and erasing: their words go, their attachments stay as long as they do."""

from __future__ import annotations

import pytest

from workers.erase.schedules import find_schedules
from workers.erase.scope import Scope
from workers.ledger.refs import marked
from workers.schedules.store import Store

pytestmark = pytest.mark.service

KEYS = ["phiq:schedule:due", "phiq:schedule:names:default", "phiq:schedule:open"]


def kept(service) -> list[str]:
    return sorted(service.ledger.scripts.client.scan_iter(match="phiq:schedule:*"))


def test_removing_leaves_no_key(service, clock, ticker, add):
    add(every="1h")
    clock.on(hours=1)
    ticker.tick()
    assert set(KEYS) < set(kept(service))
    service.schedules.remove("nightly")
    assert kept(service) == ["phiq:schedule:ticked"]


def test_a_schedule_that_holds_the_words_is_meant(service, clock, ticker, add):
    job = {"kind": "complete", "model": "fake:echo", "input": {"prompt": "x"}}
    add("hers", every="1h", job={**job, "subject": "c-1"})
    add("his", every="2h", job={**job, "subject": "c-2"})
    add("search", every="3h", job={"kind": "search", "input": {"query": "x", "collection": "notes"}})
    store = Store(service.ledger.scripts.client, "phiq")

    def meant(**scope: str) -> list[str]:
        return [one.name for one in find_schedules(store, Scope("default", **scope))]

    assert meant(subject="c-1") == ["hers"]
    assert meant(collection="notes") == ["search"]
    assert meant() == ["hers", "his", "search"]
    assert [one.name for one in find_schedules(store, Scope("another"))] == []
    clock.on(hours=1)
    ticker.tick()
    assert meant(job=service.schedules.history("hers")[0].run) == ["hers"]


def test_the_sweep_leaves_what_a_schedule_will_need(service, add):
    image = service.attach(("a.png", b"not really a picture"))
    add(every="1h", job={"kind": "describe", "model": "fake:echo", "input": {"images": [image.model_dump()]}})
    assert image.ref in marked(service.ledger.scripts, service.ledger.payloads)
    service.schedules.remove("nightly")
    assert image.ref not in marked(service.ledger.scripts, service.ledger.payloads)
