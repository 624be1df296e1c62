"""A small TCP proxy between client and gateway, that cuts, loses and makes up answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

_REQUESTS = (b"GET ", b"POST ", b"PUT ", b"DELETE ")


class Proxy:
    """Forwards to a port on loopback.

    Attributes:
        url: Where it listens.
        cuts: For each event stream to come, after how many bytes of it the connection is cut; then nothing is.
        lost: Beginnings of requests whose reply never comes back; each is taken once.
        canned: Replies that are given in place of forwarding, each once.
        seen: The first lines of requests.
        streams: Event streams that were begun.
    """

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts: deque[int] = deque()
        self.lost: list[bytes] = []
        self.canned: deque[bytes] = deque()
        self.seen: list[bytes] = []
        self.streams = 0
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut_all(self) -> None:
        """Cut every connection there is."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop; nothing of it is left."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._upstream)) as server:
            both = {client, server}
            self._open |= both
            state: dict[str, Any] = {"losing": False}
            back = threading.Thread(target=self._back, args=(server, client, state), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while data := client.recv(65536):
                    if data.startswith(_REQUESTS):
                        self.seen.append(data.split(b"\r\n", 1)[0])
                        if self.canned:
                            client.sendall(self.canned.popleft())
                            break
                        losing = next((start for start in self.lost if data.startswith(start)), None)
                        if losing is not None:
                            self.lost.remove(losing)
                            state["losing"] = True
                    server.sendall(data)
            self._end(client, server)
            back.join(10)
            self._open -= both

    def _back(self, server: socket.socket, client: socket.socket, state: dict[str, Any]) -> None:
        left: int | None = None
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if state["losing"]:
                    break  # the gateway has answered, so it has done what was asked
                if b"text/event-stream" in data:
                    self.streams += 1
                    if self.cuts:
                        left = self.cuts.popleft()
                if left is not None:
                    client.sendall(data[:left])
                    left -= len(data)
                    if left <= 0:
                        break
                else:
                    client.sendall(data)
        self._end(client, server)

    @staticmethod
    def _end(*sockets: socket.socket) -> None:
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(gateway: Any) -> Iterator[Proxy]:
    """Between a test's client and the module's gateway."""
    made = Proxy(gateway.port)
    yield made
    made.close()


def problem(status: int, code: str, **headers: str) -> bytes:
    """A whole reply as the gateway would give it."""
    body = f'{{"type":"about:blank","title":"x","status":{status},"code":"{code}","detail":"Not now.","hint":""}}'
    lines = [
        f"HTTP/1.1 {status} X",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@pytest.fixture(name="problem")
def problem_fixture() -> Any:
    """`problem(status, code, Retry_After="1")`, a reply in bytes."""
    return problem
