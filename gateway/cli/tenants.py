"""tenants list and limit: who has how many jobs, and how many they may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.command import command
from gateway.cli.group import bare_list
from gateway.cli.io import Io

if TYPE_CHECKING:
    from workers.ledger.overview import Limits

PANEL = "Operations"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = bare_list(help="List tenants, or limit one: phiq tenants, phiq tenants limit NAME.")
    command(group, "list")(list_tenants)
    command(group, "limit")(limit)
    command(group, "usage")(usage)
    app.add_typer(group, name="tenants", rich_help_panel=PANEL)


def list_tenants(io: Io) -> None:
    """List tenants that have jobs or limits of their own; `phiq tenants` alone does the same."""
    from gateway.cli.connection import connect

    found = connect().service.tenants()
    if io.json:
        io.document([tenant.model_dump(mode="json") for tenant in found])
        return
    if not found:
        io.note("No tenant has jobs or limits of its own.")
        return
    rows = [
        (
            tenant.name,
            "paused" if tenant.paused else "open",
            str(tenant.queued),
            _most(tenant.limits.queued),
            str(tenant.running),
            _most(tenant.limits.running),
            f"{tenant.limits.share:g}" if tenant.limits.share is not None else "1",
        )
        for tenant in found
    ]
    io.table(("tenant", "state", "queued", "at most", "running", "at most", "share"), rows)


def limit(
    io: Io,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tenant.")],
    queued: Annotated[
        int | None, typer.Option(help="Jobs it may have waiting; 0: no limit; left out: as PHIQ_TENANT_QUEUED says.")
    ] = None,
    running: Annotated[
        int | None, typer.Option(help="Jobs it may have running; 0: no limit; left out: as PHIQ_TENANT_RUNNING says.")
    ] = None,
    share: Annotated[float | None, typer.Option(help="Its turns against a tenant with share 1; left out: 1.")] = None,
    tokens_day: Annotated[int | None, typer.Option(help="Tokens of models it may use in a day (UTC).")] = None,
    tokens_month: Annotated[int | None, typer.Option(help="Tokens of models it may use in a month (UTC).")] = None,
    seconds_day: Annotated[int | None, typer.Option(help="Seconds its jobs may run in a day (UTC).")] = None,
    seconds_month: Annotated[int | None, typer.Option(help="Seconds its jobs may run in a month (UTC).")] = None,
) -> None:
    """Set a tenant's limits, quotas and share, all at once: what is left out is none, or as the settings say.

    A job above one of them is refused with when to come back, but for --running: that one waits. What a job used
    counts when it has ended, so the jobs that run when a quota is used up still end.
    """
    from pydantic import ValidationError

    from gateway.cli.connection import connect
    from gateway.errors import UsageInvalid
    from workers.ledger.overview import Limits

    try:
        limits = Limits(
            queued=queued,
            running=running,
            share=share,
            tokens_day=tokens_day,
            tokens_month=tokens_month,
            seconds_day=seconds_day,
            seconds_month=seconds_month,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageInvalid(f"--{first['loc'][0]}: {first['msg']}.", hint="phiq tenants limit --help") from error
    connect().service.set_limits(name, limits)
    if io.json:
        io.document({"tenant": name, "limits": limits.model_dump(mode="json")})
    else:
        io.text(
            f"{name}: at most {_most(limits.queued)} queued and {_most(limits.running)} running, "
            f"share {limits.share or 1:g}{_quotas(limits)}"
        )


def usage(
    io: Io,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The tenant; left out: PHIQ_TENANT.")] = None,
    key: Annotated[str | None, typer.Option(help="A key's id or prefix, instead of a tenant.")] = None,
    month: Annotated[str | None, typer.Option(help="Such as 2026-10 (UTC); left out: this one.")] = None,
) -> None:
    """Show what a tenant, or a key, used this month and today: jobs, tokens, seconds.

    Counted are jobs that have ended: those with a key, and all of a tenant since it has a quota.
    """
    import re

    from gateway.cli.connection import connect, settings
    from gateway.errors import UsageInvalid

    if month is not None and not re.fullmatch(r"\d{4}-\d{2}", month):
        raise UsageInvalid(f"'{month[:20]}' is no month.", hint="Write it as 2026-10.")
    access = connect().service.access
    key_id = access.keys.get(key).id if key else ""
    whose = name or settings().tenant
    found = access.usage("" if key_id else whose, key=key_id, month=month or "")
    if io.json:
        io.document(found.model_dump(mode="json"))
        return
    rows = [
        (span, f"{used.jobs:,}", f"{used.prompt_tokens:,}", f"{used.completion_tokens:,}", f"{used.seconds:,.1f}")
        for span, used in ((found.month, found.of_month), (found.day, found.of_day))
        if span == found.month or month in (None, found.day[:7])
    ]
    io.table(("when (UTC)", "jobs", "prompt tokens", "completion tokens", "seconds"), rows)


def _quotas(limits: Limits) -> str:
    given = limits.model_dump(include={"tokens_day", "tokens_month", "seconds_day", "seconds_month"}, exclude_none=True)
    return "".join(f", {most:,} {name.replace('_', ' a ')}" for name, most in given.items())


def _most(limit: int | None) -> str:
    return "default" if limit is None else str(limit) if limit else "no limit"
