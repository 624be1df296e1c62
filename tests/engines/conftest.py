"""A server on loopback that speaks Ollama's and OpenAI's documented protocols, and fails as it is told."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Reply:
    """What to answer: ``parts`` are sent one by one; ``stall_after`` waits before that part until the client leaves."""

    status: int = 200
    parts: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    stall_after: int | None = None
    stall_before_headers: bool = False
    drip: bytes = b""
    cut: bool = False


class ModelServer:
    """One server: set ``replies[path]``, look into ``requests``; ``client_gone`` is set when a client hung up."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply | Callable[[Request], Reply]] = {}
        self.requests: list[Request] = []
        self.client_gone = threading.Event()
        self.stalled = threading.Event()
        self.ending = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                outer.handle(self)

            do_GET = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.ending.set()
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join(5)

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        request = Request(
            handler.command, handler.path, dict(handler.headers.items()), json.loads(raw) if raw else None
        )
        self.requests.append(request)
        reply = self.replies.get(handler.path) or Reply(404, [b'{"error": "not found"}'])
        if callable(reply):
            reply = reply(request)
        handler.close_connection = True
        try:
            self.answer(handler, reply)
        except (BrokenPipeError, ConnectionResetError):
            self.client_gone.set()

    def answer(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.stall_before_headers:
            self.stall(handler, reply)
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for number, part in enumerate(reply.parts):
            if number == reply.stall_after:
                self.stall(handler, reply)
                return
            self.send(handler, part)
        if reply.stall_after is not None and reply.stall_after >= len(reply.parts):
            self.stall(handler, reply)
            return
        if reply.cut:
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.wfile.write(b"0\r\n\r\n")

    def send(self, handler: BaseHTTPRequestHandler, part: bytes) -> None:
        handler.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        handler.wfile.flush()

    def stall(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        """Say nothing (or drip) until the client hangs up."""
        self.stalled.set()
        until = time.monotonic() + 30
        while not self.ending.is_set() and time.monotonic() < until:
            readable, _, _ = select.select([handler.connection], [], [], 0.02)
            if readable and handler.connection.recv(1, socket.MSG_PEEK) == b"":
                self.client_gone.set()
                return
            if reply.drip:
                self.send(handler, reply.drip)

    def body(self, path: str) -> Any:
        """The body of the last request to a path."""
        return next(request.body for request in reversed(self.requests) if request.path == path)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    made = ModelServer()
    yield made
    made.close()


def ollama_parts(words: list[str], **done: Any) -> list[bytes]:
    """A chat as Ollama streams it: one JSON object a line."""
    lines: list[dict[str, Any]] = [
        {"model": "phi3.5", "message": {"role": "assistant", "content": word}, "done": False} for word in words
    ]
    last = {
        "model": "phi3.5",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 20,
        "eval_count": len(words),
    }
    return [json.dumps(line).encode() + b"\n" for line in [*lines, {**last, **done}]]


def openai_parts(words: list[str], finish: str = "stop", usage: dict[str, int] | None = None) -> list[bytes]:
    """A chat as OpenAI streams it: server-sent events, the usage after the reason, then DONE."""

    def event(value: Any) -> bytes:
        return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"

    base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "phi"}
    parts = [event({**base, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})]
    parts += [event({**base, "choices": [{"index": 0, "delta": {"content": word}}]}) for word in words]
    parts.append(event({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))
    if usage != {}:
        tokens = usage or {"prompt_tokens": 20, "completion_tokens": len(words), "total_tokens": 20 + len(words)}
        parts.append(event({**base, "choices": [], "usage": tokens}))
    return [*parts, event(b"[DONE]")]


@pytest.fixture
def say() -> Any:
    """Builders of replies, since test modules can't import from here."""

    class Say:
        reply = Reply
        ollama = staticmethod(ollama_parts)
        openai = staticmethod(openai_parts)

        @staticmethod
        def json(status: int, value: Any, **headers: str) -> Reply:
            return Reply(status, [json.dumps(value).encode()], {"Content-Type": "application/json", **headers})

    return Say


@pytest.fixture
def other_server() -> Iterator[ModelServer]:
    """A second one, for what takes over."""
    made = ModelServer()
    yield made
    made.close()
