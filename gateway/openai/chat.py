"""/v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from gateway.http import problems
from gateway.http.depends import FanoutDep, ServiceDep, allow
from gateway.openai import sse
from gateway.openai.run import Run
from gateway.openai.shape import OpenAIRoute, responses
from workers.access.principal import Principal
from workers.openai import chat

router = APIRouter(tags=["openai"], route_class=OpenAIRoute)
problems.known(answer_changed=503, context_overflow=400)
Writer = Annotated[Principal, allow("jobs:write")]

ANSWER: dict[str, Any] = {
    "description": "The answer, or a stream of its parts.",
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "text/event-stream": {"schema": {"type": "string"}},
    },
}


@router.post(
    "/v1/chat/completions", response_class=Response, responses={**responses(404, 409, 413, 504, 507), 200: ANSWER}
)
async def create(
    asked: chat.ChatRequest, request: Request, service: ServiceDep, fanout: FanoutDep, who: Writer
) -> Response:
    """Answer a conversation. Nothing is added to it, nothing left out; with `phiq.collection` from documents."""
    run = Run(service, fanout, who)
    if asked.stream:
        return await sse.streamed(request, run, lambda: chat.to_job(asked, run.attach), lambda: _chunks(run, asked))
    async with run:
        await run.begin(lambda: chat.to_job(asked, run.attach))
        return JSONResponse(chat.to_body(await run.result(request)))


async def _chunks(run: Run, asked: chat.ChatRequest) -> AsyncIterator[bytes]:
    counts = asked.stream_options is not None and asked.stream_options.include_usage
    frame = {
        "id": f"chatcmpl-{run.record.id}",
        "object": "chat.completion.chunk",
        "created": int(run.record.submitted_at.timestamp()),
        "model": run.record.model,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse.data(frame | {"choices": [choice]} | ({"usage": None} if counts else {}) | more)

    begun = False
    async for piece in run.text():
        if not piece:
            yield sse.SILENCE
            continue
        yield chunk({"content": piece} if begun else {"role": "assistant", "content": piece})
        begun = True
    record = await run.ended()
    answer = chat.to_body(record)
    last = answer["choices"][0]
    if not begun:
        yield chunk({"role": "assistant", "content": ""})
    if calls := last["message"].get("tool_calls"):
        yield chunk({"tool_calls": [{"index": place, **call} for place, call in enumerate(calls)]})
    yield chunk({}, last["finish_reason"], phiq=answer["phiq"])
    if counts:
        yield sse.data(frame | {"choices": [], "usage": answer["usage"]})
    yield sse.DONE
