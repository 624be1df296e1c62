"""/v1/completions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from gateway.http.depends import FanoutDep, ServiceDep, allow
from gateway.openai import sse
from gateway.openai.chat import ANSWER
from gateway.openai.run import Run
from gateway.openai.shape import OpenAIRoute, responses
from workers.access.principal import Principal
from workers.openai import completions

router = APIRouter(tags=["openai"], route_class=OpenAIRoute)
Writer = Annotated[Principal, allow("jobs:write")]


@router.post("/v1/completions", response_class=Response, responses={**responses(404, 413, 504, 507), 200: ANSWER})
async def create(
    asked: completions.CompletionRequest, request: Request, service: ServiceDep, fanout: FanoutDep, who: Writer
) -> Response:
    """Continue a prompt."""
    run = Run(service, fanout, who)
    if asked.stream:
        return await sse.streamed(request, run, lambda: completions.to_job(asked), lambda: _chunks(run, asked))
    async with run:
        await run.begin(lambda: completions.to_job(asked))
        return JSONResponse(completions.to_body(await run.result(request)))


async def _chunks(run: Run, asked: completions.CompletionRequest) -> AsyncIterator[bytes]:
    counts = asked.stream_options is not None and asked.stream_options.include_usage
    frame = {
        "id": f"cmpl-{run.record.id}",
        "object": "text_completion",
        "created": int(run.record.submitted_at.timestamp()),
        "model": run.record.model,
    }

    def chunk(text: str, finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        return sse.data(frame | {"choices": [choice]} | ({"usage": None} if counts else {}) | more)

    async for piece in run.text():
        yield chunk(piece) if piece else sse.SILENCE
    answer = completions.to_body(await run.ended())
    yield chunk("", answer["choices"][0]["finish_reason"], phiq=answer["phiq"])
    if counts:
        yield sse.data(frame | {"choices": [], "usage": answer["usage"]})
    yield sse.DONE
