"""Following a batch: a bar that goes on after an outage, what it came to, and its results in their file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from gateway.cli.io import Io
from knowledge.errors import PhiqError

if TYPE_CHECKING:
    from gateway.client import Client
    from workers.batches.records import BatchRecord
    from workers.batches.store import Batches

POLL = 0.3
PATIENCE = 300.0
"""Seconds without Redis after which following is given up; the batch is not."""
_NOBODY = 3.0


def finish(io: Io, client: Client, batch: BatchRecord, out: Path | None, form: str | None) -> None:
    """Follow a batch to its end, write its results, and say what it came to.

    Raises:
        typer.Exit: lines have no answer; with the exit code of a user's error.
        BatchFailed: it failed as a whole.
    """
    from gateway.errors import exit_code
    from workers.batches.errors import BatchFailed
    from workers.batches.records import BatchState

    try:
        batch = follow(io, client, batch)
    except KeyboardInterrupt:
        io.note(f"{batch.id} goes on. See it again: phiq batch watch {batch.id}")
        raise
    if batch.state is BatchState.FAILED:
        first = batch.errors[0].message if batch.errors else "Nothing is known of the reason."
        more = f" ({len(batch.errors)} problems)" if len(batch.errors) > 1 else ""
        raise BatchFailed(f"{first}{more}", hint=f"phiq batch show {batch.id}", subject=batch.id)
    task = batch.task or {}
    if out is None and task.get("to") and not task.get("deliver"):
        out = Path(task["to"])  # where the command that started it would have put them
    if out is not None:
        write(io, client.service.batches, batch, out, form)
    if io.json:
        io.document(batch.model_dump(mode="json", exclude_none=True))
    else:
        facts(io, batch)
    if batch.failed or batch.state is not BatchState.COMPLETED:
        raise typer.Exit(exit_code(BatchFailed("")))


def follow(io: Io, client: Client, batch: BatchRecord) -> BatchRecord:
    """Show how far a batch is until it has ended; outages are waited out.

    Raises:
        RedisUnavailable: there was no answer for five minutes.
    """
    began, last, told = time.monotonic(), time.monotonic(), False
    with _display(io) as display:
        while True:
            try:
                batch = client.service.batches.get(batch.id, batch.tenant)
                last = time.monotonic()
                display(batch, "")
                if batch.state.final:
                    return batch
                if not told and time.monotonic() - began > _NOBODY:
                    told = True
                    _say_if_nobody_works(io, client)
            except PhiqError as error:
                if not error.transient or time.monotonic() - last > PATIENCE:
                    raise
                display(batch, "reconnecting")
            time.sleep(POLL)


def _say_if_nobody_works(io: Io, client: Client) -> None:
    with suppress(PhiqError):  # over HTTP a key may not be allowed to know
        if not cast("Sequence[object]", client.service.workers()):
            io.note("No worker runs. Start one with: phiq up", style="yellow")


def write(io: Io, batches: Batches, batch: BatchRecord, out: Path, form: str | None) -> None:
    """Write the results of a batch to a file: rows of documents through their manifest, lines as they are.

    Raises:
        BatchInvalid: the file can't be written.
    """
    from workers.batches.manifest import Manifest
    from workers.batches.start import collect, export

    made_for_it = (batch.task or {}).get("to") == str(out.absolute())
    ours = made_for_it or Manifest.load(out.absolute()).batch == batch.id
    count = collect(batches, batch, out.absolute(), form) if ours else export(batches, batch, out, form)
    io.note(f"{count} rows in {out}")


def facts(io: Io, batch: BatchRecord) -> None:
    """What there is to know of a batch."""
    tokens = batch.usage.prompt_tokens + batch.usage.completion_tokens
    io.text(f"{batch.id} {batch.state}: {batch.completed} of {batch.total} done, {batch.failed} failed")
    io.text(f"{tokens} tokens ({batch.usage.completion_tokens} of answers), {batch.seconds:.1f} s of work")
    if batch.output_file and not batch.task:
        io.text(f"results: phiq batch results {batch.id}")
    if batch.error_file:
        io.text(f"errors: phiq batch results {batch.id} --errors")
    for problem in batch.errors:
        io.text(problem.message)


@contextmanager
def _display(io: Io) -> Iterator[Callable[[BatchRecord, str], None]]:
    """A bar on a terminal, else a line each tenth."""
    if not io.lively:
        shown = [""]

        def line(batch: BatchRecord, trouble: str) -> None:
            tenth = 10 * (batch.completed + batch.failed) // max(1, batch.total)
            said = trouble or f"{batch.state} {tenth}0 %"
            if said != shown[0]:
                shown[0] = said
                io.note(trouble or f"{batch.state}: {batch.completed + batch.failed} of {batch.total}")

        yield line
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=io.err, transient=True) as progress:
        bar = progress.add_task("batch", total=None)

        def update(batch: BatchRecord, trouble: str) -> None:
            failed = f", {batch.failed} failed" if batch.failed else ""
            progress.update(
                bar,
                description=trouble or f"{batch.state}{failed}",
                total=batch.total or None,
                completed=batch.completed + batch.failed,
            )

        yield update
