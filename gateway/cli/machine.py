"""up, down, doctor: phiq on this machine."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.command import command
from gateway.cli.io import Io, clean

if TYPE_CHECKING:
    from workers.stack import Part, StackEvent

PANEL = "This machine"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for function in (up, down, doctor):
        command(app, function.__name__, here=True, rich_help_panel=PANEL)(function)


def up(
    io: Io, model: Annotated[str | None, typer.Option("--model", "-m", help="Default engine for jobs.")] = None
) -> None:
    """Start Redis, Chroma, a worker, the scheduler and the HTTP API here; Ctrl-C stops them all."""
    from gateway.cli.connection import settings as current
    from workers.doctor.models import default_model as usable
    from workers.stack import Stack

    settings = current()
    if model is not None:
        settings = settings.model_copy(update={"model": model})
        usable(settings)
    stack = Stack(settings, on_event=lambda event: tell(io, event))
    with stack:
        show_parts(io, stack.parts())
        io.note(f"phiq is up, its data in {settings.data_dir}. Ctrl-C stops it.", style="bold")
        io.note(f"The HTTP API: {stack.http_url} (what it takes: {stack.http_url}/openapi.json).")
        io.note("Next, in another terminal: phiq ingest FOLDER, then phiq ask QUESTION.")
        stack.wait()
    io.note("Everything is stopped.")


def down(io: Io) -> None:
    """Stop what phiq up started, from another terminal."""
    from gateway.cli.connection import settings as current
    from workers.stack import down as stop

    settings = current()
    stopped = stop(settings)
    if io.json:
        io.document({"stopped": stopped})
    elif stopped:
        io.text(f"Stopped {', '.join(stopped)}.")
    else:
        io.note(f"Nothing runs in {settings.data_dir}.")


def doctor(io: Io) -> None:
    """Check everything that may be wrong here, and say how to mend it. Exit code 1 when something must be mended."""
    from gateway.errors import SERVICE
    from workers.doctor import run

    checks = run()
    if io.json:
        io.document([asdict(check) for check in checks])
    else:
        from rich.text import Text

        for check in checks:
            style = {"ok": "green", "warn": "yellow", "fail": "red"}[check.status]
            line = Text(f"{check.status:<6}", style=style).append(f"{check.name}: ", style="bold")
            io.out.print(line.append(clean(check.message), style="default"), soft_wrap=True)
            if check.fix and check.status != "ok":
                io.out.print(Text(f"      → {clean(check.fix)}", style="cyan"), soft_wrap=True)
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(SERVICE)


def show_parts(io: Io, parts: list[Part]) -> None:
    """What runs where."""
    if io.json:
        rows = [
            {"name": part.name, "state": part.state, "address": part.address, "pid": part.pid, "log": part.log}
            for part in parts
        ]
        io.document({"parts": rows})
        return
    home = os.path.expanduser("~")  # noqa: PTH111 - of a text, to shorten it
    io.table(
        ("part", "state", "address", "process", "log"),
        [
            (
                part.name,
                part.state,
                part.address,
                "" if part.pid is None else str(part.pid),
                "" if part.log is None else str(part.log).replace(home, "~", 1),
            )
            for part in parts
        ],
    )


def tell(io: Io, event: StackEvent) -> None:
    """Something happened to the stack."""
    if event.kind in ("died", "cleaned", "warned"):
        io.note(event.message, style="yellow")
    elif event.kind == "starting":
        io.note(event.message)
