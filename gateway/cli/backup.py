"""backup and restore: a whole installation into one file and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.command import command
from gateway.cli.io import Io

if TYPE_CHECKING:
    from workers.backup.make import OnProgress

PANEL = "This machine"

Models = Annotated[bool, typer.Option("--models", help="Take the models' files along too; they are large.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for function in (backup, restore):
        command(app, function.__name__, here=True, rich_help_panel=PANEL)(function)


def backup(
    io: Io,
    to: Annotated[Path, typer.Argument(metavar="TO", help="The file to make, such as phiq.tar or phiq.tar.gz.")],
    models: Models = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write jobs, documents and attachments into one file, whether phiq runs or not."""
    from gateway.cli.connection import settings
    from workers.backup.make import backup as make

    with bar(io) as tell:
        made = make(settings(), to.absolute(), models=models, force=force, on_progress=tell)
    about = made.manifest
    assert about is not None
    if io.json:
        held = round(made.held, 3)
        counts = about.model_dump(mode="json", exclude={"files"})
        io.document({"path": str(made.path), "bytes": made.size, "held_seconds": held, **counts})
        return
    for note in made.notes:
        io.note(note, style="yellow")
    io.text(
        f"{made.path}: {about.jobs} jobs, {about.passages} passages, {about.contents} attachments and payloads, "
        f"{made.size / 1e6:.1f} MB. It holds customers' words and is readable by you only: keep it so."
    )


def restore(
    io: Io,
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A file that phiq backup made.")],
    models: Models = False,
    force: Annotated[
        bool, typer.Option("--force", help="Stop a phiq that runs here, and throw away what is here.")
    ] = False,
) -> None:
    """Put a backup into a fresh data folder (PHIQ_DATA_DIR), or into an empty Redis and Chroma elsewhere."""
    from dataclasses import asdict

    from gateway.cli.connection import settings
    from workers.backup.restore import restore as put_back

    with bar(io) as tell:
        done = put_back(settings(), source.absolute(), models=models, force=force, on_progress=tell)
    if io.json:
        io.document({**asdict(done), "manifest": done.manifest.model_dump(mode="json", exclude={"files"})})
        return
    for note in done.notes:
        io.note(note, style="yellow")
    if done.expired:
        io.note(f"{done.expired} keys were left out: their time had passed.")
    again = f" ({done.released} of them ran then and are in line again)" if done.released else ""
    io.text(
        f"Restored {done.jobs} jobs{again}, {done.passages} passages and {done.contents} attachments and payloads "
        f"of {done.manifest.created_at:%Y-%m-%d %H:%M} UTC. Next: phiq up"
    )


@contextmanager
def bar(io: Io) -> Iterator[OnProgress]:
    """A bar for each thing that is under way, where a person watches; else nothing."""
    if not io.lively:
        yield lambda what, done, total: None  # noqa: ARG005 - an OnProgress
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=io.err, transient=True) as display:
        yield _showing(display.add_task, display.update)


def _showing(add: Callable[..., int], update: Callable[..., None]) -> OnProgress:
    tasks: dict[str, int] = {}

    def tell(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = add(what, total=total or None)
        update(tasks[what], completed=done, total=total or None)

    return tell
