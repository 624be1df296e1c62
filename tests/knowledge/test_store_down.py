"""Chroma's server down, silent or talking nonsense: one typed error, never a hang."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from knowledge.errors import StoreUnavailable
from knowledge.store import Store, StoreConfig
from knowledge.sync import LoadedFile, ingest


def embedder() -> Any:
    """Stands for the embedder where nothing is embedded before the server is asked."""
    vectors = SimpleNamespace(name="m", version="m/1", dimensions=2, max_tokens=256)
    vectors.embed_array = lambda texts: np.ones((len(texts), 2), dtype=np.float32)
    vectors.count_tokens = lambda texts: [len(text.split()) for text in texts]
    return vectors


@pytest.fixture
def nonsense() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html>a proxy's login page</html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def acts(store: Store) -> list[Any]:
    return [
        lambda: store.search("help", "x"),
        lambda: store.collections(),
        lambda: store.delete("help"),
        lambda: list(ingest(store, "help", [LoadedFile("a.txt", "a.txt", b"words")])),
    ]


def test_down() -> None:
    url = closed_port()
    for act in acts(Store(StoreConfig(url), embedder())):
        with pytest.raises(StoreUnavailable) as caught:
            act()
        assert caught.value.transient
        assert caught.value.subject == url
        assert "phiq up" in caught.value.hint


def test_silent(silent: str) -> None:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        Store(StoreConfig(silent, timeout=0.3), embedder()).search("help", "x")
    assert time.monotonic() - started < 10


def test_nonsense(nonsense: str) -> None:
    for act in acts(Store(StoreConfig(nonsense, timeout=5), embedder())):
        with pytest.raises(StoreUnavailable):
            act()


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://x", "http://", "http://127.0.0.1:99999"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(StoreUnavailable):
        Store(StoreConfig(url, timeout=1), embedder()).search("help", "x")
