"""/v1/models: what jobs may be run on, in OpenAI's shape with phiq's own facts beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from gateway.http.depends import ServiceDep, allow
from workers.access.principal import Principal

if TYPE_CHECKING:
    from workers.service import Service

from gateway.openai.shape import OpenAIRoute, responses

router = APIRouter(prefix="/v1/models", tags=["openai"], route_class=OpenAIRoute)
Reader = Annotated[Principal, allow("models:read")]

_EXAMPLE: dict[str, Any] = {
    "id": "ollama:phi3.5",
    "object": "model",
    "created": 0,
    "owned_by": "ollama",
    "default": True,
    "title": "Phi-3.5 mini",
    "context": 131072,
    "vision": False,
    "loaded": ["worker-1"],
}


class Model(BaseModel):
    """A model; jobs name it by ``id``."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    id: str
    object: Literal["model"] = "model"
    created: int = Field(default=0, description="always 0: nothing here knows")
    owned_by: str = Field(description="the engine that runs it")
    default: bool = Field(default=False, description="jobs that name none run on it")
    title: str = ""
    context: int | None = Field(default=None, description="tokens it can hold; null: unknown or none")
    vision: bool | None = None
    loaded: list[str] = Field(default_factory=list, description="workers that have it in memory")
    loading: list[str] = Field(default_factory=list, description="workers that are loading it")


class Models(BaseModel):
    """The models."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("", responses=responses())
def index(service: ServiceDep, who: Reader) -> Models:  # noqa: ARG001 - asked for its scope
    """What is here: in a worker's memory, on this machine's shelf, in Ollama, and the default."""
    return Models(data=list(known(service).values()))


@router.get("/{model:path}", responses=responses(404))
def show(model: str, service: ServiceDep, who: Reader) -> Model:  # noqa: ARG001 - asked for its scope
    """One model."""
    from workers.errors import ModelNotFound

    found = known(service).get(model)
    if found is None:
        raise ModelNotFound(f"There is no model '{model[:80]}' here.", hint="GET /v1/models", subject=model[:80])
    return found


def known(service: Service) -> dict[str, Model]:
    """The models by their ids."""
    from workers.connections import default_model
    from workers.engines.route import parse_route
    from workers.models.profiles import lookup

    settings = service.settings
    route = parse_route(default_model(settings))
    found: dict[str, Model] = {}
    workers = service.workers()
    hosted = [uri for worker in workers for uri in (*worker.hosts, *worker.loading)]
    for uri in dict.fromkeys(["extractive", *map(str, route), *_local(service), *sorted(hosted)]):
        scheme, _, name = uri.partition(":")
        profile = lookup(name) if name else None
        found[uri] = Model(
            id=uri,
            owned_by="phiq" if uri == "extractive" else scheme,
            default=uri == str(route[0]),
            title="Extractive: no generative model" if uri == "extractive" else profile.title if profile else "",
            context=profile.context if profile else None,
            vision=profile.vision if profile else None,
            loaded=[worker.name for worker in workers if uri in worker.hosts],
            loading=[worker.name for worker in workers if uri in worker.loading],
        )
    return found


def _local(service: Service) -> Iterator[str]:
    from gateway.cli.models import ollama_names
    from workers.models.shelf import Shelf

    settings = service.settings
    yield from (entry.uri for entry in Shelf(settings.data_dir).list() if not entry.problem)
    yield from (f"ollama:{name}" for name in ollama_names(settings) or ())
