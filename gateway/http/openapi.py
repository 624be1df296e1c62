"""The OpenAPI page: FastAPI's own, with our errors instead of its."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.http import samples
from gateway.http.problems import Problem

TAGS = [
    {"name": "jobs", "description": "Submit work, follow it, read its result."},
    {"name": "attachments", "description": "Files that jobs carry."},
    {"name": "documents", "description": "Collections of documents."},
    {"name": "search", "description": "Passages of a collection."},
    {"name": "openai", "description": "What OpenAI's clients call, in its shapes; what isn't supported is refused."},
    {"name": "schedules", "description": "Work at given times."},
    {"name": "webhooks", "description": "Who is told of what happens."},
    {"name": "operations", "description": "The installation as its operators see it."},
    {"name": "keys", "description": "Keys and what they may do."},
    {"name": "health", "description": "For machines that watch over this one."},
]

_PROBLEM = {
    "type": "about:blank",
    "title": "Not Found",
    "status": 404,
    "code": "job_not_found",
    "detail": "There is no job 019aaf3c5e6b7c0d8e9fa0b1c2d3e4f5, or it has expired.",
    "hint": "phiq jobs",
    "subject": "019aaf3c5e6b7c0d8e9fa0b1c2d3e4f5",
}
_KEY = {"type": "http", "scheme": "bearer", "description": "phiq_sk_…, made by `phiq key create`"}
_OPEN = {"/healthz", "/readyz"}
_NOT_OURS = {"HTTPValidationError", "ValidationError"}
"""FastAPI describes answers of 422 for every route, which none gives here."""


def install(app: FastAPI) -> None:
    """Make the page when it is asked for the first time."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = page(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of changing it


def page(app: FastAPI) -> dict[str, Any]:
    """The page."""
    made = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=TAGS,
        servers=app.servers,
    )
    schemas: dict[str, Any] = made.setdefault("components", {}).setdefault("schemas", {})
    for name in _NOT_OURS:
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema() | {"examples": [_PROBLEM]}
    samples.add(schemas)
    made["components"]["securitySchemes"] = {"key": _KEY}
    for path, operations in made["paths"].items():
        for operation in operations.values():
            operation.get("responses", {}).pop("422", None)
            if path not in _OPEN:
                # On loopback none is needed.
                operation["security"] = [{"key": []}, {}]
    return made
