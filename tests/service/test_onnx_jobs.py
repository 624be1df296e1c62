"""A real ONNX model behind a real worker: jobs share its process, and outlive its end and the worker's."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from workers.engines.hosted.files import quick_digest
from workers.jobs import State, parse_job
from workers.models.shelf import Shelf

pytestmark = pytest.mark.service

TINY = Path(__file__).resolve().parents[1] / "assets" / "tiny-phi3"
LONG = 4000
"""Tokens: about two seconds of the tiny model, and all that its session holds."""


@pytest.fixture
def submit(service):
    """Submit a completion to the tiny model on the shelf; its id."""
    Shelf(service.settings.data_dir).add(TINY, "tiny")

    def make(prompt: str, tokens: int) -> str:
        job = {"kind": "complete", "model": "onnx:tiny", "input": {"prompt": prompt}, "options": {"max_tokens": tokens}}
        return service.submit(parse_job(job)).id

    return make


@pytest.fixture
def streaming(service, submit, wait_until):
    """Submit a long run and return as soon as its first words are there; its id."""

    def begin(prompt: str) -> str:
        job_id = submit(prompt, LONG)
        wait_until(lambda: any(e.type == "delta" for e in service.events(job_id, follow=False)), what="first words")
        return job_id

    return begin


def hosts(worker) -> list[psutil.Process]:
    """The processes of a worker that hold a model."""
    children = psutil.Process(worker.process.pid).children(recursive=True)
    return [child for child in children if any("workers.engines.host.child" in word for word in child.cmdline())]


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended, be it that nobody asked for its exit code yet."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def transcript(events) -> str:
    """What a reader has in the end; nothing may be void, missing or there twice."""
    text = ""
    for event in events:
        assert event.type not in ("restarted", "snapshot")
        if event.type == "delta":
            assert event.offset == len(text)
            text += event.text
    return text


def test_jobs_share_a_model_and_outlive_its_process(service, submit, streaming, start_worker, wait_until):
    worker = start_worker()
    together = [submit(prompt, 300) for prompt in ("hello one", "hello two", "hello one")]
    records = [service.wait(job_id, timeout=60) for job_id in together]
    assert [record.state for record in records] == [State.SUCCEEDED] * 3, worker.log.read_text()
    one, two, again = (record.parsed_result() for record in records)
    assert one.text == again.text != two.text
    assert (one.engine, one.model, one.usage.completion_tokens) == ("onnx", "tiny", 300)
    assert one.digest == two.digest == quick_digest(TINY) != ""
    (host,) = hosts(worker)
    wait_until(lambda: service.workers()[0].hosts == ["onnx:tiny"], 5, "the heartbeat names the model")

    running = streaming("hello one")
    host.send_signal(signal.SIGSTOP)  # time for a second job to get in line
    in_line = submit("hello two", 300)
    wait_until(lambda: service.get(in_line).state is State.RUNNING, 10, "in line")
    host.kill()

    # The run that was in the model's process is tried again; who waited there does not notice.
    record = service.wait(running, timeout=90)
    assert record.state is State.SUCCEEDED
    first, second = record.attempts
    assert (first.outcome, first.error["code"], second.outcome) == ("failed", "engine_lost", "succeeded")
    assert record.result["text"].startswith(one.text[:-4])
    assert transcript(service.events(running, timeout=5)) == record.result["text"]
    assert 0 < second.resumed < len(record.result["text"])
    undisturbed = service.wait(submit("hello one", LONG), timeout=60)
    assert record.result == undisturbed.result, "the text, and what it cost"
    waited = service.wait(in_line, timeout=90)
    assert [attempt.outcome for attempt in waited.attempts] == ["succeeded"]
    assert waited.result["text"] == two.text
    (successor,) = hosts(worker)
    assert successor.pid != host.pid
    usages = [service.wait(submit("hello " * 200, 3), timeout=30).parsed_result().usage for _ in range(2)]
    assert usages[0].cached_tokens < 64 < usages[1].cached_tokens < usages[1].prompt_tokens
    assert "hello one" not in worker.log.read_text()


def test_a_killed_worker_leaves_no_model_behind_and_its_successor_ends_the_job(
    service, streaming, start_worker, wait_until
):
    worker = start_worker("w1")
    job_id = streaming("hello one")
    (host,) = hosts(worker)
    os.kill(worker.process.pid, signal.SIGKILL)
    wait_until(lambda: gone(host), 5, "the model's process ended with its worker")
    worker.process.wait()

    start_worker("w2")
    record = service.wait(job_id, timeout=90)
    assert record.state is State.SUCCEEDED
    assert [(a.worker, a.outcome) for a in record.attempts] == [("w1", "lost"), ("w2", "succeeded")]
    assert transcript(service.events(job_id, timeout=5)) == record.result["text"]
    assert record.result["usage"]["completion_tokens"] == LONG
    assert record.attempts[1].resumed > 0


def test_workers_on_a_machine_share_a_model_and_go_on_without_the_one_that_loaded_it(
    service, submit, streaming, start_worker, wait_until
):
    owner = start_worker("w1", slots=1)
    service.wait(submit("hello one", 8), timeout=60)
    (host,) = hosts(owner)
    joined = start_worker("w2", slots=1)
    ids = [streaming(prompt) for prompt in ("hello one", "hello two")]
    wait_until(lambda: len(service.workers()) == 2 and all(one.hosts for one in service.workers()), what="both have it")
    assert {one.name: one.joined for one in service.workers()} == {"w1": [], "w2": ["onnx:tiny"]}
    assert [one.pid for one in hosts(owner)] == [host.pid]
    assert hosts(joined) == []
    by = {service.get(job_id).attempts[-1].worker: job_id for job_id in ids}
    assert set(by) == {"w1", "w2"}, "both jobs are in the model's process now"

    os.kill(owner.process.pid, signal.SIGKILL)
    wait_until(lambda: gone(host), 5, "the model's process ended with its worker")
    record = service.wait(by["w2"], timeout=90)
    assert record.state is State.SUCCEEDED
    first, second = record.attempts
    assert (first.outcome, first.error["code"], second.outcome) == ("failed", "engine_lost", "succeeded")
    assert transcript(service.events(by["w2"], timeout=5)) == record.result["text"]
    assert service.wait(by["w1"], timeout=90).state is State.SUCCEEDED
    (successor,) = hosts(joined)
    joined.signal()
    joined.process.wait(30)
    assert gone(successor)


def test_a_job_in_the_engines_line_is_told_when_it_moves_up(service, submit, streaming, start_worker, wait_until):
    start_worker("w1", slots=3, onnx_slots=1)
    streaming("hello one")
    second = submit("hello two", LONG)
    wait_until(lambda: service.get(second).state is State.RUNNING, 10, "in line")
    third = submit("hello three", 20)
    assert service.wait(third, timeout=90).state is State.SUCCEEDED
    notes = [event.progress.note for event in service.events(third, timeout=5) if event.type == "progress"]
    places = [note.removeprefix("waiting for onnx:tiny: ").split(",")[0] for note in notes]
    assert list(dict.fromkeys(places)) == ["2 in line", "1 in line", ""], notes
