"""erase: a customer's words out of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.command import command
from gateway.cli.io import Io

if TYPE_CHECKING:
    from workers.erase.run import Erased

PANEL = "This machine"


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "erase", here=True, rich_help_panel=PANEL)(erase)


def erase(
    io: Io,
    subject: Annotated[str | None, typer.Option(help="Whose words, as named when the jobs were submitted.")] = None,
    job: Annotated[str | None, typer.Option(metavar="ID", help="One job; of an ingest, its documents too.")] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Of this tenant (default: PHIQ_TENANT); alone, everything it has.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="A document, as it was named when it was ingested.")] = None,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="With --source, only there; alone, a whole collection.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
) -> None:
    """Erase words everywhere: jobs, their streams and results, documents, attachments, messages, and files on disk.

    Jobs that wait or run are stopped first, and answers that quote an erased document go with it. It can be repeated;
    after an interruption the same command does the rest.
    """
    from dataclasses import asdict

    from gateway.cli.backup import bar
    from gateway.cli.connection import settings as current
    from gateway.errors import SERVICE, UsageInvalid
    from workers.erase.run import erase as take_out
    from workers.erase.scope import Scope

    settings = current()
    if all(one is None for one in (subject, job, tenant, source, collection)):
        raise UsageInvalid("Say what is to be erased.", hint="--subject, --job, --tenant, --source or --collection")
    scope = Scope(tenant or settings.tenant, subject=subject, job=job, source=source, collection=collection)
    if not yes and not dry_run:
        if not io.lively:
            raise UsageInvalid("Nobody can be asked here.", hint="Add --yes, or --dry-run to see what would go.")
        _tell(io, take_out(settings, scope, dry_run=True))
        if not typer.confirm(f"Erase {scope}? It can't be brought back.", err=True):
            raise typer.Abort
    with bar(io) as tell:
        done = take_out(settings, scope, dry_run=dry_run, on_progress=tell)
    if io.json:
        io.document({"scope": asdict(scope), **asdict(done)})
    else:
        _tell(io, done)
    if done.unreachable:
        raise typer.Exit(SERVICE)


def _tell(io: Io, done: Erased) -> None:
    verb = "Would erase" if done.dry_run else "Erased"
    stopped = f" ({done.stopped} waited or ran)" if done.stopped else ""
    parts = [
        f"{done.jobs} jobs{stopped}",
        f"{done.messages} messages on the broker",
        f"{done.schedules} schedules",
        f"{done.batches} batches",
        f"{done.files} files of batches",
        f"{done.webhooks} webhook deliveries",
        f"{done.keys} API keys",
        f"{done.passages} passages" + (f" in {done.collections} whole collections" if done.collections else ""),
        f"{done.contents} files of the content store",
    ]
    io.text(f"{verb}: {', '.join(parts)}.")
    for one in done.unreachable:
        io.note(f"not reached: {one}", style="yellow")
    if not done.dry_run:
        io.note("Out of reach of this command: backups made before, and files that were never part of a job.")
