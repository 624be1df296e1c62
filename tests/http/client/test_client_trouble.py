"""The client when connections break, replies are lost, and the gateway says "not now"."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.async_client import AsyncClient
from gateway.client import Client
from gateway.errors import UNAVAILABLE, USER, exit_code
from gateway.remote.errors import GatewayUnreachable, NotPhiq
from knowledge.errors import PhiqError
from workers.errors import JobNotFound, QuotaExceeded, RedisUnavailable, SettingsInvalid
from workers.jobs import Event, State
from workers.stack.ports import free_port

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("worker")]

WORDS = " ".join(f"word{number}" for number in range(60))
SLOW = "fake:echo?rate=100"


def whole(events: list[Event]) -> str:
    """The text that events make, which must follow each other without gap or repetition."""
    ids = [tuple(map(int, event.id.split("-"))) for event in events]
    assert ids == sorted(set(ids))
    text = ""
    for event in events:
        assert event.type != "snapshot"
        if event.type == "delta":
            assert event.offset == len(text)
            text += event.text
    return text


def test_a_stream_that_is_cut_goes_on_where_it_was(proxy: Any) -> None:
    proxy.cuts.extend([700, 1200, 400, 900])
    with Client(proxy.url, patience=15) as client:
        job = client.submit("complete", WORDS, model=SLOW)
        text = whole(list(job.events()))
        assert text == job.result().text
    assert WORDS.split()[-1] in text
    assert not proxy.cuts
    assert proxy.streams >= 5


def test_its_asynchronous_twin_too(proxy: Any) -> None:
    proxy.cuts.extend([700, 1200, 900])

    async def follow() -> tuple[list[Event], str]:
        async with AsyncClient(proxy.url, patience=15) as client:
            job = await client.submit("complete", WORDS, model=SLOW)
            events = [event async for event in job.events()]
            assert [record.id for record in await client.jobs(limit=1)] == [job.id]
            assert (await job.record()).state is State.SUCCEEDED
            return events, (await job.result()).text

    events, text = asyncio.run(follow())
    assert whole(events) == text
    assert proxy.streams >= 4


def test_a_submit_whose_reply_is_lost_is_one_job(proxy: Any, gateway: Any) -> None:
    before = len(gateway.service.list(limit=500))
    proxy.lost.append(b"POST /v1/jobs ")
    with Client(proxy.url, patience=15) as client:
        job = client.submit("complete", "only once", model="fake:echo")
        assert job.result(timeout=30).text
    assert sum(line.startswith(b"POST /v1/jobs ") for line in proxy.seen) == 2
    assert len(gateway.service.list(limit=500)) == before + 1


def test_and_of_the_twin(proxy: Any, gateway: Any) -> None:
    before = len(gateway.service.list(limit=500))
    proxy.lost.append(b"POST /v1/jobs ")

    async def submit() -> str:
        async with AsyncClient(proxy.url, patience=15) as client:
            job = await client.submit("complete", "only once", model="fake:echo")
            return (await job.result(timeout=30)).text

    assert asyncio.run(submit())
    assert len(gateway.service.list(limit=500)) == before + 1


@pytest.mark.parametrize("status", [429, 503])
def test_not_now_is_tried_again_when_the_server_says(proxy: Any, problem: Callable[..., bytes], status: int) -> None:
    proxy.canned.append(problem(status, "busy", Retry_After="1"))
    began = time.monotonic()
    with Client(proxy.url, patience=15) as client:
        assert client.submit("complete", "later", model="fake:echo").result(timeout=30).text
    assert time.monotonic() - began >= 1.0


def test_a_wait_beyond_the_patience_is_told_at_once(proxy: Any, problem: Callable[..., bytes]) -> None:
    proxy.canned.append(problem(429, "quota_exceeded", Retry_After="3600"))
    began = time.monotonic()
    with Client(proxy.url, patience=15) as client, pytest.raises(QuotaExceeded) as caught:
        client.submit("complete", "never", model="fake:echo")
    assert time.monotonic() - began < 5
    assert caught.value.details["retry_after"] == 3600


def test_a_service_that_stays_away_is_told_by_its_own_error(proxy: Any, problem: Callable[..., bytes]) -> None:
    proxy.canned.extend([problem(503, "redis_unavailable")] * 50)
    with Client(proxy.url, patience=1) as client, pytest.raises(RedisUnavailable) as caught:
        client.jobs()
    assert exit_code(caught.value) == UNAVAILABLE


def test_what_would_do_harm_twice_is_not_sent_twice(proxy: Any, gateway: Any) -> None:
    job_id = gateway.submit()
    with Client(proxy.url, patience=5) as client:
        client.job(job_id).result(timeout=30)
        proxy.lost.append(b"POST /v1/jobs/")
        with pytest.raises(GatewayUnreachable):
            client.service.replay(job_id)
    assert sum(b"/replay" in line for line in proxy.seen) == 1


def test_a_reset_in_the_middle_of_everything(proxy: Any) -> None:
    with Client(proxy.url, patience=15) as client:
        job = client.submit("complete", WORDS, model=SLOW)
        got: list[Event] = []
        for event in job.events():
            got.append(event)
            if len(got) in (5, 20, 40):
                proxy.cut_all()
        assert whole(got) == job.result().text


def test_nobody_there_is_told_with_the_next_command() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", patience=0.5) as client:
        with pytest.raises(GatewayUnreachable, match="does not answer") as caught:
            client.jobs()
        assert "PHIQ_URL" in caught.value.hint
        assert exit_code(caught.value) == UNAVAILABLE
        with pytest.raises(GatewayUnreachable):
            list(client.job("0" * 32).events())


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 500 X\r\nContent-Type: application/problem+json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]",
    ],
)
def test_a_server_that_is_not_phiq_is_told(proxy: Any, reply: bytes) -> None:
    proxy.canned.extend([reply, reply])
    with Client(proxy.url, patience=1) as client:
        with pytest.raises(NotPhiq) as caught:
            client.jobs()
        assert exit_code(caught.value) == USER
        with pytest.raises(NotPhiq):
            list(client.job("0" * 32).events())


def test_a_proxy_before_a_gateway_that_is_away_is_tried_again(proxy: Any) -> None:
    proxy.canned.append(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    with Client(proxy.url, patience=15) as client:
        assert isinstance(client.jobs(), list)


@pytest.mark.parametrize(
    "url",
    ["phiq.example", "ftp://phiq.example", "http://", "http://[::1", "http://a:b@x", "http://x:99999", "http://x?y"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsInvalid, match="PHIQ_URL"):
        Client(url).jobs()


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="PHIQ_API_KEY"):
        Client("http://127.0.0.1:1", api_key="with\nnewline").jobs()


def test_an_unknown_job_is_an_error_of_its_own(proxy: Any) -> None:
    with Client(proxy.url, patience=5) as client:
        for odd in ("0" * 32, "", "..", "a/b", "é", "%2e%2e"):
            with pytest.raises(PhiqError) as caught:
                _ = client.job(odd).record
            assert caught.value.fault == "user"
        with pytest.raises(JobNotFound):
            list(client.job("0" * 32).stream())
