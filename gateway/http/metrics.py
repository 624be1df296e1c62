"""/metrics: the whole installation in Prometheus' words, whichever gateway is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse

from gateway.http import problems
from gateway.http.depends import ServiceDep, allow

if TYPE_CHECKING:
    from gateway.http.watch import HttpMetrics

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[allow("admin")], responses=problems.responses())
def metrics(
    request: Request,
    service: ServiceDep,
    tenants: Annotated[
        int, Query(ge=0, le=100, description="this many tenants get series of their own; the others are `_other`")
    ] = 0,
    accept: Annotated[str, Header(max_length=1000)] = "",
) -> Response:
    """Metrics of the whole installation, and of this gateway's own requests, as Prometheus or OpenMetrics text."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    from gateway.http.collect import Installation

    own: HttpMetrics = request.app.state.http_metrics
    registry = CollectorRegistry(auto_describe=False)
    registry.register(own.registry)
    registry.register(Installation(service.ledger, tenants))
    encode, media_type = choose_encoder(accept)
    return Response(encode(registry), headers={"Content-Type": media_type})
