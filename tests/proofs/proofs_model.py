"""The life of a job as docs/jobs.md tells it, without Redis: what a ledger must answer, given what happened to it.

Time is a number of seconds that only the test moves. Every duration ends in 50 and the test moves time by whole
hundreds, so nothing is ever due at the very instant at which it is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from workers.jobs import State

LEASE = 1050.0
DELAY = 750.0
EXPIRES = 550.0
DEADLINE = 2350.0
RETRY = 350.0
TTL = 5050.0
DEAD_TTL = 9050.0
RESERVED = 250.0
STEPS = (400.0, 1100.0, 6000.0)
TOLD = "a"
"""The tenant whose jobs name a webhook, so that their ends are told."""

WAITING = (State.QUEUED, State.DELAYED)


@dataclass
class Job:
    """What the model knows of a job."""

    id: str
    tenant: str
    limit: int
    state: State
    request: tuple[object, ...]
    key: str | None = None
    text: str = ""
    tries: int = 0
    number: int = 0
    deaths: int = 0
    suspect: bool = False
    alone: bool = False
    worker: str = ""
    began: tuple[float, int] = (0.0, 0)
    reserved: str = ""
    reserved_until: float = 0.0
    token: str = ""
    lease: float = 0.0
    cancel: bool = False
    due: float = 0.0
    expires: float | None = None
    deadline: float | None = None
    started: bool = False
    finished: float = 0.0
    points: dict[str, int] = field(default_factory=dict)
    outcomes: list[str] = field(default_factory=list)


@dataclass
class Holder:
    """What the holder of a job believes is in its stream, and how many characters of that it has said itself."""

    text: str
    said: int = 0

    def say(self, text: str) -> bool:
        """It goes on from what earlier attempts streamed, or voids it where it differs; whether that is a write."""
        left = len(self.text) - self.said
        same = min(left, len(text))
        differs = self.text[self.said : self.said + same] != text[:same]
        self.text = self.text[: self.said] + text if differs else self.text + text[same:]
        self.said += len(text)
        return differs or len(text) > same or same == left

    def finish(self) -> None:
        """It has said everything."""
        self.text = self.text[: self.said]


class Model:
    """All jobs, and the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.beats: dict[str, float] = {}
        """When each worker last said that it lives."""
        self.born: dict[str, tuple[float, int]] = {}
        """When each worker first did, and of what happens at one instant the order."""
        self._order = 0
        self.paused: set[str] = set()
        """Queues, and tenants as tenant:NAME."""
        self.quotas: dict[str, int] = {}
        """How many jobs a tenant may have waiting."""
        self.jobs: dict[str, Job] = {}
        self.gone: dict[str, str] = {}
        """Jobs that expired by policy but are still in an index, with their tenants."""
        self.gone_at: dict[str, float] = {}
        self.told: list[tuple[str, str]] = []
        """The ends that the outbox must have: which job, and how."""
        self.looked = 0.0
        """When the reaper last looked."""
        self.paused_until = 0.0
        self.restarted = True
        self.said: dict[str, str] = {}
        """The text that the holder of each token has handed over."""

    def older(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        for job in list(self.jobs.values()):
            ends = job.finished + (DEAD_TTL if job.state is State.DEAD else TTL)
            if job.state.final and self.now > ends:
                del self.jobs[job.id]
                self.gone[job.id] = job.tenant
                self.gone_at[job.id] = ends

    def submit(self, job_id: str, tenant: str, limit: int, request: tuple[object, ...], **given: object) -> None:
        """Take a job, as new."""
        delayed, expires, deadline = (bool(given.get(name)) for name in ("delayed", "expires", "deadline"))
        job = Job(job_id, tenant, limit, State.DELAYED if delayed else State.QUEUED, request)
        job.key = given.get("key")  # type: ignore[assignment]  # a string or None
        job.due = self.now + DELAY
        job.expires = self.now + EXPIRES if expires else None
        job.deadline = self.now + DEADLINE if deadline else None
        self.jobs[job_id] = job

    def keyed(self, tenant: str, key: str | None) -> Job | None:
        """The job that a tenant's idempotency key stands for."""
        return next((job for job in self.jobs.values() if key and (job.tenant, job.key) == (tenant, key)), None)

    def overdue(self, job: Job) -> bool:
        """Whether a waiting job's time is over."""
        late = job.deadline is not None and self.now > job.deadline
        return late or (job.expires is not None and not job.started and self.now > job.expires)

    def heartbeat(self, worker: str) -> None:
        """A worker says that it lives; one that had left is another process by now."""
        if worker not in self.beats:
            self.born[worker] = self._instant()
        self.beats[worker] = self.now

    def leave(self, worker: str) -> None:
        """A worker ends."""
        self.beats.pop(worker, None)
        self.born.pop(worker, None)

    def _instant(self) -> tuple[float, int]:
        self._order += 1
        return self.now, self._order

    def full(self, tenant: str) -> bool:
        """Whether a tenant has as many jobs waiting as it may."""
        waiting = sum(job.tenant == tenant and job.state in WAITING for job in self.jobs.values())
        return waiting >= self.quotas.get(tenant, 1000)

    def claim(self, job_id: str, queue: str, worker: str, alone: bool = False) -> Job | None:
        """The job, running, when it is to be had; a suspect that must run alone is kept for this worker."""
        job = self.jobs.get(job_id)
        if job is None or job.state is not State.QUEUED:
            return None
        if self.overdue(job):
            self.end(job, State.EXPIRED)
            return None
        if self.paused & {queue, f"tenant:{job.tenant}"}:
            return None
        if job.suspect and job.reserved not in ("", worker) and self.now < job.reserved_until:
            return None
        if job.suspect and not alone:
            job.reserved, job.reserved_until = worker, self.now + RESERVED
            return job
        job.state, job.started, job.alone, job.worker, job.reserved = State.RUNNING, True, alone, worker, ""
        job.began = self._instant()
        job.number += 1
        job.tries += 1
        job.lease = self.now + LEASE
        job.outcomes.append("")
        return job

    def standing(self, job_id: str, token: str, strict: bool = True) -> str:
        """What the holder of a token is told."""
        job = self.jobs.get(job_id)
        if job is None or job.state is not State.RUNNING or job.token != token:
            return "lost"
        if strict and self.now > job.lease:
            return "lost"
        if job.cancel:
            return "cancelled"
        return "expired" if job.deadline is not None and self.now > job.deadline else ""

    def settle(self, job: Job, how: str) -> State:
        """End the attempt that runs."""
        told = self.standing(job.id, job.token)
        outcome = {"succeed": "succeeded", "release": "released"}.get(how, "failed")
        job.outcomes[-1] = told or outcome
        if told:
            self.end(job, State(told))
        elif how == "succeed":
            self.end(job, State.SUCCEEDED)
        elif how == "refuse":
            self.end(job, State.FAILED)
        elif how == "release":
            job.tries -= 1
            job.state = State.QUEUED
        elif job.tries < job.limit:
            job.state, job.due = State.DELAYED, self.now + RETRY
        else:
            self.end(job, State.DEAD)
        return job.state

    def cancel(self, job: Job) -> None:
        """Ask for its end."""
        if job.state in WAITING:
            job.cancel = True
            self.end(job, State.CANCELLED)
        elif job.state is State.RUNNING:
            job.cancel = True

    def replay(self, job: Job) -> bool:
        """Run it again, as new but for its history; whether that may be."""
        if not job.state.final or job.state is State.SUCCEEDED:
            return False
        job.state, job.text, job.started, job.cancel = State.QUEUED, "", False, False
        job.tries, job.deaths, job.suspect = 0, 0, False
        job.expires = job.expires and self.now + EXPIRES
        job.deadline = job.deadline and self.now + DEADLINE
        return True

    def reap(self) -> tuple[int, int, dict[str, str]]:
        """One round: how many became due, how many expired, and what became of the lost."""
        back = self.now < self.looked
        if self.restarted or back or self.now - self.looked > 2 * LEASE:
            self.restarted, self.paused_until = False, self.now + LEASE
        if back:
            self.beats = {worker: min(beat, self.now) for worker, beat in self.beats.items()}
            self.born.clear()
            for job in self.jobs.values():
                job.lease = min(job.lease, self.now + LEASE)
        self.looked = self.now
        due = expired = 0
        lost: dict[str, str] = {}
        for job in self.jobs.values():
            if job.state is State.DELAYED and self.now > job.due:
                job.state = State.QUEUED
                due += 1
        for job in self.jobs.values():
            if job.state in WAITING and self.overdue(job):
                self.end(job, State.EXPIRED)
                expired += 1
        for job in self.jobs.values():
            if job.state is State.RUNNING and self.now > job.lease and self.now > self.paused_until:
                self._lose(job)
                lost[job.id] = job.state.value
        # Not of those whose time has yet to come again, after the clock was set back.
        self.gone = {job_id: tenant for job_id, tenant in self.gone.items() if self.now < self.gone_at[job_id]}
        return due, expired, lost

    def _lose(self, job: Job) -> None:
        job.outcomes[-1] = "lost"
        gone = job.worker not in self.beats or self.born.get(job.worker, job.began) > job.began
        death = gone or self.beats[job.worker] < job.lease - LEASE / 2
        if death:
            job.deaths += 1
            job.suspect = job.suspect or job.deaths >= 2
            job.tries -= job.limit > 1
        if job.cancel:
            self.end(job, State.CANCELLED)
        elif job.deadline is not None and self.now > job.deadline:
            self.end(job, State.EXPIRED)
        elif job.tries >= job.limit or (death and job.alone):
            self.end(job, State.DEAD)
        else:
            job.state = State.QUEUED

    def end(self, job: Job, state: State) -> None:
        """It is over."""
        job.state, job.finished, job.reserved = state, self.now, ""
        job.points.clear()
        if job.tenant in TOLD:
            self.told.append((job.id, state.value))
