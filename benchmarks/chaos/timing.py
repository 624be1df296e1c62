"""How long after its worker was killed a job ran again, by Redis' clock (which is this machine's)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.chaos.faults import Struck
from benchmarks.chaos.transcript import Seen, Transcript

TARGET = 15.0
"""Seconds within which a killed worker's job must run again (with the default lease of 9 s)."""
_START = 4.0
"""Seconds that Redis is down and starts again, at most."""


@dataclass(frozen=True)
class Recovery:
    """One job's way back: seconds from the fault to its next attempt.

    ``redis`` says whether Redis was killed shortly before or meanwhile: for one lease after its start nobody is reaped,
    since holders could not renew. ``suspect``: it had lost a worker before, so it waits for one that does nothing else.
    """

    job_id: str
    fault: str
    seconds: float
    lane: str
    suspect: bool
    redis: bool


def recoveries(struck: Iterable[Struck], jobs: Iterable[Transcript], lease: float) -> list[Recovery]:
    """For each job that a killed or frozen worker held: when its reader saw it run again.

    That it was held is told by its record, when it ran again by its stream. Jobs that were cancelled, or that ended
    as dead, have no next attempt and are left out.
    """
    by_worker: dict[str, list[Struck]] = {}
    struck = list(struck)
    redis = [fault.at for fault in struck if fault.kind == "redis"]
    for fault in struck:
        if fault.kind in ("worker", "freeze"):
            by_worker.setdefault(fault.worker, []).append(fault)
    found = []
    for job in jobs:
        deaths = 0
        for held in job.held:
            if held.outcome != "lost":
                continue
            ended = held.ended or float("inf")
            hits = [fault for fault in by_worker.get(held.worker, ()) if held.started <= fault.at < ended]
            if not hits:
                continue
            fault = hits[0]
            deaths += 1
            again = next((_instant(seen) for seen in job.entries if _runs(seen, held.number)), None)
            if again is None:
                continue  # it did not run again: cancelled, or dead, which the witness judges
            lane = str(job.plan.job.get("lane", "interactive"))
            meanwhile = any(fault.at - lease - _START <= instant <= again for instant in redis)
            found.append(Recovery(job.id, fault.kind, max(0.0, again - fault.at), lane, deaths > 1, meanwhile))
    return found


def spread(seconds: list[float]) -> tuple[float, float, float]:
    """Median, ninth decile and maximum; zeros of nothing."""
    if not seconds:
        return 0.0, 0.0, 0.0
    cut = statistics.quantiles(seconds, n=10, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return statistics.median(seconds), cut, max(seconds)


def histogram(seconds: list[float], width: float = 1.0, most: int = 20, bar: int = 40) -> list[str]:
    """Lines of a text histogram; the last bin holds everything above."""
    if not seconds:
        return []
    bins = [0] * (min(most, int(max(seconds) / width)) + 1)
    for value in seconds:
        bins[min(len(bins) - 1, int(value / width))] += 1
    first = next(number for number, count in enumerate(bins) if count)
    tallest = max(bins)
    lines = []
    for number, count in enumerate(bins[first:], first):
        over = "+" if number == most else " "
        lines.append(f"{number * width:5.0f} s{over} {'█' * round(bar * count / tallest):<{bar}} {count}")
    return lines


def _runs(seen: Seen, after: int) -> bool:
    return seen.attempt > after and seen.type in ("state", "restarted", "delta", "progress", "snapshot")


def _instant(seen: Seen) -> float:
    """An event's id begins with the milliseconds of Redis' clock."""
    return int(seen.id.partition("-")[0]) / 1000
