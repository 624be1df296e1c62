"""Who needs no key: this machine's own programs, and no page or proxy that speaks through them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli.connection import using
from gateway.http import peer
from gateway.http.serve import check_keys
from workers.access.errors import KeysMissing
from workers.access.key import KeySpec
from workers.errors import SettingsInvalid
from workers.service import Service
from workers.settings import Settings


@pytest.fixture(scope="module")
def service(keyed_settings: Settings) -> Iterator[Service]:
    """As `phiq up` runs it: on loopback, open to this machine."""
    made = Service.connect(
        keyed_settings.model_copy(update={"require_key": False, "cors_origins": "https://app.example"})
    )
    yield made
    made.close()


def scope_of(client: str, server: str = "127.0.0.1", **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "scheme": "http", "client": (client, 1), "server": (server, 8420), "headers": raw}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:8420"},
        {"Host": "127.0.0.1:8420", "Origin": "http://127.0.0.1:8420"},
        {"Host": "[::1]:8420"},
        {"Origin": "https://app.example"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Authorization": "Bearer none"},
    ],
)
def test_programs_of_this_machine_need_no_key(http: Callable[..., Any], headers: dict[str, str]):
    answer = http("GET", "/v1/jobs", headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8420"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "192.0.2.1"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_from_elsewhere_are_refused_without_a_key(http: Callable[..., Any], headers: dict[str, str]):
    answer = http("GET", "/v1/jobs", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        (("192.0.2.1", 1), {}),
        (("127.0.0.1", 1), {"X-Forwarded-For": "192.0.2.1"}),
        (("127.0.0.1", 1), {"Forwarded": "for=192.0.2.1"}),
        (("127.0.0.1", 1), {"Via": "1.1 proxy"}),
        (("127.0.0.1", 1), {"X-Real-IP": "127.0.0.1"}),
    ],
)
def test_others_and_those_behind_a_proxy_need_one(http: Callable[..., Any], client: Any, headers: dict[str, str]):
    answer = http("GET", "/v1/jobs", client=client, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_missing")


def test_a_bad_key_is_refused_here_too(http: Callable[..., Any]):
    assert http("GET", "/v1/jobs", key=f"phiq_sk_{'0' * 12}_{'0' * 64}").json()["code"] == "key_invalid"


def test_cors_is_closed_but_for_what_is_named(http: Callable[..., Any]):
    def preflight(origin: str) -> Any:
        return http("OPTIONS", "/v1/jobs", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})

    closed = preflight("https://evil.example")
    assert closed.status_code == 403
    assert "access-control-allow-origin" not in closed.headers
    opened = preflight("https://app.example")
    assert opened.status_code == 204
    assert opened.headers["access-control-allow-origin"] == "https://app.example"
    assert "authorization" in opened.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in opened.headers


def test_what_proxies_say_counts_only_as_far_as_they_are_trusted():
    trusted = peer.networks("10.0.0.0/24 ::1")
    said = {"x_forwarded_for": "203.0.113.9, 192.0.2.7, 10.0.0.8"}
    assert peer.client_address(scope_of("198.51.100.1", **said), trusted) == "198.51.100.1"
    assert peer.client_address(scope_of("10.0.0.9", **said), ()) == "10.0.0.9"
    # The leftmost is what the client wrote itself.
    assert peer.client_address(scope_of("10.0.0.9", **said), trusted) == "192.0.2.7"
    assert peer.client_address(scope_of("10.0.0.9", x_forwarded_for="junk, 10.0.0.8"), trusted) == "10.0.0.8"
    with pytest.raises(SettingsInvalid):
        peer.networks("proxy.example")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_beyond_this_machine_the_gateway_does_not_start_without_a_key(
    redis_url: str, settings: Callable[..., Settings], host: str
):
    service = Service.connect(settings(redis_url=redis_url, http_host=host))
    try:
        with pytest.raises(KeysMissing) as caught:
            check_keys(service)
        assert "phiq key create" in caught.value.hint
        key, _ = service.access.create(KeySpec())
        check_keys(service)
        service.access.revoke(key.id)
        with pytest.raises(KeysMissing):
            check_keys(service)
    finally:
        service.close()


def test_the_command_says_so_too(redis_url: str, settings: Callable[..., Settings]):
    with using(settings(redis_url=redis_url)):
        found = CliRunner().invoke(app, ["serve", "--host", "192.0.2.1", "--json"])
    error = json.loads(found.stdout)["error"]
    assert (found.exit_code, error["code"]) == (3, "keys_missing")
    assert "phiq key create" in error["hint"]


def test_on_loopback_it_starts(redis_url: str, settings: Callable[..., Settings]):
    service = Service.connect(settings(redis_url=redis_url))
    check_keys(service)
    service.close()
