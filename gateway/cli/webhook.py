"""webhook add, list, show, test, rotate, enable, remove, deliveries, replay, drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli.command import command
from gateway.cli.group import bare_list
from gateway.cli.io import Io

if TYPE_CHECKING:
    from gateway.client import Client
    from workers.webhooks import Delivery, Endpoint

PANEL = "Operations"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The endpoint's name.")]
Tenant = Annotated[str | None, typer.Option("--tenant", "-t", help="Of this tenant instead of PHIQ_TENANT.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = bare_list(help="Webhooks: addresses that are told what happens.")
    command(group, "add")(add)
    command(group, "list")(list_endpoints)
    command(group, "test")(send_test)
    for function in (show, rotate, enable, remove, deliveries, replay, drop):
        command(group, function.__name__)(function)
    app.add_typer(group, name="webhook", rich_help_panel=PANEL)


def add(
    io: Io,
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to POST: a public https address.")],
    events: Annotated[
        list[str] | None,
        typer.Option("--event", "-e", help="job.*, batch.completed, … (may be repeated). Default: all three families."),
    ] = None,
    kinds: Annotated[list[str] | None, typer.Option("--kind", "-k", help="Jobs of this kind only.")] = None,
    origin: Annotated[str, typer.Option(help="Only what came from schedule/NAME or batch/ID.")] = "",
    lines: Annotated[bool, typer.Option("--batch-lines", help="Each line of a batch too.")] = False,
    named: Annotated[bool, typer.Option("--named", help="Of jobs only those that name this endpoint.")] = False,
    include: Annotated[
        list[str] | None,
        typer.Option("--include", help="Contents to send along: result, metadata. Default: ids, states, links."),
    ] = None,
    tenant: Tenant = None,
) -> None:
    """Add an endpoint and show its secret, this once."""
    from workers.webhooks.webhooks import parse_new

    client, whose = _client(tenant)
    filters: dict[str, Any] = {"kinds": kinds or [], "origin": origin, "batch_lines": lines, "named": named}
    asked: dict[str, Any] = {"name": name, "url": url, "filters": filters, "include": include or []}
    made = client.service.webhooks.add(whose, parse_new(asked | ({"events": events} if events else {})))
    _secret(io, made)


def list_endpoints(io: Io, tenant: Tenant = None) -> None:
    """List the endpoints and how they fare; `phiq webhook` alone does the same."""
    client, whose = _client(tenant)
    found = client.service.webhooks.known(whose)
    if io.json:
        io.document([one.model_dump(mode="json") for one in found])
        return
    if not found:
        io.note("No webhook endpoints. Add one with: phiq webhook add NAME https://…")
        return
    rows = [(one.name, _standing(one), ", ".join(one.events), one.url, one.last_error) for one in found]
    io.table(("name", "state", "events", "url", "last error"), rows)


def show(io: Io, name: Name, tenant: Tenant = None) -> None:
    """Show an endpoint: what it is told, how it fares."""
    client, whose = _client(tenant)
    _shown(io, client.service.webhooks.get(whose, name))


def send_test(io: Io, name: Name, tenant: Tenant = None) -> None:
    """Send an endpoint a test now, and wait for the first try's outcome."""
    import time

    client, whose = _client(tenant)
    webhooks = client.service.webhooks
    sent = webhooks.test(whose, name)
    until = time.monotonic() + client.settings.webhook_seconds + 5
    while not sent.tries or sent.state == "sending":
        if time.monotonic() > until:
            io.note("Nobody has sent it yet: is a worker running? (phiq workers)")
            break
        time.sleep(0.2)
        sent = webhooks.delivery(whose, sent.id)
    _delivery(io, sent)


def rotate(
    io: Io,
    name: Name,
    overlap: Annotated[float, typer.Option(help="Hours for which the old secret signs too.", min=0, max=720)] = 24.0,
    tenant: Tenant = None,
) -> None:
    """Give an endpoint a new secret and show it; until the old one ends, both sign."""
    client, whose = _client(tenant)
    _secret(io, client.service.webhooks.rotate(whose, name, overlap * 3600))


def enable(io: Io, name: Name, tenant: Tenant = None) -> None:
    """Send to a disabled endpoint again; `phiq webhook replay --endpoint NAME` sends what it missed."""
    client, whose = _client(tenant)
    _shown(io, client.service.webhooks.enable(whose, name))


def remove(io: Io, name: Name, tenant: Tenant = None) -> None:
    """Remove an endpoint and what is on its way to it."""
    client, whose = _client(tenant)
    client.service.webhooks.remove(whose, name)
    _done(io, name, "removed")


def deliveries(
    io: Io,
    endpoint: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only to this endpoint.")] = None,
    state: Annotated[
        Literal["pending", "sending", "delivered", "dead"] | None, typer.Option(help="Only these; dead: dead letters.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most this many.", min=1)] = 50,
    tenant: Tenant = None,
) -> None:
    """List deliveries, the latest first."""
    client, whose = _client(tenant)
    found = client.service.webhooks.deliveries(whose, endpoint, state, limit)
    if io.json:
        io.document([one.model_dump(mode="json") for one in found])
        return
    if not found:
        io.note("No deliveries.")
        return
    rows = [
        (one.id, one.endpoint, one.type, one.state, str(one.tries), str(one.status or ""), one.error) for one in found
    ]
    io.table(("id", "endpoint", "event", "state", "tries", "status", "error"), rows)


def replay(
    io: Io,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="The deliveries' ids.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Instead: all dead letters of this endpoint.")] = None,
    tenant: Tenant = None,
) -> None:
    """Send deliveries again under their webhook-ids."""
    client, whose = _client(tenant)
    for one in _chosen(client, whose, ids, endpoint):
        _done(io, one, client.service.webhooks.replay(whose, one).state)


def drop(
    io: Io,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="The deliveries' ids.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Instead: all dead letters of this endpoint.")] = None,
    tenant: Tenant = None,
) -> None:
    """Forget deliveries."""
    client, whose = _client(tenant)
    for one in _chosen(client, whose, ids, endpoint):
        client.service.webhooks.drop(whose, one)
        _done(io, one, "dropped")


def _client(tenant: str | None) -> tuple[Client, str]:
    from gateway.cli.connection import connect

    client = connect()
    return client, client.settings.tenant if tenant is None else tenant


def _chosen(client: Client, tenant: str, ids: list[str] | None, endpoint: str | None) -> list[str]:
    from gateway.errors import UsageInvalid

    if bool(ids) == (endpoint is not None):
        raise UsageInvalid("Name deliveries, or an endpoint with --endpoint.", hint="phiq webhook deliveries")
    if endpoint is None:
        return ids or []
    return [one.id for one in client.service.webhooks.deliveries(tenant, endpoint, "dead", 100_000)]


def _standing(one: Endpoint) -> str:
    return "disabled" if one.disabled_at else "failing" if one.failing_since else "fine"


def _secret(io: Io, made: Endpoint) -> None:
    secret = made.secrets[0].value.get_secret_value()
    if io.json:
        io.document({**made.model_dump(mode="json"), "secret": secret})
        return
    io.text(f"{made.name}: {made.url}")
    io.text(f"secret: {secret}")
    io.note("Keep it where signatures are verified; it is not shown again (phiq webhook rotate makes another).")


def _shown(io: Io, one: Endpoint) -> None:
    if io.json:
        io.document(one.model_dump(mode="json"))
        return
    why = f": {one.disabled_why}" if one.disabled_why else ""
    lines = [("url", one.url), ("state", _standing(one) + why), ("events", ", ".join(one.events))]
    set_filters = one.filters.model_dump(exclude_defaults=True)
    lines += [(name.replace("_", " "), str(value)) for name, value in set_filters.items()]
    lines += [("sends along", ", ".join(one.include))] if one.include else []
    lines += [("last delivered", one.delivered_at.isoformat(timespec="seconds"))] if one.delivered_at else []
    lines += [("last error", one.last_error)] if one.last_error else []
    io.text("\n".join([one.name, *(f"  {label:<15} {value}" for label, value in lines)]))
    if one.disabled_at:
        io.note(f"Nothing is sent to it; begin again with: phiq webhook enable {one.name}")


def _delivery(io: Io, one: Delivery) -> None:
    if io.json:
        io.document(one.model_dump(mode="json"))
        return
    said = f" ({one.error})" if one.error else f" ({one.status})" if one.status else ""
    io.text(f"{one.id} {one.type} to {one.endpoint}: {one.state}{said}")


def _done(io: Io, what: str, state: str) -> None:
    if io.json:
        io.document({"id": what, "state": state}, line=True)
    else:
        io.text(f"{what} {state}")
