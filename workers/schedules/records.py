"""What a schedule and its firings are: as people write and see them, and as they lie in Redis. Times are UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.contract import Input
from workers.batches.spec import TaskSpec, Window
from workers.errors import ScheduleInvalid
from workers.jobs import Name
from workers.schedules.when import When, when, zone

RECORD_VERSION = 1
"""Of the layout in Redis: a scheduler leaves alone what is newer than itself."""
HISTORY = 100
"""Ended firings that are kept of each schedule."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_M = TypeVar("_M", bound=BaseModel)


class BatchTarget(Input):
    """A batch over documents, started anew at each firing.

    Attributes:
        paths: Files, folders and patterns on the machine where the scheduler and the workers run.
        task: What is done to each document.
        to: The file the results go to. ``{date}`` and ``{time}`` in it are the firing's, in the schedule's zone.
        expires_in: Seconds until the batch ends with what it has.
    """

    paths: list[Annotated[str, Field(min_length=1, max_length=4096)]] = Field(min_length=1, max_length=1000)
    task: TaskSpec
    to: str | None = Field(default=None, max_length=4096)
    expires_in: Window = 86400.0


class ScheduleSpec(Input):
    """What is to be done when. Exactly one of cron, every and at; exactly one of job and batch."""

    cron: str | None = Field(default=None, max_length=200, description="minute, hour, day, month, weekday: 0 6 * * 1-5")
    every: str | None = Field(default=None, max_length=40, description="a span such as 15m or 1h30m")
    at: str | None = Field(default=None, max_length=40, description="once, ISO 8601; without an offset in the zone tz")
    tz: str = Field(default="UTC", max_length=64, description="time zone of cron and at, such as Europe/Zagreb")
    job: dict[str, Any] | None = Field(default=None, description="a job as for submitting")
    batch: BatchTarget | None = Field(default=None, description="a batch over documents")
    overlap: Literal["skip", "queue", "cancel_old"] = Field(
        default="skip",
        description="while the firing before still runs: leave this one out, let it wait, end that one",
    )
    missed: Literal["once", "all", "none"] = Field(
        default="once", description="firings that no scheduler was there for: made up for once, all, or not at all"
    )
    grace: float = Field(default=60.0, ge=0.0, le=86400.0, description="seconds of lateness that are not yet missed")
    webhook: Name | None = Field(
        default=None, description="the webhook endpoint that is told when a firing's work has ended"
    )

    @property
    def zone(self) -> ZoneInfo:
        """The time zone.

        Raises:
            ScheduleInvalid: there is none of this name.
        """
        return zone(self.tz)

    def times(self, anchor: datetime) -> When:
        """When it is due.

        Args:
            anchor: What ``every`` counts from.

        Raises:
            ScheduleInvalid: cron, every, at or tz can't be used.
        """
        return when(self.cron, self.every, self.at, self.zone, anchor)


class FiringState(StrEnum):
    """Where a firing is: decided, held back, being started, running; or how it ended."""

    DUE = "due"
    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEAD = "dead"
    SKIPPED = "skipped"
    MISSED = "missed"
    FORGOTTEN = "forgotten"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to it."""
        return self not in (FiringState.DUE, FiringState.WAITING, FiringState.STARTING, FiringState.RUNNING)

    @property
    def begun(self) -> bool:
        """Whether its work is, or may be, under way."""
        return self in (FiringState.STARTING, FiringState.RUNNING)


class Firing(BaseModel):
    """One firing of a schedule. ``key`` tells it from the others: the instant it was due, or its own for a run now."""

    model_config = ConfigDict(extra="ignore")
    key: str
    due: datetime
    manual: bool = False
    late: bool = Field(default=False, description="missed and made up for")
    missed: int = Field(default=0, description="others, missed before it, that it stands for")
    state: FiringState = FiringState.DUE
    decided_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    run: str | None = Field(default=None, description="the job's or batch's id")
    tries: int = Field(default=0, description="how often it could not be started")
    reason: str = Field(default="", description="why it was skipped or waits")
    error: dict[str, Any] | None = None


class Schedule(BaseModel):
    """A schedule as it is now. ``next_at`` is None while it is paused, and when it is due no more."""

    model_config = ConfigDict(extra="ignore")
    name: str
    tenant: str
    spec: ScheduleSpec
    paused: bool = False
    created_at: datetime
    updated_at: datetime
    next_at: datetime | None = None
    uid: str = Field(description="of this schedule and no later one of the same name", exclude=True)
    revision: int = Field(default=1, description="counts the changes")
    key: str | None = Field(default=None, description="id of the API key that added or changed it last")
    remote: bool = Field(default=False, description="asked for over HTTP: its paths lie below PHIQ_BATCH_ROOTS")

    @property
    def id(self) -> str:
        """What a firing's id is made of, besides its key: tenant, name and which one of that name."""
        return f"{self.tenant}/{self.name}/{self.uid}"

    @property
    def times(self) -> When:
        """When it is due."""
        return self.spec.times(self.created_at)

    def upcoming(self, now: datetime, count: int = 5) -> list[datetime]:
        """The next instants after ``now`` at which it is (paused: would be) due."""
        found: list[datetime] = []
        for one in self.times.after(now):
            found.append(one)
            if len(found) == count:
                break
        return found


def is_name(value: str) -> bool:
    """Whether a schedule may be called so."""
    return _NAME.fullmatch(value) is not None


def parse(model: type[_M], value: Any) -> _M:
    """A model of this module from what somebody sent.

    Raises:
        ScheduleInvalid: naming what does not fit.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])[:200]
        raise ScheduleInvalid(
            f"The schedule does not fit: {field or 'schedule'}: {first['msg']}.",
            hint="docs/operations.md (Schedules) lists the fields.",
            field=field,
        ) from error


def millis(instant: datetime) -> int:
    """Milliseconds since 1970."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def moment(millis: float | str) -> datetime:
    """The instant of so many milliseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(float(millis)))


def firing_key(due: datetime) -> str:
    """The key of the firing that was due at an instant."""
    return due.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
