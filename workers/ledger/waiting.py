"""Why a job has not started yet, and when it may."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from workers.jobs import Lane, State, Waiting
from workers.ledger import names, registry
from workers.ledger.config import LedgerConfig
from workers.ledger.registry import WorkerInfo


class Facts(BaseModel):
    """What the script knows of a job that waits. Times are ms."""

    model_config = ConfigDict(extra="ignore")
    state: State
    queue: str
    attempt: int
    model: str
    version: int = Field(default=1, description="of the record: older workers leave it alone")
    until: float = Field(description="until it may start, when it is delayed")
    ahead: int
    rank: int = Field(description="jobs of its own tenant before it, of those that were not handed out")
    oldest: float = Field(description="that the oldest job of the queue has waited")
    paused: str = Field(description="the queue or tenant:NAME that is paused; empty: none")
    quota: int = Field(description="jobs its tenant may have running, when it has them; 0: it may have more")
    suspect: bool
    reserved: str = Field(description="the worker a suspect is kept for; empty: none")
    pace: float | None = Field(default=None, description="that a job of this queue runs, lately")


@dataclass(frozen=True)
class _Slots:
    """Slots that this job may take, of the workers that serve its queue."""

    serving: list[WorkerInfo]
    all: int
    busy: int
    kept: int

    @property
    def usable(self) -> int:
        return self.all - self.kept

    @property
    def free(self) -> int:
        return max(0, self.usable - self.busy)


def explain(facts: Facts, workers: list[WorkerInfo], config: LedgerConfig) -> Waiting:
    """Put the script's facts and the living workers into a reason, a sentence and an estimate."""
    capability, lane = names.split(facts.queue)
    there = [info for info in workers if capability in info.serves and not info.draining]
    serving = [info for info in there if info.records >= facts.version]
    slots = registry.slots(serving, capability)
    kept = max(0, min(config.interactive_slots, slots - 1)) if lane is Lane.BATCH else 0
    have = _Slots(serving, slots, min(slots, sum(len(info.running) for info in serving)), kept)
    reason, message = _reason(facts, have)
    if reason == "no_worker" and there:
        message = (
            f"Every worker that serves '{capability.value}' is of an older version than this job. Restart one with "
            "the version it was submitted with."
        )
    queued = facts.state is State.QUEUED
    return Waiting(
        reason=reason,
        message=message,
        position=facts.ahead + 1 if queued else 0,
        ahead=facts.ahead if queued else 0,
        oldest_age=facts.oldest / 1000 if queued else 0.0,
        workers=len(serving),
        expected_start=_expected(reason, facts, have),
    )


def _reason(facts: Facts, slots: _Slots) -> tuple[str, str]:
    if facts.state is State.DELAYED:
        wait = f"in {max(0.0, facts.until / 1000):.0f} s"
        if facts.attempt:
            return "retry", f"Attempt {facts.attempt} failed; the next one starts {wait}."
        return "delayed", f"Submitted with a delay; it may start {wait}."
    if facts.state is not State.QUEUED:
        return "not_waiting", f"The job is {facts.state.value}."
    if facts.paused:
        what = facts.paused.removeprefix("tenant:")
        if what != facts.paused:
            return "paused", f"The tenant {what} is paused. Go on with: phiq resume --tenant {what}"
        return "paused", f"The queue {what} is paused. Go on with: phiq resume {what}"
    capability = names.split(facts.queue)[0].value
    if not slots.serving:
        return "no_worker", f"No worker serves '{capability}'. Start one with `phiq up`; `phiq doctor` shows who lives."
    if all(info.broker_error for info in slots.serving):
        return "broker_unreachable", f"The workers can't send messages: {slots.serving[0].broker_error}"
    if facts.quota:
        more = f"{facts.rank} of its jobs ahead of it" if facts.rank else "it is the next of them"
        return "quota", f"Its tenant has {facts.quota} jobs running, as many as it may; {more}."
    if facts.suspect:
        where = f"{facts.reserved} starts one" if facts.reserved else "it waits for one"
        return "alone", f"Workers died while they ran it, so it runs in a process of its own: {where}."
    if any(facts.model in info.loading for info in slots.serving):
        return "model_loading", f"{facts.model} is being loaded."
    place = "It is next" if facts.ahead == 0 else f"{facts.ahead} job{'s' if facts.ahead > 1 else ''} ahead of it"
    kept = f", {slots.kept} kept for interactive jobs" if slots.kept else ""
    return "slots_full", f"{place}; {slots.busy} of {slots.all} slots are busy{kept}."


def _expected(reason: str, facts: Facts, slots: _Slots) -> float | None:
    """Seconds until it may start, going by how long jobs of this queue have run lately."""
    if reason in ("delayed", "retry"):
        return max(0.0, facts.until / 1000)
    if reason in ("not_waiting", "paused", "no_worker", "broker_unreachable", "alone", "model_loading"):
        return None
    if reason == "quota":
        return None if facts.pace is None else math.ceil((facts.rank + 1) / facts.quota) * facts.pace / 1000
    before = facts.ahead + 1 - slots.free
    if before <= 0:
        return 0.0
    return None if facts.pace is None else before / slots.usable * facts.pace / 1000
