"""What an operator does: look at queues and workers, hold back, limit, and look after dead letters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.cli.fleet import models_of
from workers.ledger import WorkerInfo

pytestmark = pytest.mark.service

Run = Callable[..., Any]


def submit(run: Run, model: str, **fields: Any) -> str:
    body = {"kind": "complete", "model": model, "input": {"prompt": "x"}, **fields}
    done = run("submit", "-", stdin=json.dumps(body))
    assert done.code == 0, done.err
    return done.out.strip()


def state(run: Run, job_id: str) -> str:
    return run("jobs", "show", job_id, "--json").json["state"]


@pytest.fixture
def dead(run: Run, wait_until: Callable[..., Any]) -> Iterator[str]:
    """A dead letter: an engine that is down, and no attempt left."""
    job_id = submit(run, "fake:words?fail=engine_down", max_attempts=1)
    wait_until(lambda: state(run, job_id) == "dead", 20, "job dead")
    yield job_id
    run("dead", "drop", "--all")


def test_a_dead_letter_is_listed_with_its_error_and_shown_with_its_attempts(run: Run, dead: str) -> None:
    listed = run("dead")
    assert dead in listed.out
    assert "engine_down" in listed.out
    shown = run("dead", "show", dead)
    assert "attempt 1" in shown.out
    assert f"phiq dead replay {dead}" in shown.out


@pytest.mark.parametrize(
    ("filters", "there"),
    [
        (("--code", "engine_down"), True),
        (("--code", "poison"), False),
        (("--kind", "complete"), True),
        (("--kind", "chat"), False),
        (("--model", "fake:words?fail=engine_down"), True),
        (("--model", "fake:echo"), False),
        (("--older-than", "1"), False),
        (("--tenant", "somebody-else"), False),
    ],
)
def test_dead_letters_are_filtered(run: Run, dead: str, filters: tuple[str, ...], there: bool) -> None:
    ids = [job["id"] for job in run("dead", "list", "--json", *filters).json]
    assert (dead in ids) is there


def test_a_replayed_dead_letter_runs_again_and_keeps_its_history(
    run: Run, dead: str, wait_until: Callable[..., Any]
) -> None:
    replayed = run("dead", "replay", dead)
    assert replayed.out.split() == [dead, "queued"]
    wait_until(lambda: state(run, dead) == "dead", 20, "dead again")
    assert len(run("jobs", "show", dead, "--json").json["attempts"]) == 2


def test_what_succeeded_is_not_replayed(run: Run) -> None:
    job_id = submit(run, "fake:echo")
    run("watch", job_id)
    refused = run("dead", "replay", job_id)
    assert refused.code == 3
    assert "not_replayable" in refused.err


def test_a_dropped_dead_letter_is_gone(run: Run, dead: str) -> None:
    assert run("dead", "drop", "--code", "engine_down").out.split() == [dead, "dropped"]
    assert run("jobs", "show", dead).code == 3
    assert run("dead", "list", "--json").json == []


@pytest.mark.parametrize("arguments", [("replay",), ("drop",), ("drop", "0" * 32, "--all")])
def test_replay_and_drop_want_ids_or_a_filter(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("dead", *arguments).code == 2


def test_a_paused_queue_says_so_and_goes_on_when_resumed(run: Run, wait_until: Callable[..., Any]) -> None:
    assert run("pause", "generate.interactive").code == 0
    try:
        job_id = submit(run, "fake:echo")
        assert "(paused)" in run("jobs", job_id).out
        listed = {queue["name"]: queue for queue in run("queues", "--json").json["queues"]}
        assert listed["generate.interactive"]["paused"]
        assert listed["generate.interactive"]["waiting"] == 1
        assert "paused" in run("queues").out
    finally:
        assert run("resume", "generate.interactive").code == 0
    wait_until(lambda: state(run, job_id) == "succeeded", 20, "resumed job done")


def test_pausing_wants_one_thing_that_exists(run: Run) -> None:
    assert run("pause").code == 2
    assert run("pause", "core.batch", "--tenant", "t").code == 2
    assert run("pause", "no.such").code == 3


def test_a_tenant_at_its_limit_is_told_when_to_come_back(run: Run) -> None:
    assert run("tenants", "limit", "small", "--queued", "1").code == 0
    first = submit(run, "fake:echo", tenant="small", delay=600)
    body = {"kind": "complete", "model": "fake:echo", "input": {"prompt": "x"}, "tenant": "small"}
    refused = run("submit", "-", stdin=json.dumps(body))
    assert refused.code == 3
    assert "quota_exceeded" in refused.err
    listed = {tenant["name"]: tenant for tenant in run("tenants", "--json").json}
    assert listed["small"]["queued"] == 1
    assert listed["small"]["limits"]["queued"] == 1
    assert "small" in run("tenants").out
    assert run("tenants", "limit", "small", "--share", "-1").code == 2
    assert first


def test_workers_tell_what_they_do(run: Run, wait_until: Callable[..., Any]) -> None:
    job_id = submit(run, "fake:words?count=400&rate=10")
    try:

        def mine() -> list[dict[str, Any]]:
            workers = run("workers", "--json").json
            return [job for worker in workers for job in worker["doing"] if job["id"] == job_id]

        (doing,) = wait_until(mine, 20, "a worker tells of the job")
        assert doing["kind"] == "complete"
        assert doing["attempt"] == 1
        assert job_id in run("workers").out
    finally:
        run("cancel", job_id)


def test_stats_tell_what_was_done_and_what_is_so_now(run: Run, dead: str) -> None:
    found = run("stats", "--since", "1h", "--json").json
    assert found["kinds"]["complete"]["states"]["dead"] >= 1
    assert found["dead_letters"] >= 1
    assert found["slots"] >= 1
    shown = run("stats", "--since", "8d")
    assert shown.out.splitlines()[0].split("\t")[:2] == ["kind", "succeeded"]
    assert "dead letters" in shown.out
    refused = run("stats", "--since", "yesterday")
    assert refused.code == 2
    assert "90m" in refused.err


def test_a_model_that_another_worker_loaded_is_marked() -> None:
    worker = WorkerInfo(name="w", hosts=["onnx:a", "onnx:b"], joined=["onnx:b"], loading=["onnx:c"])
    assert models_of(worker) == ["onnx:a", "onnx:b (joined)", "onnx:c (loading)"]
