"""Errors as RFC 9457 problems: one table from our stable codes to HTTP's status numbers."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from knowledge.errors import PhiqError, UserError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: dict[str, int] = {
    "key_missing": 401,
    "key_invalid": 401,
    "scope_missing": 403,
    "not_found": 404,
    "job_not_found": 404,
    "collection_not_found": 404,
    "content_missing": 404,
    "model_not_found": 404,
    "method_not_allowed": 405,
    "body_too_slow": 408,
    "key_not_found": 404,
    "origin_refused": 403,
    "idempotency_conflict": 409,
    "not_replayable": 409,
    "job_too_large": 413,
    "body_too_large": 413,
    "document_too_large": 413,
    "content_type_unsupported": 415,
    "rate_limited": 429,
    "quota_exceeded": 429,
    "busy": 503,
    "not_running": 503,
    "redis_unavailable": 503,
    "store_unavailable": 503,
    "content_unavailable": 503,
    "engine_down": 503,
    "engine_not_shared": 503,
    "stopping": 503,
    "engine_timeout": 504,
    "storage_full": 507,
}
"""What is not here is 400 when the user's fault, else 500. Other modules may add their own codes with `known`."""


class RequestInvalid(UserError):
    """Raised when a request does not fit what the route takes; ``details['errors']`` lists field and reason."""

    code = "request_invalid"


class ContentTypeUnsupported(UserError):
    """Raised when a body is of a type that its route does not take."""

    code = "content_type_unsupported"


class Problem(BaseModel):
    """An error as every route under /v1 answers it; ``details`` of the error stand beside these fields."""

    model_config = ConfigDict(extra="allow")
    type: str = Field(description="about:blank; go by `code`")
    title: str = Field(description="HTTP's words for the status")
    status: int
    code: str = Field(description="stable: programs may match on it")
    detail: str = Field(description="what happened, in a sentence")
    hint: str = Field(default="", description="what to do next")
    subject: str | None = Field(default=None, description="the job, file or model it happened to")


def known(**codes: int) -> None:
    """Add codes of a module to `STATUS`."""
    STATUS.update(codes)


def status_of(error: PhiqError) -> int:
    """The HTTP status of an error."""
    return STATUS.get(error.code) or (400 if error.fault == "user" else 500)


def headers_of(error: PhiqError) -> dict[str, str]:
    """Headers that go with an error."""
    headers = {}
    after = error.details.get("retry_after")
    if isinstance(after, int | float):
        headers["Retry-After"] = str(max(1, math.ceil(after)))
    elif error.transient:
        headers["Retry-After"] = "2"
    if status_of(error) == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def body_of(error: PhiqError) -> dict[str, Any]:
    """The problem's members."""
    status = status_of(error)
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": error.message,
        "hint": error.hint,
    }
    if error.subject:
        members["subject"] = error.subject
    return {**error.details, **members}


def response(error: PhiqError) -> Response:
    """The whole answer."""
    return JSONResponse(body_of(error), status_of(error), headers_of(error), media_type=MEDIA_TYPE)


_MEANING = {
    400: "The request does not fit; `errors` says where",
    401: "A key is needed, or this one is not valid",
    403: "The key may not do this",
    404: "There is no such thing, or it is another tenant's",
    408: "The body came too slowly",
    409: "It is not in a state for this, or the idempotency key was used for something else",
    413: "Too large",
    415: "A type of body that is not taken",
    429: "Too much at once; Retry-After says when to come back",
    500: "The gateway's fault",
    503: "Redis or a service does not answer, or too many are here; try again",
    507: "No room in Redis or on the disk; nothing was accepted",
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's ``responses=``: which problems it may answer with, for the OpenAPI page."""
    return {
        status: {
            "description": _MEANING.get(status, HTTPStatus(status).phrase),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({400, 401, 403, 429, 500, 503, *statuses})
    }


def from_validation(error: RequestValidationError) -> PhiqError:
    """What does not fit, without what was sent: it may be a customer's words."""
    if isinstance(error.body, bytes) and error.body:  # left as it came, since the headers don't say that it is JSON
        return ContentTypeUnsupported(
            "The body's Content-Type is not one this address takes.", hint="Send JSON as application/json."
        )
    broken = next((item for item in error.errors() if item["type"] == "json_invalid"), None)
    if broken is not None:
        why = str(broken.get("ctx", {}).get("error", "")).rstrip(".")
        return RequestInvalid(
            f"The body is not JSON: {why} (character {broken['loc'][-1]}).",
            hint="Send one JSON object.",
            errors=[{"field": "body", "reason": why}],
        )
    reasons = [{"field": _place(item["loc"]), "reason": str(item["msg"])[:300]} for item in list(error.errors())[:20]]
    first = reasons[0] if reasons else {"field": "", "reason": "it can't be read"}
    return RequestInvalid(
        f"The request does not fit: {first['field'] or 'body'}: {first['reason']}.",
        hint="GET /openapi.json describes every route.",
        errors=reasons,
    )


def from_http(error: HTTPException) -> PhiqError:
    """A refusal of the framework's as one of ours."""
    if isinstance(error.__cause__, PhiqError):  # raised while the framework read the body
        return error.__cause__
    words = {
        404: ("not_found", "There is nothing at this address.", "GET /openapi.json lists every route."),
        405: ("method_not_allowed", "This address does not take this method.", "See the Allow header."),
        415: ("content_type_unsupported", "The body's type is not one this route takes.", "Send JSON."),
    }
    code, message, hint = words.get(error.status_code, ("bad_request", str(error.detail), ""))
    if error.status_code >= 500:
        code = "internal"
    kind = type("Refused", (UserError,), {"code": code})
    made: PhiqError = kind(message, hint=hint)
    return made


def install(app: FastAPI) -> None:
    """Let the application answer every error as a problem."""

    def ours(_request: Request, error: Exception) -> Response:
        assert isinstance(error, PhiqError)
        return response(error)

    def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return response(from_validation(error))

    def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = response(from_http(error))
        answer.headers.update(error.headers or {})
        return answer

    def unforeseen(_request: Request, error: Exception) -> Response:
        log.error("a request failed: %s", type(error).__name__, exc_info=error)
        return response(PhiqError("Something unforeseen happened in the gateway.", hint="Its log has the reason."))

    app.add_exception_handler(PhiqError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Exception, unforeseen)


def _place(parts: tuple[int | str, ...]) -> str:
    """Where in the request; the parts may be a stranger's, so it is kept short and printable."""
    return ".".join(str(part) for part in parts)[:200].encode(errors="replace").decode()
