"""Requests and answers by their paths: what lines of batches need."""

from __future__ import annotations

from typing import Any

from agents.contract import Attachment
from workers.errors import JobInvalid, OptionUnsupported
from workers.jobs import Job, JobRecord
from workers.openai import chat, completions, embeddings, fields, responses
from workers.openai.fields import Attach, Body

_BODIES: dict[str, type[Body]] = {
    "/v1/chat/completions": chat.ChatRequest,
    "/v1/completions": completions.CompletionRequest,
    "/v1/embeddings": embeddings.EmbeddingRequest,
    "/v1/responses": responses.ResponseRequest,
}
ENDPOINTS = tuple(_BODIES)


def job_of(url: str, body: dict[str, Any], attach: Attach | None = None) -> Job:
    """The job of a request that is not streamed.

    Args:
        url: The path it was sent to, of `ENDPOINTS`.
        body: Its body.
        attach: Keeps a picture; None: pictures are refused.

    Raises:
        JobInvalid, OptionUnsupported: naming what does not fit or is not supported.
    """
    if url not in _BODIES:
        raise JobInvalid(f"{url[:80]} is no endpoint.", hint=f"Use one of: {', '.join(ENDPOINTS)}.", param="url")
    asked = fields.read(_BODIES[url], body)
    if getattr(asked, "stream", False):
        raise JobInvalid("A line of a batch can't be streamed.", hint="Leave out stream.", param="stream")
    match asked:
        case chat.ChatRequest():
            return chat.to_job(asked, attach or _no_pictures)
        case completions.CompletionRequest():
            return completions.to_job(asked)
        case responses.ResponseRequest():
            return responses.to_job(asked, attach or _no_pictures)
        case embeddings.EmbeddingRequest():
            return embeddings.to_job(asked, None)
    raise AssertionError(url)


def body_of(url: str, record: JobRecord, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The body of the answer.

    Args:
        url: The path the request was sent to.
        record: Its job, with its result.
        body: The request's; None: as if it had asked for nothing in particular.
    """
    match url:
        case "/v1/chat/completions":
            return chat.to_body(record)
        case "/v1/completions":
            return completions.to_body(record)
        case "/v1/embeddings":
            return embeddings.to_body(record, str((body or {}).get("encoding_format") or "float"))
    asked = responses.ResponseRequest.model_validate(body or {"input": "-"})
    return responses.to_body(record, asked)


def _no_pictures(name: str, data: bytes) -> Attachment:
    _ = name, data
    raise OptionUnsupported("Pictures are not taken here.", hint="Send the request by itself.", param="messages")
