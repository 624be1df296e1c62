"""Jobs sent with Celery are written down at once, whatever the slots do."""

from __future__ import annotations

import base64
import json

import pytest
import redis
from celery import Celery

from workers.errors import JobNotFound
from workers.jobs import State

pytestmark = pytest.mark.service

JOB = {"kind": "complete", "model": "fake:echo", "input": {"prompt": "from Celery"}}


@pytest.fixture
def theirs(service):
    """The application of somebody who has Celery and nothing of ours."""
    app = Celery(broker=service.settings.redis_url.get_secret_value(), set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": "phiq:broker:"}
    yield app
    app.close()


@pytest.fixture
def found(service):
    def find(task):
        try:
            return service.get(task.id.replace("-", ""))
        except JobNotFound:
            return None

    return find


def test_while_every_slot_is_busy_a_job_has_its_record_and_can_be_cancelled(
    service, start_worker, complete, streaming, theirs, found, wait_until
):
    start_worker(slots=1)
    busy = streaming(complete(model="fake:words?count=100000&rate=20"))
    sent = theirs.send_task("phiq.submit", args=[JOB], queue="phiq.submit")
    record = wait_until(lambda: found(sent), 10, "written down")
    assert record.state is State.QUEUED
    assert service.waiting(record.id).reason == "slots_full"
    assert service.cancel(record.id).state is State.CANCELLED
    assert service.get(busy).state is State.RUNNING


def test_both_forms_of_celerys_messages_are_taken_and_strange_ones_dropped(
    service, start_worker, theirs, found, wait_until, redis_url
):
    worker = start_worker()
    theirs.send_task("phiq.run", args=["x"], queue="phiq.submit")
    theirs.send_task("phiq.submit", args=[JOB], queue="phiq.submit", serializer="yaml")
    theirs.send_task("phiq.submit", queue="phiq.submit")
    envelope = {
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "t",
            "delivery_info": {"exchange": "", "routing_key": "phiq.submit"},
        },
    }
    with redis.Redis.from_url(redis_url) as client:
        for number, body in enumerate((b"[1, 2]", b"\xff", b"{}", b"null")):
            properties = envelope["properties"] | {"delivery_tag": f"t{number}"}
            message = envelope | {"body": base64.b64encode(body).decode(), "properties": properties}
            client.lpush("phiq:broker:phiq.submit", json.dumps(message))
    theirs.conf.task_protocol = 1
    old = theirs.send_task("phiq.submit", kwargs={"job": JOB}, queue="phiq.submit")
    theirs.conf.task_protocol = 2
    new = theirs.send_task("phiq.submit", kwargs={"job": json.dumps(JOB)}, queue="phiq.submit")
    for sent in (old, new):
        wait_until(lambda sent=sent: found(sent), 15, "written down")
        assert service.wait(sent.id.replace("-", ""), 15).state is State.SUCCEEDED, worker.log.read_text()
    assert len(service.list()) == 2
    assert worker.process.poll() is None
    with redis.Redis.from_url(redis_url) as client:
        wait_until(lambda: not client.exists("phiq:broker:phiq.submit", "phiq:broker:unacked"), 10, "nothing left")
    assert "from Celery" not in worker.log.read_text()
