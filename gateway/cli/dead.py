"""dead list, show, replay, drop: jobs that ended through our fault, with the evidence, and what to do with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import records
from gateway.cli.command import command
from gateway.cli.group import bare_list
from gateway.cli.io import Io

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.jobs import JobRecord

PANEL = "Operations"
_PAGE = 200

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="The jobs' ids; none: those of the filter.")]
Kind = Annotated[str | None, typer.Option("--kind", "-k", help="Only this kind of job.")]
Model = Annotated[str | None, typer.Option("--model", "-m", help="Only jobs of this model.")]
Code = Annotated[str | None, typer.Option("--code", "-c", help="Only jobs with this error code, such as poison.")]
Older = Annotated[float | None, typer.Option("--older-than", help="Only those that died so many hours ago.", min=0)]
Everything = Annotated[bool, typer.Option("--all", help="All dead letters (of the filter, when there is one).")]
Tenant = Annotated[str | None, typer.Option("--tenant", "-t", help="Of this tenant instead of PHIQ_TENANT.")]
FILTERS = {"kind": Kind, "model": Model, "code": Code, "older": Older, "tenant": Tenant}
"""Which dead letters: options of list, replay and drop."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = bare_list(help="Dead letters: list, show, replay, drop.")
    command(group, "list", shared=FILTERS)(list_dead)
    command(group, "show")(show)
    command(group, "replay", shared=FILTERS)(replay)
    command(group, "drop", shared=FILTERS)(drop)
    app.add_typer(group, name="dead", rich_help_panel=PANEL)


def list_dead(io: Io, which: Mapping[str, Any], limit: records.LimitOption = 50) -> None:
    """List the dead letters, the latest first; `phiq dead` alone does the same."""
    from itertools import islice

    found = list(islice(_matching(**which), limit))
    if io.json:
        io.document([records.summary(record) for record in found])
        return
    if not found:
        io.note("No dead letters.")
        return
    from gateway.cli.why import since

    rows = [
        (
            record.id,
            record.kind,
            record.model,
            str((record.error or {}).get("code", "")),
            str(record.attempt),
            str(record.deaths),
            since(record.finished_at) if record.finished_at else "",
            records.called(record),
        )
        for record in found
    ]
    io.table(("id", "kind", "model", "error", "attempts", "deaths", "died", "what"), rows)


def show(io: Io, job_id: records.JobId) -> None:
    """Show a dead letter with its evidence: every attempt, where it ran, how it ended, whether it was alone."""
    records.show_job(io, job_id)


def replay(io: Io, which: Mapping[str, Any], job_ids: Ids = None, everything: Everything = False) -> None:
    """Run dead letters again under their ids, by id or filter; failed, expired and cancelled jobs may be named too."""
    from gateway.cli.connection import connect

    service = connect().service
    for job_id in _chosen(job_ids, which, everything):
        _done(io, job_id, str(service.replay(job_id, which["tenant"]).state))


def drop(io: Io, which: Mapping[str, Any], job_ids: Ids = None, everything: Everything = False) -> None:
    """Delete dead letters for good, by id or by filter."""
    from gateway.cli.connection import connect

    service = connect().service
    for job_id in _chosen(job_ids, which, everything):
        service.drop(job_id, which["tenant"])
        _done(io, job_id, "dropped")


def _done(io: Io, job_id: str, state: str) -> None:
    if io.json:
        io.document({"id": job_id, "state": state}, line=True)
    else:
        io.text(f"{job_id} {state}")


def _chosen(job_ids: list[str] | None, which: Mapping[str, Any], everything: bool) -> list[str]:
    """The ids that are meant: those named, or those of the filter; nothing at all must be said with --all."""
    from gateway.errors import UsageInvalid

    filtered = everything or any(value is not None for name, value in which.items() if name != "tenant")
    if bool(job_ids) == filtered:
        raise UsageInvalid(
            "Name the jobs, or say which by --kind, --model, --code, --older-than or --all (not both).",
            hint="phiq dead list",
        )
    return job_ids or [record.id for record in _matching(**which)]


def _matching(
    kind: str | None, model: str | None, code: str | None, older: float | None, tenant: str | None
) -> Iterator[JobRecord]:
    """Dead letters of the filter, the latest first, read page by page."""
    from datetime import UTC, datetime, timedelta

    from gateway.cli.connection import connect

    records.check_kind(kind)
    service = connect().service
    limit = None if older is None else datetime.now(UTC) - timedelta(hours=older)
    before = None
    while page := service.dead(tenant, kind=kind, model=model, code=code, limit=_PAGE, before=before):
        for record in page:
            if limit is None or (record.finished_at is not None and record.finished_at <= limit):
                yield record
        before = page[-1].id
