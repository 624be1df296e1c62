"""schedule add, list, change, show, pause, resume, run, remove, history: work that starts by itself at its time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli.command import command
from gateway.cli.group import bare_list
from gateway.cli.io import Io
from gateway.cli.options import GENERATION
from gateway.cli.task_options import task_options

if TYPE_CHECKING:
    from datetime import datetime

    from workers.schedules import Firing, Schedule

PANEL = "Jobs"
_WHEN, _WORK, _RULES = "When", "What", "Rules"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
Tenant = Annotated[str | None, typer.Option("--tenant", "-t", help="Of this tenant instead of PHIQ_TENANT.")]
Task = Literal["summarize", "translate", "describe", "chat", "complete", "embed"]

TIMES: dict[str, Any] = {
    "cron": Annotated[str | None, typer.Option(help='Such as "0 6 * * 1-5": workdays at six.', rich_help_panel=_WHEN)],
    "every": Annotated[str | None, typer.Option(help="Such as 15m or 1h30m.", rich_help_panel=_WHEN)],
    "at": Annotated[str | None, typer.Option(help="Once, such as 2030-01-31T06:00.", rich_help_panel=_WHEN)],
    "tz": Annotated[
        str | None, typer.Option(help="Time zone of --cron and --at. Default: UTC.", rich_help_panel=_WHEN)
    ],
}
RULES: dict[str, Any] = {
    "overlap": Annotated[
        Literal["skip", "queue", "cancel_old"] | None,
        typer.Option(
            help="While the firing before still runs: skip this one (default), queue it, or end that one.",
            rich_help_panel=_RULES,
        ),
    ],
    "missed": Annotated[
        Literal["once", "all", "none"] | None,
        typer.Option(
            help="Firings that no scheduler was there for: make up for them once (default), all, or not.",
            rich_help_panel=_RULES,
        ),
    ],
    "grace": Annotated[
        float | None, typer.Option(help="Seconds late that are not missed. Default: 60.", min=0, rich_help_panel=_RULES)
    ],
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = bare_list(help="Schedules: work that starts by itself at its time.")
    command(group, "add", shared={**TIMES, **task_options("--target", _WORK), **RULES, **GENERATION})(add)
    command(group, "list")(list_schedules)
    command(group, "change", shared={**TIMES, **RULES})(change)
    for function in (show, pause, resume, run, remove, history):
        command(group, function.__name__)(function)
    app.add_typer(group, name="schedule", rich_help_panel=PANEL)


def add(
    io: Io,
    given: Mapping[str, Any],
    name: Name,
    task: Annotated[
        Task | None, typer.Option(help="What to do to each document of --input.", rich_help_panel=_WORK)
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="A folder, file or pattern; may be repeated.", rich_help_panel=_WORK),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="File for the results (.csv, .jsonl, .md; {date} in it is the firing's), or webhook:NAME.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    job: Annotated[
        str | None, typer.Option(help="Instead: a job as JSON, a file with one, or -.", rich_help_panel=_WORK)
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Not due until resumed.", rich_help_panel=_RULES)] = False,
    tenant: Tenant = None,
) -> None:
    """Add a schedule: a job, or a task for the documents of a folder, at its time."""
    from gateway.cli import schedule_spec
    from gateway.cli.connection import connect

    client = connect()
    here = client.address is None
    spec = schedule_spec.build(given, task=task, inputs=inputs or [], to=to, job=job, here=here)
    _shown(io, client.service.schedules.add(name, spec, tenant, paused=paused))


def list_schedules(io: Io, tenant: Tenant = None) -> None:
    """List the schedules and when each is due next; `phiq schedule` alone does the same."""
    from gateway.cli.connection import connect

    schedules = connect().service.schedules
    found = schedules.list(tenant)
    if io.json:
        io.document([one.model_dump(mode="json", exclude_none=True) for one in found])
        return
    if not found:
        io.note("No schedules. Add one with: phiq schedule add NAME --cron … --task summarize --input FOLDER --to FILE")
        return
    rows = [(one.name, _standing(one), _times(one), _local(one, one.next_at), _what(one)) for one in found]
    io.table(("name", "state", "when", "next", "what"), rows)
    _warn(io, schedules.last_tick())


def show(io: Io, name: Name, tenant: Tenant = None) -> None:
    """Show a schedule with the next five times it is due, in its zone."""
    from gateway.cli.connection import connect

    schedules = connect().service.schedules
    _shown(io, schedules.get(name, tenant))
    _warn(io, schedules.last_tick())


def change(io: Io, given: Mapping[str, Any], name: Name, tenant: Tenant = None) -> None:
    """Change when a schedule is due, or its rules; without options take over one whose key has ended."""
    from gateway.cli.connection import connect

    changes = {key: value for key, value in given.items() if value is not None}
    _shown(io, connect().service.schedules.change(name, changes, tenant))


def pause(io: Io, name: Name, tenant: Tenant = None) -> None:
    """Let a schedule not be due until it is resumed. What it has started goes on."""
    from gateway.cli.connection import connect

    connect().service.schedules.pause(name, tenant)
    _said(io, name, "paused", f"Go on with: phiq schedule resume {name}")


def resume(io: Io, name: Name, tenant: Tenant = None) -> None:
    """Let a paused schedule be due again from now on."""
    from gateway.cli.connection import connect

    found = connect().service.schedules.resume(name, tenant)
    _said(io, name, "resumed", f"Next: {_local(found, found.next_at)}")


def run(io: Io, name: Name, tenant: Tenant = None) -> None:
    """Let a schedule fire now, also while it is paused; when it is due next stays as it is."""
    from gateway.cli.connection import connect

    schedules = connect().service.schedules
    firing = schedules.run(name, tenant)
    if io.json:
        io.document(firing.model_dump(mode="json"))
    else:
        io.text(f"{name} fires as {firing.key}")
        io.note(f"See what becomes of it with: phiq schedule history {name}")
    _warn(io, schedules.last_tick())


def remove(io: Io, name: Name, tenant: Tenant = None) -> None:
    """Delete a schedule and its history. What it has started goes on."""
    from gateway.cli.connection import connect

    connect().service.schedules.remove(name, tenant)
    _said(io, name, "removed", "")


def history(
    io: Io,
    name: Name,
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most so many.", min=1)] = 20,
    tenant: Tenant = None,
) -> None:
    """List a schedule's firings, the latest first, with their jobs or batches and how they ended."""
    from gateway.cli.connection import connect

    schedules = connect().service.schedules
    found = schedules.get(name, tenant)
    firings = schedules.history(name, tenant)[:limit]
    if io.json:
        io.document([one.model_dump(mode="json", exclude_none=True) for one in firings])
        return
    if not firings:
        io.note(f"{name} has not fired yet.")
        return
    rows = [(_local(found, one.due), str(one.state), one.run or "-", _remark(one)) for one in firings]
    io.table(("due", "state", "id", "remark"), rows)


def _shown(io: Io, found: Schedule) -> None:
    from datetime import UTC, datetime

    following = found.upcoming(datetime.now(UTC))
    if io.json:
        local = [one.astimezone(found.spec.zone).isoformat() for one in following]
        io.document({**found.model_dump(mode="json", exclude_none=True), "following": local})
        return
    spec = found.spec
    rules = f"overlap {spec.overlap}, missed {spec.missed}, grace {spec.grace:g} s"
    rows = [
        ("name", found.name),
        ("state", _standing(found)),
        ("when", _times(found)),
        ("what", _what(found)),
        (
            "to",
            (spec.batch.to if spec.batch is not None else None) or (spec.webhook and f"webhook {spec.webhook}") or "-",
        ),
        ("rules", rules),
        *((("next" if not number else ""), _local(found, one)) for number, one in enumerate(following)),
    ]
    width = max(len(key) for key, _ in rows)
    for key, value in rows:
        io.text(f"{key:<{width}}  {value}")


def _standing(found: Schedule) -> str:
    if found.paused:
        return "paused"
    return "open" if found.next_at is not None else "done"


def _times(found: Schedule) -> str:
    spec = found.spec
    if spec.every is not None:
        return f"every {spec.every}"
    return f"{spec.cron if spec.cron is not None else 'once ' + str(spec.at)} ({spec.tz})"


def _what(found: Schedule) -> str:
    if found.spec.batch is not None:
        return f"{found.spec.batch.task.kind} {' '.join(found.spec.batch.paths)}"
    return f"a {(found.spec.job or {}).get('kind')} job"


def _goes_to(found: Schedule) -> list[str]:
    spec = found.spec
    file = spec.batch.to if spec.batch is not None else None
    return [*([file] if file else []), *([f"webhook {spec.webhook}"] if spec.webhook else [])]


def _local(found: Schedule, instant: datetime | None) -> str:
    if instant is None:
        return "-"
    return instant.astimezone(found.spec.zone).strftime("%a %Y-%m-%d %H:%M:%S %Z")


def _remark(firing: Firing) -> str:
    parts = [
        "run now" if firing.manual else "",
        "made up for" if firing.late else "",
        f"for {firing.missed} more" if firing.missed else "",
        firing.reason,
        str((firing.error or {}).get("message", "")),
    ]
    return "; ".join(part for part in parts if part)


def _warn(io: Io, last_tick: datetime | None) -> None:
    if last_tick is None:
        io.note("No scheduler runs, so nothing fires. Start one with: phiq up", style="yellow")


def _said(io: Io, name: str, done: str, following: str) -> None:
    if io.json:
        io.document({done: name})
        return
    io.text(f"{name} {done}")
    if following:
        io.note(following)
