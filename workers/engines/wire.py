"""HTTP to a model's server that can be stopped while it waits.

A blocking read can't be woken by a ``threading.Event``, and a server that thinks for a minute before its first
byte would hold a cancelled job for that minute, working for nobody. So each read is made of short ones, and
between them the run is asked whether it is still wanted. Leaving the read closes the connection, which is how
Ollama and its like learn that they may stop.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpcore
import httpx

from agents.errors import Interrupted

SLICE = 0.05
"""Seconds a read waits before it looks whether the run was stopped."""
CONNECT_TIMEOUT = 10.0


class Patience:
    """How long a run may still wait, and whether it is wanted at all.

    Args:
        stop: Set when the run is not wanted any more.
        timeout: Seconds without a sign of progress; ``touch`` is such a sign. Bytes alone are none: a server
            that sends keep-alive lines for ever has hung as well.
    """

    def __init__(self, stop: threading.Event, timeout: float) -> None:
        self._stop = stop
        self._timeout = timeout
        self._until = time.monotonic() + timeout

    def touch(self) -> None:
        """Something useful came."""
        self._until = time.monotonic() + self._timeout

    def check(self) -> None:
        """Raise when the wait must end.

        Raises:
            Interrupted: the run is not wanted any more.
            httpcore.ReadTimeout: patience is used up.
        """
        if self._stop.is_set():
            raise Interrupted
        if time.monotonic() >= self._until:
            raise httpcore.ReadTimeout(f"nothing came for {self._timeout:g} s")


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, patience: Patience) -> None:
        self._inner = inner
        self._patience = patience

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        _ = timeout  # the run's patience is the one limit
        while True:
            self._patience.check()
            try:
                return self._inner.read(max_bytes, timeout=SLICE)
            except httpcore.ReadTimeout:
                continue

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._patience.check()
        self._inner.write(buffer, timeout=timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._patience)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, patience: Patience) -> None:
        self._inner = httpcore.SyncBackend()
        self._patience = patience

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        self._patience.check()
        inner = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(inner, self._patience)


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


@cache
def _tls() -> ssl.SSLContext:
    """One for the process: reading the certificates takes longer than a short request."""
    return httpx.create_ssl_context()


class _Transport(httpx.BaseTransport):
    """httpx's transport over httpcore's public API; httpx's own takes no network backend."""

    def __init__(self, patience: Patience) -> None:
        # One connection a run, never kept: closing it is the message "stop" to the server.
        self._pool = httpcore.ConnectionPool(
            ssl_context=_tls(), max_keepalive_connections=0, network_backend=_Backend(patience)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=response.extensions,
        )

    def close(self) -> None:
        self._pool.close()


@contextmanager
def client(patience: Patience, **options: Any) -> Iterator[httpx.Client]:
    """An HTTP client for one run. Follows no redirects and knows no proxies: it talks to the address it was given.

    Raises (inside the block):
        Interrupted: as soon as the run's stop is set, whatever it waits for.
        httpx.HTTPError, httpcore exceptions: what the network does; see ``workers.engines.remote``.
    """
    timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT, write=60.0)
    with httpx.Client(transport=_Transport(patience), timeout=timeout, trust_env=False, **options) as http:
        yield http
