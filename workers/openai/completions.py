"""/v1/completions: its body as a complete job, the result as its answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from workers.errors import JobInvalid
from workers.jobs import CompleteJob, JobRecord
from workers.openai import chat, fields
from workers.openai.fields import Sampled, StreamOptions

Prompt = Annotated[str, Field(min_length=1)]


class CompletionRequest(Sampled):
    """The body. What stands with one allowed value is taken at that value only."""

    prompt: Prompt | Annotated[list[Prompt], Field(min_length=1, max_length=1)]
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    n: Literal[1] | None = None
    best_of: Literal[1] | None = None
    echo: Literal[False] | None = None
    suffix: None = None
    logprobs: None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    logit_bias: dict[str, float] | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None


def to_job(asked: CompletionRequest) -> CompleteJob:
    """The job that answers it.

    Raises:
        PhiqError: naming what can't be taken.
    """
    fields.check_stream(asked.stream, asked.stream_options)
    if asked.phiq is not None and asked.phiq.collection is not None:
        raise JobInvalid("A completion uses no documents.", param="phiq.collection")
    how = fields.options(
        asked, max_tokens=asked.max_tokens, stop=asked.stop, seed=asked.seed, logit_bias=asked.logit_bias
    )
    prompt = asked.prompt if isinstance(asked.prompt, str) else asked.prompt[0]
    whole = {"input": {"prompt": prompt}, "options": how.model_dump()}
    job = fields.build("complete", whole | fields.job_fields(asked))
    assert isinstance(job, CompleteJob)
    return job


def to_body(record: JobRecord) -> dict[str, Any]:
    """The answer for a job that has succeeded."""
    result = record.result or {}
    choice = {"index": 0, "text": result.get("text", ""), "logprobs": None, "finish_reason": chat.finish(result)}
    return {
        "id": f"cmpl-{record.id}",
        "object": "text_completion",
        "created": int(record.submitted_at.timestamp()),
        "model": record.model,
        "choices": [choice],
        "usage": chat.usage(result),
        "phiq": fields.extension(record.id, result),
    }
