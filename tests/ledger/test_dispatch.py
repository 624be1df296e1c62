"""Handing jobs to the broker: windows, turns, lanes, lost messages; and why a job waits."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest

from agents.contract import CompletionResult
from workers.jobs import Capability
from workers.ledger import WorkerInfo
from workers.ledger.submit import new_id

pytestmark = pytest.mark.service


class Broker:
    """Where the ledger's messages go; like Celery's Redis lists, but in order of arrival."""

    def __init__(self, client):
        self.sent = []
        self.client = client

    def send(self, queue, job_id):
        self.sent.append((queue, job_id))
        self.client.lpush(f"phiq:broker:phiq.{queue}", job_id)

    def take(self, queue):
        return self.client.rpop(f"phiq:broker:phiq.{queue}")


@pytest.fixture
def broker(client):
    return Broker(client)


def alive(ledger, name="w", slots=2, serves=(Capability.GENERATE,), **fields):
    ledger.heartbeat(WorkerInfo(name=name, serves=list(serves), slots=slots, **fields))


def test_nothing_is_sent_where_nobody_serves(ledger, submit, broker):
    submit()
    assert ledger.dispatch(broker.send) == 0
    alive(ledger, serves=(Capability.VISION,))
    assert ledger.dispatch(broker.send) == 0
    alive(ledger, "draining", draining=True)
    assert ledger.dispatch(broker.send) == 0


def test_ids_sort_by_the_order_they_were_made_and_are_uuids():
    ids = [new_id() for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert {uuid.UUID(one).version for one in ids} == {7}
    assert {uuid.UUID(one).variant for one in ids} == {uuid.RFC_4122}


def test_the_window_is_twice_the_slots_and_moves_with_claims(ledger, submit, broker):
    alive(ledger, slots=2)
    ids = [submit().id for _ in range(10)]
    assert ledger.dispatch(broker.send) == 4
    assert ledger.dispatch(broker.send) == 0
    assert [job_id for _, job_id in broker.sent] == ids[:4]
    ledger.claim(broker.take("generate.interactive"), "w")
    assert ledger.dispatch(broker.send) == 1
    assert broker.sent[-1][1] == ids[4]


def test_interactive_goes_first_and_batch_has_its_own_window(ledger, submit, broker):
    alive(ledger, slots=1)
    for lane in ("batch", "interactive"):
        for _ in range(3):
            submit(lane=lane)
    ledger.dispatch(broker.send)
    assert [queue for queue, _ in broker.sent] == ["generate.interactive"] * 2 + ["generate.batch"] * 2


def test_tenants_take_turns_whatever_their_backlog(ledger, submit, broker):
    alive(ledger, slots=3)
    for _ in range(50):
        submit(tenant="many")
    few = {submit(tenant="few").id for _ in range(2)}
    one = submit(tenant="one").id
    ledger.dispatch(broker.send)
    first_six = [job_id for _, job_id in broker.sent]
    assert one in first_six
    assert few <= set(first_six)


def test_a_tenant_that_empties_its_line_again_and_again_does_not_jump(ledger, submit, broker):
    alive(ledger, slots=1)
    owners = {}
    for _ in range(30):
        for tenant in ("b", "c"):
            owners[submit(tenant=tenant).id] = tenant
    served = []
    for _ in range(30):
        # "a" would come first by name; it always has exactly one job in line.
        owners[submit(tenant="a").id] = "a"
        ledger.dispatch(broker.send)
        job_id = broker.take("generate.interactive")
        served.append(owners[job_id])
        ledger.claim(job_id, "w").succeed(CompletionResult())
    counts = Counter(served)
    assert max(counts.values()) - min(counts.values()) <= 2, counts


def test_a_message_that_vanished_is_sent_again_and_one_that_waits_is_not(make_ledger, a_job, client, broker):
    ledger = make_ledger(resend_after=0.0)
    alive(ledger, slots=1)
    ids = [ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id for _ in range(2)]
    assert ledger.dispatch(broker.send) == 2
    assert ledger.dispatch(broker.send) == 0, "both still lie in the broker"
    assert broker.take("generate.interactive") == ids[0]
    assert ledger.dispatch(broker.send) == 1
    assert broker.sent[-1][1] == ids[0]
    client.delete("phiq:broker:phiq.generate.interactive")
    assert ledger.dispatch(broker.send) == 2


def test_a_dispatch_whose_reply_was_lost_says_the_same_again(ledger, submit, client):
    alive(ledger, slots=2)
    for _ in range(6):
        submit()
    args = ("nonce", 5000, 0, "", "generate.interactive", 4, "phiq:broker:phiq.generate.interactive", "", "")
    first = ledger.scripts.run("dispatch", *args)
    assert len(first) == 8
    assert ledger.scripts.run("dispatch", *args) == first
    assert client.zcard("phiq:sent:generate.interactive") == 4


def test_each_reason_for_waiting_is_told(make_ledger, a_job):
    ledger = make_ledger(retry_base=60.0)

    def made(**fields):
        return ledger.submit(a_job(**fields), model="onnx:phi", capability=Capability.GENERATE).id

    def why(job_id):
        return ledger.waiting(job_id, "default")

    first, second, delayed = made(), made(), made(delay=60)
    assert why(first).reason == "no_worker"
    assert "phiq up" in why(first).message
    assert why(delayed).reason == "delayed"
    alive(ledger, slots=1, running=["x"], loading=["onnx:phi"])
    assert why(first).reason == "model_loading"
    alive(ledger, slots=1, running=["x"])
    told = why(second)
    assert (told.reason, told.position, told.ahead, told.workers) == ("slots_full", 2, 1, 1)
    assert told.oldest_age >= 0
    attempt = ledger.claim(first, "w")
    assert why(first).reason == "not_waiting"
    from workers.errors import EngineDown

    attempt.fail(EngineDown("Down."))
    assert why(first).reason == "retry"


def test_the_place_in_line_counts_other_tenants_turns(ledger, submit):
    alive(ledger, slots=1)
    for _ in range(10):
        submit(tenant="many")
    ids = [submit(tenant="few").id for _ in range(2)]
    assert [ledger.waiting(job_id, "few").ahead for job_id in ids] in ([0, 2], [1, 3])


def test_workers_come_go_and_are_forgotten(make_ledger, wait_until):
    ledger = make_ledger(worker_ttl=0.2)
    alive(ledger, "a", hosts=["onnx:phi"])
    alive(ledger, "b")
    assert [(info.name, info.hosts) for info in ledger.workers()] == [("a", ["onnx:phi"]), ("b", [])]
    ledger.leave("b")
    assert [info.name for info in ledger.workers()] == ["a"]
    wait_until(lambda: ledger.workers() == [], 5)
