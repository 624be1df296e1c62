"""serve: the HTTP API by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.command import command
from gateway.cli.io import Io

PANEL = "This machine"


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "serve", here=True, rich_help_panel=PANEL)(serve)


def serve(
    io: Io,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Its port.", min=1, max=65535)] = None,
) -> None:
    """Serve the HTTP API over the Redis that the settings name. `phiq up` does it too."""
    from gateway.cli.connection import settings as current
    from gateway.http.serve import run

    settings = current()
    host, port = host or settings.http_host, port or settings.http_port
    if settings.log_format == "text":
        io.note(f"The HTTP API: http://{host}:{port}. Ctrl-C stops it.", style="bold")
    run(settings, host, port)
