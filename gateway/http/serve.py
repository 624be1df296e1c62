"""Runs the gateway: uvicorn over the application."""

from __future__ import annotations

import contextlib
import resource
import socket
from typing import TYPE_CHECKING

import uvicorn

from gateway.http.app import create_app
from gateway.http.peer import is_loopback
from gateway.http.protocol import protocol
from workers.access.errors import KeysMissing
from workers.service import Service
from workers.settings import Settings
from workers.sight import tracing
from workers.sight.logs import configure

if TYPE_CHECKING:
    from fastapi import FastAPI

_GRACE = 20
"""Seconds that requests under way get when the gateway is to stop. Streams are ended at once."""
_HEADER_BYTES = 32 * 1024
_IDLE_SECONDS = 15
_BACKLOG = 1024


class Server(uvicorn.Server):
    """Ends the streams when it is to stop: their clients go on elsewhere, and nothing waits for them."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking requests, end those under way."""
        app: FastAPI = self.config.app  # type: ignore[assignment]  # ours, never a name
        app.state.fanout.end_all()
        await super().shutdown(sockets)
        # Else uvicorn raises the signal once more, and the process ends by it as if it had not stopped in good order.
        self._captured_signals.clear()


def run(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: Whose service.
        host: The address to listen on.
        port: Its port.

    Raises:
        KeysMissing: the address is not this machine's alone, and there is no key.
    """
    settings = settings.model_copy(update={"http_host": host})
    _raise_file_limit(settings.http_connections)
    configure(settings, "gateway")
    tracing.begin(settings, "gateway")
    service = Service.connect(settings)
    try:
        check_keys(service)
        Server(config(create_app(service), settings, host, port)).run()
    finally:
        service.close()
        tracing.end()


def check_keys(service: Service) -> None:
    """Nothing when the gateway may listen where its settings say.

    Raises:
        KeysMissing: others than this machine reach the address, and there is no key to tell them by.
    """
    settings = service.settings
    open_here = is_loopback(settings.http_host) and not settings.require_key
    if not open_here and not service.access.keys.any():
        raise KeysMissing(
            f"On {settings.http_host} every request needs a key, and there is none yet.",
            hint="Make one first: phiq key create --name NAME",
            subject=settings.http_host,
        )


def config(app: FastAPI, settings: Settings, host: str, port: int) -> uvicorn.Config:
    """How uvicorn is to run."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol(settings.http_connections),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE,
    )


def _raise_file_limit(connections: int) -> None:
    """Each connection is an open file, and the usual limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + 512
    if soft != resource.RLIM_INFINITY and soft < wanted:
        best = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (best, hard))
