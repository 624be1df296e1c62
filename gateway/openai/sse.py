"""Server-sent events as OpenAI's clients read them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse

from gateway.openai import shape
from gateway.openai.run import Run, unless_gone
from knowledge.errors import PhiqError
from workers.jobs import Job

DONE = b"data: [DONE]\n\n"
SILENCE = b": still here\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def data(value: dict[str, Any], event: str = "") -> bytes:
    """One event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(value, ensure_ascii=True)}\n\n".encode()


async def streamed(
    request: Request, run: Run, make: Callable[[], Job], events: Callable[[], AsyncIterator[bytes]]
) -> StreamingResponse:
    """Begin a job and give the answer that holds its events.

    Its status is sent with the first one: what goes wrong before is an answer of its own, with its status.

    Args:
        request: Of a client that may go away before anything has come.
        run: Left at the end, whichever: what has not ended is cancelled then.
        make: Makes the job.
        events: Gives the events once the job is in line; errors that come later than the first become one.
    """
    try:
        await run.begin(make)
        coming = events()
        first = await unless_gone(request, _next(coming))
    except BaseException:
        await run.__aexit__()
        raise

    async def whole() -> AsyncIterator[bytes]:
        try:
            yield first
            async for event in coming:
                yield event
        except PhiqError as error:
            yield data({"error": shape.body_of(error).model_dump()})
        finally:
            await run.__aexit__()

    return StreamingResponse(whole(), media_type="text/event-stream", headers=_HEADERS)


async def _next(events: AsyncIterator[bytes]) -> bytes:
    return await anext(events)
