"""Ids that a client may not use, or that mean nothing: other tenants' jobs at every door, events that are gone, not
there yet, or another job's. Each gets a clear answer.
"""

from __future__ import annotations

import inspect
import threading
import time

import pytest
from proofs_servers import grow_older

from agents.contract import CompletionResult
from knowledge.errors import PhiqError
from workers.errors import JobInvalid, JobNotFound
from workers.jobs import State, parse_job
from workers.ledger import Ledger
from workers.service import Service

pytestmark = pytest.mark.service

NO_IDS = [
    "",
    "0" * 31,
    "0" * 33,
    "G" * 32,
    "A" * 32,
    "*",
    "../x",
    "a:b",
    "\x00" * 32,
    "ü" * 32,
    "0" * 32 + "\n",
    "x" * 100_000,
]


def complete(text="one two three", **fields):
    return parse_job({"kind": "complete", "input": {"prompt": text}, "model": "fake:echo", **fields})


def doors(thing):
    """Every public method that takes a job's id and a tenant, so that one added later is tried as well."""
    found = {}
    for name, method in inspect.getmembers(thing, inspect.ismethod):
        parameters = inspect.signature(method).parameters
        if not name.startswith("_") and {"job_id", "tenant"} <= parameters.keys():
            found[name] = method
    return found


def ask(door, job_id, tenant):
    """What a door answers: lists and streams are read to their end."""
    others = {"follow": False, "ref": "0" * 64}
    more = {name: value for name, value in others.items() if name in inspect.signature(door).parameters}
    answer = door(job_id=job_id, tenant=tenant, **more)
    return list(answer) if inspect.isgenerator(answer) else answer


@pytest.fixture(params=["running", "delayed", "ended", "dead"])
def theirs(request, service):
    """Another tenant's job, in one of its states."""
    ledger = service.ledger
    record = service.submit(complete(tenant="theirs", delay=60 if request.param == "delayed" else 0, max_attempts=1))
    if request.param != "delayed":
        attempt = ledger.claim(record.id, "w")
        attempt.delta("secret")
        if request.param == "ended":
            attempt.succeed(CompletionResult(text="secret"))
        elif request.param == "dead":
            from workers.errors import EngineDown

            attempt.fail(EngineDown("Down."))
    return record.id


def test_every_door_is_known():
    """The methods with an id in front: if this fails, a new one takes an id but no tenant."""
    for kind, without in ((Service, {"submit"}), (Ledger, {"submit", "claim", "unreserve"})):
        for name, method in inspect.getmembers(kind, inspect.isfunction):
            parameters = inspect.signature(method).parameters
            if "job_id" in parameters and not name.startswith("_") and name not in without:
                assert "tenant" in parameters, f"{kind.__name__}.{name} lets anybody in"


def test_another_tenants_job_is_not_there(service, theirs):
    client = service.ledger.scripts.client
    before = client.hgetall(f"phiq:job:{theirs}")
    for thing in (service, service.ledger):
        for name, door in doors(thing).items():
            for tenant in ("mine", "", "thei", "theirs ", "theirs:x", "*"):
                if name == "forget":
                    assert ask(door, theirs, tenant) is False
                    continue
                with pytest.raises(JobNotFound) as caught:
                    ask(door, theirs, tenant)
                assert caught.value.hint
    assert client.hgetall(f"phiq:job:{theirs}") == before
    assert ask(service.get, theirs, "theirs").id == theirs
    assert service.list(tenant="mine") == []
    with pytest.raises(JobNotFound):
        service.list(tenant="mine", before=theirs)


@pytest.mark.parametrize("job_id", NO_IDS, ids=range(len(NO_IDS)))
def test_what_is_no_id_is_not_there(service, job_id):
    before = service.ledger.scripts.client.keys("*")
    for thing in (service, service.ledger):
        for name, door in doors(thing).items():
            if name == "forget":
                assert ask(door, job_id, "mine") is False
                continue
            with pytest.raises(JobNotFound) as caught:
                ask(door, job_id, "mine")
            assert len(caught.value.message) < 200, "a long id is not repeated"
    assert service.ledger.claim(job_id, "w") is None
    with pytest.raises(JobInvalid):
        service.submit(complete(), job_id=job_id)
    assert service.ledger.scripts.client.keys("*") == before


@pytest.fixture
def streamed(service):
    """A running job with some text: (id, its events so far, its attempt)."""
    job_id = service.submit(complete()).id
    attempt = service.ledger.claim(job_id, "w")
    for word in ("one ", "two ", "three "):
        attempt.delta(word)
        time.sleep(service.ledger.config.flush)
    attempt.renew()
    attempt.delta("")
    return job_id, list(service.events(job_id, follow=False)), attempt


@pytest.mark.parametrize(
    "after",
    [
        "",
        "x",
        "1",
        "-1-1",
        "1-1-1",
        "0-0 ",
        "+",
        "$",
        ">",
        "9" * 20 + "-0",
        "1-1\n",
        "\u0661-\u0661",
        "\x00",
        "0-0" * 50_000,
    ],
)
def test_what_is_no_id_of_an_event_is_refused(service, streamed, after):
    with pytest.raises(JobInvalid) as caught:
        list(service.events(streamed[0], after=after, follow=False))
    assert "0-0" in caught.value.hint
    assert len(caught.value.message) < 200


def test_an_id_that_is_not_in_the_stream_gives_the_whole_text(service, streamed):
    """In the future, before the first, between two, or of another job: the reader can't know what it has seen."""
    job_id, events, _ = streamed
    text = "".join(event.text for event in events)
    assert text
    other = service.submit(complete("another")).id
    (foreign,) = (event.id for event in service.events(other, follow=False))
    ms, _, number = events[-1].id.partition("-")
    for after in ("999999999999999-0", "1-1", f"{int(ms) - 1}-77", f"{ms}-{int(number) + 1}", foreign):
        answer = list(service.events(job_id, after=after, follow=False))
        assert [(event.type, event.text, event.state) for event in answer] == [("snapshot", text, State.RUNNING)]
        assert list(service.events(job_id, after=answer[-1].id, follow=False)) == [], "and it can go on from there"


def test_a_reader_that_follows_from_the_future_misses_nothing(service, streamed):
    job_id, _, attempt = streamed
    found = []
    thread = threading.Thread(
        target=lambda: found.extend(service.events(job_id, after="999999999999999-0", timeout=20))
    )
    thread.start()
    attempt.delta("four")
    attempt.succeed(CompletionResult(text="one two three four"))
    thread.join(20)
    assert "".join(event.text for event in found) == "one two three four"
    assert found[-1].type == "end"


def test_a_job_that_has_expired_is_not_there_by_any_of_its_ids(service, streamed):
    job_id, events, attempt = streamed
    attempt.succeed(CompletionResult(text="x"))
    grow_older(service.ledger.scripts.client, service.settings.result_ttl + 1)
    for after in ("0-0", events[-1].id):
        with pytest.raises(JobNotFound) as caught:
            list(service.events(job_id, after=after, timeout=5))
        assert "expired" in caught.value.message
    for thing in (service, service.ledger):
        for name, door in doors(thing).items():
            if name != "forget":
                with pytest.raises(PhiqError):
                    ask(door, job_id, "default")
    assert service.list() == []
