"""What strangers put on the broker: replayed, reordered, forged and broken messages. None runs anything that the
ledger does not want run, and none ends a worker.
"""

from __future__ import annotations

import base64
import json
import pickle
import uuid

import pytest

from knowledge.errors import PhiqError
from workers.errors import JobNotFound
from workers.jobs import State, parse_job

pytestmark = pytest.mark.service

QUEUE = "phiq.generate.interactive"
SECRET = "what-a-customer-wrote"


def complete(text="one two three", model="fake:echo", **fields):
    return parse_job({"kind": "complete", "input": {"prompt": text}, "model": model, **fields})


def envelope(body, queue=QUEUE, task="phiq.run", kind="application/json", **changes):
    """A message as kombu puts it into a list of Redis."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    number = str(uuid.uuid4())
    message = {
        "body": base64.b64encode(raw).decode(),
        "content-encoding": "utf-8",
        "content-type": kind,
        "headers": {"lang": "py", "task": task, "id": number, "root_id": number, "argsrepr": "", "kwargsrepr": ""},
        "properties": {
            "correlation_id": number,
            "reply_to": str(uuid.uuid4()),
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    for name, value in changes.items():
        message["headers"][name] = value
    return message


def body(*args, **kwargs):
    return [list(args), kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]


def without(message, *path):
    inner = message
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return message


class Evil:
    """Unpickling this ends the process."""

    def __reduce__(self):
        import os

        return os._exit, (7,)


JOB = {"kind": "complete", "model": "fake:echo", "input": {"prompt": "x"}}
FORGED = {
    "an unknown task": envelope(body(SECRET), task="os.system"),
    "a task of Celery's own": envelope(body(), task="celery.backend_cleanup"),
    "a task's name that is none": envelope(body(), task=["phiq.run"]),
    "no task": without(envelope(body("0" * 32)), "headers", "task"),
    "no id of the task": without(envelope(body("0" * 32)), "headers", "id"),
    "no arguments": envelope(body()),
    "too many arguments": envelope(body(SECRET, "b", c="d")),
    "arguments of other types": envelope(body({SECRET: [1, None]})),
    "a number": envelope(body(17)),
    "nothing": envelope(body(None)),
    "an id that is none": envelope(body("../../etc/passwd\x00\n")),
    "an id that does not exist": envelope(body("0" * 32)),
    "a huge id": envelope(body("a" * 3_000_000)),
    "no list of arguments": envelope("phiq.run"),
    "an empty body": envelope(b""),
    "no JSON in the body": envelope(b"{"),
    "no UTF-8 in the body": envelope(b"\xff\xfe\x00"),
    "no base64 in the body": envelope(body("0" * 32)) | {"body": "%%%"},
    "a body that is no string": envelope(body("0" * 32)) | {"body": 5},
    "pickle": envelope(pickle.dumps(Evil()), kind="application/x-python-serialize"),
    "pickle called JSON": envelope(pickle.dumps(Evil())),
    "YAML": envelope(b"!!python/object/apply:os._exit [7]", kind="application/x-yaml"),
    "an unknown type": envelope(b"?", kind="application/x-nothing"),
    "an unknown encoding": envelope(body("0" * 32)) | {"content-encoding": "nothing"},
    "deep nesting": envelope(b"[" * 100_000),
    "an instant that is none": envelope(body("0" * 32), eta="yesterday"),
    "an instant far away": envelope(body("0" * 32), eta="2999-01-01T00:00:00+00:00"),
    "expired long ago": envelope(body("0" * 32), expires="1999-01-01T00:00:00+00:00"),
    "a word for an end": envelope(body("0" * 32), expires="soon"),
    "tried a thousand times": envelope(body("0" * 32), retries=1000, ignore_result="?", group=5, parent_id=[]),
    "limits of time": envelope(body("0" * 32), timelimit=[0.001, 0.001]),
    "a group and a chord": envelope([["0" * 32], {}, {"chord": {"task": "x"}, "chain": [{"task": "y"}]}], group="g"),
    "headers that are none": envelope(body("0" * 32)) | {"headers": None},
    "no headers": without(envelope(body("0" * 32)), "headers"),
    "no properties": without(envelope(body("0" * 32)), "properties"),
    "no delivery tag": without(envelope(body("0" * 32)), "properties", "delivery_tag"),
    "no delivery info": without(envelope(body("0" * 32)), "properties", "delivery_info"),
    "a list": [1, 2, 3],
    "null": None,
}
RAW = {
    "no JSON": SECRET.encode(),
    "no UTF-8": b"\xff\xfe\x00\x01",
    "nothing": b"",
    "a number": b"17",
    "deep nesting": b"[" * 100_000,
    "pickle": pickle.dumps(Evil()),
    "a megabyte": b"x" * 1_000_000,
}


JOBS = {
    "no job": None,
    "a list": [],
    "a number": 5,
    "no JSON": "{",
    "deep nesting": "[" * 100_000,
    "no kind": {"input": {"prompt": SECRET}},
    "an unknown kind": JOB | {"kind": "os.system"},
    "a kind of another type": JOB | {"kind": ["complete"]},
    "a field too many": JOB | {"__class__": "x"},
    "a field whose name is half a character": JOB | {"\ud800": "x"},
    "an input of another kind": JOB | {"input": {"texts": [SECRET]}},
    "half a character": JOB | {"input": {"prompt": f"{SECRET} \ud800"}},
    "half a character in a key": JOB | {"metadata": {"\udfff": "x"}},
    "half a character in a value": JOB | {"metadata": {"x": "\udfff"}},
    "half a character in the idempotency key": JOB | {"idempotency_key": "\ud800"},
    "too large": JOB | {"input": {"prompt": SECRET * 20_000}},
    "an endless delay": JOB | {"delay": 1e308},
    "a delay that is no number": f'{json.dumps(JOB)[:-1]}, "delay": NaN}}',
    "a deadline without end": f'{json.dumps(JOB)[:-1]}, "deadline": Infinity}}',
    "a number without end": f'{json.dumps(JOB)[:-1]}, "max_attempts": {"9" * 5000}}}',
    "a tenant that is a key": JOB | {"tenant": "a:b"},
    "a tenant that is a path": JOB | {"tenant": "../default"},
    "an engine that is none": JOB | {"model": "nonsense:x"},
    "an engine that sends words away": JOB | {"model": "openai:gpt"},
}
GONE = {"name": "x.png", "size": 1}
LATER = {
    "an engine that is a path": (JOB | {"model": "onnx:../../../etc"}, "model_not_found"),
    "an attachment that is a path": (
        {"kind": "describe", "input": {"images": [GONE | {"ref": "/etc/passwd"}]}},
        "content_missing",
    ),
    "an attachment that is not there": (
        {"kind": "describe", "input": {"images": [GONE | {"ref": f"sha256:{'0' * 64}"}]}},
        "content_missing",
    ),
}
"""What only a worker can know."""
CODES = {"job_invalid", "job_too_large", "engine_unknown", "engine_refused"}


@pytest.fixture
def put(service):
    """Puts a message, or plain bytes, where the broker keeps those of a queue."""
    client = service.ledger.scripts.client

    def push(message, queue=QUEUE):
        raw = message if isinstance(message, bytes) else json.dumps(message).encode()
        client.lpush(f"phiq:broker:{queue}", raw)

    return push


@pytest.fixture
def still_works(service, worker, wait_until):
    """Waits until the worker has taken all there was; then it must be the same process, and run a job."""
    client = service.ledger.scripts.client
    process = worker.process.pid

    def check():
        for queue in (QUEUE, "phiq.submit", "phiq.worker.w1"):
            lies = f"phiq:broker:{queue}"
            wait_until(lambda lies=lies: worker.lives() and not client.llen(lies), 20, f"{queue} read")
        record = service.wait(service.submit(complete()).id, 20)
        assert worker.lives()
        assert record.state is State.SUCCEEDED, worker.log[-5000:]
        (info,) = service.workers()
        assert info.pid == process

    return check


def test_no_message_ends_a_worker(service, worker, put, still_works, wait_until):
    for queue in (QUEUE, "phiq.worker.w1"):
        for message in (*FORGED.values(), *RAW.values()):
            put(message, queue)
    still_works()
    for message in (*FORGED.values(), *RAW.values()):
        put(message, "phiq.submit")
    still_works()
    # Nothing is kept for a successor to stumble over either, nothing became a job, nothing is in the log.
    client = service.ledger.scripts.client
    wait_until(lambda: not client.exists("phiq:broker:unacked"), 20, "nothing is left unacknowledged")
    assert len(service.list()) == 2
    assert SECRET not in worker.log
    assert "there is no task 'os.system'" in worker.log
    assert "Traceback" not in worker.log


def test_replayed_and_reordered_messages_run_nothing_twice(service, worker, put, still_works):
    ids = [service.submit(complete(model="fake:words?count=5&rate=50", tenant=tenant)).id for tenant in "abc" * 2]
    for _ in range(5):
        for job_id in (*reversed(ids), *ids):
            put(envelope(body(job_id)))
            put(envelope(body(job_id), queue="phiq.core.batch"), "phiq.core.batch")
    for job_id, tenant in zip(ids, "abc" * 2, strict=True):
        record = service.wait(job_id, 30, tenant)
        assert record.state is State.SUCCEEDED, worker.log[-5000:]
        assert [one.outcome for one in record.attempts] == ["succeeded"]
    still_works()
    for job_id, tenant in zip(ids, "abc" * 2, strict=True):
        assert len(service.get(job_id, tenant).attempts) == 1


def test_hostile_jobs_are_refused_and_end_nothing(service, worker, put, still_works):
    kept = service.submit(complete(delay=600, tenant="other"))
    for name, job in JOBS.items():
        put(envelope(body(job), task="phiq.submit", queue="phiq.submit"), "phiq.submit")
        if isinstance(job, dict | list):
            put(envelope(body(json.dumps(job)), task="phiq.submit", queue="phiq.submit"), "phiq.submit")
        with pytest.raises(PhiqError) as caught:
            service.submit(parse_job(job))
        assert caught.value.code in CODES, name
        assert caught.value.hint, name
    for name, (job, code) in LATER.items():
        record = service.wait(service.submit(parse_job(job)).id, 20)
        assert (record.state, record.error["code"]) == (State.FAILED, code), name
    # The id of a task is the job's: one that is another tenant's job, or no id, does no harm.
    for number in (kept.id, str(uuid.UUID(kept.id)), "x" * 10_000, "", "../x"):
        put(envelope(body(JOB), task="phiq.submit", queue="phiq.submit", id=number), "phiq.submit")
    still_works()
    assert service.get(kept.id, "other").job["input"] == {"prompt": "one two three"}
    with pytest.raises(JobNotFound):
        service.get(kept.id)
    assert SECRET not in worker.log
    assert "Traceback" not in worker.log
