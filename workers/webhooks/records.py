"""What an endpoint and a delivery are."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from workers.jobs import KINDS, Name

FAMILIES = ("job", "batch", "schedule")
TYPE = re.compile(r"[a-z]{1,20}\.[a-z_]{1,40}")
_PATTERN = re.compile(r"\*|[a-z]{1,20}\.(\*|[a-z_]{1,40})")

Include = Literal["result", "metadata"]
DeliveryState = Literal["pending", "sending", "delivered", "dead"]


class Filters(BaseModel):
    """Which of the events that match; empty lists leave nothing out."""

    model_config = ConfigDict(extra="forbid")
    kinds: list[str] = Field(default_factory=list, max_length=16, description="jobs of these kinds only")
    origin: str = Field(default="", max_length=160, description="only what came from here: schedule/NAME, batch/ID")
    batch_lines: bool = Field(default=False, description="the end of each line of a batch too, not of the batch only")
    named: bool = Field(default=False, description="of jobs only those that name this endpoint in `webhook`")

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: list[str]) -> list[str]:
        for kind in kinds:
            if kind not in KINDS:
                raise ValueError(f"'{kind[:40]}' is no kind of job; there are {', '.join(KINDS)}")
        return kinds


class EndpointNew(BaseModel):
    """An endpoint as a user asks for it."""

    model_config = ConfigDict(extra="forbid")
    name: Name
    url: str = Field(min_length=1, max_length=2048, description="where to POST; https, and no address inside")
    events: list[str] = Field(
        default=["job.*", "batch.*", "schedule.*"],
        min_length=1,
        max_length=32,
        description="job.*, batch.completed, …; * is all",
    )
    filters: Filters = Filters()
    include: list[Include] = Field(
        default_factory=list, max_length=2, description="contents to send along; by default ids, states and links only"
    )

    @field_validator("events")
    @classmethod
    def _patterns(cls, events: list[str]) -> list[str]:
        for event in events:
            family = event.partition(".")[0]
            if not _PATTERN.fullmatch(event) or (event != "*" and family not in FAMILIES):
                raise ValueError(f"'{event[:60]}' is none of job.*, batch.*, schedule.* or one event of these")
        return list(dict.fromkeys(events))


class Secret(BaseModel):
    """A key to sign with; ``until`` is when a rotated one ends, in seconds since 1970."""

    value: SecretStr
    until: float | None = None


class Endpoint(EndpointNew):
    """An endpoint as it is kept and shown; its secrets are shown once, when they are made."""

    model_config = ConfigDict(extra="ignore")
    created_at: datetime
    secrets: Annotated[list[Secret], Field(exclude=True)] = []
    disabled_at: datetime | None = Field(default=None, description="nothing is sent since then; `enable` begins again")
    disabled_why: str = ""
    failing_since: datetime | None = Field(default=None, description="the first failure since the last success")
    last_error: str = ""
    delivered_at: datetime | None = Field(default=None, description="the last success")

    def wants(self, kind: str) -> bool:
        """Whether a type of event matches one of its patterns."""
        family = kind.partition(".")[0]
        return any(event in ("*", kind, f"{family}.*") for event in self.events)


class Delivery(BaseModel):
    """One event on its way to one endpoint."""

    model_config = ConfigDict(extra="ignore")
    id: str
    tenant: str
    endpoint: str
    message: str = Field(description="the webhook-id header: the same for each try and for a replay")
    type: str
    state: DeliveryState
    data: dict[str, Any] = Field(default_factory=dict)
    job: str = ""
    created_at: datetime
    since: datetime = Field(description="the first try's time, or that of the replay")
    tries: int = 0
    due_at: datetime | None = None
    last_at: datetime | None = None
    ended_at: datetime | None = None
    status: int | None = Field(default=None, description="HTTP's of the last answer")
    error: str = ""


def when(milliseconds: str | None) -> datetime | None:
    """An instant of Redis' clock as UTC."""
    return datetime.fromtimestamp(int(float(milliseconds)) / 1000, UTC) if milliseconds else None


def to_delivery(fields: dict[str, str]) -> Delivery:
    """The delivery in its hash."""
    import json

    return Delivery(
        **{name: fields[name] for name in ("id", "tenant", "endpoint", "message", "type", "state")},
        data=json.loads(fields["data"]),
        job=fields.get("job", ""),
        created_at=when(fields["created"]),
        since=when(fields["since"]),
        tries=int(fields.get("tries") or 0),
        due_at=when(fields.get("due")),
        last_at=when(fields.get("last")),
        ended_at=when(fields.get("ended")),
        status=int(fields["status"]) if fields.get("status") else None,
        error=fields.get("error", ""),
    )
