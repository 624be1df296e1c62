"""Large jobs and results lie in the content store, their records say so, and what goes wrong there stays theirs."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from agents.contract import CompletionResult
from workers.content import ContentStore
from workers.errors import ContentMissing, ContentUnavailable, StorageFull
from workers.jobs import Capability, JobRecord, State, parse_job
from workers.keeping_lock import KeepingBusy, keeping_lock
from workers.ledger import Ledger, LedgerConfig
from workers.payloads import Payloads
from workers.sweep import sweep

LARGE = "a long story " * 500


@pytest.fixture
def content(tmp_path: Path) -> ContentStore:
    return ContentStore(str(tmp_path / "content"), max_bytes=100_000)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    made = redis.Redis.from_url(redis_url, decode_responses=True)
    yield made
    made.close()


@pytest.fixture
def ledger(client: redis.Redis, content: ContentStore) -> Ledger:
    return Ledger(client, LedgerConfig(result_ttl=1000.0), Payloads(lambda: content, 1000))


@pytest.fixture
def submit(ledger: Ledger) -> Callable[..., JobRecord]:
    def make(text: str = LARGE, **fields: Any) -> JobRecord:
        job = parse_job({"kind": "complete", "input": {"prompt": text}, **fields})
        return ledger.submit(job, model="fake:echo", capability=Capability.GENERATE)

    return make


def _run(ledger: Ledger, job_id: str, text: str) -> State:
    attempt = ledger.claim(job_id, "w1")
    assert attempt is not None
    return attempt.succeed(CompletionResult(text=text))


def _age(content: ContentStore) -> None:
    assert content.folder is not None
    for path in content.folder.rglob("*"):
        if path.is_file():
            os.utime(path, (1, 1))


def test_a_large_job_and_result_leave_only_references_in_redis(
    ledger: Ledger, client: redis.Redis, submit: Callable[..., JobRecord]
) -> None:
    record = submit()
    assert record.version == 2
    assert record.job["input"]["prompt"] == LARGE
    attempt = ledger.claim(record.id, "w1")
    assert attempt is not None
    assert attempt.job.input.prompt == LARGE  # type: ignore[union-attr]
    assert attempt.succeed(CompletionResult(text=LARGE[::-1])) is State.SUCCEEDED
    done = ledger.get(record.id, "default")
    assert done.parsed_result() == CompletionResult(text=LARGE[::-1])
    size: Any = client.memory_usage(f"phiq:job:{record.id}")
    assert size < 2500, "the payload is in Redis"


def test_small_ones_stay_where_they_were(
    ledger: Ledger, submit: Callable[..., JobRecord], content: ContentStore
) -> None:
    record = submit("short")
    assert record.version == 1
    _run(ledger, record.id, "short too")
    assert ledger.get(record.id, "default").result is not None
    assert list(content.stored()) == []


def test_the_same_large_request_is_the_same_job(submit: Callable[..., JobRecord]) -> None:
    assert submit(idempotency_key="k").id == submit(idempotency_key="k").id


def test_a_full_store_accepts_nothing(
    ledger: Ledger, client: redis.Redis, submit: Callable[..., JobRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("workers.content.os.fsync", full)
    with pytest.raises(StorageFull):
        submit()
    assert ledger.list("default") == []
    small = submit("short")
    assert _run(ledger, small.id, LARGE) is State.DELAYED, "a result without room is tried again"
    assert ledger.get(small.id, "default").attempts[0].error["code"] == "storage_full"  # type: ignore[index]


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_a_job_that_cannot_be_read_fails_alone(
    ledger: Ledger, submit: Callable[..., JobRecord], content: ContentStore, harm: str
) -> None:
    ill, well = submit(), submit("another " * 500)
    path = Path(content._path(json.loads(json.dumps(_ref(ledger, ill.id, "job_ref"))).removeprefix("sha256:")))
    path.unlink() if harm == "gone" else path.write_bytes(b"rot")
    assert ledger.claim(ill.id, "w1") is None
    record = ledger.get(ill.id, "default")
    assert record.state is State.FAILED
    assert record.error is not None
    assert record.error["code"] == "content_missing"
    assert _run(ledger, well.id, "fine") is State.SUCCEEDED


def test_a_store_that_is_away_for_a_moment_costs_no_job(
    ledger: Ledger, submit: Callable[..., JobRecord], content: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = submit()

    def away(_: str) -> bytes:
        raise ContentUnavailable("The content store can't be used.")

    with monkeypatch.context() as patch:
        patch.setattr(content, "get", away)
        assert ledger.claim(record.id, "w1") is None
        assert ledger.get(record.id, "default").missing is not None
    assert ledger.get(record.id, "default").state is State.DELAYED


def test_a_result_that_is_gone_is_an_error_when_it_is_asked_for(
    ledger: Ledger, submit: Callable[..., JobRecord], content: ContentStore
) -> None:
    record = submit("short")
    _run(ledger, record.id, LARGE)
    content.delete(_ref(ledger, record.id, "result_ref"))
    found = ledger.get(record.id, "default")
    assert found.state is State.SUCCEEDED
    with pytest.raises(ContentMissing):
        found.parsed_result()


def test_the_sweep_leaves_what_a_record_refers_to(
    ledger: Ledger, submit: Callable[..., JobRecord], content: ContentStore, client: redis.Redis
) -> None:
    """Waiting, delayed, running, finished and dead jobs keep what they need; a job that is gone keeps nothing."""
    kept = {_ref(ledger, submit(f"{state} " + LARGE, **fields).id, "job_ref") for state, fields in _STATES.items()}
    running = submit("running " + LARGE, lane="batch")
    assert ledger.claim(running.id, "w1") is not None
    dead = submit("dead " + LARGE, max_attempts=1)
    attempt = ledger.claim(dead.id, "w1")
    assert attempt is not None
    assert attempt.fail(ContentUnavailable("no luck")) is State.DEAD
    kept |= {_ref(ledger, job.id, "job_ref") for job in (running, dead)}
    picture = content.put(b"picture", "p.png")
    image = {"ref": picture.ref, "name": "p.png", "size": 7}
    small = parse_job({"kind": "describe", "input": {"images": [image]}})
    ledger.submit(small, model="extractive", capability=Capability.CORE)
    paper = content.put(b"paper", "p.md")
    files = [{"ref": paper.ref, "name": "p.md", "size": 5, "source": f"/papers/{number}.md"} for number in range(20)]
    large = parse_job({"kind": "ingest", "input": {"files": files}})
    job_ref = _ref(ledger, ledger.submit(large, model="extractive", capability=Capability.CORE).id, "job_ref")
    gone = submit("gone " + LARGE)
    gone_ref = _ref(ledger, gone.id, "job_ref")
    client.delete(f"phiq:job:{gone.id}")
    never = content.put(b"attached, never submitted", "n")
    _age(content)
    fresh = content.put(b"attached just now", "f")
    assert ledger.payloads is not None
    swept = sweep(ledger.scripts, ledger.payloads)
    assert swept.files == 2
    left = {found.ref for found in content.stored()}
    assert left == kept | {picture.ref, paper.ref, job_ref, fresh.ref}
    assert not {gone_ref, never.ref} & left


_STATES: dict[str, dict[str, Any]] = {"queued": {}, "delayed": {"delay": 600}}


def test_what_is_attached_again_while_the_sweep_looks_stays(
    ledger: Ledger, submit: Callable[..., JobRecord], content: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    content.put(b"the same bytes", "a")
    _age(content)
    assert ledger.payloads is not None
    looked = Payloads.attached

    def attach_meanwhile(self: Payloads, fields: Any) -> set[str]:
        content.put(b"the same bytes", "b")
        return looked(self, fields)

    submit("short")
    monkeypatch.setattr(Payloads, "attached", attach_meanwhile)
    assert sweep(ledger.scripts, ledger.payloads).files == 0


def test_a_store_that_others_use_is_not_swept(ledger: Ledger, content: ContentStore, client: redis.Redis) -> None:
    content.put(b"whose?", "a")
    content.owners("another-installation")
    _age(content)
    assert ledger.payloads is not None
    assert sweep(ledger.scripts, ledger.payloads).shared == ("another-installation",)
    assert len(list(content.stored())) == 1
    client.flushall()  # a ledger that lost everything is another installation too
    assert len(sweep(ledger.scripts, ledger.payloads).shared) == 2


def test_one_of_sweep_backup_and_erase_at_a_time(client: redis.Redis) -> None:
    with keeping_lock(client, "phiq"), pytest.raises(KeepingBusy), keeping_lock(client, "phiq", patience=0.1):
        pass
    with keeping_lock(client, "phiq"), keeping_lock(client, "another"):
        pass


def test_leftovers_of_broken_uploads_go(ledger: Ledger, content: ContentStore) -> None:
    assert content.folder is not None
    content.put(b"x", "x")
    left = content.folder / "incoming" / "broken"
    left.write_bytes(b"half")
    os.utime(left, (1, time.time() - 90000))
    assert ledger.payloads is not None
    assert sweep(ledger.scripts, ledger.payloads).unfinished == 1
    assert not left.exists()


def _ref(ledger: Ledger, job_id: str, field: str) -> str:
    value: Any = ledger.scripts.client.hget(f"phiq:job:{job_id}", field)
    return str(value)
