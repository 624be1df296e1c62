"""/v1/embeddings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request

from gateway.http.depends import FanoutDep, ServiceDep, allow
from gateway.openai.run import Run
from gateway.openai.shape import OpenAIRoute, responses
from workers.access.principal import Principal
from workers.openai import embeddings

router = APIRouter(tags=["openai"], route_class=OpenAIRoute)


@router.post("/v1/embeddings", responses=responses(404, 413, 504, 507))
async def create(
    asked: embeddings.EmbeddingRequest,
    request: Request,
    service: ServiceDep,
    fanout: FanoutDep,
    who: Annotated[Principal, allow("jobs:write")],
) -> dict[str, Any]:
    """Embed texts with the embedder that collections are made with."""
    async with Run(service, fanout, who) as run:
        await run.begin(lambda: embeddings.to_job(asked, service.settings.embedder))
        return embeddings.to_body(await run.result(request), asked.encoding_format)
