"""After an erase no file of the data folder holds the words, and nobody else has lost any."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.connection import using
from gateway.client import Client, ClientJob
from workers.access.key import KeySpec
from workers.batches.errors import FileNotFound
from workers.batches.records import BatchRecord
from workers.erase.run import Erased, erase
from workers.erase.scope import Scope, ScopeInvalid
from workers.errors import JobNotFound
from workers.jobs import State
from workers.settings import Settings
from workers.stack import Stack, state


@dataclass
class Place:
    """A running phiq, and who looks through its folder."""

    settings: Settings
    client: Client

    def holds(self, word: str) -> list[str]:
        """The files below the data folder that hold a word, in either of the usual encodings."""
        found = []
        for path in self.settings.data_dir.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                if word.encode() in data or word.encode("utf-16-le") in data:
                    found.append(str(path.relative_to(self.settings.data_dir)))
        return found

    def erase(self, **scope: Any) -> Erased:
        """Erase within the default tenant."""
        return erase(self.settings, Scope("default", **scope))

    def ingest(self, source: str, text: str, **fields: Any) -> ClientJob[Any]:
        """Ingest one document."""
        attached = self.client.attach((f"{uuid.uuid4().hex}.md", text.encode()))
        job = self.client.submit(
            "ingest", {"files": [{"source": source, **attached.model_dump()}], "collection": "notes"}, **fields
        )
        job.result(timeout=120)
        return job


@pytest.fixture(scope="module")
def place(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("erase"), allow_fake_engine=True, slots=2, inline_bytes=2000, drain_seconds=1.0
    )
    with Stack(settings, parts=("redis", "chroma", "worker")), using(settings):
        yield Place(settings, Client(settings=settings))


def _word() -> str:
    # Letters only, so that no tokenizer, stemmer or JSON writes it otherwise.
    return "zq" + "".join(chr(ord("a") + int(digit, 16)) for digit in uuid.uuid4().hex[:20])


def test_a_subject_is_gone_from_every_file(place: Place, wait_until: Callable[..., Any]) -> None:
    client, word, other = place.client, _word(), _word()
    done = client.submit("complete", f"{word} " * 200, model="fake:echo", subject="c-1", metadata={"note": word})
    done.result(timeout=60)
    small = client.submit("complete", word, model="fake:echo", subject="c-1", idempotency_key=word)
    small.result(timeout=60)
    dead = client.submit("complete", word, model="fake:echo?fail=engine_lost", max_attempts=1, subject="c-1")
    wait_until(lambda: dead.record.state is State.DEAD, 60)
    place.ingest(f"/notes/{word}.md", f"# Notes\n\nThe {word} has three doors and a red roof.\n", subject="c-1")
    place.ingest("/notes/other.md", f"# Notes\n\nThe {other} has two doors and a green roof.\n", subject="c-2")
    quoting = client.submit("chat", f"How many doors has the {word}?", collection="notes")
    assert word in quoting.result(timeout=120).model_dump_json()
    daily = {"kind": "complete", "model": "fake:echo", "subject": "c-1", "input": {"prompt": word}}
    client.service.schedules.add("daily", {"every": "1d", "job": daily})
    running = client.submit("complete", f"{word} " * 300, model="fake:echo?rate=5", subject="c-1")
    wait_until(lambda: running.record.state is State.RUNNING, 60)
    delayed = client.submit("complete", f"later {word}", model="fake:echo", subject="c-1", delay=3000)
    kept = client.submit("complete", f"{other} " * 200, model="fake:echo", subject="c-2")
    text = kept.result(timeout=60).text
    held = {name.split("/")[0] for name in place.holds(word)}
    assert {"redis", "chroma", "content"} <= held

    counted = erase(place.settings, Scope("default", subject="c-1"), dry_run=True)
    assert small.record.state is State.SUCCEEDED, "a dry run erased something"
    gone = place.erase(subject="c-1")
    assert gone.unreachable == []
    assert (gone.jobs, gone.stopped, gone.passages, gone.contents) == (7, 2, 1, 4)
    assert (counted.schedules, gone.schedules) == (1, 1)
    assert (counted.jobs, counted.stopped, counted.passages, counted.contents) == (7, 2, 1, 4)
    assert place.holds(word) == []
    for job in (done, small, dead, quoting, running, delayed):
        with pytest.raises(JobNotFound):
            _ = job.record
    assert client.job(kept.id).result(timeout=5).text == text
    answer = client.submit("chat", f"How many doors has the {other}?", collection="notes").result(timeout=60)
    assert "two doors" in answer.text
    again = place.erase(subject="c-1")
    assert (again.jobs, again.passages, again.contents, again.unreachable) == (0, 0, 0, [])


def test_a_batch_with_a_line_about_a_subject_is_gone_from_every_file(
    place: Place, wait_until: Callable[..., Any]
) -> None:
    batches, word, other = place.client.service.batches, _word(), _word()

    def lines(*jobs: dict[str, Any]) -> bytes:
        return b"".join(json.dumps({"custom_id": f"n{at}", "job": job}).encode() + b"\n" for at, job in enumerate(jobs))

    def job(text: str, model: str = "fake:echo", **fields: Any) -> dict[str, Any]:
        return {"kind": "complete", "model": model, "input": {"prompt": text}, **fields}

    def begin(data: bytes) -> BatchRecord:
        return batches.create("default", batches.files.put(data, "in.jsonl", "default").id)

    done = begin(lines(job(other), job(word, subject="c-9")))
    kept = begin(lines(job(f"{other} stays")))
    wait_until(lambda: all(batches.get(one.id, "default").state.final for one in (done, kept)), 60)
    running = begin(lines(job(f"{word} " * 300, "fake:echo?rate=5", subject="c-9")))
    wait_until(lambda: batches.get(running.id, "default").state == "in_progress", 60)
    loose = batches.files.put(lines(job(word, subject="c-9")), "loose.jsonl", "default")
    wait_until(lambda: place.client.jobs(states=[State.RUNNING]), 60)
    assert place.holds(word)
    counted = erase(place.settings, Scope("default", subject="c-9"), dry_run=True)
    gone = place.erase(subject="c-9")
    assert gone.unreachable == []
    assert (gone.batches, gone.files, gone.jobs) == (counted.batches, counted.files, counted.jobs) == (2, 4, 1)
    assert place.holds(word) == []
    assert [one.id for one in batches.list("default")] == [kept.id]
    with pytest.raises(FileNotFound):
        batches.files.get(loose.id, "default")
    output = batches.get(kept.id, "default").output_file
    assert other.encode() in b"".join(batches.files.blocks(str(output), "default"))


def test_a_document_goes_with_the_answers_that_quote_it(place: Place) -> None:
    word, source = _word(), f"/papers/{uuid.uuid4().hex}.md"
    job = place.ingest(source, f"# Paper\n\nThe {word} opens at nine in the morning.\n")
    answer = place.client.submit("search", f"When does the {word} open?", collection="notes")
    answer.result(timeout=60)
    assert place.holds(word)
    gone = place.erase(source=source)
    assert (gone.jobs, gone.passages, gone.contents) == (2, 1, 1)
    assert place.holds(word) == []
    for one in (job, answer):
        with pytest.raises(JobNotFound):
            _ = one.record


def test_a_single_job_and_its_documents(place: Place) -> None:
    word = _word()
    job = place.ingest(f"/one/{word}.md", f"# One\n\nThe {word} is blue.\n")
    gone = place.erase(job=job.id)
    assert (gone.jobs, gone.passages) == (1, 1)
    assert place.holds(word) == []


def test_messages_that_nobody_has_taken_yet(place: Place, redis_url: str, tmp_path: Path, chroma_server: str) -> None:
    from celery import Celery

    word = _word()
    app = Celery(broker=redis_url)
    app.conf.broker_transport_options = {"global_keyprefix": "phiq:broker:"}
    with app.connection_for_write() as connection:
        for subject in ("c-9", "c-8"):
            job = {"kind": "complete", "input": {"prompt": word if subject == "c-9" else "other"}, "subject": subject}
            app.send_task("phiq.submit", args=[job], queue="phiq.submit", priority=3, connection=connection)
    settings = Settings(data_dir=tmp_path, redis_url=redis_url, chroma_url=chroma_server)  # type: ignore[arg-type]
    assert erase(settings, Scope("default", subject="c-9"), dry_run=True).messages == 1
    gone = erase(settings, Scope("default", subject="c-9"))
    assert gone.messages == 1
    # The passages of a Chroma elsewhere are deleted; its file is not ours to write.
    assert [line for line in gone.unreachable if "Chroma" in line]
    assert erase(settings, Scope("default", subject="c-9")).messages == 0
    assert erase(settings, Scope("default", subject="c-8"), dry_run=True).messages == 1


def test_an_interrupted_erase_is_finished_by_the_next(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    word = _word()
    job = place.client.submit("complete", f"{word} " * 200, model="fake:echo", subject="c-3")
    job.result(timeout=60)

    def crash(_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("workers.erase.run._Run._contents", crash)
        with pytest.raises(KeyboardInterrupt):
            place.erase(subject="c-3")
    assert place.holds(word)
    gone = place.erase(subject="c-3")
    assert (gone.jobs, gone.contents) == (0, 2)
    assert place.holds(word) == []


def test_a_whole_tenant_goes_and_no_other(place: Place) -> None:
    words = {tenant: _word() for tenant in ("acme", "zeta")}
    jobs = {}
    for tenant, word in words.items():
        there = place.settings.model_copy(update={"tenant": tenant})
        client = Client(settings=there)
        jobs[tenant] = client.submit("complete", f"{word} " * 200, model="fake:echo")
        jobs[tenant].result(timeout=60)
        Place(there, client).ingest("/t.md", f"# T\n\nThe {word} sleeps.\n")
    access = place.client.service.access
    keys = {tenant: access.create(KeySpec(tenant=tenant, name=word))[0] for tenant, word in words.items()}
    gone = erase(place.settings, Scope("acme"))
    assert (gone.jobs, gone.collections, gone.keys, gone.unreachable) == (2, 1, 1, [])
    assert [key.id for key in access.keys.list()] == [keys["zeta"].id]
    assert [(one.action, one.subject) for one in access.audit.read(1)] == [("erase", "tenant")]
    assert place.holds(words["acme"]) == []
    assert place.holds(words["zeta"])
    assert jobs["zeta"].record.state is State.SUCCEEDED


def test_the_command_says_what_it_did_and_asks_first(place: Place) -> None:
    import json

    from typer.testing import CliRunner

    from gateway.cli import app

    run = CliRunner().invoke
    job = place.client.submit("complete", "one", model="fake:echo", subject="c-5")
    job.result(timeout=60)
    assert run(app, ["erase"]).exit_code == 2
    assert run(app, ["erase", "--subject", "c-5"]).exit_code == 2, "it must not go on where nobody can be asked"
    assert job.record.state is State.SUCCEEDED
    counted = run(app, ["erase", "--subject", "c-5", "--dry-run", "--json"])
    assert json.loads(counted.stdout)["jobs"] == 1
    assert "Erased: 1 jobs" in run(app, ["erase", "--subject", "c-5", "--yes"]).stdout
    with pytest.raises(JobNotFound):
        _ = job.record


def test_a_frozen_worker_brings_nothing_back(
    place: Place, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]
) -> None:
    import psutil

    monkeypatch.setattr("workers.erase.run._STOP_SECONDS", 2.0)
    word = _word()
    job = place.client.submit("complete", f"{word} " * 100, model="fake:echo?rate=10", subject="c-6")
    wait_until(lambda: word in "".join(event.text for event in _so_far(job)), 60)
    found = state.read(place.settings.data_dir)
    worker = psutil.Process(found.part("worker").process.pid)  # type: ignore[union-attr]
    worker.suspend()
    try:
        gone = place.erase(subject="c-6")
        assert gone.stopped == 1
        assert [line for line in gone.unreachable if "in memory" in line]
        assert place.holds(word) == []
    finally:
        worker.resume()
    wait_until(lambda: not any(info.running for info in place.client.service.workers()), 60)
    assert place.holds(word) == []
    with pytest.raises(JobNotFound):
        _ = job.record


def _so_far(job: ClientJob[Any]) -> Any:
    return job._client.service.events(job.id, follow=False)


def test_a_scope_must_be_clear() -> None:
    with pytest.raises(ScopeInvalid):
        Scope("default", subject="a", job="0" * 32)
    assert Scope("default", source="/a", collection="c")
