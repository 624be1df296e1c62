"""The part of ingest that takes websites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli.io import Io

if TYPE_CHECKING:
    from gateway.client import Client


def is_site(argument: str) -> bool:
    """Whether an argument is a website's address, and no path."""
    return argument.lower().startswith(("http://", "https://"))


def ingest_sites(io: Io, client: Client, sites: Sequence[str], collection: str, *, wait: bool, **asked: Any) -> None:
    """A job a site; shows what became of each page.

    Args:
        io: Where the words go.
        client: The connection.
        sites: Addresses.
        collection: Where to.
        wait: See each to its end.
        **asked: Fields of `agents.contract.Site`.

    Raises:
        PhiqError: a site as a whole can't be read.
        typer.Exit: pages failed.
    """
    from gateway.cli.dispatch import announce
    from gateway.cli.follow import conclude, follow
    from gateway.errors import USER

    jobs = [
        client.submit("ingest", {"site": {"url": url, **asked}, "collection": collection}, metadata={"name": url[:200]})
        for url in sites
    ]
    if not wait:
        announce(io, jobs)
        return
    failed = False
    for job in jobs:
        conclude(io, follow(io, job, text=False), with_text=True)
        failed = failed or any(report.status == "failed" for report in job.result().files)
    if failed:
        raise typer.Exit(USER)
