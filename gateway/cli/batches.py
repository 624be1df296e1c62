"""batch run, list, show, watch, cancel, results: many lines of work, kept through restarts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli.command import command
from gateway.cli.group import bare_list
from gateway.cli.io import Io
from gateway.cli.options import GENERATION
from gateway.cli.task_options import task_options

if TYPE_CHECKING:
    from workers.batches.records import BatchRecord

PANEL = "Work"
BatchId = Annotated[str, typer.Argument(metavar="ID", help="The batch's id.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where the results go: .csv, .jsonl or .md.")]
ResultForm = Annotated[
    Literal["csv", "jsonl", "markdown"] | None,
    typer.Option("--format", help="Of that file, when its name does not say."),
]
Task = Literal["summarize", "translate", "describe", "chat", "complete", "embed"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = bare_list(help="Batches: run, list, show, watch, cancel, results.")
    command(group, "run", shared={**task_options("--to"), **GENERATION})(run)
    for name, function in (("list", list_batches), ("show", show), ("watch", watch), ("cancel", cancel)):
        command(group, name)(function)
    command(group, "results")(results)
    app.add_typer(group, name="batch", rich_help_panel=PANEL)


def run(
    io: Io,
    shared: Mapping[str, Any],
    paths: Annotated[
        list[str], typer.Argument(metavar="FILE|FOLDER|GLOB...", help="A batch file, or documents with --task.")
    ],
    task: Annotated[Task | None, typer.Option("--task", help="What is done to each document.")] = None,
    out: Out = None,
    result_form: ResultForm = None,
    hours: Annotated[float, typer.Option(help="Time after which it ends with what it has.", min=0.001, max=720)] = 24.0,
    name: Annotated[str, typer.Option(help="A name for people.")] = "",
    again: Annotated[bool, typer.Option("--again", help="Also documents that have a result in OUT already.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the batch's id and leave.")] = False,
) -> None:
    """Run a batch file (JSON lines), or one task over each document of a folder or pattern.

    Interrupted or not, workers go on with it: phiq batch watch ID shows it again. With --out, a second run works on
    new and changed documents only.
    """
    from gateway.cli import batch_start, batch_watch
    from gateway.cli.connection import connect

    client = connect()
    if task is None:
        batch = batch_start.of_lines(client, paths, shared, hours * 3600, name)
    else:
        batch = batch_start.of_documents(
            client, paths, task, shared, out=out, form=result_form, seconds=hours * 3600, name=name, again=again
        )
    if no_wait:
        io.document(_shown(batch)) if io.json else io.text(batch.id)
        return
    io.note(f"{batch.id} (Ctrl-C leaves it running)")
    batch_watch.finish(io, client, batch, out, result_form)


def list_batches(
    io: Io, limit: Annotated[int, typer.Option("--limit", "-n", help="At most so many.", min=1, max=1000)] = 20
) -> None:
    """List the batches, the latest first; `phiq batch` alone does the same."""
    from gateway.cli.connection import connect
    from gateway.cli.why import since

    client = connect()
    found = client.service.batches.list(client.settings.tenant, limit)
    if io.json:
        io.document([_shown(batch) for batch in found])
        return
    if not found:
        io.note("No batches.")
        return
    rows = [
        (
            batch.id,
            batch.state.value,
            str(batch.total),
            str(batch.completed),
            str(batch.failed),
            since(batch.created_at),
            batch.name or batch.origin or "",
        )
        for batch in found
    ]
    io.table(("id", "state", "lines", "done", "failed", "age", "name"), rows)


def show(io: Io, batch_id: BatchId) -> None:
    """Show a batch: its state, counts, tokens and seconds, its files, and why it failed."""
    from gateway.cli import batch_watch
    from gateway.cli.connection import connect

    client = connect()
    batches = client.service.batches
    batch = batches.get(batch_id, client.settings.tenant)
    if io.json:
        io.document(_shown(batch))
        return
    batch_watch.facts(io, batch)


def watch(io: Io, batch_id: BatchId, out: Out = None, form: ResultForm = None) -> None:
    """Follow a batch to its end; also one that was started elsewhere, or left by Ctrl-C."""
    from gateway.cli import batch_watch
    from gateway.cli.connection import connect

    client = connect()
    batch = client.service.batches.get(batch_id, client.settings.tenant)
    batch_watch.finish(io, client, batch, out, form)


def cancel(io: Io, batch_id: BatchId) -> None:
    """Cancel a batch: no more lines start, those that run end, and what is done is kept."""
    from gateway.cli.connection import connect

    client = connect()
    batch = client.service.batches.cancel(batch_id, client.settings.tenant)
    io.document(_shown(batch)) if io.json else io.text(f"{batch.id} {batch.state}")


def results(
    io: Io,
    batch_id: BatchId,
    out: Out = None,
    form: ResultForm = None,
    errors: Annotated[bool, typer.Option("--errors", help="The lines that have no answer.")] = False,
) -> None:
    """Print the results of a batch as JSON lines, or write them to a file; of one that runs, those there are."""
    import sys

    from gateway.cli import batch_watch
    from gateway.cli.connection import connect

    client = connect()
    batches = client.service.batches
    batch = batches.get(batch_id, client.settings.tenant)
    if out is not None:
        batch_watch.write(io, batches, batch, out, form)
        return
    for block in batches.blocks(batch, "errors" if errors else "output"):
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def _shown(batch: BatchRecord) -> dict[str, Any]:
    return batch.model_dump(mode="json", exclude_none=True)
