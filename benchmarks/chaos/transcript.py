"""What a client wrote down of one job: the plan it acted on, every answer and every event it got."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Planned:
    """A job to be submitted, and what its client will do to it.

    Attributes:
        number: Its place in the plan.
        marker: The first word of its prompt, by which the witness file names it.
        sort: What it is called in the table.
        job: The job as JSON, without what is only known when it is submitted.
        job_id: The id the client chose; empty: the idempotency key says which job it is.
        arrives: Seconds after the start at which it is submitted.
        expected: The text that it must have in the end; None: not known beforehand.
        witnessed: Whether its engine writes to the witness file.
        document: Name and text of the file that it ingests; empty when it does not.
        cancel_after: Events after which its client cancels it; None: never.
        resubmit_after: Events after which its client submits it once more; None: never.
        cuts: Numbers of events after which its client stops reading for a while.
    """

    number: int
    marker: str
    sort: str
    job: dict[str, Any]
    job_id: str = ""
    arrives: float = 0.0
    expected: str | None = None
    witnessed: bool = False
    document: tuple[str, str] | None = None
    cancel_after: int | None = None
    resubmit_after: int | None = None
    cuts: frozenset[int] = frozenset()

    @property
    def tenant(self) -> str:
        """Whose job it is."""
        return str(self.job.get("tenant", "default"))


REPLAYED = "replayed"
"""The type of the entry that a client makes when it has a dead job replayed: one more end may follow."""


@dataclass(frozen=True)
class Seen:
    """One event as it came, ``at`` seconds since 1970 by the client's clock."""

    at: float
    id: str
    type: str
    attempt: int = 0
    offset: int = 0
    text: str = ""
    state: str | None = None


@dataclass(frozen=True)
class Answer:
    """A record as the client was shown it."""

    state: str
    text: str | None = None
    attempt: int = 0

    @property
    def final(self) -> bool:
        """Whether the job had ended."""
        return self.state not in ("queued", "delayed", "running")


@dataclass(frozen=True)
class Held:
    """One attempt as the record tells it: times in seconds since 1970. Used to measure, not to judge."""

    number: int
    worker: str
    started: float
    ended: float | None
    outcome: str


@dataclass
class Transcript:
    """All that is known of one job, from outside.

    Attributes:
        plan: The job and its client's intentions.
        ids: The ids that submitting it was answered with.
        entries: What its reader saw, over all its connections, in order.
        cancel: The state the answer to cancelling it told; empty: not asked.
        missing: Whether anybody said that there is no such job after it was accepted.
        answers: Its record as read after its end, again after a replay, and at the final count.
        reread: Its whole stream as a new reader sees it at the final count.
        passages: What the store holds of the document that it ingested; None: nobody looked.
        held: Its attempts, for the times.
        problem: What went wrong with the job by its own account.
    """

    plan: Planned
    ids: list[str] = field(default_factory=list)
    accepted: float = 0.0
    entries: list[Seen] = field(default_factory=list)
    cancel: str = ""
    missing: bool = False
    answers: list[Answer] = field(default_factory=list)
    reread: list[Seen] = field(default_factory=list)
    passages: list[str] | None = None
    held: list[Held] = field(default_factory=list)
    suspect: bool = False
    problem: str = ""

    @property
    def id(self) -> str:
        """The job's id."""
        return self.ids[0] if self.ids else ""

    @property
    def last_id(self) -> str:
        """Where reading goes on."""
        return next((seen.id for seen in reversed(self.entries) if seen.type != REPLAYED), "0-0")

    @property
    def replays(self) -> int:
        """How often it was replayed."""
        return sum(seen.type == REPLAYED for seen in self.entries)

    @property
    def attempts(self) -> int:
        """The highest attempt that its reader saw."""
        return max((seen.attempt for seen in self.entries), default=0)

    @property
    def end(self) -> Answer | None:
        """How it ended, by the last answer; None when no answer told an end."""
        return self.answers[-1] if self.answers and self.answers[-1].final else None
