"""Server-sent events of a job, to one client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.http import problems
from knowledge.errors import PhiqError
from workers.jobs import Event, State
from workers.ledger.fanout import Following

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent: proxies close what is silent, and it shows who is gone."""

_SILENCE = b": still here\n\n"
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}


class EventStream(Response):
    """Sends what a reader gets, until its end, the client's, or the gateway's.

    After the job's end the last event is ``end``. Where following failed it is ``problem`` with the problem as data.
    Where neither came, the connection was cut or the gateway is stopping: the client comes back with Last-Event-ID.

    Args:
        following: Entered already; closed at the end.
        evidence: What the whole text rests on, asked for when the job has succeeded; it comes with the event ``end``.
    """

    def __init__(self, following: Following, evidence: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._following = following
        self._evidence = evidence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send the whole stream."""
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send(send, b"retry: 1000\n\n")
            try:
                while (events := await self._following.batch(HEARTBEAT)) is not None:
                    done = bool(events) and events[-1].type == "end" and events[-1].state is State.SUCCEEDED
                    await self._send(send, written(events, await self._evidence() if done else None) or _SILENCE)
                if not self._following.place.ended:
                    await self._send(send, b": the gateway is stopping; come back with Last-Event-ID\n\n")
            except PhiqError as error:
                data = json.dumps(problems.body_of(error))
                await self._send(send, f"event: problem\ndata: {data}\n\n".encode())
            await self._send(send, b"", more=False)
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            self._following.close()

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        # Waits while the client takes nothing; `gateway.http.protocol` cuts it off after a while.
        await send({"type": "http.response.body", "body": body, "more_body": more})

    async def _until_gone(self, receive: Receive) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:  # also when the request had a body that did not come
            self._following.close()


def written(events: Iterable[Event], evidence: dict[str, Any] | None = None) -> bytes:
    """Events in the form of the wire."""
    lines = (f"id: {event.id}\nevent: {event.type}\ndata: {_data(event, evidence)}\n\n" for event in events)
    return "".join(lines).encode()


def _data(event: Event, evidence: dict[str, Any] | None) -> str:
    unused = set() if event.type in ("delta", "snapshot") else {"text"}
    if not event.message:
        unused.add("message")
    if event.type != "end" or not evidence:
        return event.model_dump_json(exclude_none=True, exclude=unused)
    data = event.model_dump(mode="json", exclude_none=True, exclude=unused)
    return json.dumps({**data, **evidence}, ensure_ascii=False, separators=(",", ":"))
