"""/v1/collections: what there is, how much is in it, and taking it away."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gateway.http import problems, reach
from gateway.http.depends import ServiceDep, allow
from workers.access.principal import Principal
from workers.documents import CollectionAbout

router = APIRouter(prefix="/v1/collections", tags=["documents"])
problems.known(document_not_found=404, collection_busy=409)

Reader = Annotated[Principal, allow("documents:read")]
Writer = Annotated[Principal, allow("documents:write")]


class CollectionList(BaseModel):
    """All collections of a tenant, by name."""

    data: list[CollectionAbout]


@router.get("", responses=problems.responses())
def index(service: ServiceDep, who: Reader) -> CollectionList:
    """The collections, with the number of their passages."""
    found = service.documents.collections(who.tenant)
    return CollectionList(data=[one for one in found if reach.reaches(who, one.name)])


@router.get("/{name}", responses=problems.responses(404))
def show(name: str, service: ServiceDep, who: Reader) -> CollectionAbout:
    """One collection."""
    reach.may_use(who, name)
    return service.documents.collection(who.tenant, name)


@router.delete("/{name}", status_code=204, response_class=Response, responses=problems.responses(404, 409))
def delete(name: str, service: ServiceDep, who: Writer) -> None:
    """Delete a collection and all that is in it. An ingest that writes to it is waited for, for a moment."""
    reach.may_use(who, name)
    service.documents.drop(who.tenant, name)
