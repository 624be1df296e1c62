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


Month = Annotated[str, Query(pattern=r"^([0-9]{4}-[0-9]{2})?$", description="such as 2026-10, UTC; left out: this one")]


class UsagePage(BaseModel):
    """The use of whoever asks."""

    tenant: Usage
    key: Usage | None = Field(default=None, description="of the key in the request, when there is one")


@router.get("/of", responses=problems.responses(404), dependencies=[allow("admin")])
def usage_of(
    service: ServiceDep,
    tenant: Annotated[str, Query(max_length=64, description="whose; or:")] = "",
    key: Annotated[str, Query(max_length=64, description="a key's id")] = "",
    month: Month = "",
) -> Usage:
    """What any tenant or key used."""
    key_id = service.access.keys.get(key).id if key else ""
    return service.access.usage("" if key_id else tenant or service.settings.tenant, key=key_id, month=month)


@router.get("", responses=problems.responses())
def usage(
    service: ServiceDep,
    who: Annotated[Principal, allow("jobs:read")],
    month: Month = "",
) -> UsagePage:
    """Jobs that ended, tokens and seconds of your tenant and key."""
    key = service.access.usage(key=who.key_id, month=month) if who.key_id else None
    return UsagePage(tenant=service.access.usage(who.tenant, month=month), key=key)
