"""The HTTP application: the routers, what happens around every request, and nothing that is kept.

Any number of gateways may run over one Redis: what a request needs is there or in the content store.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from types import ModuleType

from fastapi import FastAPI, Request
from starlette.types import Scope

from gateway.http import (
    attachments,
    collections,
    dead,
    depends,
    documents,
    events,
    fleet,
    health,
    jobs,
    keys,
    limits,
    metrics,
    models,
    openapi,
    problems,
    schedules,
    search,
    stats,
    strict,
    usage,
    watch,
    webhooks,
)
from gateway.http.guard import Guard
from gateway.openai import batches, chat, completions, embeddings, files, responses
from workers.ledger.fanout import Fanout
from workers.service import Service
from workers.settings import Settings

ROUTERS: tuple[ModuleType, ...] = (
    chat,
    completions,
    embeddings,
    responses,
    attachments,
    batches,
    collections,
    dead,
    documents,
    events,
    files,
    fleet,
    health,
    jobs,
    keys,
    metrics,
    models,
    schedules,
    search,
    stats,
    usage,
    webhooks,
)
"""Modules with a ``router``.

One may have a ``lifespan(app)`` too, which is entered while the gateway runs, and ``BODIES``: for routes that read
their bodies as a stream, how many bytes they take, by the path's beginning, as in
``{"/v1/files": lambda settings: 200_000_000}``.
"""

Bodies = Mapping[str, Callable[[Settings], int]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_DESCRIPTION = """\
Small language models as a job service. Submit a job, follow its events, get its result.

Errors are `application/problem+json` with a stable `code`; docs/http.md has the table.
"""


def create_app(service: Service) -> FastAPI:
    """The application over a service.

    Args:
        service: Shared by all requests; the caller closes it.
    """
    app = FastAPI(
        title="phiq",
        version=version("phiq"),
        description=_DESCRIPTION,
        lifespan=_lifespan,
        # These pages would load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    problems.install(app)
    routes: dict[str, int] = {}
    for module in ROUTERS:
        app.include_router(module.router)
        sizes: Bodies = getattr(module, "BODIES", {})
        routes |= {start: size(service.settings) for start, size in sizes.items()}

    async def admit(scope: Scope) -> None:
        await depends.principal(Request(scope), service)

    app.add_middleware(strict.Strict)
    app.add_middleware(limits.BodyLimits, default=_body_bytes(service.settings), routes=routes, admit=admit)
    app.add_middleware(Guard, service=service)
    watch.install(app)
    openapi.install(app)
    return app


def _body_bytes(settings: Settings) -> int:
    """A job as large as it may be, and what its JSON may need more than the ledger's."""
    return settings.max_job_bytes * 5 // 4 + 64 * 1024


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        app.state.fanout = Fanout(app.state.service.ledger.scripts)
        stack.push_async_callback(app.state.fanout.stop)
        for module in ROUTERS:
            enter: Lifespan | None = getattr(module, "lifespan", None)
            if enter is not None:
                await stack.enter_async_context(enter(app))
        yield
