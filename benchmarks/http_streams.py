"""Many event streams on one gateway at once: is each job's text whole at its reader, how late, and at what memory."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.common import report
from benchmarks.common.rig import Process, Rig
from benchmarks.http_gateway import Gateway

WAIT = 600.0


@dataclass
class Reader:
    """One stream's reader."""

    job: str
    text: str = ""
    ended: bool = False
    events: int = 0
    gaps: int = 0
    late: list[float] = field(default_factory=list)

    async def read(self, port: int, opened: asyncio.Semaphore, ready: asyncio.Event) -> None:
        """Open the stream and read it to its end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        try:
            head = f"GET /v1/jobs/{self.job}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            status = await reader.readline()
            if b" 200 " not in status:
                raise SystemExit(f"a stream was answered with {status!r}")
            async for line in reader:
                if line.startswith(b"retry:"):
                    opened.release()
                elif line.startswith(b"data: "):
                    self._event(json.loads(line[6:]), live=ready.is_set())
        finally:
            writer.close()

    def _event(self, event: Any, *, live: bool) -> None:
        self.events += 1
        self.ended = self.ended or event["type"] == "end"
        if event["type"] == "delta":
            self.gaps += event.get("offset", 0) != len(self.text)
            self.text += event["text"]
            if live:
                self.late.append(time.time() - int(event["id"].split("-")[0]) / 1000)


def measure(rig: Rig, gateway: Gateway, worker: Process, streams: int, words: int, rate: float) -> dict[str, Any]:
    """Open the streams while the worker is frozen, then let it work; every stream's text is compared with its job's.

    Args:
        rig: Where.
        gateway: That streams.
        worker: That generates.
        streams: How many.
        words: Of each job's answer.
        rate: Words a second of each.
    """
    service = rig.service()
    caller = gateway.caller()
    model = f"fake:words?count={words}&rate={rate:g}"
    job = {"kind": "complete", "model": model, "input": {"prompt": "go"}}
    for _ in gateway.caller().events(f"/v1/jobs/{caller.submit(job)}/events"):
        pass  # what the first one needs is there before memory is looked at
    with worker.frozen():
        readers = [Reader(caller.submit({**job, "options": {"seed": number}})) for number in range(streams)]
        before = gateway.memory
        found = asyncio.run(_all(readers, gateway, worker))
    texts = [service.get(one.job).parsed_result() for one in readers]
    wrong = sum(
        not one.ended or one.gaps or made is None or one.text != made.text
        for one, made in zip(readers, texts, strict=True)
    )
    late = [seconds for one in readers for seconds in one.late]
    return {
        "streams": streams,
        "whole": streams - wrong,
        "wrong": wrong,
        "events": sum(one.events for one in readers),
        "events_per_s": sum(one.events for one in readers) / found["seconds"],
        "kb_a_stream_idle": (found["idle"] - before) / streams / 1000,
        "kb_a_stream_busy": (found["most"] - before) / streams / 1000,
        "late": report.spread(late),
        **found,
    }


async def _all(readers: list[Reader], gateway: Gateway, worker: Process) -> dict[str, Any]:
    opened, ready = asyncio.Semaphore(0), asyncio.Event()
    tasks = [asyncio.create_task(one.read(gateway.port, opened, ready)) for one in readers]
    for _ in readers:
        await asyncio.wait_for(opened.acquire(), WAIT)
    idle = most = gateway.memory
    used, began = gateway.process.cpu, time.perf_counter()
    ready.set()
    worker.thaw()
    pending = set(tasks)
    while pending:
        if time.perf_counter() - began > WAIT:
            raise SystemExit(f"{len(pending)} streams have not ended after {WAIT:g} s")
        done, pending = await asyncio.wait(pending, timeout=0.2)
        for task in done:
            task.result()
        most = max(most, gateway.memory)
    seconds = time.perf_counter() - began
    return {"idle": idle, "most": most, "seconds": seconds, "gateway_cpu": gateway.process.cpu - used}
