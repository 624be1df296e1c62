"""Many readers of streams in one loop: what tests/ledger/test_events.py says of one holds for each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis

from agents.contract import CompletionResult
from workers.errors import JobNotFound, RedisUnavailable
from workers.jobs import Capability, Event, State
from workers.ledger import Ledger, fanout
from workers.ledger.fanout import Fanout, Following

pytestmark = pytest.mark.service


@pytest.fixture
def run(ledger: Ledger) -> Callable[[Callable[[Fanout], Awaitable[Any]]], Any]:
    """Run a coroutine function with a fan-out of its own."""

    def inside(work: Callable[[Fanout], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            made = Fanout(ledger.scripts)
            try:
                async with asyncio.timeout(30):
                    return await work(made)
            finally:
                await made.stop()

        return asyncio.run(whole())

    return inside


@pytest.fixture
def talking(make_ledger: Callable[..., Ledger], a_job: Callable[..., Any]) -> Any:
    """An attempt whose every word is an event, of a stream that is soon trimmed."""
    ledger = make_ledger(stream_bytes=10_000, flush=0.0, lease=60.0)
    attempt = ledger.claim(ledger.submit(a_job(), model="m", capability=Capability.GENERATE).id, "w")
    assert attempt is not None
    return attempt


def text_of(events: list[Event]) -> str:
    text = ""
    for event in events:
        if event.type == "snapshot":
            text = event.text
        elif event.type == "restarted":
            text = ""
        elif event.type == "delta":
            assert event.offset == len(text), "a gap, or seen twice"
            text += event.text
    return text


async def rest_of(following: Following) -> list[Event]:
    return [event async for event in following]


def test_a_reader_that_takes_its_time_has_no_gap_and_holds_little(run: Any, talking: Any, monkeypatch: Any):
    """It falls behind, the stream is trimmed under it, and what it gets then is a snapshot and all that follows."""
    monkeypatch.setattr(fanout, "_QUEUE", 4)
    monkeypatch.setattr(fanout, "_COUNT", 3)
    words = [f"word{number} " * 20 for number in range(200)]

    async def work(made: Fanout) -> list[Event]:
        async with made.follow(talking.id, "default") as following:
            talking.delta("first ")
            seen = [await anext(following) for _ in range(3)]
            assert seen[-1].type == "delta"
            for word in words:
                await asyncio.to_thread(talking.delta, word)
                assert len(following._events) <= 4 + 3
            await asyncio.to_thread(talking.succeed, CompletionResult(text="x"))
            return seen + await rest_of(following)

    seen = run(work)
    assert "snapshot" in [event.type for event in seen]
    assert text_of(seen) == "first " + "".join(words)
    assert (seen[-1].type, seen[-1].state) == ("end", State.SUCCEEDED)


def test_readers_of_one_job_begin_anywhere_and_at_any_time(run: Any, talking: Any):
    async def work(made: Fanout) -> None:
        talking.delta("one ")
        whole = made.follow(talking.id, "default")
        async with whole:
            begun = [await anext(whole) for _ in range(3)]
            cut = begun[-1].id
            readers = [asyncio.create_task(follow(made, "0-0")), asyncio.create_task(follow(made, cut))]
            for number in range(20):
                await asyncio.to_thread(talking.delta, f"{number} ")
                if number % 5 == 0:
                    readers.append(asyncio.create_task(follow(made, cut)))
            await asyncio.to_thread(talking.succeed, CompletionResult(text="x"))
            rest = await rest_of(whole)
        found = await asyncio.gather(*readers)
        assert text_of(begun + rest) == "one " + "".join(f"{number} " for number in range(20))
        assert found[0] == begun + rest
        assert all(events == rest for events in found[1:])
        assert made.open == 0

    async def follow(made: Fanout, after: str) -> list[Event]:
        async with made.follow(talking.id, "default", after) as following:
            return await rest_of(following)

    run(work)


def test_readers_that_come_while_all_reads_wait_are_read_for(run: Any, submit: Any, ledger: Ledger):
    """More of them than there are connections, one after the other, none of whose jobs says anything."""

    async def work(made: Fanout) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        silent = []
        for _ in range(12):
            following = made.follow(submit().id, "default")
            await following.__aenter__()
            assert (await anext(following)).state is State.QUEUED
            silent.append(following)
        job_id = submit().id
        async with made.follow(job_id, "default") as following:
            await anext(following)
            await asyncio.to_thread(ledger.cancel, job_id, "default")
            assert (await anext(following)).type == "end"
        return loop.time() - began

    assert run(work) < 6.0, "each waited for the read before it"


def test_a_short_outage_is_waited_out_and_a_long_one_told(run: Any, ledger: Ledger, submit: Any, monkeypatch: Any):
    job_id = submit().id
    real, away = ledger.scripts.client.xread, threading.Event()

    def broken(*args: Any, **kwargs: Any) -> Any:
        if away.is_set():
            raise redis.ConnectionError("gone for a moment")
        return real(*args, **kwargs)

    monkeypatch.setattr(ledger.scripts.client, "xread", broken)

    async def short(made: Fanout) -> list[Event]:
        away.set()
        async with made.follow(job_id, "default") as following:
            await asyncio.sleep(0.5)
            away.clear()
            return [await anext(following)]

    assert [event.type for event in run(short)] == ["state"]
    monkeypatch.setattr("workers.ledger.events.OUTAGE", 0.3)

    async def long(made: Fanout) -> None:
        away.set()
        async with made.follow(job_id, "default") as following:
            with pytest.raises(RedisUnavailable):
                await rest_of(following)

    run(long)


def test_a_job_that_goes_and_one_that_never_was(run: Any, submit: Any, client: redis.Redis, monkeypatch: Any):
    monkeypatch.setattr("workers.ledger.events.LOOK_EVERY", 0.1)
    job_id = submit().id

    async def work(made: Fanout) -> None:
        with pytest.raises(JobNotFound):
            made.follow("nonsense", "default")
        for strange, tenant in (("0" * 32, "default"), (job_id, "other")):
            with pytest.raises(JobNotFound):
                await made.follow(strange, tenant).__aenter__()
        async with made.follow(job_id, "default") as following:
            await anext(following)
            client.flushdb()
            with pytest.raises(JobNotFound):
                await rest_of(following)

    run(work)


def test_waiting_for_the_end_passes_over_what_was_said(run: Any, talking: Any):
    async def work(made: Fanout) -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await made.await_end(talking.id, "default", 0.2)
        assert loop.time() - began >= 0.2
        waiting = asyncio.create_task(made.await_end(talking.id, "default", 20))
        await asyncio.to_thread(talking.succeed, CompletionResult(text="x"))
        await waiting
        await made.await_end(talking.id, "default", 20)
        return loop.time() - began

    assert run(work) < 10
