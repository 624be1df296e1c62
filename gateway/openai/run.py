"""A job that somebody waits for over HTTP: run to its end, or streamed; cancelled when they go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self, TypeVar

from anyio import CancelScope
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from agents.contract import Attachment
from gateway.client import raise_for_state
from gateway.http.depends import FanoutDep, ServiceDep
from knowledge.errors import PhiqError, ServiceError
from workers.access.principal import Principal
from workers.jobs import Job, JobRecord
from workers.ledger.fanout import Following

T = TypeVar("T")
QUIET = 15.0
"""Seconds of silence after which a comment is sent."""


class AnswerChanged(ServiceError):
    """Raised when an answer that was streamed in part began anew and says something else: it can't be taken back."""

    code = "answer_changed"
    transient = True


class Run:
    """One request's job.

    Use it as a context manager: leaving it before the job's end cancels the job.
    """

    def __init__(self, service: ServiceDep, fanout: FanoutDep, who: Principal) -> None:
        self._service = service
        self._fanout = fanout
        self._who = who
        self._following: Following | None = None
        self.record: JobRecord

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._following is None:
            return
        ended = self._following.place.ended
        self._following.close()
        if not ended:
            # Also when this request's own task is cancelled: a model must not go on for nobody.
            with CancelScope(shield=True), contextlib.suppress(PhiqError):
                await run_in_threadpool(self._service.cancel, self.record.id, self._who.tenant)

    async def begin(self, make: Callable[[], Job]) -> JobRecord:
        """Make the job and put it in line.

        Raises:
            PhiqError: it can't be made or taken.
        """
        self.record = await run_in_threadpool(self._submit, make)
        self._following = self._fanout.follow(self.record.id, self._who.tenant)
        await self._following.__aenter__()
        return self.record

    async def result(self, request: Request) -> JobRecord:
        """Wait for the end and give the record with its result.

        Raises:
            PhiqError: what the job ended with.
            asyncio.CancelledError: the client went away.
        """
        while not self._place_ended():
            if await unless_gone(request, self._batch()) is None:
                break
        return await self.ended()

    async def ended(self) -> JobRecord:
        """The record with its result.

        Raises:
            PhiqError: what the job ended with.
        """
        if not self._place_ended():
            raise ServiceError("The gateway is stopping.", hint=f"GET /v1/jobs/{self.record.id}")
        record = await run_in_threadpool(self._service.get, self.record.id, self._who.tenant)
        raise_for_state(record)
        return record

    async def text(self) -> AsyncIterator[str]:
        """The text as it comes; empty pieces where nothing came for a while. What was given is never given again.

        Raises:
            AnswerChanged: the job began anew and says something else.
        """
        shown, now = "", ""
        while not self._place_ended():
            events = await self._batch()
            if events is None:
                return
            piece = ""
            for event in events:
                if event.type == "delta":
                    now += event.text
                elif event.type == "restarted":
                    now = ""
                elif event.type == "snapshot":
                    now = event.text
                else:
                    continue
                if now.startswith(shown):
                    piece, shown = piece + now[len(shown) :], now
                elif not shown.startswith(now):
                    raise AnswerChanged(
                        "The answer began anew after part of it was sent, and says something else now.",
                        hint="Send the request again.",
                        subject=self.record.id,
                    )
            if piece or not events:
                yield piece

    def attach(self, name: str, data: bytes) -> Attachment:
        """Keep a picture of the request as the tenant's own."""
        made = self._service.attach((name, data))
        self._service.uploads.note(self._who.tenant, made.ref)
        return made

    def _submit(self, make: Callable[[], Job]) -> JobRecord:
        job = make()
        return self._service.submit(job.model_copy(update={"tenant": self._who.tenant}))

    async def _batch(self) -> Any:
        assert self._following is not None
        return await self._following.batch(QUIET)

    def _place_ended(self) -> bool:
        return self._following is not None and self._following.place.ended


async def unless_gone(request: Request, doing: Coroutine[Any, Any, T]) -> T:
    """What ``doing`` gives, unless the client goes away first.

    Raises:
        asyncio.CancelledError: the client went away.
    """
    gone, done = asyncio.create_task(_until_gone(request)), asyncio.create_task(doing)
    try:
        await asyncio.wait({gone, done}, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            raise asyncio.CancelledError
        return done.result()
    finally:
        for task in (gone, done):
            task.cancel()
        await asyncio.gather(gone, done, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
