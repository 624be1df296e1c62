"""What a gateway asks of a request: a key, its scope, its origin, its limits; and what it says about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workers.jobs import parse_job
from workers.service import Service

JOB = {"kind": "complete", "input": {"prompt": "one"}, "model": "fake:echo"}
CHAT = {"kind": "chat", "input": {"messages": [{"role": "user", "content": "one"}], "collection": "manuals"}}
PAGE = "https://shop.example"


def test_without_a_key_nothing_but_health_answers(http: Callable[..., Any]):
    for path in ("/v1/jobs", "/v1/keys", "/metrics", f"/v1/jobs/{'0' * 32}/events"):
        answer = http("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (401, "key_missing"), path
        assert answer.headers["www-authenticate"] == "Bearer"
    assert http("GET", "/healthz").status_code == 200


def test_a_scope_is_needed_and_named(http: Callable[..., Any], make_key: Callable[..., Any], service: Service):
    key, text = make_key(tenant="scoped", scopes={"jobs:read"})
    assert http("GET", "/v1/jobs", text).status_code == 200
    answer = http("POST", "/v1/jobs", text, json=JOB)
    assert (answer.status_code, answer.json()["code"], answer.json()["scope"]) == (403, "scope_missing", "jobs:write")
    assert http("GET", "/v1/keys", text).status_code == 403
    entry = service.access.audit.read(1, denied=True, tenant="scoped")[0]
    assert (entry.who, entry.subject, entry.outcome) == (f"key {key.id}", "GET /v1/keys", "scope_missing")


def test_jobs_carry_the_tenant_and_the_key_and_cannot_claim_others(
    http: Callable[..., Any], make_key: Callable[..., Any], service: Service
):
    key, text = make_key(tenant="a")
    made = http("POST", "/v1/jobs", text, json=JOB).json()
    record = service.get(made["id"], "a")
    assert (record.tenant, record.key) == ("a", key.id)
    assert http("POST", "/v1/jobs", text, json={**JOB, "tenant": "b"}).status_code == 403
    for name, value in (("origin", "batch/x/1"), ("key", "0" * 12)):
        assert http("POST", "/v1/jobs", text, json={**JOB, name: value}).json()["code"] == "job_invalid"


def test_the_same_request_with_another_key_of_the_tenant_is_the_same_job(
    http: Callable[..., Any], make_key: Callable[..., Any]
):
    ids = set()
    for _ in range(2):
        _, text = make_key(tenant="a")
        ids.add(http("POST", "/v1/jobs", text, json={**JOB, "idempotency_key": "once"}).json()["id"])
    assert len(ids) == 1


def test_requests_are_counted_and_answered_with_headers_both_kinds_of_clients_know(
    http: Callable[..., Any], make_key: Callable[..., Any]
):
    _, text = make_key(requests=2)
    first = http("GET", "/v1/jobs", text)
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert first.headers["ratelimit-policy"] == '"requests";q=2;w=60'
    assert http("GET", f"/v1/jobs/{'0' * 32}", text).headers["x-ratelimit-remaining-requests"] == "0"
    refused = http("GET", "/v1/jobs", text)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    assert "rates" not in refused.json()


def test_jobs_at_a_time_are_bounded_and_an_ended_one_makes_room(
    http: Callable[..., Any], make_key: Callable[..., Any], service: Service
):
    key, text = make_key(tenant="busy", jobs=2)
    ids = [http("POST", "/v1/jobs", text, json=JOB).json()["id"] for _ in range(2)]
    refused = http("POST", "/v1/jobs", text, json=JOB)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert "retry-after" in refused.headers
    assert http("POST", f"/v1/jobs/{ids[0]}/cancel", text).status_code == 200
    assert http("POST", "/v1/jobs", text, json=JOB).status_code == 202
    assert http("POST", "/v1/jobs", text, json=JOB).status_code == 429
    service.ledger.forget(ids[1], "busy")
    client: Any = service.ledger.scripts.client
    assert not client.sismember(service.ledger.scripts.key("key", "jobs", key.id), ids[1])
    assert http("POST", "/v1/jobs", text, json=JOB).status_code == 202


def test_a_key_for_some_collections_sees_no_others_and_only_its_own_jobs(
    http: Callable[..., Any], make_key: Callable[..., Any], service: Service
):
    _, text = make_key(tenant="a", collections={"manuals"})
    refused = http("POST", "/v1/jobs", text, json={**CHAT, "input": {**CHAT["input"], "collection": "secret"}})
    assert (refused.status_code, refused.json()["code"]) == (404, "collection_not_found")
    own = http("POST", "/v1/jobs", text, json=CHAT).json()["id"]
    other = service.submit(parse_job({**CHAT, "tenant": "a"})).id
    assert http("GET", f"/v1/jobs/{own}", text).status_code == 200
    assert http("GET", f"/v1/jobs/{other}", text).json()["code"] == "job_not_found"
    assert [job["id"] for job in http("GET", "/v1/jobs", text).json()["data"]] == [own]
    assert http("GET", "/v1/dead", text).status_code == 403


@pytest.fixture
def page_key(make_key: Callable[..., Any]) -> str:
    _, text = make_key(tenant="a", publishable=True, collections={"manuals"}, origins=(PAGE,), visitor=2, address=3)
    return str(text)


def test_a_publishable_key_chats_and_searches_in_its_collection_and_no_more(
    http: Callable[..., Any], page_key: str, service: Service
):
    def ask(method: str, path: str, **more: Any) -> Any:
        return http(method, path, page_key, headers={"Origin": PAGE}, **more)

    made = ask("POST", "/v1/jobs", json=CHAT)
    assert made.status_code == 202, made.text
    assert made.headers["access-control-allow-origin"] == PAGE
    own = made.json()["id"]
    assert ask("GET", f"/v1/jobs/{own}").status_code == 200
    other = service.submit(parse_job({**CHAT, "tenant": "a"})).id
    assert ask("GET", f"/v1/jobs/{other}").json()["code"] == "job_not_found"
    assert ask("POST", f"/v1/jobs/{other}/cancel").json()["code"] == "job_not_found"
    assert ask("GET", "/v1/jobs").status_code == 403
    assert ask("GET", "/v1/keys").status_code == 403
    assert ask("GET", "/v1/documents?collection=manuals").status_code == 403
    assert ask("POST", "/v1/search", json={"query": "one", "collection": "secret"}).status_code == 404
    assert ask("POST", f"/v1/jobs/{own}/replay").status_code == 403


@pytest.mark.parametrize(
    "job",
    [
        JOB,
        {**CHAT, "input": {**CHAT["input"], "collection": None}},
        {**CHAT, "input": {**CHAT["input"], "collection": "secret"}},
        {**CHAT, "model": "fake:echo"},
        {**CHAT, "webhook": "shop"},
        {**CHAT, "delay": 60},
        {**CHAT, "tenant": "b"},
    ],
)
def test_a_publishable_key_submits_nothing_else(http: Callable[..., Any], page_key: str, job: dict[str, Any]):
    assert http("POST", "/v1/jobs", page_key, headers={"Origin": PAGE}, json=job).status_code in (403, 404)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://shop.example", "null", ""])
def test_a_publishable_key_works_in_its_own_pages_only(http: Callable[..., Any], page_key: str, origin: str):
    answer = http("POST", "/v1/jobs", page_key, headers={"Origin": origin} if origin else {}, json=CHAT)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
    assert "access-control-allow-origin" not in answer.headers


def test_one_visitor_has_a_cap_and_one_address_too(http: Callable[..., Any], page_key: str):
    def ask(visitor: str, address: str) -> int:
        sent = {"Origin": PAGE, "X-Phiq-Visitor": visitor}
        return int(http("POST", "/v1/jobs", page_key, client=(address, 1), headers=sent, json=CHAT).status_code)

    assert [ask("ann", "192.0.2.1") for _ in range(3)] == [202, 202, 429]
    assert [ask(f"v{number}", "192.0.2.1") for number in range(2)] == [202, 429]
    assert ask("bob", "192.0.2.2") == 202
    assert [ask(f"w{number}", f"2001:db8::{number}") for number in range(4)] == [202, 202, 202, 429]


def test_keys_are_made_shown_rotated_and_revoked_over_http(
    http: Callable[..., Any], make_key: Callable[..., Any], service: Service
):
    _, admin = make_key(scopes={"admin"}, name="root")
    made = http("POST", "/v1/keys", admin, json={"name": "shop", "tenant": "c"})
    assert made.status_code == 201, made.text
    key = made.json()
    assert http("GET", "/v1/jobs", key["key"]).status_code == 200
    assert "key" not in http("GET", f"/v1/keys/{key['id']}", admin).json()
    assert [one["id"] for one in http("GET", "/v1/keys?tenant=c", admin).json()["data"]] == [key["id"]]
    new = http("POST", f"/v1/keys/{key['id']}/rotate", admin, json={"overlap": 0}).json()["key"]
    assert http("GET", "/v1/jobs", new).status_code == 200
    assert http("POST", f"/v1/keys/{key['prefix']}/revoke", admin).json()["state"] == "revoked"
    assert http("GET", f"/v1/keys/{'0' * 12}", admin).json()["code"] == "key_not_found"
    entries = [(one.action, one.who.split(" ")[0]) for one in service.access.audit.read(3, tenant="c")]
    assert entries == [("key.revoke", "key"), ("key.rotate", "key"), ("key.create", "key")]
    log = str(http("GET", "/v1/audit?tenant=c", admin).json())
    assert key["key"].split("_")[-1] not in log


def test_a_key_that_may_not_write_documents_submits_no_ingest(http: Callable[..., Any], make_key: Callable[..., Any]):
    _, text = make_key(tenant="reader", scopes={"jobs:write"})
    refused = http("POST", "/v1/jobs", text, json={"kind": "ingest", "input": {"files": []}})
    assert (refused.status_code, refused.json()["scope"]) == (403, "documents:write")
