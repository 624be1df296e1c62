"""What endpoints ask for: the service, the events of jobs, and who is asking."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from gateway.http.access import identify, permit
from workers.access.principal import Principal
from workers.ledger.fanout import Fanout
from workers.service import Service
from workers.sight.about import note


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]


async def _fanout(request: Request) -> Fanout:
    fanout: Fanout = request.app.state.fanout
    return fanout


FanoutDep = Annotated[Fanout, Depends(_fanout)]
"""Follows jobs: ``async with fanout.follow(id, tenant) as following: async for event in following``."""


async def principal(request: Request, service: ServiceDep) -> Principal:
    """Who is asking, found out once a request. On loopback in the one-machine mode nobody needs a key."""
    state = request.scope.setdefault("state", {})
    if "principal" not in state:
        state["principal"] = await identify(request, service)
    who: Principal = state["principal"]
    return who


Who = Annotated[Principal, Depends(principal)]


def allow(scope: str) -> Any:
    """Make a dependency of a scope, which gives the principal.

    Args:
        scope: What it must be allowed; see `workers.access.principal.SCOPES`.

    Endpoints write ``who: Annotated[Principal, allow("jobs:write")]`` and answer `ScopeMissing` where it lacks it.
    """

    async def check(request: Request, service: ServiceDep, who: Who) -> Principal:
        await permit(request, service, who, scope)
        note(tenant=who.tenant, key=who.key_id)
        return who

    return Depends(check)
