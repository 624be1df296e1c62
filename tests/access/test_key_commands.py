"""phiq key, phiq audit, phiq tenants usage; and what an erase of a tenant takes with it."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli.connection import using
from workers.access.access import Access
from workers.service import Service


@pytest.fixture
def phiq(service: Service) -> Callable[..., Any]:
    """Runs a command; with --json its document."""

    def run(*arguments: str, code: int = 0) -> Any:
        with using(service.settings):
            found = CliRunner().invoke(app, list(arguments))
        assert found.exit_code == code, found.output
        return json.loads(found.stdout) if "--json" in arguments else found.stdout

    return run


def test_a_key_is_shown_once_and_lives_its_life(phiq: Callable[..., Any], service: Service):
    text = phiq("key", "create", "--name", "shop", "--tenant", "cli", "--requests", "9", "--expires", "30d").split()[0]
    prefix = text.rsplit("_", 1)[0]
    assert service.access.gate.admit(text).rates[0].most == 9
    for shown in (phiq("key"), phiq("key", "show", prefix), phiq("key", "list", "--json")):
        assert text.rsplit("_", 1)[1] not in str(shown)
    key = phiq("key", "show", text, "--json")
    assert (key["prefix"], key["tenant"], key["name"], key["state"]) == (prefix, "cli", "shop", "active")
    assert "admin" not in key["scopes"]
    new = phiq("key", "rotate", prefix, "--overlap", "0s", "--json")["key"]
    assert service.access.gate.admit(new).principal.tenant == "cli"
    assert phiq("key", "revoke", prefix, "--json")["state"] == "revoked"
    entries = phiq("audit", "--tenant", "cli", "--json")
    assert [one["action"] for one in entries] == ["key.revoke", "key.rotate", "key.create"]
    assert {one["who"] for one in entries} == {f"user {getpass.getuser()}"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("key", "create", "--scope", "everything"), "key_spec_invalid", "everything"),
        (("key", "create", "--publishable"), "key_spec_invalid", "collection"),
        (("key", "create", "--collection", "a", "--scope", "batches"), "key_spec_invalid", "batches"),
        (("key", "create", "--expires", "soon"), "usage", "soon"),
        (("key", "show", "0" * 12), "key_not_found", "0" * 12),
        (("key", "revoke", f"phiq_sk_{'0' * 12}_{'5' * 64}"), "key_not_found", "0" * 12),
        (("tenants", "usage", "--month", "May"), "usage", "May"),
    ],
)
def test_what_can_not_be_is_said(phiq: Callable[..., Any], arguments: tuple[str, ...], code: str, words: str):
    error = phiq(*arguments, "--json", code=2 if code == "usage" else 3)["error"]
    assert error["code"] == code
    assert words in error["message"]
    assert "5" * 64 not in json.dumps(error)
    assert error["hint"]


def test_limits_and_pauses_are_written_down(phiq: Callable[..., Any], service: Service):
    phiq("tenants", "limit", "noted", "--tokens-day", "100")
    phiq("pause", "--tenant", "noted")
    phiq("resume", "--tenant", "noted")
    found = [(one.action, one.subject) for one in service.access.audit.read(3, tenant="noted")]
    assert found == [
        ("resume", "tenant noted"),
        ("pause", "tenant noted"),
        ("tenant.limit", "tenant noted: tokens_day=100"),
    ]
    assert phiq("tenants", "usage", "noted", "--json")["of_day"]["jobs"] == 0


def test_forgetting_a_tenant_takes_its_keys_and_counts_and_nobody_elses(service: Service, make_key: Callable[..., Any]):
    key, text = make_key(tenant="gone", requests=5, jobs=5)
    other, _ = make_key(tenant="stays")
    service.access.gate.admit(text)
    client: Any = service.ledger.scripts.client
    own = service.ledger.scripts.key
    client.hset(own("usage", "tenant", "gone", "2026-01"), "jobs", 1)
    client.hset(own("usage", "tenant", "stays", "2026-01"), "jobs", 1)
    client.hset(own("usage", "key", key.id, "2026-01"), "jobs", 1)
    client.sadd(own("key", "jobs", key.id), "0" * 32)
    assert Access(client, service.settings.key_prefix).forget("gone") == 1
    left = client.keys(own("key", "*")) + client.keys(own("usage", "*"))
    assert not [name for name in left if key.id in name or "gone" in name]
    assert own("usage", "tenant", "stays", "2026-01") in left
    assert service.access.keys.get(other.id).tenant == "stays"
