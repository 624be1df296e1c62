"""/v1/usage: what the asking tenant, and its key, used this month and today."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from gateway.http import problems
from gateway.http.depends import ServiceDep, allow
from workers.access.principal import Principal
from workers.access.usage import Usage

router = APIRouter(prefix="/v1/usage", tags=["keys"])


class UsagePage(BaseModel):
    """The use of whoever asks."""

    tenant: Usage
    key: Usage | None = Field(default=None, description="of the key in the request, when there is one")


@router.get("", responses=problems.responses())
def usage(
    service: ServiceDep,
    who: Annotated[Principal, allow("jobs:read")],
    month: Annotated[
        str, Query(pattern=r"^([0-9]{4}-[0-9]{2})?$", description="such as 2026-10, UTC; left out: this one")
    ] = "",
) -> UsagePage:
    """Jobs that ended, tokens and seconds of your tenant and key."""
    key = service.access.usage(key=who.key_id, month=month) if who.key_id else None
    return UsagePage(tenant=service.access.usage(who.tenant, month=month), key=key)
