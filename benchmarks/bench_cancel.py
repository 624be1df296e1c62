"""How long an engine goes on after its job was cancelled.

    python -m benchmarks.bench_cancel [--rounds 100] [--model FOLDER] [--json FILE]

A job generates through a real worker; once its first words are in the stream it is cancelled. Two ends are timed from
the call: ``told``, when a reader of the stream has the end event (the worker has left the engine and settled by then),
and ``idle``, when the engine was last seen at work. For an ONNX model that is the last instant at which the thread that
drives the model in its host process used the CPU, read every millisecond from the kernel's scheduler (Linux only; the
library's other threads spin for some 0.1 s after any run, cancelled or not). The fake engine waits on the job's stop
flag in the worker's own thread, so it is idle no later than its job is settled, and ``idle`` is ``told``. The looking
costs time too: figures are no better than about 2 ms.
"""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common import report
from benchmarks.common.rig import Process, Rig
from workers.jobs import State, parse_job
from workers.service import Service

TINY = Path(__file__).resolve().parents[1] / "tests" / "assets" / "tiny-phi3"
FAKE = "fake:words?count=100000&rate=50"
_QUIET = 0.1
"""Seconds without CPU after which the host counts as idle since its last use."""


class HostWatch:
    """Notes when the main thread of an engine's host process last used the CPU.

    Args:
        worker: Whose child it is.
    """

    def __init__(self, worker: Process) -> None:
        children = psutil.Process(worker.child.pid).children(recursive=True)
        if not children:
            raise SystemExit("the worker has no engine host")
        self._threads = [Path(f"/proc/{child.pid}/task/{child.pid}/schedstat") for child in children]
        self.last_used = time.perf_counter()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()
        self._thread.join()

    def idle_since(self) -> float:
        """When it last used the CPU, once it has been quiet for a while."""
        while time.perf_counter() - self.last_used < _QUIET:
            time.sleep(_QUIET / 10)
        return self.last_used

    def _look(self) -> None:
        used = self._used()
        while not self._closing.wait(0.001):
            now = self._used()
            if now != used:
                used, self.last_used = now, time.perf_counter()

    def _used(self) -> int:
        """Nanoseconds on a CPU."""
        return sum(int(file.read_text().split()[0]) for file in self._threads)


def once(service: Service, model: str, watch: HostWatch | None) -> tuple[float, float]:
    """Seconds from the call until told, and until the engine was idle."""
    job = {"kind": "complete", "model": model, "input": {"prompt": "on and on"}}
    if model.startswith("onnx:"):
        job["options"] = {"max_tokens": 3500}
    job_id = service.submit(parse_job(job)).id
    began = 0.0
    for event in service.events(job_id, timeout=120):
        if event.text and not began:
            began = time.perf_counter()
            service.cancel(job_id)
    told = time.perf_counter() - began
    record = service.get(job_id)
    if record.state is not State.CANCELLED or not began:
        raise SystemExit(f"the job is {record.state.value}, not cancelled: {record.error}")
    return told, max(0.0, watch.idle_since() - began) if watch else told


def measure(rig: Rig, service: Service, worker: Process, model: str, rounds: int) -> dict[str, Any]:
    """One engine."""
    once(service, model, None)  # loads and warms up
    watch = HostWatch(worker) if model.startswith("onnx:") else None
    pairs = [once(service, model, watch) for _ in range(rounds)]
    if watch:
        watch.close()
    assert rig.redis.ping()
    return {"told": report.spread([told for told, _ in pairs]), "idle": report.spread([idle for _, idle in pairs])}


def run(rounds: int, folder: Path = TINY) -> dict[str, Any]:
    """Measure both engines."""
    with Rig(slots=1) as rig:
        service = rig.service()
        worker = rig.worker()
        models = {"fake engine, 50 words/s": FAKE, f"ONNX, {folder.name}": f"onnx:{folder.resolve()}"}
        return {
            "settings": {"rounds": rounds},
            "engines": {name: measure(rig, service, worker, uri, rounds) for name, uri in models.items()},
        }


def printed(found: dict[str, Any]) -> str:
    """The figures as a table."""
    rows = [
        (f"{name}: {what}", spread["n"], spread["median_ms"], spread["p99_ms"], spread["worst_ms"])
        for name, figures in found["engines"].items()
        for what, spread in figures.items()
    ]
    return report.table(("from the call to cancel, ms", "n", "p50", "p99", "worst"), rows)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--model", type=Path, default=TINY, help="folder of an ONNX Runtime GenAI model")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    found = run(given.rounds, given.model)
    print(printed(found))
    print(f"saved: {report.save('cancel', found, given.json)}")


if __name__ == "__main__":
    main()
