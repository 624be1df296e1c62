"""Which workers are alive, what they serve and host."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from workers.jobs import Capability
from workers.ledger.config import LedgerConfig
from workers.ledger.scripts import Scripts


class Doing(BaseModel):
    """A job that a worker holds. Times are seconds."""

    model_config = ConfigDict(extra="ignore")
    id: str
    kind: str = ""
    model: str = ""
    tenant: str = ""
    attempt: int = 0
    since: float = Field(default=0.0, description="since the attempt began")
    progress_ago: float = Field(default=0.0, description="since it last showed life")


class WorkerInfo(BaseModel):
    """A worker as it describes itself with each heartbeat; ``seen_ago`` is added when it is read, in seconds."""

    model_config = ConfigDict(extra="ignore")
    name: str
    version: str = ""
    records: int = Field(default=1, description="the newest version of a job's record that it understands")
    machine: str = ""
    pid: int = 0
    serves: list[Capability] = Field(default_factory=list)
    slots: int = 1
    running: list[str] = Field(default_factory=list, description="ids of the jobs it holds")
    hosts: list[str] = Field(default_factory=list, description="engine URIs of the models in its memory")
    joined: list[str] = Field(
        default_factory=list, description="those among them that are in another worker's memory, which it shares"
    )
    loading: list[str] = Field(default_factory=list, description="engine URIs of the models it is loading")
    draining: bool = False
    started_at: datetime | None = None
    progress_ago: float | None = Field(
        default=None, description="seconds since the stillest of its jobs showed life; None without jobs"
    )
    doing: list[Doing] = Field(default_factory=list, description="the same jobs, with what is known of them")
    alone: bool = Field(default=False, description="a process beside a worker that runs one suspect and nothing else")
    heard_ago: float | None = Field(
        default=None, description="seconds since a message of the broker reached it; None: none yet"
    )
    broker_error: str = Field(default="", description="why messages can't be sent to the broker; empty: they can")
    seen_ago: float = 0.0


def heartbeat(scripts: Scripts, config: LedgerConfig, info: WorkerInfo) -> None:
    """Say that a worker lives."""
    process = f"{info.machine} {info.pid} {info.started_at}"
    about = info.model_dump_json(exclude={"seen_ago"})
    scripts.run("heartbeat", info.name, about, round(config.worker_ttl * 1000), process)


def leave(scripts: Scripts, name: str) -> None:
    """Take a worker that ends in good order off the list."""
    from workers.ledger.scripts import redis_errors

    with redis_errors():
        scripts.client.zrem(scripts.key("seen"), name)
        for about in ("workers", "born", "process"):
            scripts.client.hdel(scripts.key(about), name)


def alive(scripts: Scripts, config: LedgerConfig) -> list[WorkerInfo]:
    """The workers seen lately, by name."""
    reply = scripts.run("workers", round(config.worker_ttl * 1000))
    found = []
    for text, ago in zip(reply[::2], reply[1::2], strict=True):
        info = WorkerInfo.model_validate_json(text)
        found.append(info.model_copy(update={"seen_ago": max(0.0, float(ago) / 1000)}))
    return sorted(found, key=lambda info: info.name)


def slots(workers: list[WorkerInfo], capability: Capability) -> int:
    """How many jobs of a capability could run at once."""
    return sum(info.slots for info in workers if capability in info.serves and not info.draining)
