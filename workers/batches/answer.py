"""From a job that has ended to the line that is written for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from agents.contract import Usage
from knowledge.errors import PhiqError
from workers.batches.lines import Line
from workers.errors import JobCancelled, JobExpired
from workers.jobs import JobRecord, State
from workers.openai import body_of


@dataclass(frozen=True)
class Answer:
    """A line of output (``ok``) or of the error file, without its end."""

    ok: bool
    text: bytes
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0


def of_record(line: Line, record: JobRecord, closing: PhiqError | None) -> Answer:
    """The line for a job that has ended.

    Args:
        line: As it was asked.
        record: The job.
        closing: Why the batch ended before its time; what it cancelled says so.
    """
    seconds = sum(
        (attempt.ended_at - attempt.started_at).total_seconds() for attempt in record.attempts if attempt.ended_at
    )
    if record.state is State.SUCCEEDED and record.result is not None:
        usage = Usage.model_validate(record.result.get("usage") or {})
        body = {"id": _line_id(record.id), "custom_id": line.custom_id, **_answered(line, record), "error": None}
        return Answer(True, dump(body | {"seconds": round(seconds, 3)}), usage, seconds)
    if record.state is State.CANCELLED and closing is not None:
        error = closing.to_dict()
    elif record.state is State.CANCELLED:
        error = JobCancelled("The job of this line was cancelled.", subject=record.id).to_dict()
    elif record.state is State.EXPIRED:
        error = JobExpired("The job of this line was not done in its time.", subject=record.id).to_dict()
    else:
        error = record.missing or record.error or {"code": "internal", "message": "The job ended without a result."}
    return of_error(line.custom_id, error, line.url, record.id, seconds)


def of_error(custom_id: str, error: dict[str, Any], url: str | None, job_id: str = "", seconds: float = 0.0) -> Answer:
    """The line for one that has no answer."""
    said = {name: error[name] for name in ("code", "message", "hint", "fault", "details") if error.get(name)}
    line = {"id": _line_id(job_id), "custom_id": custom_id, "response" if url else "result": None, "error": said}
    return Answer(False, dump(line | {"seconds": round(seconds, 3)}), seconds=seconds)


def _answered(line: Line, record: JobRecord) -> dict[str, Any]:
    if line.url is None:
        return {"job": record.id, "kind": record.kind, "model": record.model, "result": record.result}
    body = body_of(line.url, record, line.body)
    return {"response": {"status_code": 200, "request_id": record.id, "body": body}}


def _line_id(job_id: str) -> str | None:
    return f"batch_req_{job_id}" if job_id else None


def dump(value: dict[str, Any]) -> bytes:
    """A line of JSON in UTF-8; what is no text (half a character) is written by its number."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), default=str).encode()
