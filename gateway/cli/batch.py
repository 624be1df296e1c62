"""Several jobs at once: how each is doing while they run, and each result in its place afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli import show
from gateway.cli.io import Io
from gateway.cli.saving import save_text
from knowledge.errors import PhiqError

if TYPE_CHECKING:
    from gateway.cli.inputs import Unreadable
    from gateway.client import ClientJob
    from workers.jobs import JobRecord

POLL = 0.2
"""Seconds between two looks at the jobs that still run."""
WINDOW = 32
"""Jobs looked at each time: they start in order, so those after the first unfinished ones still wait."""
ROWS = 16
"""With more jobs than this only the running ones have a line."""

Named = tuple[str, "ClientJob[Any]"]


def run_batch(
    io: Io, jobs: Sequence[Named], bad: Sequence[Unreadable] = (), out: Path | None = None
) -> list[JobRecord]:
    """Wait for all, print each result under its name, then what could not be read and so became no job.

    With ``out`` the results' texts are written into that folder instead. With --json a line per job comes as it ends;
    else results come in the order of the inputs.

    Raises:
        typer.Exit: with the exit code of the gravest error, when all have been shown.
    """
    from gateway.client import raise_for_state
    from gateway.errors import exit_code

    records: dict[str, JobRecord] = {}
    with _display(io, jobs) as display:
        for name, record in _ended(jobs, display):
            records[record.id] = record
            display(name, record)
            if io.json:
                io.document({"name": name, **show.finished(record)}, line=True)
    errors: list[PhiqError] = []
    told: set[str] = set()
    for name, job in jobs:
        record = records[job.id]
        try:
            raise_for_state(record)
        except PhiqError as error:
            errors.append(error)
            if not io.json:  # there the job's own line has said it
                print_failure(io, name, error)
            continue
        made = record.parsed_result()
        if made is not None and not io.json:
            io.text(f"== {show.near(name)}")
            show.result(io, made, with_text=out is None, told=told)
        if out is not None:
            save_text(io, name, record, out)
        if not io.json:
            io.text("")
    for one in bad:
        errors.append(one.error)
        print_failure(io, one.name, one.error)
    if errors:
        gravest = min(errors, key=exit_code)  # ours (1) before the user's (3): the former needs somebody to act
        io.note(f"{len(errors)} of {len(jobs) + len(bad)} did not succeed.", style="yellow")
        raise typer.Exit(exit_code(gravest))
    return [records[job.id] for _, job in jobs]


def print_failure(io: Io, name: str, error: PhiqError) -> None:
    """An error under the name of what it happened to; with --json a line of its own."""
    from gateway.cli.command import show_error

    if io.json:
        io.document({"name": name, "error": error.to_dict()}, line=True)
        return
    io.text(f"== {show.near(name)}")
    show_error(io, error)
    io.text("")


def _ended(jobs: Sequence[Named], display: Any) -> Iterator[tuple[str, JobRecord]]:
    open_jobs = list(jobs)
    while open_jobs:
        still: list[Named] = []
        for name, job in open_jobs[:WINDOW]:
            record = job.record
            if record.state.final:
                yield name, record
            else:
                display(name, record)
                still.append((name, job))
        open_jobs = still + open_jobs[WINDOW:]
        if open_jobs:
            time.sleep(POLL)


@contextmanager
def _display(io: Io, jobs: Sequence[Named]) -> Iterator[Any]:
    """A callable that takes a job's name and record; a bar and a line a job on a terminal, else a line an end."""
    if not io.lively:

        def line(name: str, record: JobRecord) -> None:
            if record.state.final:
                took = show.seconds(record)
                io.note(f"{record.state}: {show.near(name)}" + (f" ({took:.1f} s)" if took is not None else ""))

        yield line
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=io.err, transient=False) as progress:
        whole = progress.add_task("all jobs", total=len(jobs))
        rows: dict[str, Any] = {}

        def update(name: str, record: JobRecord) -> None:
            final = record.state.final
            if record.id not in rows:
                if len(jobs) > ROWS and not record.started_at:
                    return
                rows[record.id] = progress.add_task(show.near(name), total=1)
            done, total = (1, 1) if final else (0, 1)
            if record.progress is not None and record.progress.total and not final:
                done, total = record.progress.done, record.progress.total
            progress.update(
                rows[record.id], description=f"  {show.near(name)}: {record.state}", completed=done, total=total
            )
            if final:
                progress.advance(whole)
                progress.update(rows[record.id], visible=len(jobs) <= ROWS)

        yield update
        for row in rows.values():
            progress.update(row, visible=False)  # the results follow, each under its name
