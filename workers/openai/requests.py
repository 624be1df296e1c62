"""From the body of a request to a job. What can't be honoured is refused by name, never ignored."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workers.errors import JobInvalid
from workers.jobs import Job, parse_job

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    model: str | None = Field(default=None, max_length=256)
    user: str | None = Field(default=None, max_length=512)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    type: Literal["text", "input_text", "output_text"]
    text: str


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]
    type: Literal["message"] | None = None

    def dump(self) -> dict[str, str]:
        """As a turn of a chat job."""
        text = self.content if isinstance(self.content, str) else "\n\n".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class _Drawn(_Body):
    temperature: float | int | None = None
    top_p: float | int | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: Literal[1] | None = None
    stream: Literal[False] | None = None

    def options(self, most: int | None) -> dict[str, Any]:
        """As options of a job."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        found = {
            "max_tokens": most,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "stop": stop,
        }
        return {name: value for name, value in found.items() if value is not None}


class _Chat(_Drawn):
    messages: list[_Message]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


class _Completion(_Drawn):
    prompt: str
    max_tokens: int | None = None


class _Embedding(_Body):
    input: str | list[str]
    encoding_format: Literal["float"] | None = None


class _Response(_Body):
    input: str | list[_Message]
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | int | None = None
    top_p: float | int | None = None
    store: Literal[False] | None = None
    stream: Literal[False] | None = None


def job_of(url: str, body: dict[str, Any]) -> Job:
    """The job of a request.

    Args:
        url: The path it was sent to, of `ENDPOINTS`.
        body: Its body.

    Raises:
        JobInvalid: naming what does not fit or is not supported.
    """
    try:
        match url:
            case "/v1/chat/completions":
                chat = _Chat.model_validate(body)
                most = chat.max_completion_tokens if chat.max_tokens is None else chat.max_tokens
                job = _chat([one.dump() for one in chat.messages], chat.options(most))
            case "/v1/completions":
                completion = _Completion.model_validate(body)
                options = completion.options(completion.max_tokens)
                job = {"kind": "complete", "input": {"prompt": completion.prompt}, "options": options}
            case "/v1/embeddings":
                given = _Embedding.model_validate(body).input
                job = {"kind": "embed", "input": {"texts": [given] if isinstance(given, str) else given}}
            case "/v1/responses":
                job = _of_response(_Response.model_validate(body))
            case _:
                raise JobInvalid(
                    f"{url[:80]} is no endpoint.", hint=f"Use one of: {', '.join(ENDPOINTS)}.", field="url"
                )
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])[:200]
        what = "is not supported" if first["type"] == "extra_forbidden" else f"does not fit: {first['msg']}"
        raise JobInvalid(f"{name or 'The body'} {what}.", hint="Leave it out, or correct it.", field=name) from error
    model = body.get("model")
    return parse_job(job | ({"model": model} if model and job["kind"] != "embed" else {}))


def _chat(messages: list[dict[str, str]], options: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "chat", "input": {"messages": messages, "collection": None}, "options": options}


def _of_response(body: _Response) -> dict[str, Any]:
    turns = (
        [{"role": "user", "content": body.input}] if isinstance(body.input, str) else [one.dump() for one in body.input]
    )
    before = [{"role": "system", "content": body.instructions}] if body.instructions else []
    found = {"max_tokens": body.max_output_tokens, "temperature": body.temperature, "top_p": body.top_p}
    return _chat([*before, *turns], {name: value for name, value in found.items() if value is not None})
