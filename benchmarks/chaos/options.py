"""What a run of chaos is asked to do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FAULTS = {
    "worker": "a random worker is killed (SIGKILL) and started again",
    "freeze": "a random worker is stopped (SIGSTOP) past its lease and goes on (SIGCONT)",
    "redis": "Redis is killed (SIGKILL) and started again from its append-only file",
    "scheduler": "the scheduler is killed (SIGKILL) and started again",
    "chroma": "Chroma is killed (SIGKILL) and started again",
    "connections": "Redis cuts every connection at once, in the middle of commands",
    "replies": "some replies to one worker and some clients are dropped when Redis has done what they asked",
    "streams": "clients stop reading and come back with the last event's id",
}
"""Every kind of fault, with what it does."""


@dataclass(frozen=True)
class Options:
    """A run.

    Attributes:
        jobs: How many are submitted.
        duration: Seconds during which jobs arrive and faults happen.
        faults: Which kinds; see `FAULTS`.
        aof: Redis' ``appendfsync``; only ``always`` promises that nothing is lost.
        seed: Of everything that is random: the same seed is the same plan.
        workers: Worker processes, each with a data folder of its own.
        lease: PHIQ_LEASE_SECONDS of the workers.
        shortest: Seconds a job streams at least.
        longest: Seconds a job streams at most.
        onnx: Whether some jobs run on a tiny ONNX model.
        documents: Whether some jobs ingest and search documents in Chroma.
        patience: Seconds without a sign of any unfinished job after which the unfinished ones count as lost.
    """

    jobs: int = 2000
    duration: float = 300.0
    faults: tuple[str, ...] = tuple(FAULTS)
    aof: Literal["always", "everysec"] = "always"
    seed: int = 1
    workers: int = 3
    lease: float = 9.0
    shortest: float = 2.0
    longest: float = 20.0
    onnx: bool = True
    documents: bool = True
    patience: float = 120.0
    out: Path | None = None
    keep: bool = False

    @property
    def slots(self) -> int:
        """Of each worker: enough for the jobs that run at once while one worker is down, and some to spare."""
        # The mean of lengths that are spread evenly over their logarithm.
        mean = (self.longest - self.shortest) / math.log(self.longest / self.shortest)
        at_once = self.jobs / self.duration * mean
        return max(6, min(64, math.ceil(1.6 * at_once / max(1, self.workers - 1))))

    @property
    def everything(self) -> bool:
        """Whether this is the whole storm, in which at least a quarter of the jobs must be interrupted."""
        return set(self.faults) >= set(FAULTS)
