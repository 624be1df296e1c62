"""`gateway.remote.door` for asyncio: the same requests, sent without a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import cached_property
from typing import IO, TYPE_CHECKING, TypeVar

from gateway.remote import answers, calls, wire
from gateway.remote.address import Address
from gateway.remote.calls import Call
from gateway.remote.following import SILENCE, Place
from gateway.remote.patience import Patience
from knowledge.errors import PhiqError
from workers.jobs import Event

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
_BLOCK = 256 * 1024


class AsyncHttp:
    """Sends calls and follows jobs. Raises what `gateway.remote.door.HttpService` raises.

    Args:
        address: Of the gateway.
        patience: Seconds within which what may pass is tried again.
    """

    def __init__(self, address: Address, patience: float = 30.0) -> None:
        self.address = address
        self._patience = Patience(patience)

    async def ask(self, call: Call[T]) -> T:
        """The value of a call, tried again where that may help and can do no harm."""
        import tenacity

        async for attempt in tenacity.AsyncRetrying(**self._patience.options(repeatable=call.repeatable)):
            with attempt:
                return await self._send(call)
        raise AssertionError("tenacity gives up by raising")

    async def events(self, job_id: str, after: str = "0-0") -> AsyncIterator[Event]:
        """A job's events after ``after``, up to ``end``; a stream that breaks is taken up where it broke."""
        import httpx
        from httpx_sse import EventSource

        place = Place(after, self.address.base, self._patience)
        timeout = httpx.Timeout(wire.READ, connect=wire.CONNECT, read=SILENCE)
        path = calls.events(job_id)
        while not place.ended():
            error: PhiqError | None = None
            try:
                async with self._http.stream("GET", path, headers=place.headers, timeout=timeout) as answer:
                    if not answer.is_success:
                        body = await answer.aread()
                        raise answers.error(answer.status_code, answer.headers, body, self.address.base)
                    if not place.opened(answer.status_code, dict(answer.headers)):
                        return
                    async for sent in EventSource(answer).aiter_sse():
                        event = place.take(sent)
                        if event is not None:
                            yield event
                        if place.ended():
                            return
            except httpx.HTTPError as broken:
                error = wire.broken(self.address.base, broken)
            except PhiqError as refused:
                error = refused
            await asyncio.sleep(place.lost(error))

    async def kept(self, job_id: str, ref: str) -> bytes:
        """A file that a job's result refers to."""
        import httpx

        try:
            answer = await self._http.get(calls.kept(job_id, ref))
        except httpx.HTTPError as broken:
            raise wire.broken(self.address.base, broken) from broken
        if not answer.is_success:
            raise answers.error(answer.status_code, answer.headers, answer.content, self.address.base)
        return answer.content

    async def close(self) -> None:
        """Close the connections."""
        if "_http" in self.__dict__:
            await self._http.aclose()

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        import httpx

        return httpx.AsyncClient(**wire.options(self.address))

    async def _send(self, call: Call[T]) -> T:
        import httpx

        content = _blocks(call.open) if call.open is not None else None
        try:
            answer = await self._http.request(**wire.request(call), content=content)
        except httpx.HTTPError as broken:
            raise wire.broken(self.address.base, broken) from broken
        self._patience.met()
        return answers.value(answer.status_code, answer.headers, answer.content, self.address.base, call.read)


async def _blocks(opened: Callable[[], IO[bytes]]) -> AsyncIterator[bytes]:
    """A file, read in a thread."""
    with await asyncio.to_thread(opened) as stream:
        while block := await asyncio.to_thread(stream.read, _BLOCK):
            yield block
