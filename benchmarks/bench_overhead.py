"""What phiq's ledger costs: a job that does nothing, against a bare Celery task with a result.

    python -m benchmarks.bench_overhead [--blocks 6] [--rounds 50] [--queued 1000] [--slots 4] [--json FILE]

Both use the same Redis (append-only file at ``always``), each a worker with as many threads; the worker whose turn it
is not is frozen. A block is one side's turn, and turns alternate (ABAB). The job is a completion by the fake engine
that answers with no words: the whole way through submit, ledger, Celery, runner, chain and result, with nothing to
stream. See `benchmarks.bare_celery` for the other side.

Latency: one at a time, from the call to the result in hand. Rate: jobs are queued while the worker is frozen; the
clock runs from its thaw to the last result in hand. CPU is that of Redis, the worker and this process together.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import bare_celery
from benchmarks.common import report
from benchmarks.common.monitor import traced
from benchmarks.common.rig import Process, Rig
from workers.jobs import State, parse_job

WAIT = 60.0
MODEL = "fake:words?count=0"


@dataclass
class Side:
    """One way of getting nothing done."""

    name: str
    worker: Process
    submit: Callable[[int], Any]
    collect: Callable[[Any], bool]
    latencies: list[float] = field(default_factory=list)
    cpu_each: list[float] = field(default_factory=list)
    submit_rates: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    queued_cpu_each: list[float] = field(default_factory=list)
    done: int = 0

    def cpu(self, rig: Rig) -> float:
        """CPU seconds of all who take part, so far."""
        return rig.redis_cpu + self.worker.cpu + time.process_time()

    def one_at_a_time(self, rig: Rig, rounds: int) -> None:
        """A block of single jobs."""
        used = self.cpu(rig)
        for number in range(rounds):
            began = time.perf_counter()
            self._count(self.collect(self.submit(number)))
            self.latencies.append(time.perf_counter() - began)
        self.cpu_each.append((self.cpu(rig) - used) / rounds)

    def queued(self, rig: Rig, jobs: int) -> None:
        """A block of many jobs at once."""
        used = self.cpu(rig)
        with self.worker.frozen():
            began = time.perf_counter()
            waiting = [self.submit(number) for number in range(jobs)]
            self.submit_rates.append(jobs / (time.perf_counter() - began))
        began = time.perf_counter()
        for one in waiting:
            self._count(self.collect(one))
        self.rates.append(jobs / (time.perf_counter() - began))
        self.queued_cpu_each.append((self.cpu(rig) - used) / jobs)

    def _count(self, good: bool) -> None:
        if not good:
            raise SystemExit(f"{self.name}: a job did not end well within {WAIT:g} s; see {self.worker.child.log}")
        self.done += 1

    def figures(self) -> dict[str, Any]:
        """What was measured."""
        return {
            "done": self.done,
            "latency": report.spread(self.latencies),
            "latency_cpu_ms": 1000 * statistics.median(self.cpu_each),
            "submit_per_s": statistics.median(self.submit_rates),
            "jobs_per_s": statistics.median(self.rates),
            "queued_cpu_ms": 1000 * statistics.median(self.queued_cpu_each),
        }


def phiq_side(rig: Rig, model: str) -> Side:
    """Jobs through the ledger."""
    service = rig.service()
    job = parse_job({"kind": "complete", "model": model, "input": {"prompt": "nothing"}})

    def collect(job_id: str) -> bool:
        return service.wait(job_id, WAIT).state is State.SUCCEEDED

    return Side("phiq", rig.worker(), lambda _: service.submit(job).id, collect)


def bare_side(rig: Rig, slots: int) -> Side:
    """Tasks through Celery alone."""
    addresses = ["--app", "benchmarks.bare_celery", "--broker", rig.url, "--result-backend", rig.url]
    argv = [sys.executable, "-m", "celery", *addresses, *bare_celery.worker_argv(slots)]
    worker = rig.start(argv, "bare")
    bare_celery.app.conf.update(broker_url=rig.url, result_backend=rig.url)

    def collect(result: Any) -> bool:
        return isinstance(result.get(timeout=WAIT), dict)

    side = Side("bare Celery", worker, lambda number: bare_celery.nothing.delay(number), collect)
    collect(side.submit(0))  # waits until it is up
    return side


def run(blocks: int, rounds: int, queued: int, slots: int, model: str = MODEL) -> dict[str, Any]:
    """Measure; returns the figures of both sides, their ratios, and what a single job of each asks of Redis."""
    with ExitStack() as exits:
        rig = exits.enter_context(Rig(slots=slots))
        sides = [bare_side(rig, slots), phiq_side(rig, model)]
        asked: dict[str, Any] = {}
        for side, other in (sides, sides[::-1]):
            with other.worker.frozen():
                for number in range(2 * slots):  # imports, connections, scripts
                    side.collect(side.submit(number))
                asked[side.name] = traced(rig.redis, lambda side=side: side.collect(side.submit(0)))
        for measure in (lambda side: side.one_at_a_time(rig, rounds), lambda side: side.queued(rig, queued)):
            for _ in range(blocks):
                for side, other in (sides, sides[::-1]):
                    with other.worker.frozen():
                        measure(side)
        bare, ours = (side.figures() for side in sides)
    return {
        "settings": {"blocks": blocks, "rounds": rounds, "queued": queued, "slots": slots, "model": model},
        "bare": bare,
        "phiq": ours,
        "ratios": {
            "latency": ours["latency"]["median_ms"] / bare["latency"]["median_ms"],
            "latency_p99": ours["latency"]["p99_ms"] / bare["latency"]["p99_ms"],
            "jobs_per_s": ours["jobs_per_s"] / bare["jobs_per_s"],
            "latency_cpu": ours["latency_cpu_ms"] / bare["latency_cpu_ms"],
            "queued_cpu": ours["queued_cpu_ms"] / bare["queued_cpu_ms"],
        },
        "redis": {"bare": asked["bare Celery"], "phiq": asked["phiq"]},
    }


def printed(found: dict[str, Any]) -> str:
    """The figures as a table."""
    bare, ours, ratios = found["bare"], found["phiq"], found["ratios"]
    asked = found["redis"]
    rows = [
        ("one at a time, median ms", bare["latency"]["median_ms"], ours["latency"]["median_ms"], ratios["latency"]),
        ("one at a time, p99 ms", bare["latency"]["p99_ms"], ours["latency"]["p99_ms"], ratios["latency_p99"]),
        ("  CPU ms a job", bare["latency_cpu_ms"], ours["latency_cpu_ms"], ratios["latency_cpu"]),
        ("queued, jobs/s", bare["jobs_per_s"], ours["jobs_per_s"], ratios["jobs_per_s"]),
        ("  CPU ms a job", bare["queued_cpu_ms"], ours["queued_cpu_ms"], ratios["queued_cpu"]),
        ("  submitted/s", bare["submit_per_s"], ours["submit_per_s"], ours["submit_per_s"] / bare["submit_per_s"]),
        *(
            (f"Redis, one job: {what}", asked["bare"][what], asked["phiq"][what], "")
            for what in ("round trips", "that write", "commands in scripts")
        ),
    ]
    return report.table(("", "bare Celery", "phiq", "ratio"), rows)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=6, help="turns of each side")
    parser.add_argument("--rounds", type=int, default=50, help="single jobs a turn")
    parser.add_argument("--queued", type=int, default=1000, help="jobs queued a turn")
    parser.add_argument("--slots", type=int, default=4, help="threads of each worker")
    parser.add_argument("--model", default=MODEL, help="engine URI of phiq's job")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    found = run(given.blocks, given.rounds, given.queued, given.slots, given.model)
    print(printed(found))
    for side in ("bare", "phiq"):
        print(f"{side}: {found['redis'][side]['trace']}")
    print(f"saved: {report.save('overhead', found, given.json)}")


if __name__ == "__main__":
    main()
