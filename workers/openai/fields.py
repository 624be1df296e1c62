"""What OpenAI's requests have in common: how they are read, and the fields that are taken only at their defaults."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.contract import Attachment
from workers.errors import JobInvalid, OptionUnsupported
from workers.jobs import GenerationOptions, parse_job

Attach = Callable[[str, bytes], Attachment]
"""Puts a picture's bytes into the content store, under a name."""

_FORMS = {"str", "int", "float", "system", "developer", "user", "assistant", "tool", "message", "function_call"} | {
    "function_call_output",
    "text",
    "image_url",
    "json_object",
    "json_schema",
    "function",
    "dict",
    "literal",
}
"""What pydantic calls the forms of a value in the place of an error."""
_NAMES = {"response_format", "text", "image_url", "json_schema", "function"}
"""Fields whose names are forms' names too: what follows them is a field."""
_DATA_URL = re.compile(r"data:image/[a-z0-9.+-]{1,32};base64,", re.IGNORECASE)


class Body(BaseModel):
    """Base of the bodies: what is not known is refused by name, never ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Phiq(Body):
    """phiq's own additions to a request."""

    collection: str | None = Field(default=None, description="answer from its passages, with citations")
    top_k: int = Field(default=5, ge=1, le=50, description="passages")
    subject: str | None = Field(default=None, description="whose words these are; `phiq erase` goes by it")
    deadline: float | None = Field(default=None, gt=0, le=366 * 86400, description="seconds until it must have ended")


class Sampled(Body):
    """Fields of everything that a model generates."""

    model: str = Field(
        default="default", min_length=1, max_length=512, description="an engine URI of phiq's, or `default`"
    )
    stream: bool = False
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    user: str | None = Field(default=None, max_length=512, description="kept in the job's metadata")
    phiq: Phiq | None = None


Metadata = dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]]


class StreamOptions(Body):
    """What a stream also holds."""

    include_usage: bool = False
    include_obfuscation: Literal[False] | None = None


def check_stream(stream: bool, given: object) -> None:
    """Refuse options of a stream where none is asked for.

    Raises:
        JobInvalid: there are some.
    """
    if given is not None and not stream:
        raise JobInvalid("stream_options needs stream.", hint="Leave it out.", param="stream_options")


def read(model: type[Body], body: Any) -> Any:
    """A body as its model.

    Raises:
        JobInvalid: naming the field that does not fit.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise misfit(error.errors()) from error


def misfit(errors: Sequence[Mapping[str, Any]]) -> JobInvalid:
    """The error for a body that does not fit, from what pydantic found."""
    # Of a value that may be text or a list, the part that got furthest is what was meant.
    first = max(errors, key=lambda one: len(one["loc"]))
    param = place(first["loc"])
    if first["type"] == "union_tag_invalid":
        param += "." + str(first.get("ctx", {}).get("discriminator", "type")).strip("'()_")
    known = first["type"] != "extra_forbidden"
    what = f"can't be taken: {str(first['msg'])[:300]}" if known else "is not supported"
    return JobInvalid(
        f"{param or 'The body'} {what}.",
        hint="" if known else "docs/http.md lists what is supported.",
        param=param or None,
    )


def place(loc: Sequence[int | str]) -> str:
    """Where in the body, without the names of the forms that a value may have; short and printable."""
    kept: list[str] = []
    for before, part in zip(("", *loc), loc, strict=False):
        form = isinstance(part, str) and (part in _FORMS and isinstance(before, int | str) and before not in _NAMES)
        if not (form or (isinstance(part, str) and "[" in part)):
            kept.append(str(part))
    return ".".join(kept)[:200].encode(errors="replace").decode()


def build(kind: str, given: dict[str, Any]) -> Any:
    """A job.

    Raises:
        JobInvalid: naming the field of the request that does not fit phiq's own contract.
    """
    try:
        return parse_job({"kind": kind, **given})
    except JobInvalid as error:
        found = error.details.get("errors") or [{}]
        field = str(found[0].get("field", "")).removeprefix(f"{kind}.")
        error.details["param"] = field.removeprefix("input.") if field.startswith("input.") else "messages"
        raise


def options(
    asked: Sampled,
    *,
    max_tokens: int | None,
    stop: str | list[str] | None = None,
    seed: int | None = None,
    logit_bias: dict[str, float] | None = None,
) -> GenerationOptions:
    """How to generate, in phiq's words.

    Raises:
        JobInvalid: naming what can't be used.
    """
    given: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "seed": seed if seed is None else seed % 2**63,
        "stop": [stop] if isinstance(stop, str) else stop or [],
        "logit_bias": logit_bias or {},
    }
    try:
        return GenerationOptions.model_validate(
            {name: value for name, value in given.items() if value not in (None, [], {})}
        )
    except ValidationError as error:
        raise misfit(error.errors()) from error


def job_fields(asked: Sampled, metadata: Metadata | None = None) -> dict[str, Any]:
    """What a job of any kind takes over.

    Raises:
        JobInvalid: two fields contradict each other.
    """
    own = asked.phiq or Phiq()
    kept = dict(metadata or {})
    if asked.user and kept.setdefault("user", asked.user) != asked.user:
        raise JobInvalid("user and metadata.user differ.", hint="Send one of them.", param="user")
    fields: dict[str, Any] = {"metadata": kept} if kept else {}
    if asked.model != "default":
        fields["model"] = asked.model
    if own.subject is not None:
        fields["subject"] = own.subject
    if own.deadline is not None:
        fields["deadline"] = own.deadline
    return fields


def picture(url: str, place: str, number: int, attach: Attach) -> Attachment:
    """A picture that came as a data URL, in the content store.

    Raises:
        OptionUnsupported: it is an address; nothing here fetches what a stranger names.
        JobInvalid: it is no base64.
    """
    found = _DATA_URL.match(url)
    if found is None:
        raise OptionUnsupported(
            "Pictures are taken as data URLs only (data:image/png;base64,…), not as addresses.",
            hint="Send the picture itself.",
            param=place,
        )
    try:
        data = base64.b64decode(url[found.end() :], validate=True)
    except binascii.Error as error:
        raise JobInvalid("The picture's data URL is no base64.", param=place) from error
    if not data:
        raise JobInvalid("The picture's data URL is empty.", param=place)
    return attach(f"image-{number}", data)


def usage_of(result: dict[str, Any]) -> tuple[int, int]:
    """Tokens of a result: the prompt's and the answer's."""
    counts = result.get("usage") or {}
    return int(counts.get("prompt_tokens", 0)), int(counts.get("completion_tokens", 0))


def cached_of(result: dict[str, Any]) -> int:
    """Tokens of a result's prompt that the engine had kept."""
    return int((result.get("usage") or {}).get("cached_tokens", 0))


def extension(job_id: str, result: dict[str, Any]) -> dict[str, Any]:
    """Phiq's own part of an answer: the job, what its text rests on, and the thoughts behind it."""
    thoughts = {"reasoning": result["reasoning"]} if result.get("reasoning") else {}
    return {"job": job_id, **evidence(result), **thoughts}


def evidence(result: dict[str, Any]) -> dict[str, Any]:
    """What the text of a result rests on, in the same words at every door."""
    return {name: result[name] for name in ("band", "citations", "passages", "notes") if result.get(name)}
