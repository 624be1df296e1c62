"""Over every route there is: another tenant's ids are answered exactly as ids that do not exist."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chromadb
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from agents.contract import DescriptionResult
from agents.contract.describe import MaskedPicture
from gateway.http.app import ROUTERS
from knowledge.errors import PhiqError
from knowledge.store import chroma_name
from workers.access.key import KeySpec
from workers.access.principal import SCOPES
from workers.errors import EngineLost
from workers.jobs import parse_job
from workers.service import Service
from workers.settings import Settings

JOB = {"kind": "complete", "input": {"prompt": "only mine"}, "model": "fake:echo"}
OPEN = {"/healthz", "/readyz"}
NOT_OF_TENANTS = {"/v1/models/{model}"}
"""Models are the machine's, for everybody."""
OF_ADMINS = (
    "/v1/keys",
    "/v1/tenants",
    "/v1/queues",
    "/v1/workers",
    "/v1/audit",
    "/v1/stats",
    "/v1/usage/of",
    "/metrics",
)
BODIES: dict[tuple[str, str], Any] = {("PATCH", "/v1/schedules/{name}"): {"cron": "0 7 * * *"}}
ROUTES = sorted(
    {
        (method, route.path.replace(":path", ""))
        for module in ROUTERS
        for route in module.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
)
LOOKING = [(method, path) for method, path in ROUTES if "{" in path and path not in NOT_OF_TENANTS]
OURS = [(method, path) for method, path in LOOKING if not path.startswith(OF_ADMINS)]


@dataclass
class Tenants:
    """Two tenants' keys, what the first one has, and ids of the same form that nobody has."""

    mine: str
    theirs: str
    ids: dict[str, str]
    missing: dict[str, str]
    dead: str = ""
    described: str = ""

    def of(self, path: str, ids: dict[str, str]) -> dict[str, str]:
        """The values for a path's parameters."""
        values = dict(ids)
        if path.startswith("/v1/dead") and ids is self.ids:
            values["job_id"] = self.dead
        if path.endswith("/files/{ref}") and ids is self.ids:
            values["job_id"] = self.described
        named = {"collections": "collection", "webhooks": "webhook"}
        values["name"] = values[named.get(path.split("/")[2], "schedule")]
        return values


@pytest.fixture(scope="module")
def keyed_settings(redis_server: str, chroma_server: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """With a Chroma, and addresses that webhooks may go to."""
    folder: Path = tmp_path_factory.mktemp("tenants")
    return Settings(
        data_dir=folder,
        redis_url=redis_server,
        chroma_url=chroma_server,
        key_prefix=f"t{secrets.token_hex(4)}",
        allow_fake_engine=True,
        require_key=True,
    )


@pytest.fixture(scope="module")
def tenants(service: Service, app: FastAPI, ask: Callable[..., Any]) -> Tenants:
    """Everything a tenant can have, of tenant ``mine``."""
    del app
    own = SCOPES - {"admin"}
    _, mine = service.access.create(KeySpec(tenant="mine", scopes=own))
    _, theirs = service.access.create(KeySpec(tenant="theirs", scopes=own))
    job_id = service.submit(parse_job({**JOB, "tenant": "mine"})).id
    dead = _dead_letter(service)
    described, ref = _with_a_picture(service)
    line = json.dumps({"custom_id": "1", "job": JOB}).encode() + b"\n"
    file = ask("POST", "/v1/files", mine, files={"file": ("in.jsonl", line)}, data={"purpose": "batch"})
    assert file.status_code == 200, file.text
    batch = ask("POST", "/v1/batches", mine, json=_batch(file.json()["id"]))
    assert batch.status_code == 200, batch.text
    schedule = ask("POST", "/v1/schedules", mine, json={"name": "mine", "cron": "0 6 * * *", "job": JOB})
    assert schedule.status_code == 201, schedule.text
    hook = ask("POST", "/v1/webhooks", mine, json={"name": "mine", "url": "https://8.8.8.8/", "events": ["job.*"]})
    assert hook.status_code == 201, hook.text
    delivery = ask("POST", "/v1/webhooks/mine/test", mine)
    assert delivery.status_code == 202, delivery.text
    collection = f"notes-{secrets.token_hex(4)}"
    _ingested(service.settings.chroma_url or "", collection)
    ids = {
        "job_id": job_id,
        "file_id": file.json()["id"],
        "batch_id": batch.json()["id"],
        "schedule": "mine",
        "webhook": "mine",
        "delivery_id": delivery.json()["id"],
        "collection": collection,
        "document_id": base64.urlsafe_b64encode(b"a.md").decode().rstrip("="),
        "ref": ref,
    }
    missing = {
        **{name: _other(value) for name, value in ids.items()},
        "schedule": "none",
        "webhook": "none",
        "collection": "none",
        "document_id": base64.urlsafe_b64encode(b"b.md").decode().rstrip("="),
    }
    return Tenants(mine, theirs, ids, missing, dead, described)


@pytest.mark.parametrize(("method", "path"), OURS)
def test_anothers_is_answered_as_what_does_not_exist(ask: Callable[..., Any], tenants: Tenants, method: str, path: str):
    def answer(values: dict[str, str]) -> tuple[int, str]:
        values = tenants.of(path, values)
        body = BODIES.get((method, path))
        url = path.format(**values)
        if path.startswith("/v1/documents"):
            url += f"?collection={values['collection']}"
        found = ask(method, url, tenants.theirs, **({"json": body} if body is not None else {}))
        text = found.text.replace(base64.b64decode(values["document_id"] + "===").decode(), "ID")
        for name in sorted(values.values(), key=len, reverse=True):
            text = text.replace(name, "ID")
        return found.status_code, text

    foreign, missing = answer(tenants.ids), answer(tenants.missing)
    assert foreign[0] == 404, foreign
    assert foreign == missing


@pytest.mark.parametrize("path", [path for method, path in OURS if method == "GET" and not path.endswith("/events")])
def test_ones_own_is_there(ask: Callable[..., Any], tenants: Tenants, path: str):
    """Else the test above would prove nothing."""
    values = tenants.of(path, tenants.ids)
    url = path.format(**values) + (f"?collection={values['collection']}" if path.startswith("/v1/documents") else "")
    found = ask("GET", url, tenants.mine)
    assert found.status_code == 200, found.text


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "GET" and "{" not in path])
def test_lists_show_nothing_of_anothers(ask: Callable[..., Any], tenants: Tenants, path: str):
    found = ask("GET", path, tenants.theirs)
    if path in OPEN:
        return
    if path.startswith(OF_ADMINS):
        assert found.status_code == 403, found.text
        return
    assert found.status_code in (200, 404, 422, 400), found.text
    for name, value in tenants.ids.items():
        if name not in ("schedule", "webhook", "document_id"):
            assert value not in found.text, name
    assert '"mine"' not in found.text


@pytest.mark.parametrize(("method", "path"), [one for one in ROUTES if one[1] not in OPEN])
def test_every_route_asks_for_a_key(ask: Callable[..., Any], tenants: Tenants, method: str, path: str):
    found = ask(method, path.format_map(_Any()))
    assert (found.status_code, _code(found)) == (401, "key_missing"), path
    bad = ask(method, path.format_map(_Any()), f"phiq_sk_{'0' * 12}_{'0' * 64}")
    assert (bad.status_code, _code(bad)) == (401, "key_invalid"), path


@pytest.mark.parametrize(("method", "path"), [one for one in ROUTES if one[1].startswith(OF_ADMINS)])
def test_what_is_the_installations_is_for_admins(ask: Callable[..., Any], tenants: Tenants, method: str, path: str):
    assert ask(method, path.format_map(_Any()), tenants.theirs).status_code == 403


@pytest.mark.parametrize("name", ["tenant", "batch", "schedule"])
def test_nobody_submits_for_another_tenant(ask: Callable[..., Any], tenants: Tenants, service: Service, name: str):
    job = {**JOB, "tenant": "mine"}
    if name == "tenant":
        assert ask("POST", "/v1/jobs", tenants.theirs, json=job).status_code == 403
    elif name == "schedule":
        ask("POST", "/v1/schedules", tenants.theirs, json={"name": "x", "cron": "0 6 * * *", "job": job})
        ask("POST", "/v1/schedules/x/run", tenants.theirs)
    else:
        line = json.dumps({"custom_id": "1", "job": job}).encode() + b"\n"
        file = ask("POST", "/v1/files", tenants.theirs, files={"file": ("in.jsonl", line)}, data={"purpose": "batch"})
        assert ask("POST", "/v1/batches", tenants.theirs, json=_batch(file.json()["id"])).status_code in (200, 400)
        foreign = ask("POST", "/v1/batches", tenants.theirs, json=_batch(tenants.ids["file_id"]))
        assert foreign.status_code == 404
    assert len(service.list("mine")) == 3


def test_there_is_no_route_that_these_tests_do_not_know(app: FastAPI):
    assert set(app.openapi()["paths"]) == {path for _, path in ROUTES}


def _batch(file_id: str) -> dict[str, str]:
    return {"input_file_id": file_id, "endpoint": "/v1/jobs", "completion_window": "24h"}


class _Any(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "0" * 32


def _code(answer: Any) -> str:
    found = answer.json()
    return str(found.get("code") or found["error"]["code"])


def _other(value: str) -> str:
    """An id of the same form."""
    return value[:-6] + ("abcdef" if not value.endswith("abcdef") else "012345")


def _dead_letter(service: Service) -> str:
    record = service.submit(parse_job({**JOB, "tenant": "mine", "max_attempts": 1}))
    attempt = service.ledger.claim(record.id, "w1")
    assert attempt is not None
    error: PhiqError = EngineLost("gone")
    attempt.fail(error)
    return record.id


def _with_a_picture(service: Service) -> tuple[str, str]:
    """A job that has ended with a masked picture, and the picture's reference."""
    picture = service.attach(("a.png", b"no picture, but bytes"))
    job = {"kind": "describe", "input": {"images": [picture.model_dump()]}, "tenant": "mine"}
    record = service.submit(parse_job(job))
    attempt = service.ledger.claim(record.id, "w1")
    assert attempt is not None
    attempt.succeed(DescriptionResult(text="words", masked=[MaskedPicture(name="a.png", picture=picture)]))
    return record.id, picture.ref


def _ingested(url: str, collection: str) -> None:
    port = int(url.rsplit(":", 1)[1])
    client = chromadb.HttpClient(host="127.0.0.1", port=port)
    made = client.create_collection(
        chroma_name("mine", collection),
        embedding_function=None,
        metadata={"phiq_schema": 1, "tenant": "mine", "collection": collection, "embedder": "none", "dimensions": 2},
    )
    made.add(ids=["1"], embeddings=[[0.0, 1.0]], documents=["only mine"], metadatas=[{"source": "a.md", "title": "A"}])
