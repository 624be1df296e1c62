"""What a long backlog costs: submit rate, Redis' memory a job, and the time until a worker that starts has its first.

    python -m benchmarks.bench_backlog [--jobs 100000] [--tenants 1,1000] [--submitters 4] [--sample 1000] [--json FILE]

For each number of tenants a Redis of its own is filled. Submit rates are taken with the append-only file at ``always``,
by one process and by several, on the empty ledger and again on the full one, where growth that is worse than linear
shows; the many jobs between are put in with ``appendfsync no``, which is quicker and changes nothing else. Then a
worker starts; from the moment it is on the list, the clock runs to the first claimed job. What a look at the line costs
at that length (`phiq jobs show` of the last job) is told too, and the jobs/s of the first seconds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.common import report
from benchmarks.common.rig import Rig
from workers.jobs import parse_job
from workers.ledger import Ledger
from workers.service import Service
from workers.settings import Settings

MODEL = "fake:words?count=0"


def fill(settings: Settings, jobs: int, tenants: int, first: int = 0) -> float:
    """Submit jobs, the tenants in turn; returns the seconds it took, without connecting."""
    service = Service.connect(settings)
    service.workers()
    began = time.perf_counter()
    for number in range(jobs):
        service.submit(_job(f"tenant-{(first + number) % tenants}"))
    took = time.perf_counter() - began
    service.close()
    return took


class Filler:
    """Puts jobs in, from this process and from several others."""

    def __init__(self, rig: Rig, tenants: int, pool: ProcessPoolExecutor, processes: int) -> None:
        self._rig = rig
        self._tenants = tenants
        self._pool = pool
        self._processes = processes
        self.queued = 0

    def alone(self, jobs: int) -> float:
        """Jobs a second of one submitter."""
        self.queued += jobs
        return jobs / fill(self._rig.settings, jobs, self._tenants)

    def together(self, jobs: int) -> float:
        """Jobs a second of several submitters together."""
        each = max(1, jobs // self._processes)
        self.queued += each * self._processes
        parts = [(self._rig.settings, each, self._tenants, at * 7) for at in range(self._processes)]
        began = time.perf_counter()
        list(self._pool.map(fill, *zip(*parts, strict=True)))
        return each * self._processes / (time.perf_counter() - began)

    def quickly(self, jobs: int) -> None:
        """Many, without waiting for the disk at each."""
        self._rig.redis.config_set("appendfsync", "no")
        self.together(jobs)
        self._rig.redis.config_set("appendfsync", "always")


def run(jobs: int, tenants: int, submitters: int, sample: int = 1000) -> dict[str, Any]:
    """Fill one Redis and let a worker at it; returns what was measured."""
    with Rig(slots=4) as rig:
        service = rig.service()
        empty = int(rig.info("memory")["used_memory"])
        disk = int(rig.info("persistence")["aof_current_size"])
        with ProcessPoolExecutor(submitters, multiprocessing.get_context("spawn")) as pool:
            filler = Filler(rig, tenants, pool, submitters)
            filler.together(submitters)  # imports
            empty_one, empty_several = filler.alone(sample), filler.together(sample)
            filler.quickly(max(submitters, jobs - 4 * sample - submitters))
            full_one, full_several = filler.alone(sample), filler.together(sample)
        memory = int(rig.info("memory")["used_memory"]) - empty
        written = int(rig.info("persistence")["aof_current_size"]) - disk
        looks = [_look(service) for _ in range(20)]
        first = _first_pick_up(rig)
        return {
            "tenants": tenants,
            "submitters": submitters,
            "queued": filler.queued,
            "looks": len(looks),
            "counted": _counted(service),
            "submit_per_s_one_empty": empty_one,
            "submit_per_s_one_full": full_one,
            "submit_per_s_several_empty": empty_several,
            "submit_per_s_several_full": full_several,
            "bytes_a_job": memory / filler.queued,
            "file_bytes_a_job": written / filler.queued,
            "why_it_waits_ms": 1000 * statistics.median(looks),
            **first,
        }


def _first_pick_up(rig: Rig) -> dict[str, float]:
    rig.worker()
    began = time.perf_counter()
    ledger = Ledger(rig.redis, rig.service().ledger.config)
    # Those that run or are done, by the leases and the index of ended jobs: two commands, whatever the length.
    leases, finished = ledger.scripts.key("leases"), ledger.scripts.key("finished")

    def taken() -> int:
        pipe = rig.redis.pipeline(transaction=False)
        pipe.zcard(leases)
        pipe.zcard(finished)
        return sum(pipe.execute())

    while not taken():
        if time.perf_counter() - began > 60:
            raise SystemExit("no job was picked up within 60 s")
        time.sleep(0.002)
    first = time.perf_counter() - began
    # The engine's modules are loaded by the first job; the rate is of those after it.
    while (at_first := taken()) < 20:
        if time.perf_counter() - began > 60:
            raise SystemExit("20 jobs did not run within 60 s")
        time.sleep(0.002)
    time.sleep(3.0)
    return {"first_pick_up_ms": 1000 * first, "jobs_per_s_then": (taken() - at_first) / 3.0}


def _counted(service: Service) -> int:
    """Jobs the ledger knows, by its index of each tenant."""
    scripts = service.ledger.scripts
    found: Any = list(scripts.client.scan_iter(scripts.key("jobs", "*"), count=1000))
    return sum(int(scripts.client.zcard(key)) for key in found)  # type: ignore[arg-type]  # not awaitable here


def _look(service: Service) -> float:
    job_id = service.submit(_job("tenant-0")).id
    began = time.perf_counter()
    service.waiting(job_id, "tenant-0")
    return time.perf_counter() - began


def _job(tenant: str) -> Any:
    return parse_job({"kind": "complete", "model": MODEL, "tenant": tenant, "input": {"prompt": "some words to do"}})


def printed(found: list[dict[str, Any]]) -> str:
    """The figures as a table."""
    names = {
        "tenants": "tenants",
        "queued": "jobs queued",
        "submit_per_s_one_empty": "submitted/s by one, empty",
        "submit_per_s_one_full": "submitted/s by one, full",
        "submitters": "several are",
        "submit_per_s_several_empty": "submitted/s by several, empty",
        "submit_per_s_several_full": "submitted/s by several, full",
        "bytes_a_job": "memory a job, bytes",
        "file_bytes_a_job": "append-only file a job, bytes",
        "why_it_waits_ms": "why does it wait, ms",
        "first_pick_up_ms": "first pick-up, ms",
        "jobs_per_s_then": "jobs/s in 3 s, once warm",
    }
    rows = [(text, *(one[name] for one in found)) for name, text in names.items()]
    return report.table(("", *(f"run {number}" for number in range(1, len(found) + 1))), rows)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--tenants", default="1,1000", help="numbers of tenants, one run each")
    parser.add_argument("--submitters", type=int, default=4, help="processes that submit at once")
    parser.add_argument("--sample", type=int, default=1000, help="jobs that a rate is taken from")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    found: list[dict[str, Any]] = []
    for tenants in given.tenants.split(","):
        found.append(run(given.jobs, int(tenants), given.submitters, given.sample))
        print(printed(found), flush=True)  # each run takes minutes
    print(f"saved: {report.save('backlog', {'runs': found}, given.json)}")


if __name__ == "__main__":
    main()
