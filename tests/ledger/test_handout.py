"""Messages that the ledger's own steps put on the broker: within the window, in turn, once, and as kombu reads them."""

from __future__ import annotations

import json

import pytest

from agents.contract import CompletionResult
from workers.jobs import Capability, Lane
from workers.ledger import WorkerInfo

pytestmark = pytest.mark.service

INTERACTIVE = "phiq:broker:phiq.generate.interactive"
BATCH = "phiq:broker:phiq.generate.batch"


@pytest.fixture
def look(ledger):
    """A worker's look around: it says that it lives, and leaves the plan by which the other steps hand out."""

    def again(slots=2, **fields):
        ledger.heartbeat(WorkerInfo(name="w", serves=[Capability.GENERATE], slots=slots, **fields))
        return ledger.dispatch()

    return again


@pytest.fixture
def listed(client):
    """The ids in a list of the broker, in the order in which workers read them."""
    return lambda key=INTERACTIVE: [json.loads(one)["headers"]["id"] for one in client.lrange(key, 0, -1)][::-1]


def claimed(ledger, client, key=INTERACTIVE):
    """Read a message as a worker does, and claim its job."""
    return ledger.claim(json.loads(client.rpop(key))["headers"]["id"], "w")


def test_a_job_is_on_the_broker_when_its_submitter_has_the_answer(look, submit, listed, client):
    look(slots=2)
    ids = [submit().id for _ in range(6)]
    assert listed() == ids[:4], "twice the slots, and no more"
    assert client.zcard("phiq:waiting:generate.interactive:default") == 2


def test_a_claim_makes_room_for_the_next(ledger, look, submit, listed, client):
    look(slots=1)
    ids = [submit().id for _ in range(4)]
    assert listed() == ids[:2]
    assert claimed(ledger, client) is not None
    assert listed() == ids[1:3]


def test_nothing_is_handed_out_where_nobody_has_looked_lately(look, submit, listed, client):
    channel = client.pubsub(ignore_subscribe_messages=True)
    channel.subscribe("phiq:signals")
    submit()
    assert listed() == []
    while (message := channel.get_message(timeout=10)) is None:
        pass
    assert message["data"] == "dispatch", "workers are told instead"
    channel.close()
    assert look() == 1
    client.delete("phiq:plan")
    submit()
    assert len(listed()) == 1
    assert 0 < client.pttl("phiq:plan") <= 10_000 or look() == 1


def test_tenants_keep_their_turns(look, submit, listed, client, ledger):
    look(slots=1)
    mine = [submit(tenant="a").id for _ in range(5)]
    other = submit(tenant="b").id
    assert listed() == mine[:2]
    claimed(ledger, client)
    claimed(ledger, client)
    assert other in listed(), "the one job of a tenant does not wait for the backlog of another"


def test_a_batch_job_that_ends_makes_room_for_the_next(ledger, look, submit, listed, client):
    look(slots=2)  # one of which batch jobs leave free
    ids = [submit(lane=Lane.BATCH).id for _ in range(3)]
    assert listed(BATCH) == ids[:1]
    attempt = claimed(ledger, client, BATCH)
    assert listed(BATCH) == []
    attempt.succeed(CompletionResult(text=""))
    assert listed(BATCH) == ids[1:2]


def test_paused_queues_and_tenants_get_nothing_until_they_are_resumed(ledger, look, submit, listed):
    look()
    ledger.pause(tenant="a")
    submit(tenant="a")
    ledger.pause(queue="generate.interactive")
    submit(tenant="b")
    assert listed() == []
    ledger.resume(queue="generate.interactive", tenant="a")
    assert look() == 2


def test_a_limit_of_running_jobs_holds_and_workers_are_told_when_one_ends(make_ledger, a_job, client):
    ledger = make_ledger(tenant_running=1)
    ledger.heartbeat(WorkerInfo(name="w", serves=[Capability.GENERATE], slots=4))
    ledger.dispatch()
    for _ in range(2):
        ledger.submit(a_job(), model="fake:echo", capability=Capability.GENERATE)
    assert client.llen(INTERACTIVE) == 1
    attempt = claimed(ledger, client)
    assert client.llen(INTERACTIVE) == 0
    channel = client.pubsub(ignore_subscribe_messages=True)
    channel.subscribe("phiq:signals")
    channel.get_message(timeout=1)
    attempt.succeed(CompletionResult(text=""))
    while (message := channel.get_message(timeout=10)) is None:
        pass
    assert message["data"] == "dispatch"
    channel.close()
    assert ledger.dispatch() == 1


def test_asking_again_sends_nothing_twice(ledger, look, a_job, listed):
    look()
    job = a_job(idempotency_key="k")
    first = ledger.submit(job, model="fake:echo", capability=Capability.GENERATE)
    again = ledger.submit(job, model="fake:echo", capability=Capability.GENERATE)
    assert first.id == again.id
    assert listed() == [first.id]


def test_a_lost_message_is_sent_again(make_ledger, a_job, client):
    ledger = make_ledger(resend_after=0.001)
    ledger.heartbeat(WorkerInfo(name="w", serves=[Capability.GENERATE], slots=4))
    ledger.dispatch()
    job = ledger.submit(a_job(), model="fake:echo", capability=Capability.GENERATE)
    tags = {json.loads(client.rpop(INTERACTIVE))["properties"]["delivery_tag"]}
    assert ledger.dispatch() == 1
    message = json.loads(client.rpop(INTERACTIVE))
    assert message["headers"]["id"] == job.id
    assert message["properties"]["delivery_tag"] not in tags


def test_the_answer_to_a_submission_is_the_record_as_it_is(ledger, a_job):
    for job in (a_job(), a_job(delay=60.0, expires_in=90.0, deadline=100.0, metadata={"a": "b"}, subject="s")):
        record = ledger.submit(job, model="fake:echo", capability=Capability.GENERATE)
        assert record == ledger.get(record.id, "default")


def test_a_message_is_read_as_one_that_celery_sends(look, submit, redis_url):
    """Kombu's own form is what a worker must understand; ours may lack what nobody reads."""
    from celery import Celery
    from kombu import Connection

    look()
    job = submit()
    options = {"global_keyprefix": "phiq:broker:"}
    with Celery("other", broker=redis_url, set_as_current=False) as app:
        app.conf.broker_transport_options = options
        app.send_task("phiq.run", args=[job.id], queue="phiq.generate.interactive", task_id=job.id)
    with (
        # Kombu's own transport, whichever a test before this one has put in its place for workers.
        Connection(redis_url, transport="kombu.transport.redis:Transport", transport_options=options) as connection,
        connection.SimpleQueue("phiq.generate.interactive") as queue,
    ):
        ours, theirs = (queue.get(timeout=10) for _ in range(2))
        assert ours.properties["delivery_tag"] != theirs.properties["delivery_tag"]
        for read in (lambda m: m.payload[:2], lambda m: m.content_type, lambda m: m.delivery_info["routing_key"]):
            assert read(ours) == read(theirs)
        assert ours.headers.items() <= theirs.headers.items()
        assert ours.payload[0] == [job.id]
        ours.ack()
        theirs.ack()


def test_many_tenants_at_their_limits_make_no_step_slow_and_the_next_look_passes_them_all(make_ledger, a_job, client):
    ledger = make_ledger()
    ledger.heartbeat(WorkerInfo(name="w", serves=[Capability.GENERATE], slots=4))
    ledger.dispatch()
    for number in range(40):
        ledger.pause(tenant=f"t{number:02}")
        ledger.submit(a_job(tenant=f"t{number:02}"), model="fake:echo", capability=Capability.GENERATE)
    client.config_resetstat()
    ledger.submit(a_job(tenant="z"), model="fake:echo", capability=Capability.GENERATE)
    asked = sum(one["calls"] for one in client.info("commandstats").values())
    assert asked < 100
    assert ledger.dispatch() + client.llen(INTERACTIVE) >= 1
    assert client.llen(INTERACTIVE) == 1
