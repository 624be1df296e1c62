"""Bytes of Redis for one finished job of each kind, with and without the content store.

    python benchmarks/bench_memory.py

Counts what Redis itself says of the job's keys (MEMORY USAGE): record, stream, text.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import redis

from agents.contract import (
    ChatResult,
    CompletionResult,
    Coverage,
    DescriptionResult,
    EmbedResult,
    FileReport,
    IngestResult,
    Result,
    SummaryResult,
    TranslationResult,
)
from workers.content import ContentStore
from workers.jobs import Capability, parse_job
from workers.ledger import Ledger, LedgerConfig
from workers.payloads import Payloads
from workers.stack import binaries, health, redis_server
from workers.stack.child import Child
from workers.stack.ports import free_port

INLINE = 65_536
_PIECE = 200
"""Characters in an event of the stream: some seconds of a model on a CPU."""


def _cases() -> list[tuple[str, dict[str, Any], Result]]:
    file = {"ref": "sha256:" + "a" * 64, "name": "page.md", "size": 5}
    files = [file | {"source": f"/docs/{number}.md"} for number in range(600)]
    reports = [FileReport(source=f"/docs/{number}.md", status="added", passages=3) for number in range(600)]
    turn = {"role": "user", "content": "x" * 1000}
    return [
        ("complete: 1 kB in, 1 kB out", {"kind": "complete", "input": {"prompt": "x" * 1000}}, _said(1000)),
        (
            "chat: 10 turns of 1 kB, 8 kB of passages",
            {"kind": "chat", "input": {"messages": [turn] * 10}},
            ChatResult(text="y" * 1000, notes=["p" * 8000]),
        ),
        (
            "summarize: 1 MB in",
            {"kind": "summarize", "input": {"texts": [{"text": "x" * 1_000_000}]}},
            SummaryResult(text="y" * 2000, coverage=Coverage(parts=1, parts_read=1)),
        ),
        (
            "translate: 200 kB in and out",
            {"kind": "translate", "input": {"text": "x" * 200_000, "target": "de"}},
            TranslationResult(text="y" * 200_000, target="de"),
        ),
        (
            "embed: 500 texts of 200 characters",
            {"kind": "embed", "input": {"texts": ["x" * 200] * 500}},
            EmbedResult(vectors=[[0.12345678] * 384] * 500, dimensions=384),
        ),
        ("ingest: 600 files", {"kind": "ingest", "input": {"files": files}}, IngestResult(files=reports)),
        ("describe: a picture", {"kind": "describe", "input": {"images": [file]}}, DescriptionResult(text="y" * 500)),
    ]


def _said(size: int) -> CompletionResult:
    return CompletionResult(text="y" * size)


def _measure(client: Any, store: ContentStore, inline: int, job: dict[str, Any], result: Result) -> list[int]:
    client.flushall()
    ledger = Ledger(client, LedgerConfig(flush=0.0, lease=600.0), Payloads(lambda: store, inline))
    record = ledger.submit(parse_job(job), model="fake:echo", capability=Capability.CORE)
    attempt = ledger.claim(record.id, "bench")
    assert attempt is not None
    for at in range(0, len(result.text), _PIECE):
        attempt.delta(result.text[at : at + _PIECE])
    attempt.succeed(result)
    return [client.memory_usage(f"phiq:{part}:{record.id}", samples=0) or 0 for part in ("job", "events", "text")]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        redis_server.write_config(folder / "redis.conf", folder, port, "bench")
        child = Child([binaries.find_redis().path, str(folder / "redis.conf")], folder / "log", folder)
        try:
            url = redis_server.url(port, "bench")
            while health.redis(url):
                assert child.running, child.ending
            store = ContentStore(str(folder / "content"), 10**9)
            print(f"{'bytes of Redis, one finished job':44}{'all inline':>12}{'record':>10}{'stream':>10}{'text':>10}")
            with redis.Redis.from_url(url, decode_responses=True) as client:
                for title, job, result in _cases():
                    inline = sum(_measure(client, store, 10**12, job, result))
                    record, stream, text = _measure(client, store, INLINE, job, result)
                    print(f"{title:44}{inline:12,}{record:10,}{stream:10,}{text:10,}")
        finally:
            child.stop(10)


if __name__ == "__main__":
    main()
