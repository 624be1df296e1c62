"""Runs the gateway: uvicorn over the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.http.app import create_app
from workers.service import Service
from workers.settings import Settings

if TYPE_CHECKING:
    import uvicorn


def run(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: Whose service.
        host: The address to listen on.
        port: Its port.
    """
    import uvicorn

    service = Service.connect(settings)
    try:
        uvicorn.Server(config(create_app(service), settings, host, port)).run()
    finally:
        service.close()


def config(app: object, settings: Settings, host: str, port: int) -> uvicorn.Config:
    """How uvicorn is to run."""
    import uvicorn

    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        http="h11",
        ws="none",
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=20,
    )
