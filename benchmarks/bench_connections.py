"""Ten thousand connections to one gateway: what they cost, and what a client notices that was there before.

    python -m benchmarks.bench_connections [--connections 10000] [--json FILE]

A third says nothing, a third sends half a request, a third asks for /healthz and stays. The gateway serves as many
connections as PHIQ_HTTP_CONNECTIONS says, tells half as many more to come back (503), and cuts off the rest. Both ends
need file descriptors: the limit (`ulimit -n`) must lie well above the number.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.common import report
from benchmarks.common.rig import Rig
from benchmarks.http_gateway import Gateway

_WHOLE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
_SENT = (b"", b"GET /healthz HTTP/1.1\r\nX-Slow: ", _WHOLE)
_ASKED = 50


async def flood(port: int, number: int) -> tuple[Counter[str], list[asyncio.StreamWriter]]:
    """Open the connections, 200 at a time, and count what becomes of them."""
    seen: Counter[str] = Counter()
    held: list[asyncio.StreamWriter] = []
    gate = asyncio.Semaphore(200)

    async def one(at: int) -> None:
        async with gate:
            try:
                reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 30)
                held.append(writer)
                writer.write(_SENT[at % 3])
                await writer.drain()
                if at % 3 == 2:
                    answer = await asyncio.wait_for(reader.read(4096), 30)
                    seen[answer[9:12].decode() or "cut off"] += 1
                else:
                    seen["silent or slow"] += 1
            except (OSError, TimeoutError) as error:
                seen[type(error).__name__] += 1

    await asyncio.gather(*(one(at) for at in range(number)))
    return seen, held


def asked(http: httpx.Client, flooded: threading.Event | None = None) -> list[float]:
    """Seconds that requests of a client take, one after the other: so many, or for as long as the flood lasts."""
    took: list[float] = []
    while len(took) < _ASKED or (flooded is not None and not flooded.wait(0.02)):
        began = time.perf_counter()
        http.get("/healthz").raise_for_status()
        took.append(time.perf_counter() - began)
    return took


async def measure(port: int, process: psutil.Process, number: int) -> dict[str, object]:
    """The figures of one run."""
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as early:
        before = await asyncio.to_thread(asked, early)
        memory = process.memory_info().rss
        began = time.perf_counter()
        flooded = threading.Event()
        asking = asyncio.create_task(asyncio.to_thread(asked, early, flooded))
        seen, held = await flood(port, number)
        opened = time.perf_counter() - began
        flooded.set()
        during = await asking
        grown = process.memory_info().rss - memory
        kept = len([one for one in process.net_connections("tcp") if one.status == "ESTABLISHED"])
        for writer in held:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in held), return_exceptions=True)
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as late:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                after = await asyncio.to_thread(asked, late)
                break
            except httpx.HTTPError:
                await asyncio.sleep(0.2)
        else:
            raise SystemExit("the gateway serves nobody any more")
    return {
        "connections": number,
        "opened_s": opened,
        "outcomes": dict(seen),
        "established": kept,
        "rss_grown_mb": grown / 1e6,
        "before": report.spread(before),
        "during": report.spread(during),
        "after": report.spread(after),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if options.connections + 500 > hard:
        raise SystemExit(f"ulimit -n is {hard}: too low for {options.connections} connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, options.connections + 1000)), hard))
    with Rig() as rig:
        gateway = Gateway(rig)
        figures = asyncio.run(measure(gateway.port, psutil.Process(gateway.process.child.pid), options.connections))
    spreads: dict[str, Any] = {name: figures[name] for name in _PHASES}
    rows = [[name, spreads[name]["median_ms"], spreads[name]["p99_ms"]] for name in _PHASES]
    print(report.table(("a client that was there before", "median ms", "p99 ms"), rows))
    print({name: value for name, value in figures.items() if name not in _PHASES})
    print(report.save("connections", figures, options.json))


_PHASES = ("before", "during", "after")

if __name__ == "__main__":
    main()
