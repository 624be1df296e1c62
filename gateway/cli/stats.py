"""stats: the last hours in numbers."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.command import command
from gateway.cli.io import Io
from gateway.cli.why import span

if TYPE_CHECKING:
    from workers.sight.stats import Spread, Stats

PANEL = "Operations"
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0}
_STATES = ("succeeded", "failed", "dead", "cancelled", "expired")


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "stats", rich_help_panel=PANEL)(stats)


def stats(
    io: Io,
    since: Annotated[
        str, typer.Option(help="How far back: today, or 90m, 6h, 7d (whole hours, eight days at most).")
    ] = "today",
) -> None:
    """Show what was done lately: jobs, waits, tokens, restarts; and what waits now. Of all tenants."""
    from gateway.cli.connection import connect

    found = connect().service.stats(_seconds(since))
    if io.json:
        io.document(found.model_dump(mode="json"))
        return
    shown(io, found)


def shown(io: Io, found: Stats) -> None:
    """The numbers for people: a table of kinds, then the rest in a few lines."""
    rows: list[list[str]] = []
    for kind, one in found.kinds.items():
        counts = [str(one.states.get(state, 0)) for state in _STATES]
        rows.append([kind, *counts, _times(one.wait), _times(one.first_text), _times(one.run)])
    since = found.since.astimezone()
    io.note(f"Since {since:%Y-%m-%d %H:%M}; times are p50 / p95, about.")
    if rows:
        io.table(("kind", *_STATES, "wait", "first text", "run"), rows)
    else:
        io.note("No job has ended.")
    facts: dict[str, Any] = {
        "tokens": f"{found.prompt_tokens:,} in, {found.completion_tokens:,} out",
        "spared": ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in found.cache_hits.items()) or "-",
        "workers": f"{found.workers} alive, {found.worker_starts} started",
        "deaths": f"{found.worker_deaths} attempts whose worker died",
        "model hosts": f"{found.host_starts} started, {found.host_losses} lost",
        "attempts": ", ".join(f"{count:,} {outcome}" for outcome, count in found.attempts.items()) or "-",
        "slots": f"{found.busy} of {found.slots} in use",
        "waiting": f"{found.waiting:,}, the oldest for {span(found.oldest_age)}" if found.waiting else "0",
        "delayed": f"{found.delayed:,}",
        "dead letters": f"{found.dead_letters:,}",
    }
    io.table(("what", "how many"), list(facts.items()))


def _times(spread: Spread) -> str:
    if spread.p50 is None or spread.p95 is None:
        return "-"
    return f"{_short(spread.p50)} / {_short(spread.p95)}"


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s" if seconds < 60 else span(seconds)


def _seconds(since: str) -> float:
    """Seconds from now back to what is meant.

    Raises:
        UsageInvalid: nothing that can be.
    """
    from gateway.errors import UsageInvalid

    if since == "today":
        now = datetime.now().astimezone()
        return (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    match = re.fullmatch(r"([0-9]{1,5})([mhd])", since)
    if match is None:
        raise UsageInvalid(f"'{since[:40]}' is no time span.", hint="Write today, 90m, 6h or 7d.")
    return int(match[1]) * _UNITS[match[2]]
