from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import redis

from workers.ledger import Ledger
from workers.service import Service
from workers.webhooks.deliver import Deliverer


@dataclass
class Receiver:
    """An endpoint that keeps what it gets; ``answers`` are (status, headers), one a request, the last for ever."""

    port: int = 0
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(204, {})])
    got: list[tuple[dict[str, str], str]] = field(default_factory=list)
    body: bytes = b""
    """Sent again and again with each answer, until the connection closes; empty: no body."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            made.got.append((dict(self.headers.items()), body))
            status, headers = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                while made.body:
                    self.wfile.write(made.body)
            except OSError:
                pass

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def service(redis_url: str, settings: Callable[..., Any]) -> Iterator[Service]:
    made = Service.connect(
        settings(
            redis_url=redis_url, allow_fake_engine=True, webhook_allow="127.0.0.1", webhook_seconds=2, tenant="default"
        )
    )
    yield made
    made.close()


@pytest.fixture
def ledger(service: Service) -> Ledger:
    return service.ledger


@pytest.fixture
def client(service: Service) -> redis.Redis:
    return service.ledger.scripts.client


@pytest.fixture
def deliverer(service: Service) -> Deliverer:
    return Deliverer(service.ledger, service.settings)
