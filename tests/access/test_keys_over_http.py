"""`phiq key` and `phiq audit` through PHIQ_URL: the same commands, over a real gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from typer.testing import CliRunner

from gateway.cli import app as commands
from gateway.cli.connection import using
from gateway.http.app import create_app
from gateway.http.serve import config
from workers.service import Service
from workers.settings import Settings
from workers.stack.ports import free_port


@pytest.fixture
def url(service: Service, wait_until: Callable[..., Any]) -> Iterator[str]:
    import threading

    port = free_port()
    server = uvicorn.Server(config(create_app(service), service.settings, "127.0.0.1", port))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, 20)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


def test_the_same_commands_over_http(url: str, service: Service, make_key: Callable[..., Any], tmp_path: Any):
    _, admin = make_key(scopes={"admin"})
    there = Settings(data_dir=tmp_path, url=url, api_key=admin)

    def phiq(*arguments: str, code: int = 0) -> Any:
        with using(there):
            found = CliRunner().invoke(commands, [*arguments, "--json"])
        assert found.exit_code == code, found.output
        return json.loads(found.stdout)

    made = phiq("key", "create", "--name", "far", "--tenant", "far", "--requests", "5")
    assert service.access.gate.admit(made["key"]).principal.tenant == "far"
    assert [one["id"] for one in phiq("key", "list", "--tenant", "far")] == [made["id"]]
    assert phiq("key", "show", made["key"])["name"] == "far"
    new = phiq("key", "rotate", made["prefix"], "--overlap", "0s")["key"]
    assert service.access.gate.admit(new)
    assert phiq("tenants", "usage", "far")["of_month"]["jobs"] == 0
    assert phiq("tenants", "usage", "--key", made["id"])["of_month"]["jobs"] == 0
    assert phiq("key", "revoke", made["id"])["state"] == "revoked"
    actions = [one["action"] for one in phiq("audit", "--tenant", "far")]
    assert actions == ["key.revoke", "key.rotate", "key.create"]
    assert phiq("key", "show", "0" * 12, code=3)["error"]["code"] == "key_not_found"
