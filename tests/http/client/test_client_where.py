"""Which phiq the client speaks to, with which key, and what a key for one collection reaches."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.client import Client
from gateway.http import search
from gateway.remote import address
from knowledge.errors import CollectionNotFound
from workers.access.key import KeySpec
from workers.access.principal import KeyInvalid, KeyMissing, ScopeMissing
from workers.settings import Settings
from workers.stack import state

HERE = "http://127.0.0.1:8499"


def of(settings: Settings, url: str | None = None, *, beside_redis: bool = False) -> str | None:
    found = address.of(settings, url, None, beside_redis=beside_redis)
    return None if found is None else found.base


def test_the_nearest_word_counts(tmp_path: Path) -> None:
    plain, elsewhere = Settings(data_dir=tmp_path), Settings(data_dir=tmp_path, url="https://phiq.example/")
    assert of(plain) is None
    assert of(elsewhere) == "https://phiq.example"
    assert of(elsewhere, "http://other.example/v1/") == "http://other.example"
    me = state.current_process()
    state.write(tmp_path, state.StackState(supervisor=me, http_url=HERE))
    assert of(plain) == HERE
    assert of(plain, beside_redis=True) is None
    assert of(elsewhere) == "https://phiq.example"
    assert of(Settings(data_dir=tmp_path, tenant="somebody")) is None
    assert of(Settings(data_dir=tmp_path, redis_url="redis://127.0.0.1:1")) is None
    state.write(tmp_path, state.StackState(supervisor=me.model_copy(update={"started": 1.0}), http_url=HERE))
    assert of(plain) is None, "a stack that is gone is not spoken to"


@pytest.fixture
def closed(make_gateway: Callable[[Settings], Any], redis_server: str, tmp_path: Path) -> Any:
    """A gateway that asks for a key."""
    settings = Settings(
        data_dir=tmp_path, redis_url=redis_server, key_prefix=f"h{secrets.token_hex(4)}", require_key=True
    )
    return make_gateway(settings)


@pytest.mark.service
def test_keys_and_what_they_reach(closed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = closed.service.access.keys
    with Client(closed.url) as client, pytest.raises(KeyMissing) as missing:
        client.jobs()
    assert "PHIQ_API_KEY" in missing.value.hint
    with Client(closed.url, api_key="phiq_sk_wrong") as client, pytest.raises(KeyInvalid):
        client.jobs()
    spec = {"name": "a", "tenant": "somebody"}
    _, reader = keys.make(KeySpec.model_validate({**spec, "scopes": ["jobs:read"]}))
    with Client(closed.url, api_key=reader) as client:
        assert client.jobs() == []
        with pytest.raises(ScopeMissing):
            client.submit("complete", "x", model="extractive")
        with pytest.raises(ScopeMissing):
            client.attach(("a.txt", b"text"))
    _, narrow = keys.make(KeySpec.model_validate({**spec, "collections": ["manuals"]}))
    monkeypatch.setattr(search, "SECONDS", 0.2)
    with Client(closed.url, api_key=narrow) as client:
        with pytest.raises(CollectionNotFound):
            client.submit("search", "x", collection="secrets")
        http = closed.http
        http.headers["Authorization"] = f"Bearer {narrow}"
        for path in ("/v1/documents?collection=secrets", "/v1/collections/secrets"):
            assert http.get(path).json()["code"] == "collection_not_found"
        answer = http.post("/v1/documents", params={"collection": "secrets", "name": "a.txt"}, content=b"text")
        assert answer.json()["code"] == "collection_not_found"
        answer = http.post("/v1/search", json={"query": "x", "collection": "secrets"})
        assert answer.json()["code"] == "collection_not_found"
        # No worker runs here: a search is given up, and nobody does it later.
        answer = http.post("/v1/search", json={"query": "x", "collection": "manuals"})
        assert (answer.status_code, answer.json()["code"]) in [(503, "search_slow"), (503, "no_workers")]
        assert {record.state for record in client.jobs()} <= {"cancelled", "expired"}
