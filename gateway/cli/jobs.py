"""submit, watch, cancel: jobs as such, whatever they do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import records
from gateway.cli.command import command
from gateway.cli.io import Io
from gateway.cli.records import JobId

PANEL = "Jobs"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "submit", rich_help_panel=PANEL)(submit)
    records.register(app, PANEL)
    command(app, "watch", rich_help_panel=PANEL)(watch)
    command(app, "cancel", rich_help_panel=PANEL)(cancel)


def submit(
    io: Io,
    job: Annotated[str, typer.Argument(help="The job as JSON, a file that holds it, or - for standard input.")],
    follow: Annotated[bool, typer.Option("--wait", "-w", help="Stay and show the result.")] = False,
) -> None:
    """Submit a job as JSON and print its id. docs/jobs.md has the fields."""
    from gateway.cli.connection import connect
    from workers.jobs import parse_job

    submitted = connect().submit_job(parse_job(_json(job)))
    if follow:
        from gateway.cli.follow import conclude
        from gateway.cli.follow import follow as follow_job

        conclude(io, follow_job(io, submitted), with_text=not io.streams)
    elif io.json:
        io.document({"id": submitted.id})
    else:
        io.text(submitted.id)


def _json(argument: str) -> str | bytes:
    if argument == "-":
        return sys.stdin.buffer.read()
    if argument.lstrip().startswith("{"):
        return argument
    from gateway.cli.connection import settings as current
    from gateway.cli.inputs import read_bytes

    return read_bytes(Path(argument), current().max_job_bytes)


def watch(
    io: Io,
    job_id: JobId,
    after: Annotated[str, typer.Option(help="Go on after this event (with --json each has its id).")] = "0-0",
) -> None:
    """Attach to a job's stream again. Ctrl-C leaves the job running; with --json, a line per event."""
    from gateway.cli.connection import connect
    from gateway.cli.follow import conclude, follow
    from gateway.client import raise_for_state

    job = connect().job(job_id)
    if io.json:
        _ = job.record  # an unknown id is an error of its own
        for event in job.events(after=after):
            io.document(event.model_dump(mode="json", exclude_defaults=True), line=True)
        raise_for_state(job.record)
        return
    conclude(io, follow(io, job, after=after, cancel=False), with_text=not io.streams)


def cancel(io: Io, job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The jobs' ids.")]) -> None:
    """Cancel jobs: waiting ones at once, running ones within a token."""
    from gateway.cli.connection import connect

    client = connect()
    for job_id in job_ids:
        record = client.job(job_id).cancel()
        if io.json:
            io.document({"id": job_id, "state": str(record.state)}, line=len(job_ids) > 1)
        elif record.state.final:
            io.text(f"{job_id} {record.state}")
        else:
            io.text(f"{job_id} cancelling")
