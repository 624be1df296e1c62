"""/v1/keys: make, list, show, rotate, revoke; and /v1/audit, what was done and refused."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.http import problems
from gateway.http.depends import ServiceDep, allow
from workers.access.audit import AuditEntry
from workers.access.key import ApiKey, KeySpec
from workers.access.keyring import OVERLAP

router = APIRouter(prefix="/v1", tags=["keys"], dependencies=[allow("admin")])


class NewKey(ApiKey):
    """A key with its text, which is shown this once and kept nowhere."""

    key: str = Field(description="what goes after `Authorization: Bearer`")


class KeyPage(BaseModel):
    """Keys, the newest first."""

    data: list[ApiKey]


class Rotation(BaseModel):
    """How a key is rotated."""

    model_config = ConfigDict(extra="forbid")
    overlap: float = Field(default=OVERLAP, ge=0, le=366 * 86400, description="seconds the secret before still works")


class AuditPage(BaseModel):
    """Entries of the audit log, the newest first."""

    data: list[AuditEntry]


@router.post("/keys", status_code=201, responses=problems.responses())
def create(spec: KeySpec, service: ServiceDep) -> NewKey:
    """Make a key."""
    key, text = service.access.create(spec)
    return NewKey(**key.model_dump(), key=text)


@router.get("/keys", responses=problems.responses())
def index(
    service: ServiceDep, tenant: Annotated[str | None, Query(max_length=64, description="only this tenant's")] = None
) -> KeyPage:
    """The keys, without their secrets."""
    return KeyPage(data=service.access.keys.list(tenant))


@router.get("/keys/{key_id}", responses=problems.responses(404))
def show(key_id: str, service: ServiceDep) -> ApiKey:
    """A key, without its secret."""
    return service.access.keys.get(key_id)


@router.post("/keys/{key_id}/rotate", responses=problems.responses(404))
def rotate(key_id: str, service: ServiceDep, how: Rotation | None = None) -> NewKey:
    """Give a key a new secret; the one before goes on for a while. Id, limits and counts stay."""
    key, text = service.access.rotate(key_id, (how or Rotation()).overlap)
    return NewKey(**key.model_dump(), key=text)


@router.post("/keys/{key_id}/revoke", responses=problems.responses(404))
def revoke(key_id: str, service: ServiceDep) -> ApiKey:
    """End a key, both of its secrets, within seconds on every gateway."""
    return service.access.revoke(key_id)


@router.get("/audit", responses=problems.responses())
def audit(
    service: ServiceDep,
    denied: Annotated[bool, Query(description="what was refused, instead of what was done")] = False,
    tenant: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> AuditPage:
    """Who did what, on what, when, and how it ended; never contents."""
    return AuditPage(data=service.access.audit.read(limit, denied=denied, tenant=tenant))
