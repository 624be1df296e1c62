"""key create, list, show, rotate, revoke; and audit, which tells who did what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.command import command
from gateway.cli.group import bare_list
from gateway.cli.io import Io

if TYPE_CHECKING:
    from datetime import datetime

    from workers.access.access import Access
    from workers.access.key import ApiKey

PANEL = "Operations"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The key's id, or its prefix as `phiq key list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = bare_list(help="API keys: phiq key, phiq key create, phiq key rotate KEY.")
    command(group, "create")(create)
    command(group, "list")(list_keys)
    command(group, "show")(show)
    command(group, "rotate")(rotate)
    command(group, "revoke")(revoke)
    app.add_typer(group, name="key", rich_help_panel=PANEL)
    command(app, "audit", rich_help_panel=PANEL)(audit)


def create(
    io: Io,
    name: Annotated[str, typer.Option(help="For people: what it is for.")] = "",
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="Whose; left out: PHIQ_TENANT.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do; repeat it. Left out: everything but admin.")
    ] = None,
    collection: Annotated[
        list[str] | None, typer.Option(help="Only these collections; repeat it. Left out: all of the tenant.")
    ] = None,
    publishable: Annotated[
        bool, typer.Option("--publishable", help="For a page: chat and search in one collection, seen by everybody.")
    ] = False,
    origin: Annotated[
        list[str] | None, typer.Option(help="A page that may use it (https://shop.example); repeat it.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="Works for so long: 30d, 12h. Left out: for ever.")] = None,
    requests: Annotated[int, typer.Option(min=0, help="Requests a minute; 0: no limit.")] = 0,
    tokens: Annotated[int, typer.Option(min=0, help="Tokens of models a minute; 0: no limit.")] = 0,
    jobs: Annotated[int, typer.Option(min=0, help="Jobs at a time that have not ended; 0: no limit.")] = 0,
    visitor: Annotated[int, typer.Option(min=1, help="Publishable: jobs a minute of one visitor.")] = 10,
    address: Annotated[int, typer.Option(min=1, help="Publishable: jobs a minute of one network address.")] = 60,
) -> None:
    """Make a key and show it, this once: only its hash is kept.

    Scopes: jobs:read, jobs:write, documents:read, documents:write, batches, schedules, webhooks, models:read, admin
    (everything of the installation: keys, workers, other tenants, metrics).
    """
    from pydantic import ValidationError

    from workers.access.errors import KeySpecInvalid
    from workers.access.key import KeySpec

    access = _access()
    given: dict[str, Any] = {
        "scopes": scope,
        "collections": collection,
        "origins": origin,
        "expires_in": span_of(expires) if expires else None,
    }
    try:
        spec = KeySpec(
            name=name,
            tenant=tenant or _tenant(),
            publishable=publishable,
            requests=requests,
            tokens=tokens,
            jobs=jobs,
            visitor=visitor,
            address=address,
            **{field: value for field, value in given.items() if value},
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = f"--{first['loc'][0]}: " if first["loc"] else ""
        raise KeySpecInvalid(
            f"There can be no such key: {where}{str(first['msg']).removeprefix('Value error, ')}.",
            hint="phiq key create --help",
        ) from error
    _shown_once(io, *access.create(spec))


def list_keys(
    io: Io, tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="Only this tenant's.")] = None
) -> None:
    """List the keys, the newest first; `phiq key` alone does the same."""
    found = _access().keys.list(tenant)
    if io.json:
        io.document([key.model_dump(mode="json") for key in found])
        return
    if not found:
        io.note("No keys. Make one with: phiq key create --name NAME")
        return
    rows = [
        (key.prefix, key.name, key.tenant, key.state, _brief(key), _day(key.expires_at), _day(key.last_used_at))
        for key in found
    ]
    io.table(("key", "name", "tenant", "state", "scopes", "expires", "last used"), rows)


def show(io: Io, key: KeyId) -> None:
    """Show a key: what it may, its limits, when it was last used. Its secret is kept nowhere."""
    found = _access().keys.get(key)
    if io.json:
        io.document(found.model_dump(mode="json"))
        return
    for name, value in found.model_dump(mode="json").items():
        if value not in (None, "", [], 0, False):
            io.text(f"{name.replace('_', ' '):<12} {' '.join(value) if isinstance(value, list) else value}")


def rotate(
    io: Io,
    key: KeyId,
    overlap: Annotated[str, typer.Option(help="The secret before works for so long more: 1h, 7d, 0s.")] = "1d",
) -> None:
    """Give a key a new secret and show it, this once. `phiq key show` tells when the one before was last used."""
    _shown_once(io, *_access().rotate(key, span_of(overlap)))


def revoke(io: Io, key: KeyId) -> None:
    """End a key and what is left of a rotation, within seconds on every gateway. Its jobs go on."""
    found = _access().revoke(key)
    if io.json:
        io.document(found.model_dump(mode="json"))
    else:
        io.text(f"{found.prefix} revoked")


def audit(
    io: Io,
    denied: Annotated[bool, typer.Option("--denied", help="What was refused, instead of what was done.")] = False,
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="Only what concerns this tenant.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10000, help="At most so many.")] = 50,
) -> None:
    """Tell who did what, on what, when, and how it ended, the newest first. Never what was in a job or document."""
    found = _access().audit.read(limit, denied=denied, tenant=tenant)
    if io.json:
        io.document([entry.model_dump(mode="json") for entry in found])
        return
    if not found:
        io.note("Nothing was refused." if denied else "Nothing is written down.")
        return
    rows = [
        (
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            entry.who,
            entry.tenant,
            entry.action,
            entry.subject,
            entry.outcome + (f" ({entry.count} times)" if entry.count > 1 else ""),
        )
        for entry in found
    ]
    io.table(("when (UTC)", "who", "tenant", "what", "on what", "outcome"), rows)


def span_of(text: str) -> float:
    """Seconds in words such as 30d, 12h, 90m, 10s.

    Raises:
        UsageInvalid: it is no span of time.
    """
    from gateway.errors import UsageInvalid

    found = re.fullmatch(r"(\d{1,9})([smhdw])", text.strip())
    if found is None:
        raise UsageInvalid(f"'{text[:40]}' is no span of time.", hint="Write it as 30d, 12h, 90m or 10s.")
    return float(int(found[1]) * _UNITS[found[2]])


def _access() -> Access:
    from gateway.cli.connection import connect

    return connect().service.access


def _tenant() -> str:
    from gateway.cli.connection import settings

    return settings().tenant


def _shown_once(io: Io, key: ApiKey, text: str) -> None:
    if io.json:
        io.document({**key.model_dump(mode="json"), "key": text})
        return
    io.text(text)
    io.note(f"Keep it now: it is not shown again. Tenant {key.tenant}, {_brief(key)}.")
    if key.old_until is not None:
        io.note(f"The secret before works until {key.old_until:%Y-%m-%d %H:%M} UTC.")


def _brief(key: ApiKey) -> str:
    words = "publishable" if key.publishable else " ".join(key.scopes)
    return words + (f" in {', '.join(key.collections)}" if key.collections is not None else "")


def _day(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M}" if instant is not None else "-"
