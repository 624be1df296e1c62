"""jobs list and jobs show: what the ledger knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.command import command
from gateway.cli.group import JobsGroup
from gateway.cli.io import Io

if TYPE_CHECKING:
    from workers.jobs import AttemptRecord, JobRecord

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
StateOption = Annotated[list[str] | None, typer.Option("--state", "-s", help="Only these states.")]
KindOption = Annotated[str | None, typer.Option("--kind", "-k", help="Only this kind.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", help="At most so many.", min=1, max=1000)]


def register(app: typer.Typer, panel: str) -> None:
    """Add the commands."""
    group = typer.Typer(
        cls=JobsGroup, help="List jobs, or show one: phiq jobs, phiq jobs ID.", epilog="Without a word: list."
    )
    command(group, "list")(list_jobs)
    command(group, "show")(show_job)
    command(group, "save")(save_files)
    app.add_typer(group, name="jobs", rich_help_panel=panel)


def list_jobs(io: Io, state: StateOption = None, kind: KindOption = None, limit: LimitOption = 20) -> None:
    """List the newest jobs; `phiq jobs` alone does the same."""
    from gateway.cli.connection import connect
    from gateway.errors import UsageInvalid
    from workers.jobs import State

    try:
        states = [State(one) for one in state] if state else None
    except ValueError as error:
        raise UsageInvalid(f"{error}.", hint=f"States: {', '.join(State)}") from error
    check_kind(kind)
    records = connect().jobs(states=states, kind=kind, limit=limit)
    if io.json:
        io.document([summary(record) for record in records])
    elif not records:
        io.note("No jobs.")
    else:
        from gateway.cli.why import since

        rows = [(r.id, r.kind, str(r.state), str(r.lane), r.model, since(r.submitted_at), called(r)) for r in records]
        io.table(("id", "kind", "state", "lane", "model", "age", "what"), rows)


def save_files(
    io: Io,
    job_id: JobId,
    folder: Annotated[Path, typer.Option("--to", help="A folder that exists.", file_okay=False, exists=True)] = Path(),
) -> None:
    """Save the files that a job's result keeps, such as masked pictures. No file is overwritten."""
    from gateway.cli.connection import connect
    from gateway.cli.saving import save

    job = connect().job(job_id)
    made = job.result(timeout=0.0)
    written = save([(one.name, job.fetch(one)) for one in made.attached()], folder)
    if io.json:
        io.document({"id": job_id, "files": [str(path) for path in written]})
    for path in written if not io.json else ():
        io.text(str(path))
    if not written:
        io.note("The result keeps no files.")


def check_kind(kind: str | None) -> None:
    """Refuse what is no kind of job.

    Raises:
        UsageInvalid: naming the kinds.
    """
    from gateway.errors import UsageInvalid
    from workers.jobs import KINDS

    if kind is not None and kind not in KINDS:
        raise UsageInvalid(f"'{kind}' is not a kind of job.", hint=f"Kinds: {', '.join(KINDS)}")


def show_job(io: Io, job_id: JobId) -> None:
    """Show a job: its state, why it waits, its attempts, its result or error. `phiq jobs ID` does the same."""
    from gateway.cli.connection import connect

    job = connect().job(job_id)
    record = job.record
    waiting = None if record.state.final else job.waiting
    if io.json:
        document = record.model_dump(mode="json")
        document["waiting"] = waiting.model_dump(mode="json") if waiting else None
        io.document(document)
        return
    from gateway.cli import why

    rows = _facts(record)
    if waiting is not None:
        rows += why.rows(waiting)
    if record.progress is not None:
        rows.append(("progress", f"{record.progress.done} of {record.progress.total or '?'} {record.progress.note}"))
    rows += [(f"attempt {attempt.number}", attempt_line(attempt)) for attempt in record.attempts]
    if record.error:
        rows.append(("error", f"{record.error.get('code')}: {record.error.get('message')}"))
        rows.append(("next", next_step(record)))
    for name, value in rows:
        io.text(f"{name:<11}{value}")
    made = record.parsed_result()
    if made is not None:
        from gateway.cli import show

        io.text("")
        show.result(io, made, with_text=True)


def _facts(record: JobRecord) -> list[tuple[str, str]]:
    rows = [
        ("id", record.id),
        ("kind", record.kind),
        ("state", str(record.state)),
        ("lane", str(record.lane)),
        ("model", record.model),
        ("submitted", f"{record.submitted_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("attempt", f"{record.attempt} of {record.max_attempts}"),
    ]
    if record.subject:
        rows.append(("subject", record.subject))
    if record.suspect and not record.state.final:
        rows.append(("suspect", f"{record.deaths} workers died while they ran it; it runs alone"))
    return rows


def attempt_line(attempt: AttemptRecord) -> str:
    """One attempt in a line: how it ended, where, how long it took, and what it says of itself."""
    outcome = "its worker died" if attempt.death else attempt.outcome or "running"
    took = ""
    if attempt.ended_at is not None:
        took = f" after {(attempt.ended_at - attempt.started_at).total_seconds():.1f} s"
    more = [
        *(["alone"] if attempt.alone else []),
        *([f"went on after {attempt.resumed:,} characters"] if attempt.resumed else []),
    ]
    aside = f" ({', '.join(more)})" if more else ""
    error = f": {attempt.error.get('message', '')}" if attempt.error and not attempt.death else ""
    return f"{outcome} on {attempt.worker}{took}{aside}{error}"


def next_step(record: JobRecord) -> str:
    """What to do about a job's error."""
    from workers.jobs import State

    hint = str((record.error or {}).get("hint", ""))
    if record.state is not State.DEAD:
        return hint
    return f"{hint} " * bool(hint) + f"Run it again with: phiq dead replay {record.id}"


def summary(record: JobRecord) -> dict[str, Any]:
    """A record as JSON without contents, result and attempts."""
    return record.model_dump(mode="json", exclude={"job", "result", "attempts"})


def called(record: JobRecord) -> str:
    """The name a job was given, short enough for a table."""
    name = " ".join(record.metadata.get("name", "").split())
    if "/" in name and " " not in name:
        name = name.rsplit("/", 1)[1] or name
    return name if len(name) <= 40 else name[:39] + "…"
