"""What a long backlog costs: submit rate, Redis' memory a job, and the time until a worker that starts has its first.

    python -m benchmarks.bench_backlog [--jobs 100000] [--tenants 1,1000] [--submitters 4] [--json FILE]

For each number of tenants a Redis of its own is filled: by one submitter up to the first tenth, by several processes
after that. Rates are told for the first and the last tenth as well, where growth that is worse than linear shows. Then
a worker starts; from the moment it is on the list, the clock runs to the first claimed job. What a look at the line
costs at that length (`phiq jobs show` of the last job) is told too, and the jobs/s of the first seconds.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.common import report
from benchmarks.common.rig import Rig
from workers.jobs import parse_job
from workers.ledger import Ledger
from workers.service import Service
from workers.settings import Settings

MODEL = "fake:words?count=0"


def fill(settings: Settings, jobs: int, tenants: int, first: int = 0) -> list[float]:
    """Submit jobs, the tenants in turn; returns the seconds each tenth took."""
    service = Service.connect(settings)
    tenth = max(1, jobs // 10)
    marks = [time.perf_counter()]
    for number in range(jobs):
        service.submit(_job(f"tenant-{(first + number) % tenants}"))
        if (number + 1) % tenth == 0:
            marks.append(time.perf_counter())
    service.close()
    return [later - earlier for earlier, later in itertools.pairwise(marks)]


def run(jobs: int, tenants: int, submitters: int) -> dict[str, Any]:
    """Fill one Redis and let a worker at it; returns what was measured."""
    with Rig(slots=4) as rig:
        service = rig.service()
        empty = int(rig.info("memory")["used_memory"])
        disk = int(rig.info("persistence")["aof_current_size"])
        alone = max(10, jobs // 10)
        single = fill(rig.settings, alone, tenants)
        each = (jobs - alone) // submitters
        began = time.perf_counter()
        with multiprocessing.get_context("spawn").Pool(submitters) as pool:
            pool.starmap(fill, [(rig.settings, 1, tenants)] * submitters)  # imports, connections
            began = time.perf_counter()
            parts = pool.starmap(fill, [(rig.settings, each, tenants, at * 7) for at in range(submitters)])
        together = time.perf_counter() - began
        queued = alone + (each + 1) * submitters
        last = fill(rig.settings, 20, tenants)
        queued += 20
        memory = int(rig.info("memory")["used_memory"]) - empty
        written = int(rig.info("persistence")["aof_current_size"]) - disk
        looks = [_look(service) for _ in range(20)]
        first = _first_pick_up(rig)
        counted = _counted(service)
        return {
            "tenants": tenants,
            "submitters": submitters,
            "queued": queued,
            "looks": len(looks),
            "counted": counted,
            "submit_per_s_one": alone / sum(single),
            "submit_per_s_several": each * submitters / together,
            "first_tenth_s": statistics.mean(part[0] for part in parts),
            "last_tenth_s": statistics.mean(part[-1] for part in parts),
            "submit_ms_at_the_end": 1000 * sum(last) / 20,
            "bytes_a_job": memory / queued,
            "file_bytes_a_job": written / queued,
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
    at_first = taken()
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
        "submit_per_s_one": "submitted/s, one submitter",
        "submit_per_s_several": "submitted/s, several",
        "submitters": "  how many",
        "first_tenth_s": "  first tenth, s",
        "last_tenth_s": "  last tenth, s",
        "submit_ms_at_the_end": "one more at the end, ms",
        "bytes_a_job": "memory a job, bytes",
        "file_bytes_a_job": "append-only file a job, bytes",
        "why_it_waits_ms": "why does it wait, ms",
        "first_pick_up_ms": "first pick-up, ms",
        "jobs_per_s_then": "jobs/s in the next 3 s",
    }
    rows = [(text, *(one[name] for one in found)) for name, text in names.items()]
    return report.table(("", *(f"run {number}" for number in range(1, len(found) + 1))), rows)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--tenants", default="1,1000", help="numbers of tenants, one run each")
    parser.add_argument("--submitters", type=int, default=4, help="processes that submit at once")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    found = [run(given.jobs, int(tenants), given.submitters) for tenants in given.tenants.split(",")]
    print(printed(found))
    print(f"saved: {report.save('backlog', {'runs': found}, given.json)}")


if __name__ == "__main__":
    main()
