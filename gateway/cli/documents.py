"""ingest and search: documents in, passages out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.command import command
from gateway.cli.filters import Languages, Since, Under, Until, filters
from gateway.cli.ingest_report import check_report, write_report
from gateway.cli.io import Io
from gateway.cli.sites import ingest_sites, is_site

if TYPE_CHECKING:
    from rich.progress import Progress

    from agents.contract import FileReport, IngestResult
    from gateway.client import Client, ClientJob

PANEL = "Documents"
FILES_A_JOB = 500
"""Keeps a job's record small; more files become several jobs, one after the other."""

Collection = Annotated[str, typer.Option("--collection", "-c", help="The collection's name.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "ingest", rich_help_panel=PANEL)(ingest)
    command(app, "search", rich_help_panel=PANEL)(search)
    command(app, "reembed", rich_help_panel=PANEL)(reembed)


def ingest(
    io: Io,
    paths: Annotated[list[str], typer.Argument(help="Files, folders, patterns in quotes, or websites.")],
    collection: Collection = "default",
    prune: Annotated[bool, typer.Option("--prune", help="Forget stored files that are gone from the folders.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the job's id and leave.")] = False,
    pages: Annotated[int, typer.Option("--pages", help="Pages of a website at most.", min=1, max=100_000)] = 1000,
    depth: Annotated[int, typer.Option("--depth", help="Links to follow where it has no sitemap.", min=0, max=20)] = 3,
    keep_gone: Annotated[bool, typer.Option("--keep-gone", help="Keep stored pages that a website lost.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and follow every change until Ctrl-C.")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write what became of each file there: .json or .csv.")
    ] = None,
) -> None:
    """Load documents (txt, md, html, pdf, docx, pptx, xlsx, csv, json, jsonl, eml, mbox) into a collection.

    Unchanged files are skipped, changed ones replaced. A website (https://…) is read by its sitemap, or else along its
    links, as far as its robots.txt allows; what is gone from it is forgotten.
    A file that can't be read is reported and stops no other.
    """
    from gateway.cli import show
    from gateway.cli.connection import connect
    from gateway.errors import USER

    if report is not None:
        check_report(report)
    client = connect()
    sites, paths = [one for one in paths if is_site(one)], [one for one in paths if not is_site(one)]
    if sites:
        ingest_sites(io, client, sites, collection, wait=not no_wait, max_pages=pages, depth=depth, prune=not keep_gone)
        if not paths:
            return
    if watch:
        from gateway.cli.watching import watch_paths

        watch_paths(io, client, paths, collection, report)
        return
    made, jobs = ingest_paths(io, client, paths, collection, prune=prune, wait=not no_wait)
    if made is None:
        from gateway.cli.dispatch import announce

        announce(io, jobs)
        return
    if report is not None:
        write_report(report, made)
    if io.json:
        io.document({"jobs": [job.id for job in jobs], "result": made.model_dump(mode="json")})
    else:
        show.ingested(io, made)
    if any(report.status == "failed" for report in made.files):
        raise typer.Exit(USER)


def search(
    io: Io,
    query: Annotated[list[str], typer.Argument(help="What to look for.")],
    collection: Collection = "default",
    top: Annotated[int, typer.Option("--top", "-n", help="How many passages.", min=1, max=100)] = 5,
    languages: Languages = None,
    under: Under = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Find the passages nearest to a question."""
    from gateway.cli.connection import connect
    from gateway.cli.follow import conclude, follow

    words = " ".join(query)
    wanted = {"collection": collection, "top_k": top, "filters": filters(languages, under, since, until)}
    job = connect().submit("search", words, **wanted, metadata={"name": words[:200]})
    conclude(io, follow(io, job, text=False), with_text=True)


def reembed(
    io: Io,
    collection: Annotated[str, typer.Argument(help="The collection's name.")],
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the job's id and leave.")] = False,
) -> None:
    """Give a collection the vectors of the embedding model in use (PHIQ_EMBEDDER).

    The old ones serve until all is done; then they are put aside at once. Repeat the command when it was broken off.
    """
    from gateway.cli.connection import connect
    from gateway.cli.dispatch import announce
    from gateway.cli.follow import conclude, follow

    asked = {"reembed": True, "collection": collection}
    job = connect().submit("ingest", asked, lane="batch", metadata={"name": f"reembed {collection}"[:200]})
    if no_wait:
        announce(io, [job])
    else:
        conclude(io, follow(io, job, text=False), with_text=True)


def ingest_paths(
    io: Io, client: Client, paths: Sequence[str], collection: str, *, prune: bool = False, wait: bool = True
) -> tuple[IngestResult | None, list[ClientJob[Any]]]:
    """Attach the files, submit the jobs and wait for them; without ``wait`` the result is None.

    Raises:
        InputMissing: when a folder holds no file of a known kind and nothing is to be pruned.
        PhiqError: when a job as a whole fails.
    """
    from agents.contract import IngestResult
    from gateway.cli.show import near
    from gateway.errors import InputMissing
    from gateway.files import expand
    from knowledge.load import SUFFIXES

    files, folders = expand(paths, SUFFIXES)
    if not files and not (prune and folders):
        raise InputMissing(
            f"There is no document in {', '.join(paths)}.", hint=f"Known kinds: {' '.join(sorted(SUFFIXES))}"
        )
    reports: list[FileReport] = []
    jobs: list[ClientJob[Any]] = []
    with _bar(io) as bar:
        attached = _attach(client, files, reports, bar)
        for body in _bodies(attached, [str(path) for path in files], folders if prune else [], collection):
            name = ", ".join(near(path) for path in paths)[:200]
            jobs.append(client.submit("ingest", body, metadata={"name": name}))
        # All wait in line, so that none is lost when this command ends; here they are seen to their ends one by one.
        for job in jobs if wait else ():
            reports += _wait(io, job, bar).files
    # Without waiting, what could not even be read is told at once.
    made = IngestResult(collection=collection, files=reports)
    if wait:
        return made, jobs
    for report in reports:
        io.note(f"failed: {report.source}: {(report.error or {}).get('message', '')}", style="yellow")
    return None, jobs


def _attach(client: Client, files: list[Path], reports: list[FileReport], bar: Progress | None) -> list[dict[str, Any]]:
    from agents.contract import FileReport
    from knowledge.errors import DocumentUnreadable, UserError

    task = None if bar is None else bar.add_task("reading files", total=len(files))
    attached = []
    for path in files:
        shown = str(path).encode("utf-8", "replace").decode()
        try:
            if shown != str(path):
                raise DocumentUnreadable(
                    f"The name of {shown} is not UTF-8, so it can't be cited.", hint="Rename the file.", subject=shown
                )
            attached.append({"source": str(path), **client.attach(path).model_dump()})
        except UserError as error:
            reports.append(FileReport(source=shown, status="failed", error=error.to_dict()))
        if bar is not None and task is not None:
            bar.advance(task)
    return attached


def _bodies(
    attached: list[dict[str, Any]], keep: list[str], folders: list[Path], collection: str
) -> Iterator[dict[str, Any]]:
    """The inputs of the jobs: the files in portions, then a pruning for each folder."""
    for start in range(0, len(attached), FILES_A_JOB):
        yield {"files": attached[start : start + FILES_A_JOB], "collection": collection}
    for folder in folders:
        prefix = f"{folder}/"
        kept = [source for source in keep if source.startswith(prefix)]
        yield {"files": [], "collection": collection, "prune_under": prefix, "keep": kept}


def _wait(io: Io, job: ClientJob[Any], bar: Progress | None) -> IngestResult:
    from gateway.cli.cancelling import cancelling

    task = None if bar is None else bar.add_task("ingesting", total=None)
    with cancelling(io, [job]):
        for event in job.events():
            if event.progress is not None and bar is not None and task is not None:
                note = event.progress.note or "ingesting"
                bar.update(task, completed=event.progress.done, total=event.progress.total or None, description=note)
    made: IngestResult = job.result()
    return made


@contextmanager
def _bar(io: Io) -> Iterator[Progress | None]:
    if not io.lively:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(bar_width=30), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=io.err, transient=True) as progress:
        yield progress
