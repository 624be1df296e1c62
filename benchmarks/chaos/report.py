"""The figures of a run: the tables, the last line, and the JSON file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.chaos.faults import Struck
from benchmarks.chaos.options import FAULTS, Options
from benchmarks.chaos.timing import TARGET, Recovery, histogram, spread
from benchmarks.chaos.transcript import Transcript
from benchmarks.chaos.witness import KINDS, Violation, count

INTERRUPTED = 0.25
"""The share of jobs that the whole storm must have interrupted at least once."""


@dataclass
class Outcome:
    """All there is to report of a run.

    Attributes:
        options: What was asked.
        jobs: The transcripts.
        runs: Whole runs that the engines testified to, by marker.
        violations: What the witness found.
        recoveries: How long jobs took to run again.
        struck: The faults that happened.
        fell: Parts that ended without our doing.
        problems: Why the run failed apart from the four counts.
        seconds: How long it took in all.
    """

    options: Options
    jobs: list[Transcript]
    runs: Counter[str]
    violations: list[Violation]
    recoveries: list[Recovery]
    struck: list[Struck]
    fell: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    cuts: int = 0
    seconds: float = 0.0

    @property
    def accepted(self) -> list[Transcript]:
        """Jobs that were taken."""
        return [job for job in self.jobs if job.ids]

    @property
    def interrupted(self) -> float:
        """The share of accepted jobs that began more than once."""
        return sum(job.attempts > 1 for job in self.accepted) / max(1, len(self.accepted))

    @property
    def good(self) -> bool:
        """Whether the exit code may be 0."""
        return not self.violations and not self.problems

    def failings(self) -> list[str]:
        """What makes the run fail apart from the witness's counts; kept in `problems`."""
        found = []
        if missing := len(self.jobs) - len(self.accepted):
            found.append(f"{missing} jobs were never accepted")
        for job in self.accepted:
            if job.end is None or job.end.state == "succeeded":
                continue
            if job.end.state == "dead":
                found.append(f"job {job.id} is dead{' although it was replayed' * (job.replays > 0)}: {job.problem}")
            elif job.end.state == "cancelled" and not job.cancel:
                found.append(f"job {job.id} was cancelled by nobody")
            elif job.end.state not in ("dead", "cancelled"):
                found.append(f"job {job.id} ({job.plan.sort}) {job.end.state}: {job.problem}")
        if self.options.everything and self.interrupted < INTERRUPTED:
            found.append(f"only {self.interrupted:.0%} of the jobs were interrupted, {INTERRUPTED:.0%} are due")
        return found


def last_line(outcomes: Iterable[Outcome]) -> str:
    """The line that says it all."""
    outcomes = list(outcomes)
    total = Counter[str]()
    for outcome in outcomes:
        total.update(count(outcome.violations))
    jobs = sum(len(outcome.accepted) for outcome in outcomes)
    return f"chaos: jobs {jobs}, " + ", ".join(f"{kind} {total[kind]}" for kind in KINDS)


def show(outcome: Outcome, console: Console) -> None:
    """Print a run's tables."""
    options = outcome.options
    console.print(
        f"\n[bold]{', '.join(options.faults) or 'no faults'}[/bold]: {len(outcome.accepted)} jobs in "
        f"{options.duration:.0f} s of faults and {outcome.seconds:.0f} s in all, {options.workers} workers with "
        f"{options.slots} slots, lease {options.lease:g} s, appendfsync {options.aof}, seed {options.seed}"
    )
    console.print(_jobs_table(outcome))
    console.print(_faults_table(outcome))
    _show_recoveries(outcome, console)
    for violation in outcome.violations[:20]:
        console.print(f"[red]{violation.kind}[/red] job {violation.job_id}: {violation.why}", highlight=False)
    for problem in outcome.problems[:20]:
        console.print(f"[red]failed[/red] {problem}", highlight=False)
    for name, items in (("violations", outcome.violations), ("problems", outcome.problems)):
        if len(items) > 20:
            console.print(f"and {len(items) - 20} more {name}; OUT=FILE keeps all")
    if options.aof != "always":
        console.print("With everysec a killed Redis may forget what it accepted last: only always promises 0.")


def _jobs_table(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False)
    columns = ("jobs", "done", "cancel", "dead", "revived", "again", "runs", *KINDS)
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    sorts = sorted({job.plan.sort for job in outcome.jobs})
    for sort in [*sorts, "all"]:
        jobs = [job for job in outcome.accepted if sort in ("all", job.plan.sort)]
        ids = {job.id for job in jobs}
        wrong = count(violation for violation in outcome.violations if violation.job_id in ids)
        states = Counter(job.end.state if job.end else "unfinished" for job in jobs)
        revived = sum(job.replays > 0 and job.end is not None and job.end.state == "succeeded" for job in jobs)
        died = sum(any(answer.state == "dead" for answer in job.answers) for job in jobs)
        again = sum(job.attempts > 1 for job in jobs)
        runs = sum(outcome.runs[job.plan.marker] for job in jobs)
        table.add_row(
            sort,
            str(len(jobs)),
            str(states["succeeded"]),
            str(states["cancelled"]),
            str(died),
            str(revived),
            f"{again / max(1, len(jobs)):.0%}",
            str(runs or "-"),
            *(str(wrong[kind]) for kind in KINDS),
            style="bold" if sort == "all" else "",
        )
    return table


def _faults_table(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("fault")
    table.add_column("times", justify="right")
    table.add_column("what it does")
    times = Counter(fault.kind for fault in outcome.struck)
    times["streams"] = outcome.cuts
    for kind in outcome.options.faults:
        table.add_row(kind, str(times[kind]), FAULTS[kind])
    for name, fell in sorted(outcome.fell.items()):
        table.add_row("", str(fell), f"{name} ended by itself and was started again")
    return table


def _show_recoveries(outcome: Outcome, console: Console) -> None:
    killed = [found for found in outcome.recoveries if found.fault == "worker"]
    first = [found for found in killed if not found.suspect]
    rows = {
        "killed": first,
        "  and Redis lived": [found for found in first if not found.redis],
        "    interactive": [found for found in first if not found.redis and found.lane == "interactive"],
        "    batch": [found for found in first if not found.redis and found.lane == "batch"],
        "  and Redis was killed too": [found for found in first if found.redis],
        "killed again (runs alone)": [found for found in killed if found.suspect],
        "frozen": [found for found in outcome.recoveries if found.fault == "freeze"],
    }
    if not outcome.recoveries:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("seconds until a job runs again")
    for name in ("jobs", "p50", "p90", "max", f"within {TARGET:.0f} s"):
        table.add_column(name, justify="right")
    for name, found in rows.items():
        seconds = [one.seconds for one in found]
        if seconds:
            within = sum(value <= TARGET for value in seconds) / len(seconds)
            table.add_row(name, str(len(seconds)), *(f"{value:.1f}" for value in spread(seconds)), f"{within:.0%}")
    console.print(table)
    if not first:
        return
    console.print("From the kill (jobs whose worker was killed for the first time), by seconds:")
    for line in histogram([one.seconds for one in rows["killed"]]):
        console.print(line, highlight=False)


def save(outcomes: Iterable[Outcome], file: Path) -> None:
    """Write the runs as JSON: the figures, each job in short, and whole transcripts where something was wrong."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([_as_json(outcome) for outcome in outcomes], indent=1), encoding="utf-8")


def _as_json(outcome: Outcome) -> dict[str, Any]:
    wrong = {violation.job_id for violation in outcome.violations}
    options = asdict(outcome.options)
    options["out"] = None
    killed = [one.seconds for one in outcome.recoveries if one.fault == "worker"]
    return {
        "options": options,
        "slots": outcome.options.slots,
        "seconds": round(outcome.seconds, 1),
        "accepted": len(outcome.accepted),
        **{str(kind): number for kind, number in count(outcome.violations).items()},
        "interrupted": round(outcome.interrupted, 4),
        "states": Counter(job.end.state if job.end else "unfinished" for job in outcome.accepted),
        "replayed": sum(job.replays > 0 for job in outcome.accepted),
        "running_again": dict(zip(("p50", "p90", "max"), spread(killed), strict=True)),
        "fell": outcome.fell,
        "skipped": outcome.skipped,
        "stream_cuts": outcome.cuts,
        "problems": outcome.problems,
        "violations": [asdict(violation) for violation in outcome.violations],
        "struck": [asdict(fault) for fault in outcome.struck],
        "recoveries": [asdict(one) for one in outcome.recoveries],
        "jobs": [
            {
                "id": job.id,
                "marker": job.plan.marker,
                "sort": job.plan.sort,
                "states": [answer.state for answer in job.answers],
                "attempts": [asdict(held) for held in job.held],
                "events": len(job.entries),
                "replays": job.replays,
                "whole_runs": outcome.runs[job.plan.marker],
                "problem": job.problem,
            }
            for job in outcome.accepted
        ],
        "transcripts": {job.id: _whole(job) for job in outcome.accepted if job.id in wrong},
    }


def _whole(job: Transcript) -> dict[str, Any]:
    whole = asdict(job)
    whole["plan"]["cuts"] = sorted(job.plan.cuts)
    return whole
