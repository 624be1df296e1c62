"""From the hash in Redis to the typed record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agents.contract import Progress
from workers.jobs import AttemptRecord, JobRecord

LIGHT = [
    "version",
    "id",
    "kind",
    "state",
    "lane",
    "tenant",
    "capability",
    "model",
    "submitted",
    "available",
    "started",
    "finished",
    "expires",
    "deadline",
    "attempt",
    "max_attempts",
    "progress",
    "cancel",
    "error",
    "metadata",
    "deaths",
    "suspect",
    "subject",
    "key",
]
"""The fields that a list shows: no contents, no results."""


def when(milliseconds: str | None) -> datetime | None:
    """An instant of Redis' clock as UTC; None stays None."""
    return None if milliseconds is None else datetime.fromtimestamp(float(milliseconds) / 1000, UTC)


def to_record(fields: Mapping[str, str | None]) -> JobRecord:
    """The record in a job's hash; fields that were not read keep their defaults."""
    return JobRecord(
        version=int(fields.get("version") or 0),
        id=str(fields["id"]),
        kind=str(fields["kind"]),
        state=fields["state"],
        lane=fields["lane"],
        tenant=str(fields["tenant"]),
        capability=fields["capability"],
        model=str(fields["model"]),
        submitted_at=when(fields["submitted"]),
        available_at=when(fields.get("available")),
        started_at=when(fields.get("started")),
        finished_at=when(fields.get("finished")),
        expires_at=when(fields.get("expires")),
        deadline_at=when(fields.get("deadline")),
        attempt=int(fields.get("attempt") or 0),
        max_attempts=int(fields.get("max_attempts") or 1),
        attempts=_attempts(fields),
        progress=_json(fields, "progress", Progress.model_validate),
        cancel_requested=fields.get("cancel") == "1",
        deaths=int(fields.get("deaths") or 0),
        suspect=fields.get("suspect") == "1",
        subject=fields.get("subject"),
        trace=fields.get("trace"),
        key=fields.get("key"),
        error=_json(fields, "error"),
        metadata=_json(fields, "metadata") or {},
        job=_json(fields, "job") or {},
        result=_json(fields, "result"),
        missing=_json(fields, "missing"),
    )


def _json(fields: Mapping[str, str | None], name: str, make: Any = None) -> Any:
    text = fields.get(name)
    if not text:
        return None
    value = json.loads(text)
    return make(value) if make else value


def _attempts(fields: Mapping[str, str | None]) -> list[AttemptRecord]:
    found = []
    for number in range(1, int(fields.get("attempt") or 0) + 1):
        at = f"try:{number}:"
        started = fields.get(at + "started")
        if started is None:
            continue
        found.append(
            AttemptRecord(
                number=number,
                worker=str(fields.get(at + "worker")),
                started_at=when(started),
                ended_at=when(fields.get(at + "ended")),
                outcome=fields.get(at + "outcome") or "",
                error=_json(fields, at + "error"),
                alone=fields.get(at + "alone") == "1",
                death=fields.get(at + "death") == "1",
                resumed=int(fields.get(at + "resumed") or 0),
            )
        )
    return found
