"""Errors as OpenAI's API answers them, for the routes that have its shapes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.http import problems
from knowledge.errors import PhiqError
from workers.openai.fields import misfit

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class ErrorBody(BaseModel):
    """What went wrong."""

    message: str = Field(description="what happened and what to do")
    type: str
    param: str | None = None
    code: str | None = Field(default=None, description="phiq's stable code")


class ErrorAnswer(BaseModel):
    """An error in OpenAI's shape."""

    error: ErrorBody


def response(error: PhiqError) -> Response:
    """An error as OpenAI's client expects it."""
    return JSONResponse({"error": body_of(error).model_dump()}, problems.status_of(error), problems.headers_of(error))


def body_of(error: PhiqError) -> ErrorBody:
    """What went wrong, in OpenAI's shape."""
    status = problems.status_of(error)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    said = f"{error.message} {error.hint}".strip()
    param = error.details.get("param") or error.details.get("field")
    errors = error.details.get("errors")
    if param is None and isinstance(errors, list) and errors and isinstance(errors[0], dict):
        param = str(errors[0].get("field", "")).removeprefix("body.").removeprefix("query.") or None
    return ErrorBody(message=said, type=kind, param=param, code=error.code)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's ``responses=``: the errors it may answer with."""
    # Problems go to who asks for them, and to addresses that only look like one of these.
    problem = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"model": ErrorAnswer, "content": problem} for status in sorted({400, 401, 403, 429, 503, *statuses})
    }


class OpenAIRoute(APIRoute):
    """A route whose errors have OpenAI's shape; phiq's own client asks for problems instead."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with a border around it."""
        handle = super().get_route_handler()

        async def bordered(request: Request) -> Response:
            answer = problems.response if problems.MEDIA_TYPE in request.headers.get("accept", "") else response
            try:
                return await handle(request)
            except PhiqError as error:
                return answer(error)
            except RequestValidationError as error:
                return answer(_misfit(error))
            except HTTPException as error:
                return answer(problems.from_http(error))

        return bordered


def _misfit(error: RequestValidationError) -> PhiqError:
    found = error.errors()
    of_body = [{**one, "loc": one["loc"][1:]} for one in found if one["loc"][0] == "body"]
    kind = of_body[0]["type"] if of_body else ""
    if not of_body or kind == "json_invalid" or (kind == "missing" and not of_body[0]["loc"]):
        return problems.from_validation(error)
    told = misfit(of_body)
    return problems.RequestInvalid(told.message, hint=told.hint, **told.details)
