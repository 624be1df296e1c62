"""A batch of 10,000 lines on the fake engine: what a line costs more than a job, memory, and everything killed at half.

    python -m benchmarks.bench_batch [--lines 10000] [--direct 2000] [--slots 4] [--no-kill] [--json FILE]

A Redis of its own (append-only file at ``always``), a worker and a gateway run as processes. First some jobs are
submitted one by one to lane batch, as many in line as a batch keeps there, and waited for. Then the file is uploaded
through the gateway and run as a batch; when half of its lines are done, Redis, worker and gateway are killed by SIGKILL
at once and started again. The output must have each line exactly once, and so must the engine's own record (the
witness), but for lines that were running when the worker died.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.common import report
from workers.app import worker_argv
from workers.jobs import parse_job
from workers.service import Service
from workers.settings import Settings, child_environment
from workers.stack import binaries, health, redis_server
from workers.stack.child import Child, tail
from workers.stack.ports import free_port

_PROJECT = Path(__file__).resolve().parents[1]
_START_SECONDS, _RUN_SECONDS = 90.0, 3600.0


class Machine:
    """Redis, a worker and a gateway that can be killed and started again."""

    def __init__(self, folder: Path, slots: int) -> None:
        self.folder = folder
        self._password = secrets.token_hex(16)
        self._redis_port, self._http_port = free_port(), free_port()
        (folder / "redis").mkdir()
        self.redis_url = redis_server.url(self._redis_port, self._password)
        self.url = f"http://127.0.0.1:{self._http_port}"
        self.settings = Settings(
            data_dir=folder / "data",
            redis_url=self.redis_url,
            chroma_url="http://127.0.0.1:9",
            allow_fake_engine=True,
            slots=slots,
            log_level="warning",
        )
        self._children: dict[str, Child] = {}

    def start(self) -> None:
        """Start all three and wait until they are healthy."""
        config = self.folder / "redis.conf"
        redis_server.write_config(config, self.folder / "redis", self._redis_port, self._password)
        self._start("redis", [binaries.find_redis().path, str(config)])
        self._wait("redis", lambda: not health.redis(self.redis_url))
        self._start("worker", [sys.executable, "-m", "celery", *worker_argv(self.settings)])
        where = ["--host", "127.0.0.1", "--port", str(self._http_port)]
        self._start("gateway", [sys.executable, "-m", "gateway.cli", "serve", *where])
        pid = self._children["worker"].pid
        self._wait("worker", lambda: not health.worker(self.settings, self.redis_url, pid))
        self._wait("gateway", lambda: not health.gateway(self.url))

    def kill(self) -> None:
        """SIGKILL to all three, the worker's and the gateway's own children included."""
        pids = [child.pid for child in self._children.values()]
        for pid in list(pids):
            with suppress(psutil.NoSuchProcess):
                pids += [one.pid for one in psutil.Process(pid).children(recursive=True)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """End all three."""
        for name in ("gateway", "worker", "redis"):
            child = self._children.pop(name, None)
            if child is not None:
                child.stop(15.0)

    def memory(self) -> dict[str, float]:
        """Resident megabytes of each."""
        found = {}
        for name, child in self._children.items():
            with suppress(psutil.NoSuchProcess):
                found[name] = psutil.Process(child.pid).memory_info().rss / 1e6
        return found

    def _start(self, name: str, argv: list[str]) -> None:
        environment = child_environment(self.settings, worker_name="bench")
        environment["PYTHONPATH"] = str(_PROJECT)
        self._children[name] = Child(argv, self.folder / f"{name}.log", self.folder, environment)

    def _wait(self, name: str, condition: Any) -> None:
        until = time.monotonic() + _START_SECONDS
        while not condition():
            if not self._children[name].running or time.monotonic() > until:
                raise SystemExit(f"{name} did not come up:\n{tail(self.folder / f'{name}.log')}")
            time.sleep(0.05)


@contextmanager
def machine(slots: int) -> Iterator[Machine]:
    """A machine in a temporary folder, ended by its processes' ids."""
    with ExitStack() as exits:
        folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="phiq-bench-"))
        made = Machine(Path(folder), slots)
        exits.callback(made.stop)
        made.start()
        yield made


def direct(made: Machine, jobs: int) -> float:
    """Seconds a job, submitted one by one with as many in line as a batch keeps there."""
    service = Service.connect(made.settings)
    job = parse_job(
        {"kind": "complete", "model": "fake:echo", "lane": "batch", "input": {"prompt": "some words to do"}}
    )
    ids = [service.submit(job).id for _ in range(20)]  # the worker loads the engine's modules
    for job_id in ids:
        service.wait(job_id, 60)
    flight = made.settings.batch_flight
    began = time.perf_counter()
    ids = []
    for number in range(jobs):
        ids.append(service.submit(job).id)
        if number >= flight:
            service.wait(ids[number - flight], 60)
    for job_id in ids[-flight:]:
        service.wait(job_id, 60)
    took = time.perf_counter() - began
    service.close()
    return took / jobs


def lines(count: int, witness: Path) -> Iterator[bytes]:
    """The batch file."""
    for number in range(count):
        job = {
            "kind": "complete",
            "model": f"fake:echo?witness={witness}",
            "input": {"prompt": f"n{number} words to do"},
        }
        yield json.dumps({"custom_id": f"n{number}", "job": job}).encode() + b"\n"


def run(count: int, jobs: int, slots: int, kill: bool) -> dict[str, Any]:
    """Everything; returns what was measured.

    Raises:
        SystemExit: a line is missing or there twice.
    """
    with machine(slots) as made, httpx.Client(base_url=made.url, timeout=60, trust_env=False) as http:
        per_job = direct(made, jobs)
        witness = made.folder / "ran.witness"
        file = made.folder / "in.jsonl"
        with file.open("wb") as out:
            out.writelines(lines(count, witness))
        began = time.perf_counter()
        with file.open("rb") as stream:
            given = http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", stream)}).json()
        uploaded = time.perf_counter() - began
        made_batch = http.post("/v1/batches", json={"input_file_id": given["id"], "endpoint": "/v1/jobs"}).json()
        samples: list[dict[str, float]] = []
        began, down = time.perf_counter(), 0.0
        while True:
            batch = _look(http, made_batch["id"])
            samples.append(made.memory() | {"done": batch["request_counts"]["completed"]})
            if batch["status"] not in ("validating", "in_progress", "finalizing"):
                break
            if kill and batch["request_counts"]["completed"] >= count // 2:
                kill, down = False, _kill(made)
            if time.perf_counter() - began > _RUN_SECONDS:
                raise SystemExit(f"not done: {batch}")
            time.sleep(0.25)
        took = time.perf_counter() - began - down
        output = [json.loads(line) for line in http.get(f"/v1/files/{batch['output_file_id']}/content").iter_lines()]
        times = Counter(line["custom_id"] for line in output)
        wanted = [f"n{number}" for number in range(count)]
        if [line["custom_id"] for line in output] != wanted or batch["error_file_id"] is not None:
            twice = [name for name, often in times.items() if often > 1]
            raise SystemExit(f"missing: {set(wanted) - set(times)}, twice: {twice}, {batch}")
        ran = Counter(line.split("\t")[0] for line in witness.read_text().splitlines())
        return {
            "lines": count,
            "status": batch["status"],
            "direct_ms_a_job": 1000 * per_job,
            "batch_ms_a_line": 1000 * took / count,
            "overhead_ms_a_line": 1000 * (took / count - per_job),
            "upload_s": uploaded,
            "down_s": down,
            "ran_twice": sum(often - 1 for often in ran.values()),
            "never_ran": len(set(wanted) - set(ran)),
            "tokens": batch["usage"]["output_tokens"],
            **_memory(samples),
        }


def _kill(made: Machine) -> float:
    """Kill everything and start it again; returns how long that took, until all were healthy."""
    began = time.perf_counter()
    made.kill()
    made.start()
    return time.perf_counter() - began


def _look(http: httpx.Client, batch_id: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while True:
        try:
            answer = http.get(f"/v1/batches/{batch_id}")
            if answer.status_code == 200:
                return dict(answer.json())
        except httpx.TransportError:
            pass
        if time.monotonic() > until:
            raise SystemExit("the gateway does not answer")
        time.sleep(0.2)


def _memory(samples: list[dict[str, float]]) -> dict[str, float]:
    """Memory after the first tenth, and the most there was later in the same life of the process."""
    found: dict[str, float] = {}
    total = max(sample["done"] for sample in samples)
    for name in ("worker", "redis", "gateway"):
        values = [(sample["done"], sample[name]) for sample in samples if name in sample]
        early = [mb for done, mb in values if 0.1 * total <= done < 0.5 * total] or [mb for _, mb in values]
        found[f"{name}_mb_early"], found[f"{name}_mb_most"] = early[0], max(mb for _, mb in values)
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--direct", type=int, default=2000, help="jobs that are submitted one by one, to compare")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--no-kill", action="store_true", help="let it run through")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    found = run(given.lines, given.direct, given.slots, not given.no_kill)
    print(report.table(("", "batch"), [(name.replace("_", " "), value) for name, value in found.items()]))
    print(f"saved: {report.save('batch', found, given.json)}")


if __name__ == "__main__":
    main()
