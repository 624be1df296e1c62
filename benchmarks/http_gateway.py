"""A gateway for a measurement, and plain clients for it: the standard library's, to cost as little as can be."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from typing import Any

import psutil

from benchmarks.common.rig import Process, Rig
from workers.settings import child_environment
from workers.stack.ports import free_port


class Gateway:
    """`phiq serve` in a process of its own, ended with the rig."""

    def __init__(self, rig: Rig) -> None:
        self.port = free_port()
        argv = [sys.executable, "-m", "gateway.cli", "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        self.process: Process = rig.start(argv, "gateway", child_environment(rig.settings))
        rig.wait(self._up, self.process)
        self._seen = psutil.Process(self.process.child.pid)

    @property
    def memory(self) -> int:
        """Bytes in use by its process (resident)."""
        return int(self._seen.memory_info().rss)

    def _up(self) -> bool:
        try:
            return self.caller().get("/readyz")["status"] == "ok"
        except OSError:
            return False

    def caller(self) -> Caller:
        """A client with a connection of its own, kept open."""
        return Caller(self.port)


class Caller:
    """One connection. Not for several threads."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def post(self, path: str, body: Any) -> Any:
        """The answer to a POST, as JSON."""
        return self._answer("POST", path, json.dumps(body).encode())

    def get(self, path: str) -> Any:
        """The answer to a GET, as JSON."""
        return self._answer("GET", path, None)

    def submit(self, job: Any) -> str:
        """Submit a job; returns its id."""
        return str(self.post("/v1/jobs", job)["id"])

    def events(self, path: str, body: Any = None) -> Iterator[Any]:
        """The data of each event of a stream, read to its end."""
        payload = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
        self._connection.request("GET" if body is None else "POST", path, payload, headers)
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"{path} was answered with {answer.status}: {answer.read()[:500]!r}")
        for line in answer:
            if line.startswith(b"data: ") and line != b"data: [DONE]\n":
                yield json.loads(line[6:])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _answer(self, method: str, path: str, body: bytes | None) -> Any:
        self._connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status not in (200, 202):
            raise SystemExit(f"{method} {path} was answered with {answer.status}: {data[:500]!r}")
        return json.loads(data)
