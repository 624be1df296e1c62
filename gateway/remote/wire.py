"""What both doors tell httpx, and the border where its errors become ours."""

from __future__ import annotations

from typing import Any

from gateway.remote import answers
from gateway.remote.address import Address
from gateway.remote.calls import Call
from knowledge.errors import PhiqError

CONNECT, READ = 5.0, 30.0
"""Seconds to connect, and to wait for an answer."""


def options(address: Address) -> dict[str, Any]:
    """For a client of httpx."""
    import httpx

    return {
        "base_url": address.base,
        "headers": address.headers,
        "timeout": httpx.Timeout(READ, connect=CONNECT),
        # A proxy of the environment stands between us and others, not between us and ourselves.
        "trust_env": not address.loopback,
    }


def request(call: Call[Any]) -> dict[str, Any]:
    """For the client's ``request``."""
    import httpx

    return {
        "method": call.method,
        "url": call.path,
        "params": call.query,
        "json": call.json,
        "headers": dict(call.headers),
        "timeout": httpx.Timeout(READ, connect=CONNECT, read=READ + call.seconds),
    }


def broken(base: str, error: Exception) -> PhiqError:
    """What httpx says, as ours."""
    import httpx

    never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return answers.away(base, str(error) or type(error).__name__, sent=not never_sent)
