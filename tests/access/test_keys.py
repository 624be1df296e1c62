"""Keys: what is kept of them, when they work, and when they stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from workers.access import tokens
from workers.access.errors import KeyNotFound, KeySpecInvalid
from workers.access.gate import Gate
from workers.access.key import KeySpec
from workers.access.principal import KeyInvalid, RateLimited
from workers.access.scripts import AccessScripts
from workers.service import Service


def scripts_of(service: Service) -> AccessScripts:
    return AccessScripts(service.ledger.scripts.client, service.settings.key_prefix)


def admit(service: Service, text: str) -> Any:
    return Gate(scripts_of(service)).admit(text)


def test_only_the_hash_of_a_key_is_kept(service: Service, make_key: Callable[..., Any]):
    key, text = make_key(name="shop", tenant="a")
    client: Any = service.ledger.scripts.client
    kept = json.dumps([client.hgetall(name) for name in client.keys(f"*key:{key.id}*")])
    assert text.split("_")[-1] not in kept
    assert tokens.digest(text) in kept
    assert key.prefix == text[: len(key.prefix)]
    assert len(bytes.fromhex(text.split("_")[-1])) * 8 == 256


def test_a_key_gives_its_tenant_scopes_and_collections(service: Service, make_key: Callable[..., Any]):
    _, text = make_key(tenant="a", scopes={"jobs:read"}, collections={"manuals"})
    who = admit(service, text).principal
    assert (who.tenant, who.scopes, who.collections) == ("a", {"jobs:read"}, {"manuals"})
    assert who.may("jobs:read")
    assert not who.may("admin")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
        lambda text: text.replace("phiq_sk_", "phiq_pk_"),
        lambda text: text[:20],
        lambda text: "",
        lambda text: f"phiq_sk_{tokens.new_id()}_{'0' * 64}",
    ],
)
def test_what_is_not_the_key_is_refused(service: Service, make_key: Callable[..., Any], spoil: Any):
    _, text = make_key()
    with pytest.raises(KeyInvalid) as caught:
        admit(service, spoil(text))
    assert text.split("_")[-1] not in str(caught.value.to_dict())


def test_a_revoked_key_is_refused_at_once_by_who_has_not_seen_it_and_within_seconds_by_who_has(
    service: Service, make_key: Callable[..., Any], wait_until: Callable[..., Any]
):
    key, text = make_key()
    knows = Gate(scripts_of(service), remembered=0.3)
    knows.admit(text)
    assert knows.recall(text) is not None
    service.access.revoke(key.prefix)
    with pytest.raises(KeyInvalid, match="revoked"):
        admit(service, text)
    wait_until(lambda: knows.recall(text) is None, 5, "the memory of it over")
    with pytest.raises(KeyInvalid, match="revoked"):
        knows.admit(text)


def test_a_key_stops_at_its_expiry(service: Service, make_key: Callable[..., Any], wait_until: Callable[..., Any]):
    key, text = make_key(expires_in=0.2)
    admit(service, text)
    wait_until(lambda: service.access.keys.get(key.id).state == "expired", 5)
    with pytest.raises(KeyInvalid, match="expired"):
        admit(service, text)


def test_after_a_rotation_both_secrets_work_for_the_overlap_and_the_limits_are_the_same_ones(
    service: Service, make_key: Callable[..., Any]
):
    key, old = make_key(requests=3)
    admit(service, old)
    rotated, new = service.access.rotate(key.id, overlap=60)
    assert rotated.id == key.id
    assert rotated.last_used_at is None
    assert rotated.old_used_at is not None
    assert admit(service, old).rates[0].left == 1
    assert admit(service, new).rates[0].left == 0
    assert service.access.keys.get(key.id).last_used_at is not None
    with pytest.raises(RateLimited):
        admit(service, new)


def test_without_overlap_the_old_secret_is_dead(service: Service, make_key: Callable[..., Any]):
    key, old = make_key()
    _, new = service.access.rotate(key.id, overlap=0)
    admit(service, new)
    with pytest.raises(KeyInvalid):
        admit(service, old)
    service.access.revoke(key.id)
    with pytest.raises(KeySpecInvalid):
        service.access.rotate(key.id)


def test_last_use_is_written_once_a_minute(service: Service, make_key: Callable[..., Any]):
    key, text = make_key()
    assert service.access.keys.get(key.id).last_used_at is None
    admit(service, text)
    first = service.access.keys.get(key.id).last_used_at
    assert first is not None
    admit(service, text)
    assert service.access.keys.get(key.id).last_used_at == first


def test_a_key_is_looked_at_in_one_round_trip(service: Service, make_key: Callable[..., Any]):
    _, text = make_key(requests=100)
    gate = Gate(scripts_of(service))
    gate.admit(text)
    client: Any = service.ledger.scripts.client

    def calls() -> int:
        return sum(int(kind["calls"]) for name, kind in client.info("commandstats").items() if "evalsha" in name)

    before = calls()
    gate.admit(text)
    assert calls() == before + 1


def test_several_gateways_share_a_limit_and_the_headers_tell(service: Service, make_key: Callable[..., Any]):
    from workers.access.gate import headers

    _, text = make_key(requests=4, tokens=1000)
    for left in (3, 2, 1, 0):
        rates = admit(service, text).rates
        assert headers(rates)["x-ratelimit-remaining-requests"] == str(left)
    assert headers(rates)["RateLimit-Policy"] == '"requests";q=4;w=60, "tokens";q=1000;w=60'
    assert headers(rates)["RateLimit"].startswith('"requests";r=0;t=')
    with pytest.raises(RateLimited) as caught:
        admit(service, text)
    assert 0 < caught.value.details["retry_after"] <= 15


def test_another_tenants_key_does_not_exist(service: Service, make_key: Callable[..., Any]):
    key, _ = make_key(tenant="a")
    for ask in (service.access.keys.get, service.access.keys.rotate, service.access.keys.revoke):
        with pytest.raises(KeyNotFound) as caught:
            ask(key.id, "b")
        assert caught.value.message == f"There is no key {key.id}."
    assert key.id not in [one.id for one in service.access.keys.list("b")]


@pytest.mark.parametrize(
    "values",
    [
        {"scopes": {"everything"}},
        {"scopes": set()},
        {"publishable": True, "origins": ("https://shop.example",)},
        {"publishable": True, "collections": {"a", "b"}, "origins": ("https://shop.example",)},
        {"publishable": True, "collections": {"a"}},
        {"publishable": True, "collections": {"a"}, "origins": ("https://*.example",)},
        {"publishable": True, "collections": {"a"}, "origins": ("shop.example",)},
        {"publishable": True, "collections": {"a"}, "origins": ("https://a.example",), "scopes": {"admin"}},
        {"origins": ("https://shop.example",)},
        {"name": "a\nb"},
        {"tenant": "../x"},
    ],
)
def test_a_key_that_can_not_be_is_not_made(values: dict[str, Any]):
    with pytest.raises(ValueError):
        KeySpec(**values)
