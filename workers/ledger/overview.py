"""What people are told of queues and tenants: counts, limits, pauses."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workers.jobs import Name
from workers.ledger import names, registry
from workers.ledger.registry import WorkerInfo
from workers.ledger.scripts import Scripts


class Limits(BaseModel):
    """What a tenant may have. None: as the settings say."""

    model_config = ConfigDict(extra="forbid")
    queued: int | None = Field(default=None, ge=0, le=1_000_000_000, description="jobs waiting at most; 0: no limit")
    running: int | None = Field(default=None, ge=0, le=1_000_000_000, description="jobs running at most; 0: no limit")
    share: float | None = Field(default=None, gt=0, le=1000, description="turns against a tenant with share 1")
    tokens_day: int | None = Field(default=None, gt=0, le=10**15, description="tokens of models in a day (UTC)")
    tokens_month: int | None = Field(default=None, gt=0, le=10**15, description="tokens of models in a month (UTC)")
    seconds_day: int | None = Field(default=None, gt=0, le=10**12, description="seconds that jobs ran in a day (UTC)")
    seconds_month: int | None = Field(default=None, gt=0, le=10**12, description="seconds that jobs ran in a month")

    @field_validator("*", mode="before")
    @classmethod
    def _is_a_number(cls, value: object) -> object:
        # Not strict as a whole: Redis' scripts write a large number as 1e+09.
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise ValueError("it must be a number")  # noqa: TRY004 - what pydantic takes
        return value


class TenantInfo(BaseModel):
    """A tenant with jobs or limits of its own."""

    model_config = ConfigDict(extra="ignore")
    name: Name
    queued: int = 0
    running: int = 0
    paused: bool = False
    limits: Limits = Limits()


class QueueInfo(BaseModel):
    """A queue: ``name`` is capability.lane. Times are seconds."""

    model_config = ConfigDict(extra="ignore")
    name: str
    waiting: int = Field(default=0, description="in line, those handed to the broker included")
    sent: int = Field(default=0, description="handed to the broker, not yet claimed")
    running: int = 0
    slots: int = Field(default=0, description="of the living workers that serve it")
    workers: int = 0
    oldest_age: float = 0.0
    pace: float | None = Field(default=None, description="seconds a job of it runs, lately; None: unknown")
    paused: bool = False


def tenants(scripts: Scripts) -> list[TenantInfo]:
    """The tenants with jobs or limits of their own, and those that are paused, by name."""
    found = [TenantInfo.model_validate(json.loads(text)) for text in scripts.run("tenants")]
    return sorted(found, key=lambda info: info.name)


def queues(scripts: Scripts, workers: list[WorkerInfo]) -> list[QueueInfo]:
    """The queues that somebody serves or that ever had a job, by name."""
    served = {capability for info in workers for capability in info.serves}
    found = []
    for text in scripts.run("queues", *names.serving_order(sorted(served))):
        info = QueueInfo.model_validate(json.loads(text))
        capability, _ = names.split(info.name)
        info.slots = registry.slots(workers, capability)
        info.workers = sum(capability in one.serves and not one.draining for one in workers)
        found.append(info)
    return sorted(found, key=lambda info: info.name)
