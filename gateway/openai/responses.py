"""/v1/responses, the part that needs no memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from gateway.http.depends import FanoutDep, ServiceDep, allow
from gateway.openai import sse
from gateway.openai.chat import ANSWER
from gateway.openai.run import Run
from gateway.openai.shape import OpenAIRoute, responses
from workers.access.principal import Principal
from workers.openai import responses as bodies

router = APIRouter(tags=["openai"], route_class=OpenAIRoute)
Writer = Annotated[Principal, allow("jobs:write")]


@router.post("/v1/responses", response_class=Response, responses={**responses(404, 413, 504, 507), 200: ANSWER})
async def create(
    asked: bodies.ResponseRequest, request: Request, service: ServiceDep, fanout: FanoutDep, who: Writer
) -> Response:
    """Answer. Nothing is stored: the whole conversation comes with each request."""
    run = Run(service, fanout, who)
    if asked.stream:
        return await sse.streamed(request, run, lambda: bodies.to_job(asked, run.attach), lambda: _events(run, asked))
    async with run:
        await run.begin(lambda: bodies.to_job(asked, run.attach))
        return JSONResponse(bodies.to_body(await run.result(request), asked))


async def _events(run: Run, asked: bodies.ResponseRequest) -> AsyncIterator[bytes]:
    numbers = count()

    def event(kind: str, **members: Any) -> bytes:
        return sse.data({"type": kind, "sequence_number": next(numbers), **members}, kind)

    job_id = run.record.id
    place: dict[str, Any] = {"item_id": f"msg_{job_id}", "output_index": 0, "content_index": 0}
    begun = bodies.begun(run.record, asked)
    opening = [event("response.created", response=begun), event("response.in_progress", response=begun)]
    text = ""
    async for piece in run.text():
        if not piece:
            yield sse.SILENCE
            continue
        if not text:
            opening += _open_message(event, job_id, place)
        text += piece
        yield b"".join(opening) + event("response.output_text.delta", **place, delta=piece, logprobs=[])
        opening = []
    answer = bodies.to_body(await run.ended(), asked)
    for index, item in enumerate(answer["output"]):
        if item["type"] == "message":
            if not text:
                opening += _open_message(event, job_id, place)
            opening += _close_message(event, item, place)
        else:
            opening += _call(event, item, index)
    if opening:
        yield b"".join(opening)
    yield event(f"response.{answer['status']}", response=answer)


def _open_message(event: Any, job_id: str, place: dict[str, Any]) -> list[bytes]:
    item = bodies.message(job_id, None, "in_progress")
    return [
        event("response.output_item.added", output_index=0, item=item),
        event("response.content_part.added", **place, part=bodies.part("")),
    ]


def _close_message(event: Any, item: dict[str, Any], place: dict[str, Any]) -> list[bytes]:
    part = item["content"][0]
    return [
        event("response.output_text.done", **place, text=part["text"], logprobs=[]),
        event("response.content_part.done", **place, part=part),
        event("response.output_item.done", output_index=0, item=item),
    ]


def _call(event: Any, item: dict[str, Any], index: int) -> list[bytes]:
    place = {"item_id": item["id"], "output_index": index}
    begun = {**item, "status": "in_progress", "arguments": ""}
    return [
        event("response.output_item.added", output_index=index, item=begun),
        event("response.function_call_arguments.delta", **place, delta=item["arguments"]),
        event("response.function_call_arguments.done", **place, name=item["name"], arguments=item["arguments"]),
        event("response.output_item.done", output_index=index, item=item),
    ]
