"""Memory of several workers' engines on one machine, with one copy of the model and with a copy each.

    python benchmarks/bench_shared.py MODEL_FOLDER --workers 2

Starts processes with an ONNX engine each, lets all of them answer together, and adds up the memory (PSS: what several
processes share is counted once) of them and their children. Pieces a second are of all runs together.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

_RUNS = 2
_TOKENS = 256
_WORKER = """
import sys, threading, time
from pathlib import Path
from workers.engines.base import EngineURI
from workers.engines.host.host import HostLimits
from workers.engines.host.protocol import Done, Request
from workers.engines.hosted.engine import cores
from workers.engines.onnx import OnnxEngine
from workers.engines.onnx.folder import ModelFolder
share = Path(sys.argv[2]) if sys.argv[2] else None
engine = OnnxEngine(
    EngineURI("onnx", "m"), ModelFolder.read(Path(sys.argv[1])), threads=cores(), limits=HostLimits(share=share)
)
def run(first):
    request = Request(tokens=(first,) * 64, max_tokens=int(sys.argv[4]))
    assert any(isinstance(event, Done) for event in engine.host.generate(request, threading.Event()))
engine.host.load(threading.Event())
print("ready", flush=True)
sys.stdin.readline()
runs = [threading.Thread(target=run, args=(300 + number,)) for number in range(int(sys.argv[3]))]
for one in runs: one.start()
for one in runs: one.join()
print("done", flush=True)
sys.stdin.readline()
"""


def measure(folder: Path, workers: int, *, share: bool) -> tuple[int, int, float]:
    """Bytes of all processes, how many of them hold a model, and tokens a CPU second of those."""
    with tempfile.TemporaryDirectory() as temporary:
        locks = str(Path(temporary) / "models") if share else ""
        command = [sys.executable, "-c", _WORKER, str(folder), locks, str(_RUNS), str(_TOKENS)]
        started: list[subprocess.Popen[str]] = []
        try:
            for _ in range(workers):
                started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
                _hear(started[-1], "ready")
            hosts = [child for one in started for child in psutil.Process(one.pid).children()]
            before = sum(_seconds(host) for host in hosts)
            for one in started:
                _say(one)
            for one in started:
                _hear(one, "done")
            spent = sum(_seconds(host) for host in hosts) - before
            everyone = [*(psutil.Process(one.pid) for one in started), *hosts]
            taken = sum(process.memory_full_info().pss for process in everyone)
        finally:
            for one in started:
                one.kill()
                one.communicate()
    return taken, len(hosts), workers * _RUNS * _TOKENS / spent


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _hear(worker: subprocess.Popen[str], word: str) -> None:
    assert worker.stdout is not None
    if worker.stdout.readline().strip() != word:
        raise SystemExit("a worker failed")


def _say(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description="memory of several workers' engines on one machine")
    asked.add_argument("folder", type=Path)
    asked.add_argument("--workers", type=int, default=2)
    given = asked.parse_args()
    for workers, share in ((1, True), (given.workers, True), (given.workers, False)):
        taken, hosts, pace = measure(given.folder, workers, share=share)
        what = "one copy" if share else "a copy each"
        memory = f"{taken / 1e6:,.0f} MB in all, {hosts} with the model"
        print(f"{workers} worker(s), {what}: {memory}, {pace:,.0f} tokens/CPU s")


if __name__ == "__main__":
    main()
