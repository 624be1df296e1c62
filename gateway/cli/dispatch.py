"""From a command's inputs to jobs and back: one is followed, several run as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.cancelling import cancelling, uninterrupted
from gateway.cli.io import Io
from knowledge.errors import PhiqError

if TYPE_CHECKING:
    from gateway.cli.inputs import Unreadable
    from gateway.client import Client, ClientJob
    from gateway.shorthand import Kind


@dataclass(frozen=True)
class Wanted:
    """One job to be: its kind, what about, the name to show, and the fields of its input."""

    kind: Kind
    name: str
    content: Any
    fields: dict[str, Any]


def dispatch(
    io: Io,
    client: Client,
    wanted: Sequence[Wanted],
    shared: dict[str, Any],
    bad: Sequence[Unreadable] = (),
    out: Path | None = None,
) -> None:
    """Submit and, unless --no-wait, see to the end.

    Args:
        io: Where the words go.
        client: The connection.
        wanted: One or more jobs.
        shared: Values of the shared options (``gateway.cli.options``).
        bad: Inputs of the same command that could not be read; told beside the jobs' results.
        out: Folder for the results' texts instead of standard output.

    Raises:
        PhiqError: the job's error; of several, the gravest.
        KeyboardInterrupt: after asking that all be cancelled (not with --no-wait).
    """
    options = dict(shared)
    no_wait = bool(options.pop("no_wait", None))
    options["lane"] = options.get("lane") or ("interactive" if len(wanted) + len(bad) == 1 else "batch")
    jobs: list[ClientJob[Any]] = []
    with cancelling(io, [] if no_wait else jobs):
        _submit(io, client, wanted, options, jobs)
        if no_wait:
            announce(io, jobs)
            tell(io, bad)
        else:
            _see_to_the_end(io, [one.name for one in wanted], jobs, bad, out)


def _submit(
    io: Io, client: Client, wanted: Sequence[Wanted], options: dict[str, Any], jobs: list[ClientJob[Any]]
) -> None:
    """Submit all; each is in ``jobs`` as soon as it exists."""
    from gateway.cli.show import near
    from gateway.shorthand import build_job

    key = options.pop("idempotency_key", None)
    for number, one in enumerate(wanted, 1):
        # A key names one request, so each of several gets its own.
        own_key = key if key is None or len(wanted) == 1 else f"{key}-{number}"
        try:
            built = build_job(
                one.kind,
                one.content,
                client.attach,
                **one.fields,
                **options,
                idempotency_key=own_key,
                metadata={"name": near(one.name)[:200]},
            )
            with uninterrupted():
                jobs.append(client.submit_job(built))
        except PhiqError as error:
            if jobs:
                io.note(f"{len(jobs)} of {len(wanted)} jobs were submitted before this (phiq jobs).", style="yellow")
            error.subject = error.subject or one.name
            raise


def _see_to_the_end(
    io: Io, names: Sequence[str], jobs: Sequence[ClientJob[Any]], bad: Sequence[Unreadable], out: Path | None
) -> None:
    if len(jobs) > 1 or bad:
        from gateway.cli.batch import run_batch

        run_batch(io, list(zip(names, jobs, strict=True)), bad, out)
        return
    from gateway.cli.follow import conclude, follow
    from gateway.cli.saving import save_text

    record = follow(io, jobs[0], text=out is None, cancel=False)
    conclude(io, record, with_text=out is None and not io.streams)
    if out is not None:
        save_text(io, names[0], record, out)


def tell(io: Io, bad: Sequence[Unreadable]) -> None:
    """Show what could not be read.

    Raises:
        typer.Exit: with the code of the first error, when there is one.
    """
    import typer

    from gateway.cli.batch import print_failure
    from gateway.errors import exit_code

    for one in bad:
        print_failure(io, one.name, one.error)
    if bad:
        raise typer.Exit(exit_code(bad[0].error))


def announce(io: Io, jobs: Sequence[ClientJob[Any]]) -> None:
    """Print the ids of submitted jobs, one a line."""
    for job in jobs:
        if io.json:
            io.document({"id": job.id}, line=len(jobs) > 1)
        else:
            io.text(job.id)
    io.note("Follow with: phiq watch ID")
