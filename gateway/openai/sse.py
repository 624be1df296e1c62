"""Server-sent events as OpenAI's clients read them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse

from gateway.openai import shape
from gateway.openai.run import Run
from knowledge.errors import PhiqError

DONE = b"data: [DONE]\n\n"
SILENCE = b": still here\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def data(value: dict[str, Any], event: str = "") -> bytes:
    """One event."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(value, ensure_ascii=True)}\n\n".encode()


async def streamed(run: Run, events: AsyncIterator[bytes]) -> StreamingResponse:
    """The answer that holds the events.

    Its status is sent with the first one: what goes wrong before is an answer of its own, with its status.

    Args:
        run: Left at the end, whichever: what has not ended is cancelled then.
        events: Errors that it raises later become an event.
    """
    first = await anext(events)

    async def whole() -> AsyncIterator[bytes]:
        try:
            yield first
            async for event in events:
                yield event
        except PhiqError as error:
            yield data({"error": shape.body_of(error).model_dump()})
        finally:
            await run.__aexit__()

    return StreamingResponse(whole(), media_type="text/event-stream", headers=_HEADERS)
