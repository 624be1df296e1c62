"""Whatever dies, each line is in the output once; and whoever lost its lease writes nothing."""

from __future__ import annotations

import json
import secrets
import threading
from collections import Counter

import pytest

from workers.access.key import KeySpec
from workers.batches import scripts
from workers.batches.drive import Held, Lost, drive
from workers.batches.driver import Driver
from workers.batches.tell import tell_all
from workers.ledger.refs import marked
from workers.webhooks.records import EndpointNew


def line(name: str, text: str = "one two", model: str = "fake:echo", **fields: object) -> dict[str, object]:
    return {"custom_id": name, "job": {"kind": "complete", "input": {"prompt": text}, "model": model, **fields}}


@pytest.fixture
def begin(service, jsonl):
    def start(*lines: object, **fields: object):
        file = service.batches.files.put(jsonl(*lines), "in.jsonl", "default")
        return service.batches.create("default", file.id, **fields)

    return start


@pytest.fixture
def driver(service):
    """A driver in a thread of this process: enough for lines that become no job."""
    stop = threading.Event()
    thread = threading.Thread(target=Driver(service).run, args=(stop,))
    thread.start()
    yield
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


def held_by(service, batch) -> Held:
    token = secrets.token_hex(8)
    assert service.batches.run(scripts.LEASE, batch.id, token, 60_000)
    return Held(service, batch, token)


def test_a_killed_worker_leaves_each_line_once_in_the_output(
    service, begin, launch, ended, written, tmp_path, wait_until
):
    witness = tmp_path / "ran.witness"
    first = launch("first")
    batch = begin(*(line(f"n{at}", f"n{at} words", f"fake:echo?ttft=0.02&witness={witness}") for at in range(220)))
    wait_until(lambda: service.batches.get(batch.id, "default").completed >= 60, 60)
    first.kill()
    launch("second")
    batch = ended(batch, 90)
    assert (batch.state, batch.completed, batch.failed) == ("completed", 220, 0)
    out = written(batch.output_file)
    assert [one["custom_id"] for one in out] == [f"n{at}" for at in range(220)]
    assert all(one["result"]["text"] == f"{one['custom_id']} words" for one in out)
    ran = Counter(told.split("\t")[0] for told in witness.read_text().splitlines())
    assert len(ran) == 220
    assert sum(ran.values()) <= 220 + 4, "more ran twice than were running"
    assert service.list(limit=5) == []


def test_who_lost_the_lease_writes_nothing_and_the_next_one_goes_on(service, begin, written):
    batch = begin(*(line(f"n{at}", "") for at in range(250)))
    mine = held_by(service, batch)
    steps = drive(mine)
    while not mine.table("parts"):
        next(steps)
    service.ledger.scripts.client.delete(service.batches.key("lease", batch.id))
    theirs = held_by(service, service.batches.get(batch.id, "default"))
    before = service.batches.get(batch.id, "default")
    with pytest.raises(Lost):
        for _ in steps:
            pass
    assert service.batches.get(batch.id, "default") == before
    for _ in drive(theirs):
        pass
    after = service.batches.get(batch.id, "default")
    assert (after.state, after.failed) == ("completed", 250)
    assert [one["custom_id"] for one in written(after.error_file)] == [f"n{at}" for at in range(250)]


def test_the_jobs_of_a_chunk_that_was_written_are_forgotten_by_whoever_goes_on(service, begin):
    batch = begin(line("a", "one two three"))
    mine = held_by(service, batch)
    steps = drive(mine)
    while not service.list(limit=1):
        next(steps)
    job = service.list(limit=1)[0]
    attempt = service.ledger.claim(job.id, "nobody")
    service.cancel(job.id)
    attempt.cancelled()
    place = json.dumps({"output": "", "errors": service.batches.files.store.put(b"{}\n", "part").ref})
    mine.run(scripts.PART, 0, place, 0, 1, 0, 0, 0, 0, 0)
    for _ in drive(mine):
        pass
    assert service.batches.get(batch.id, "default").state == "completed"
    assert service.list(limit=1) == []


def test_the_sweep_leaves_what_a_batch_reads_and_has_written(service, begin):
    picture = service.attach(("a.png", b"not really a picture"))
    service.uploads.note(service.settings.tenant, picture.ref)
    job = {"kind": "describe", "model": "fake:echo", "input": {"images": [picture.model_dump()]}}
    batch = begin({"custom_id": "see", "job": job}, *(line(f"n{at}", "") for at in range(150)))
    mine = held_by(service, batch)
    steps = drive(mine)
    while not mine.table("parts"):
        next(steps)
    part = json.loads(mine.table("parts")[1])["errors"]
    file = service.batches.files.get(batch.input_file, "default")
    used = marked(service.ledger.scripts, service.ledger.payloads)
    assert {picture.ref, part, file.ref} <= used
    service.batches.forget(batch.id, "default")
    service.batches.files.delete(file.id, "default")
    for job in service.list(limit=10):
        service.ledger.forget(job.id, "default")
    assert not {picture.ref, part, file.ref} & marked(service.ledger.scripts, service.ledger.payloads)


def test_webhooks_are_told_of_the_end_once_and_jobs_carry_the_key(service, begin, driver, ended):
    service.webhooks.add("default", EndpointNew(name="all", url="http://127.0.0.1:9/hook", events=["batch.*"]))
    service.webhooks.add("default", EndpointNew(name="mine", url="http://127.0.0.1:9/hook", events=["batch.failed"]))
    batch = ended(begin(line("a", ""), webhook="mine", origin="schedule/nightly/1"))
    service.ledger.scripts.client.sadd(service.batches.key("untold"), batch.id)
    while service.ledger.scripts.client.scard(service.batches.key("untold")):
        tell_all(service.batches)
    failed = ended(begin(b"no json", webhook="mine"))
    while service.ledger.scripts.client.scard(service.batches.key("untold")):
        tell_all(service.batches)
    ours = (batch.id, failed.id)
    told = [(one.type, one.endpoint) for one in service.webhooks.deliveries("default") if one.data["id"] in ours]
    assert sorted(told) == [("batch.completed", "all"), ("batch.failed", "all"), ("batch.failed", "mine")]
    assert failed.state == "failed"


def test_jobs_carry_the_key_that_started_the_batch_and_its_model(service, begin):
    key, _ = service.access.create(KeySpec())
    named, unnamed = line("named"), line("unnamed")
    del unnamed["job"]["model"]
    batch = begin(named, unnamed, key=key.id, model="fake:words")
    steps = drive(held_by(service, batch))
    while len(service.list(limit=10)) < 2:
        next(steps)
    jobs = {service.get(job.id).job["origin"]: job for job in service.list(limit=10)}
    assert [job.key for job in jobs.values()] == [key.id] * 2
    models = {origin.removeprefix(f"batch/{batch.id}/"): job.model for origin, job in jobs.items()}
    assert models == {"1": "fake:echo", "2": "fake:words"}
    service.batches.cancel(batch.id, "default")
    for _ in steps:
        pass
    assert service.batches.get(batch.id, "default").state == "cancelled"
