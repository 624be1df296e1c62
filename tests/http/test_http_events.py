"""/v1/jobs/{id}/events: resumed anywhere, whole under hundreds of readers, ended cleanly."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from agents.contract import CompletionResult
from gateway.http import sse
from workers.ledger import Ledger


def read(lines: Iterator[str]) -> list[dict[str, Any]]:
    """The events of a stream, as an EventSource would hand them over."""
    found, fields = [], {}
    for line in lines:
        if not line and "data" in fields:
            found.append({"event": fields["event"], "id": fields.get("id"), **json.loads(fields["data"])})
        if not line:
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
    return found


def text_of(events: list[dict[str, Any]]) -> str:
    """What a client shows that follows the rules."""
    text = ""
    for event in events:
        if event["type"] == "snapshot":
            text = event["text"]
        elif event["type"] == "restarted":
            text = ""
        elif event["type"] == "delta":
            assert event["offset"] == len(text), "a gap, or seen twice"
            text += event["text"]
    return text


def stream(gateway: Any, job_id: str, **headers: str) -> list[dict[str, Any]]:
    with gateway.http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        return read(answer.iter_lines())


@pytest.fixture
def ledger(gateway: Any) -> Ledger:
    """The gateway's, of which each word is an event."""
    found = gateway.service.ledger
    return Ledger(found.scripts.client, replace(found.config, flush=0.0, lease=60.0))


@pytest.fixture
def running(gateway: Any, ledger: Ledger) -> Callable[..., Any]:
    """Submit a job and claim it by hand: (id, attempt)."""

    def begin() -> Any:
        job_id = gateway.submit()
        attempt = ledger.claim(job_id, "by-hand")
        assert attempt is not None
        return job_id, attempt

    return begin


def say(attempt: Any, *words: str) -> None:
    for word in words:
        attempt.delta(word)


def test_a_stream_is_resumed_from_any_event_and_ends(gateway: Any, running: Callable[..., Any]):
    job_id, attempt = running()
    say(attempt, "eins ", "zwei ", "drei")
    attempt.succeed(CompletionResult(text="eins zwei drei"))
    events = stream(gateway, job_id)
    assert text_of(events) == "eins zwei drei"
    assert (events[-1]["event"], events[-1]["state"]) == ("end", "succeeded")
    for cut in range(len(events) - 1):
        assert stream(gateway, job_id, **{"Last-Event-ID": events[cut]["id"]}) == events[cut + 1 :]
    # An EventSource comes back after the end too; 204 tells it not to.
    url = f"/v1/jobs/{job_id}/events"
    assert gateway.http.get(url, headers={"Last-Event-ID": events[-1]["id"]}).status_code == 204
    assert gateway.http.get(url, params={"after": events[-1]["id"]}).status_code == 204


def test_events_come_as_they_are_written(gateway: Any, running: Callable[..., Any]):
    job_id, attempt = running()
    with gateway.http.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        lines = answer.iter_lines()
        for word in ("first ", "second "):
            say(attempt, word)
            assert any(word in line for line in iter(lambda: next(lines), None) if word in line)
        attempt.succeed(CompletionResult(text="first second "))
        assert '"end"' in "".join(lines)


def test_an_id_that_is_gone_gets_a_snapshot(gateway: Any, running: Callable[..., Any]):
    job_id, attempt = running()
    say(attempt, "what is there")
    attempt.succeed(CompletionResult(text="what is there"))
    events = stream(gateway, job_id, **{"Last-Event-ID": "99999999999999-0"})
    assert [event["event"] for event in events] == ["snapshot", "end"]
    assert text_of(events) == "what is there"


def test_silence_is_filled_with_comments(gateway: Any, running: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "HEARTBEAT", 0.05)
    job_id, attempt = running()
    with gateway.http.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith(":"))
        attempt.succeed(CompletionResult(text=""))
        assert read(lines)[-1]["event"] == "end"


def test_what_cant_be_followed_is_a_problem(gateway: Any):
    job_id = gateway.submit()
    for path, status, code in (
        (f"/v1/jobs/{'0' * 32}/events", 404, "job_not_found"),
        ("/v1/jobs/nonsense/events", 404, "job_not_found"),
        (f"/v1/jobs/{job_id}/events?after=nonsense", 400, "job_invalid"),
    ):
        answer = gateway.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_reader_of_a_job_that_goes_is_told(
    gateway: Any, running: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("workers.ledger.events.LOOK_EVERY", 0.1)
    job_id, _ = running()
    scripts = gateway.service.ledger.scripts
    with gateway.http.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        lines = answer.iter_lines()
        next(lines)
        scripts.client.delete(scripts.key("job", job_id), scripts.key("events", job_id))
        last = read(lines)[-1]
    assert (last["event"], last["code"]) == ("problem", "job_not_found")


def test_a_gateway_that_stops_ends_its_streams_and_another_goes_on(
    gateway: Any, make_gateway: Callable[..., Any], running: Callable[..., Any]
):
    job_id, attempt = running()
    first = make_gateway(gateway.settings)
    with first.http.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        lines = answer.iter_lines()
        head = [next(lines) for _ in range(3)]
        first.server.should_exit = True
        seen = read(iter([*head, *lines]))
    assert seen[-1]["event"] == "state"
    say(attempt, "one")
    attempt.succeed(CompletionResult(text="one"))
    rest = stream(gateway, job_id, **{"Last-Event-ID": seen[-1]["id"]})
    assert text_of(seen + rest) == "one"
    assert rest[-1]["event"] == "end"


def test_many_readers_lose_nothing(gateway: Any, ledger: Ledger):
    """Jobs that talk at once, three readers each, from the beginning and from the middle: each text is whole."""
    jobs = [gateway.submit() for _ in range(40)]
    attempts = [ledger.claim(job_id, "by-hand") for job_id in jobs]
    words = [f"word{number} " for number in range(8)]

    def talk() -> None:
        for word in words:
            for attempt in attempts:
                say(attempt, word)
        for attempt in attempts:
            attempt.succeed(CompletionResult(text="".join(words)))

    async def follow(client: httpx.AsyncClient, job_id: str) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["event"] != "end":
            headers = {"Last-Event-ID": seen[-1]["id"]} if seen else {}
            async with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
                lines: list[str] = []
                async for line in answer.aiter_lines():
                    lines.append(line)
                    if len(seen) < 5 and len(lines) > 20 and not line:
                        break  # cut off in the middle; it comes back
                seen += read(iter(lines))
        return seen

    async def run() -> list[list[dict[str, Any]]]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=gateway.url, timeout=60, limits=limits, trust_env=False) as client:
            tasks = [asyncio.create_task(follow(client, job_id)) for job_id in jobs * 3]
            thread = threading.Thread(target=talk)
            thread.start()
            found = await asyncio.gather(*tasks)
            thread.join()
            return found

    for events in asyncio.run(run()):
        assert text_of(events) == "".join(words)
        assert len({event["id"] for event in events}) == len(events)
    assert gateway.app.state.fanout.open == 0
