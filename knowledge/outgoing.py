"""An HTTP client for addresses that somebody else chose: it connects only to what `knowledge.addresses` allows.

Each request, redirected ones too, is looked at; its host is resolved once, judged, and connected to by the address
that was judged, so a name that changes its mind in between (DNS rebinding) gains nothing. Certificate and Host header
go by the name as ever. Proxies of the environment are not used: they would resolve by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from knowledge.addresses import Rules, check_url, resolve

if TYPE_CHECKING:
    import ssl

_MOST_ADDRESSES = 4


def client(rules: Rules, *, seconds: float, verify: ssl.SSLContext | bool = True) -> httpx.Client:
    """A client that follows no redirects by itself and keeps no connection.

    Args:
        rules: What it may connect to.
        seconds: In which a request must be done, from connecting to the last byte, however slowly it comes.
        verify: As httpx takes it.

    Requests raise `AddressRefused`, or httpx's own errors.
    """
    context = httpx.create_ssl_context(verify=verify, trust_env=False)
    return httpx.Client(
        mounts={f"{scheme}://": _Transport(scheme, rules, seconds, context) for scheme in ("http", "https")},
        transport=httpx.MockTransport(_never),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(seconds),
    )


def _never(_request: httpx.Request) -> httpx.Response:
    raise httpx.UnsupportedProtocol("only http and https are spoken")


class _Transport(httpx.HTTPTransport):
    """httpx's own, over a pool that connects by our rules."""

    def __init__(self, scheme: str, rules: Rules, seconds: float, context: ssl.SSLContext) -> None:
        super().__init__(verify=context, trust_env=False)
        self._rules = rules
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=context, max_keepalive_connections=0, network_backend=_Backend(scheme, rules, seconds)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        check_url(str(request.url), self._rules)
        return super().handle_request(request)


class _Backend(httpcore.NetworkBackend):
    """Resolves, judges, connects."""

    def __init__(self, scheme: str, rules: Rules, seconds: float) -> None:
        self._scheme = scheme
        self._rules = rules
        self._seconds = seconds
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        until = time.monotonic() + self._seconds
        try:
            addresses = resolve(host, port, self._rules, self._scheme)
        except OSError as error:
            raise httpcore.ConnectError(f"the name {host} is not known, or nobody could be asked") from error
        problem: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                stream = self._inner.connect_tcp(address, port, _left(until, timeout), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
            else:
                return _Stream(stream, until)
        raise problem


class _Stream(httpcore.NetworkStream):
    """A connection with an end: who answers a byte at a time does not hold us for ever."""

    def __init__(self, inner: httpcore.NetworkStream, until: float) -> None:
        self._inner = inner
        self._until = until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._until, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._until, timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, _left(self._until, timeout))
        return _Stream(inner, self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(until: float, timeout: float | None, late: type[Exception] = httpcore.ConnectTimeout) -> float:
    """Seconds that one step may take."""
    left = until - time.monotonic()
    if left <= 0:
        raise late("the answer took too long")
    return left if timeout is None else min(left, timeout)
