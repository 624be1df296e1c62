"""submit, jobs, watch, cancel: jobs as such, whatever they do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.command import command
from gateway.cli.io import Io

if TYPE_CHECKING:
    from workers.jobs import JobRecord

PANEL = "Jobs"

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "submit", rich_help_panel=PANEL)(submit)
    command(app, "jobs", rich_help_panel=PANEL)(jobs)
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


def jobs(
    io: Io,
    job_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this job; none lists the newest.")] = None,
    state: Annotated[list[str] | None, typer.Option("--state", "-s", help="Only these states.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", "-k", help="Only this kind.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most so many.", min=1, max=1000)] = 20,
) -> None:
    """List the newest jobs, or show one: its state, why it waits, its attempts, its result or error."""
    if job_id is not None:
        _show(io, job_id)
        return
    from gateway.cli.connection import connect
    from gateway.errors import UsageInvalid
    from workers.jobs import KINDS, State

    try:
        states = [State(one) for one in state] if state else None
    except ValueError as error:
        raise UsageInvalid(f"{error}.", hint=f"States: {', '.join(State)}") from error
    if kind is not None and kind not in KINDS:
        raise UsageInvalid(f"'{kind}' is not a kind of job.", hint=f"Kinds: {', '.join(KINDS)}")
    records = connect().jobs(states=states, kind=kind, limit=limit)
    if io.json:
        io.document([_summary(record) for record in records])
    elif not records:
        io.note("No jobs.")
    else:
        rows = [(r.id, r.kind, str(r.state), str(r.lane), r.model, _age(r), _name(r)) for r in records]
        io.table(("id", "kind", "state", "lane", "model", "age", "what"), rows)


def _show(io: Io, job_id: str) -> None:
    from gateway.cli.connection import connect

    job = connect().job(job_id)
    record = job.record
    waiting = None if record.state.final else job.waiting
    if io.json:
        document = record.model_dump(mode="json")
        document["waiting"] = waiting.model_dump(mode="json") if waiting else None
        io.document(document)
        return
    rows: list[tuple[str, str]] = [
        ("id", record.id),
        ("kind", record.kind),
        ("state", str(record.state)),
        ("lane", str(record.lane)),
        ("model", record.model),
        ("submitted", f"{record.submitted_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("attempt", f"{record.attempt} of {record.max_attempts}"),
    ]
    if waiting is not None and waiting.reason != "not_waiting":
        rows.append(("waiting", waiting.message))
    if record.progress is not None:
        rows.append(("progress", f"{record.progress.done} of {record.progress.total or '?'} {record.progress.note}"))
    for attempt in record.attempts:
        error = f": {attempt.error.get('message', '')}" if attempt.error else ""
        rows.append((f"attempt {attempt.number}", f"{attempt.outcome or 'running'} on {attempt.worker}{error}"))
    if record.error:
        rows.append(("error", f"{record.error.get('code')}: {record.error.get('message')}"))
        rows.append(("next", str(record.error.get("hint", ""))))
    for name, value in rows:
        io.text(f"{name:<11}{value}")
    made = record.parsed_result()
    if made is not None:
        from gateway.cli import show

        io.text("")
        show.result(io, made, with_text=True)


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


def _summary(record: JobRecord) -> dict[str, Any]:
    return record.model_dump(mode="json", exclude={"job", "result", "attempts"})


def _age(record: JobRecord) -> str:
    from datetime import UTC, datetime

    seconds = (datetime.now(UTC) - record.submitted_at).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _name(record: JobRecord) -> str:
    name = " ".join(record.metadata.get("name", "").split())
    if "/" in name and " " not in name:
        name = name.rsplit("/", 1)[1] or name
    return name if len(name) <= 40 else name[:39] + "…"
