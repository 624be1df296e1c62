"""What HTTP adds: to the ledger's own submit, to a job that does nothing, and to the first token; and many streams.

    python -m benchmarks.bench_http [--blocks 6] [--rounds 100] [--streams 500] [--json FILE]

All in one run, on one Redis (append-only file at ``always``), one gateway process and one worker, in a temporary
folder. Where two ways are compared they take turns (ABAB): the ledger, called in this process, and the gateway, called
over a connection that is kept open. For the first token the other side is the engine itself in this process, with a
model process of its own where it has one.

Targets: HTTP adds at most 5 ms to submit at the median; 500 streams lose no event; the first token comes at most 20 ms
later at the median.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks import http_streams
from benchmarks.bench_first_token import TINY, TOKENS, directly
from benchmarks.common import report
from benchmarks.common.rig import Process, Rig
from benchmarks.http_gateway import Caller, Gateway
from workers.engines.base import EngineURI
from workers.engines.fake import FakeEngine
from workers.engines.onnx import OnnxEngine
from workers.jobs import State, parse_job

NOTHING = {"kind": "complete", "model": "fake:words?count=0", "input": {"prompt": "nothing"}}
WAIT = 60.0
Times = dict[str, list[float]]


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def in_turns(blocks: int, rounds: int, ways: dict[str, Callable[[], object]]) -> Times:
    """The seconds of each way, in turns."""
    for call in ways.values():
        for _ in range(5):
            call()
    times: Times = {name: [] for name in ways}
    for block in range(blocks):
        for name in list(ways)[:: 1 if block % 2 else -1]:
            times[name] += [timed(ways[name]) for _ in range(rounds)]
    return times


def submits(rig: Rig, gateway: Gateway, worker: Process, blocks: int, rounds: int) -> tuple[Times, dict[str, float]]:
    """Single submits either way while the worker is frozen, and how many a second eight callers get done."""
    service, caller, job = rig.service(), gateway.caller(), parse_job(NOTHING)
    with worker.frozen():
        ways = {"ledger": lambda: service.submit(job), "http": lambda: caller.submit(NOTHING)}
        times = in_turns(blocks, rounds, ways)
        rates = {
            "ledger": _rate(blocks * rounds, lambda: lambda: service.submit(job)),
            "http": _rate(blocks * rounds, lambda: _submitter(gateway.caller())),
        }
    return times, rates


def _submitter(caller: Caller) -> Callable[[], object]:
    return lambda: caller.submit(NOTHING)


def _rate(calls: int, make: Callable[[], Callable[[], object]], callers: int = 8) -> float:
    each = max(1, calls // callers)

    def work(call: Callable[[], object]) -> None:
        for _ in range(each):
            call()

    threads = [threading.Thread(target=work, args=(make(),)) for _ in range(callers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return each * callers / (time.perf_counter() - began)


def whole_jobs(rig: Rig, gateway: Gateway, blocks: int, rounds: int) -> Times:
    """From submit to the result in hand: the ledger's wait, or a stream's end and the record over HTTP."""
    service, caller, job = rig.service(), gateway.caller(), parse_job(NOTHING)

    def ledger() -> None:
        if service.wait(service.submit(job).id, WAIT).state is not State.SUCCEEDED:
            raise SystemExit("a job did not end well")

    def http() -> None:
        job_id = caller.submit(NOTHING)
        for _ in caller.events(f"/v1/jobs/{job_id}/events"):
            pass
        if caller.get(f"/v1/jobs/{job_id}")["state"] != "succeeded":
            raise SystemExit("a job did not end well")

    return in_turns(blocks, rounds, {"ledger": ledger, "http": http})


def first_token(gateway: Gateway, engine: Any, rounds: int) -> Times:
    """Seconds to the first text: of the engine in this process, and of a job through gateway, queue, worker, stream."""
    caller, uri = gateway.caller(), str(engine.uri)
    times: Times = {"engine": [], "http": []}
    for number in range(-3, rounds):  # the first rounds load and warm up
        prompt = f"{number} " + "some words of a prompt " * 20
        pair = directly(engine, prompt), _by_http(caller, uri, prompt)
        if number >= 0:
            for side, seconds in zip(times.values(), pair, strict=True):
                side.append(seconds)
    return times


def _by_http(caller: Caller, uri: str, prompt: str) -> float:
    job = {"kind": "complete", "model": uri, "input": {"prompt": prompt}, "options": {"max_tokens": TOKENS}}
    began, first = time.perf_counter(), 0.0
    for event in caller.events(f"/v1/jobs/{caller.submit(job)}/events"):
        if event.get("text") and not first:
            first = time.perf_counter() - began
    if not first:
        raise SystemExit("the job gave no text")
    return first


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    found: dict[str, Any] = {"settings": {name: str(value) for name, value in vars(given).items()}}
    with Rig(slots=given.slots, http_connections=given.streams + 100) as rig:
        worker, gateway = rig.worker(), Gateway(rig)
        times, rates = submits(rig, gateway, worker, given.blocks, given.rounds)
        found["submit"] = {**_compared(times, "ledger"), "per_s": rates}
        _drained(rig)
        found["job"] = _compared(whole_jobs(rig, gateway, given.blocks, max(1, given.rounds // 2)), "ledger")
        for name, uri, kind in (
            ("fake", EngineURI("fake", "words?count=16&ttft=0.05"), FakeEngine),
            ("onnx", EngineURI("onnx", str(given.model.resolve())), OnnxEngine),
        ):
            with closing(kind.from_settings(uri, rig.settings)) as engine:
                found[f"first_{name}"] = _compared(first_token(gateway, engine, given.firsts), "engine")
        if given.streams:
            found["streams"] = http_streams.measure(rig, gateway, worker, given.streams, given.words, given.rate)
    return found


def _drained(rig: Rig) -> None:
    """Wait until the jobs that the submits left are done."""
    service = rig.service()
    while any(queue.waiting or queue.running for queue in service.queues()):
        time.sleep(0.2)


def _compared(times: Times, base: str) -> dict[str, Any]:
    spreads = {name: report.spread(some) for name, some in times.items()}
    own, http = spreads[base], spreads["http"]
    ratio = http["median_ms"] / own["median_ms"]
    return {**spreads, "added_ms": http["median_ms"] - own["median_ms"], "ratio": ratio}


def printed(found: dict[str, Any]) -> str:
    """The figures as tables."""
    rows = []
    for name, base, text in (
        ("submit", "ledger", "submit"),
        ("job", "ledger", "job that does nothing"),
        ("first_fake", "engine", "first token, fake engine"),
        ("first_onnx", "engine", "first token, ONNX"),
    ):
        one = found[name]
        for what in ("median_ms", "p99_ms"):
            own, http = one[base][what], one["http"][what]
            rows.append((f"{text}, {what.replace('_', ' ')}", own, http, http / own, http - own))
    rates = found["submit"]["per_s"]
    rows.append(("submits/s, eight callers", rates["ledger"], rates["http"], rates["http"] / rates["ledger"], ""))
    lines = [report.table(("", "ledger or engine", "HTTP", "ratio", "added"), rows)]
    if "streams" in found:
        some = found["streams"]
        lines += [
            "",
            f"{some['streams']} streams: {some['whole']} whole, {some['wrong']} wrong; {some['events']} events",
        ]
        facts = [
            ("events/s", some["events_per_s"]),
            ("kB a stream, open and idle", some["kb_a_stream_idle"]),
            ("kB a stream, at most", some["kb_a_stream_busy"]),
            ("from Redis to the reader, median ms", some["late"]["median_ms"]),
            ("from Redis to the reader, p99 ms", some["late"]["p99_ms"]),
            ("gateway's CPU ms an event", 1000 * some["gateway_cpu"] / some["events"]),
        ]
        lines.append(report.table(("streams", ""), facts))
    return "\n".join(lines)


def missed(found: dict[str, Any]) -> list[str]:
    """The targets that were missed, in words."""
    firsts = max(found["first_fake"]["added_ms"], found["first_onnx"]["added_ms"])
    return [
        text
        for text, bad in (
            ("HTTP adds more than 5 ms to submit", found["submit"]["added_ms"] > 5),
            ("the first token comes more than 20 ms later", firsts > 20),
            ("streams lost events", found.get("streams", {}).get("wrong", 0) > 0),
        )
        if bad
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=6, help="turns of each side")
    parser.add_argument("--rounds", type=int, default=100, help="single submits a turn (half as many whole jobs)")
    parser.add_argument("--firsts", type=int, default=40, help="first tokens of each engine")
    parser.add_argument("--model", type=Path, default=TINY, help="folder of an ONNX model")
    parser.add_argument("--streams", type=int, default=500, help="open at once; 0: none")
    parser.add_argument("--words", type=int, default=60, help="of each stream's job")
    parser.add_argument("--rate", type=float, default=30.0, help="words a second of each")
    parser.add_argument("--slots", type=int, default=64, help="threads of the worker")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    found = run(given)
    print(printed(found))
    print("targets: " + ("; ".join(missed(found)) or "all met"))
    print(f"saved: {report.save('http', found, given.json)}")


if __name__ == "__main__":
    main()
