"""From a command's inputs to jobs and back: one is followed, several run as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    """
    from gateway.cli.show import near
    from gateway.shorthand import build_job

    options = dict(shared)
    no_wait = bool(options.pop("no_wait", None))
    options["lane"] = options.get("lane") or ("interactive" if len(wanted) + len(bad) == 1 else "batch")
    key = options.pop("idempotency_key", None)
    jobs: list[tuple[str, ClientJob[Any]]] = []
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
            job = client.submit_job(built)
        except PhiqError as error:
            if number > 1:
                io.note(f"{number - 1} of {len(wanted)} jobs were submitted before this (phiq jobs).", style="yellow")
            error.subject = error.subject or one.name
            raise
        jobs.append((one.name, job))
    if no_wait:
        announce(io, [job for _, job in jobs])
        tell(io, bad)
    elif len(jobs) == 1 and not bad:
        from gateway.cli.follow import conclude, follow
        from gateway.cli.saving import save_text

        record = follow(io, jobs[0][1], text=out is None)
        conclude(io, record, with_text=out is None and not io.streams)
        if out is not None:
            save_text(io, jobs[0][0], record, out)
    else:
        from gateway.cli.batch import run_batch

        run_batch(io, jobs, bad, out)


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
