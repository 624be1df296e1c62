"""ingest --watch: what changes in folders becomes jobs, until Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.io import Io

if TYPE_CHECKING:
    from agents.contract import IngestResult
    from gateway.client import Client

_GATHER_MS = 1500
"""Milliseconds in which changes are gathered: an editor saves in several steps, a copy brings many files."""
_IDLE: Any = {"rust_timeout": 500, "yield_on_timeout": True}
"""Without changes it yields nothing every so many milliseconds; the first time says that it has begun."""
_QUIET_MS = 300
"""Without a further change the gathering ends."""


def watch_paths(io: Io, client: Client, paths: Sequence[str], collection: str, report: Path | None) -> None:
    """Bring a collection in step with files and folders, deletions included, and keep it so.

    Args:
        io: Where the words go.
        client: The connection.
        paths: Files and folders; no patterns, for what will match is not known yet.
        collection: Where to.
        report: Written anew with what became of each file of the latest change.

    Raises:
        InputMissing: a path is not there.
        PhiqError: the first round of jobs fails as a whole.
    """
    from watchfiles import watch

    from gateway.cli import show
    from gateway.cli.documents import ingest_paths
    from gateway.cli.ingest_report import write_report
    from gateway.errors import InputMissing
    from knowledge.errors import PhiqError
    from knowledge.load import SUFFIXES

    watched = [Path(path).expanduser().resolve() for path in paths]
    for path in watched:
        if not path.exists():
            raise InputMissing(f"There is no {path} to watch.", hint="Name files and folders that are there.")

    def tell(made: IngestResult) -> None:
        show.ingested(io, made)
        if report is not None:
            write_report(report, made)

    # Watching begins before the first look, so that nothing falls in between.
    changes = watch(*watched, debounce=_GATHER_MS, step=_QUIET_MS, raise_interrupt=False, **_IDLE)
    next(changes)
    folders = [str(path) for path in watched if path.is_dir()]
    made, _ = ingest_paths(io, client, [str(path) for path in watched], collection, prune=bool(folders))
    if made is not None:
        tell(made)
    io.note(f"Watching {', '.join(show.near(str(path)) for path in watched)}. Ctrl-C ends it.")
    # Also in the middle of a job, which is then cancelled: to end this is no failure.
    with suppress(KeyboardInterrupt):
        for change in changes:
            there, gone = _sorted((path for _, path in change), SUFFIXES)
            try:
                if there:
                    made, _ = ingest_paths(io, client, there, collection)
                    if made is not None:
                        tell(made)
                for name in gone:
                    tell(_forget(client, name, collection))
            except PhiqError as error:
                # A service that is away must not end the watch: the files are seen again at their next change.
                io.note(f"{error.code}: {error.message} {error.hint}", style="yellow")


def _sorted(changed: Iterable[str], suffixes: frozenset[str]) -> tuple[list[str], list[str]]:
    """What is to be ingested, and what is gone: files of known kinds, and names without an ending (perhaps folders)."""
    there, gone = [], []
    for name in sorted(set(changed)):
        path = Path(name)
        if any(part.startswith(".") for part in path.parts[-1:]):
            continue
        if path.is_file() and path.suffix.lower() in suffixes:
            there.append(name)
        elif not path.exists() and path.suffix.lower() in {*suffixes, ""}:
            gone.append(name)
    return there, gone


def _forget(client: Client, path: str, collection: str) -> Any:
    body = {"files": [], "collection": collection, "prune_under": path, "keep": []}
    return client.submit("ingest", body, metadata={"name": f"forget {path}"[:200]}).result()
