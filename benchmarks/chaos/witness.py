"""The judge: from what clients saw and what engines testified to what went wrong. It never asks the ledger.

- lost: accepted, and no end, no record or no result of it.
- twice: two ends, two different results, two jobs for one request, or more whole runs than attempts.
- stale: text, or a result, from a holder that had lost its lease, or from nowhere.
- gaps: a stream that is not its result's text: pieces missing, repeated or out of order.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from benchmarks.chaos.transcript import REPLAYED, Seen, Transcript

Kind = Literal["lost", "twice", "stale", "gaps"]
KINDS: tuple[Kind, ...] = ("lost", "twice", "stale", "gaps")


@dataclass(frozen=True)
class Violation:
    """One thing that must not happen, and did."""

    kind: Kind
    job_id: str
    why: str


@dataclass(frozen=True)
class Run:
    """A line of the witness file: an answer that ran to its end."""

    marker: str
    at: float
    process: int
    digest: str


def read_runs(file: Path) -> dict[str, list[Run]]:
    """The witness file by marker; no file is an empty one.

    Raises:
        ValueError: a line is not whole, so the file can't be trusted.
    """
    found: dict[str, list[Run]] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        marker, at, process, digest = line.split("\t")
        found.setdefault(marker, []).append(Run(marker, float(at), int(process), digest))
    return found


def judge(job: Transcript, runs: Iterable[Run] = ()) -> list[Violation]:
    """Everything that is wrong with one job; empty when all is well."""
    if not job.ids:
        return []  # never accepted: nothing was promised
    found = [*_lost(job), *_twice(job, list(runs)), *_stale(job, list(runs)), *_gaps(job)]
    return [Violation(kind, job.id, why) for kind, why in found]


def count(violations: Iterable[Violation]) -> dict[Kind, int]:
    """Jobs with a violation, by kind."""
    jobs = Counter(kind for kind, _ in {(violation.kind, violation.job_id) for violation in violations})
    return {kind: jobs[kind] for kind in KINDS}


Found = Iterator[tuple[Kind, str]]


def _lost(job: Transcript) -> Found:
    if job.missing:
        yield "lost", "it was accepted, and later there was no such job"
    if job.end is None:
        yield "lost", "it was accepted and reached no end"
        return
    if not any(seen.type == "end" for seen in job.entries):
        yield "lost", "its reader was never told of its end"
    if job.end.state == "succeeded" and job.end.text is None:
        yield "lost", "it succeeded without a result"
    if job.passages is not None and job.plan.document is not None:
        name, text = job.plan.document
        if text.splitlines()[-1] not in "\n".join(job.passages):
            yield "lost", f"it succeeded, and {name} is not in the store"


def _twice(job: Transcript, runs: list[Run]) -> Found:
    if len(set(job.ids)) > 1:
        yield "twice", f"one request became the jobs {', '.join(sorted(set(job.ids)))}"
    for what, entries in _readings(job):
        ends = [seen for seen in entries if seen.type == "end"]
        if len(ends) > 1 + job.replays:
            yield "twice", f"{what} was told {len(ends)} ends: {', '.join(str(seen.state) for seen in ends)}"
    told = [seen.state for seen in job.entries if seen.type == "end"]
    final = [answer for answer in job.answers if answer.final]
    if told and final and told[-1] != final[-1].state:
        yield "twice", f"its reader was told that it {told[-1]}, its record says {final[-1].state}"
    results = {answer.text for answer in final if answer.text is not None}
    if len(results) > 1:
        yield "twice", f"{len(results)} different results were shown"
    for before, after in pairwise(final):
        # Only the dead may come back, and only when they are replayed.
        if before.state != after.state and not (before.state == "dead" and job.replays):
            yield "twice", f"its record said {before.state} and later {after.state}"
    if job.cancel in ("cancelled", "running", "queued", "delayed") and final and final[-1].state == "succeeded":
        yield "twice", "cancelling it was accepted, and it succeeded all the same"
    if job.passages is not None and len(set(job.passages)) < len(job.passages):
        yield "twice", "a passage of its document is in the store more than once"
    seen = max(job.attempts, *(answer.attempt for answer in job.answers), 0) if job.answers else job.attempts
    if len(runs) > seen:
        yield "twice", f"it ran to its end {len(runs)} times in {seen} attempts"


def _stale(job: Transcript, runs: list[Run]) -> Found:
    for what, entries in _readings(job):
        yield from (("stale", f"{what} saw {why}") for why in _out_of_turn(entries, job.replays))
    if job.end is None or job.end.text is None:
        return
    if job.end.state != "succeeded":
        yield "stale", f"it is {job.end.state} and has a result"
    if job.plan.expected is not None and job.end.text != job.plan.expected:
        yield "stale", "its result is not the text it must have"
    if job.plan.witnessed and hashlib.sha256(job.end.text.encode()).hexdigest() not in {run.digest for run in runs}:
        yield "stale", "no engine testified to the text of its result"


def _out_of_turn(entries: list[Seen], replays: int) -> Iterator[str]:
    """Writes of an attempt after a later one began, and writes after the end."""
    newest, ends, allowed = 0, 0, 0
    marked = any(seen.type == REPLAYED for seen in entries)
    for seen in entries:
        if seen.type == REPLAYED:
            allowed += 1
            continue
        if seen.id == "0-0":  # the reader was sent back to the beginning
            newest, ends = 0, 0
        if seen.attempt < newest:
            yield f"'{seen.type}' of attempt {seen.attempt} after attempt {newest} had begun"
        newest = max(newest, seen.attempt)
        # A later reader sees all lives of a replayed job in one go, without the marks of who had it replayed.
        if ends > (allowed if marked else replays):
            yield f"'{seen.type}' of attempt {seen.attempt} after the end"
        ends += seen.type == "end"


def _gaps(job: Transcript) -> Found:
    for what, entries in _readings(job):
        text, problems = assemble(entries)
        for problem in problems:
            yield "gaps", f"{what} saw {problem}"
        if job.end is None or (entries is job.reread and not entries):
            continue
        if job.end.state == "succeeded" and job.end.text is not None:
            if job.plan.sort in TEXTLESS:
                continue
            if text != job.end.text:
                yield "gaps", f"{what} saw {len(text)} characters that are not its result's {len(job.end.text)}"
        elif job.plan.expected is not None and not job.plan.expected.startswith(text):
            yield "gaps", f"{what} saw text that its answer does not begin with"


TEXTLESS = ("ingest", "search")
"""Sorts of jobs whose result is not what they stream."""


def assemble(entries: list[Seen]) -> tuple[str, list[str]]:
    """The text that the events add up to, and where they do not fit together."""
    text, last, problems = "", (0, 0), []
    for seen in entries:
        if seen.type == REPLAYED:
            continue
        if seen.type == "snapshot":
            text, last = seen.text, _place(seen.id)
            continue
        if seen.id == "0-0":
            text, last = "", (0, 0)
            continue
        if _place(seen.id) <= last:
            problems.append(f"event {seen.id} after {last[0]}-{last[1]}")
        last = max(last, _place(seen.id))
        if seen.type == "restarted":
            text = ""
        elif seen.type == "delta":
            if seen.offset != len(text):
                problems.append(f"text at {seen.offset} where {len(text)} was due")
            text += seen.text
    return text, problems


def _readings(job: Transcript) -> tuple[tuple[str, list[Seen]], ...]:
    return ("its reader", job.entries), ("a later reader", job.reread)


def _place(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number)
