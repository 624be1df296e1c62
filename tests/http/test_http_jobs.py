"""/v1/jobs over a real uvicorn, Redis and worker."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from gateway.http import jobs
from workers.errors import EngineDown


def test_a_job_submitted_over_http_runs(gateway: Any, worker: subprocess.Popen[bytes], wait_until: Callable[..., Any]):
    job_id = gateway.submit("one two three")

    def done() -> Any:
        record = gateway.http.get(f"/v1/jobs/{job_id}").json()
        return record if record["state"] == "succeeded" else None

    record = wait_until(done, what="the job done")
    assert record["result"]["text"] == "one two three"


def test_an_unknown_id_is_a_problem_with_a_code(gateway: Any):
    answer = gateway.http.get(f"/v1/jobs/{'0' * 32}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "job_not_found"
    assert answer.json()["hint"]


def test_a_list_is_filtered_and_paged(gateway: Any):
    mine = [
        gateway.submit(f"text {number}", subject="anna" if number % 2 else "ben", lane="batch", delay=3600)
        for number in range(7)
    ]

    def ids(**query: Any) -> list[str]:
        """Of all pages."""
        found, url = [], "/v1/jobs"
        params: dict[str, Any] | None = {"limit": 2, **query}
        while True:
            answer = gateway.http.get(url, params=params)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert len(page["data"]) <= 2
            found += [job["id"] for job in page["data"]]
            if page["next"] is None:
                assert "link" not in answer.headers
                return found
            url, params = answer.links["next"]["url"], None
            assert page["next"] in url

    latest = mine[::-1]
    assert ids(lane="batch") == latest
    assert ids(subject="anna") == latest[1::2]
    assert ids(lane="batch", state=["succeeded"]) == []
    assert ids(lane="batch", state=["queued", "delayed"]) == latest
    assert ids(lane="batch", kind="chat") == []
    assert ids(lane="batch", model="fake:echo") == latest
    third = gateway.http.get(f"/v1/jobs/{mine[3]}").json()["submitted_at"]
    assert ids(lane="batch", since=third) == latest[:4]
    assert ids(lane="batch", until=third) == latest[4:]
    assert gateway.http.get("/v1/jobs", params={"before": "0" * 32}).json()["code"] == "job_not_found"


def test_a_filter_that_leaves_little_comes_in_pages_too(gateway: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobs, "_LOOK", 1)
    monkeypatch.setattr("workers.ledger.pages._AT_ONCE", 2)
    rare = gateway.submit("rare", subject="rare")
    for number in range(5):
        gateway.submit(f"other {number}")
    found, before, pages = [], None, 0
    while not found:
        page = gateway.http.get("/v1/jobs", params={"subject": "rare", **({"before": before} if before else {})}).json()
        found, before, pages = page["data"], page["next"], pages + 1
    assert ([job["id"] for job in found], pages > 1) == ([rare], True)


def test_an_idempotency_key_is_a_header_too(gateway: Any):
    job = {"kind": "complete", "input": {"prompt": "once"}, "model": "fake:echo"}
    first, second = (
        gateway.http.post("/v1/jobs", json=job, headers={"Idempotency-Key": "k1"}).json()["id"] for _ in range(2)
    )
    assert first == second
    other = gateway.http.post("/v1/jobs", json=job | {"lane": "batch"}, headers={"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_a_job_is_cancelled_and_run_again(gateway: Any):
    job_id = gateway.submit("later", delay=3600)
    waiting = gateway.http.get(f"/v1/jobs/{job_id}/waiting").json()
    assert (waiting["reason"], waiting["expected_start"] > 3000) == ("delayed", True)
    too_early = gateway.http.post(f"/v1/jobs/{job_id}/replay")
    assert (too_early.status_code, too_early.json()["code"]) == (409, "not_replayable")
    assert gateway.http.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "cancelled"
    assert gateway.http.post(f"/v1/jobs/{job_id}/replay").json()["state"] == "queued"


def test_the_end_of_a_job_can_be_waited_for(gateway: Any, worker: subprocess.Popen[bytes]):
    job_id = gateway.submit("to the end")
    assert gateway.http.get(f"/v1/jobs/{job_id}", params={"wait": 20}).json()["state"] == "succeeded"
    late = gateway.submit("much later", delay=3600)
    assert gateway.http.get(f"/v1/jobs/{late}", params={"wait": 0.1}).json()["state"] == "delayed"


def test_dead_letters_are_listed_and_dropped(gateway: Any, make_gateway: Callable[..., Any]):
    gateway = make_gateway(gateway.settings.model_copy(update={"key_prefix": "h-no-worker"}))
    job_id = gateway.submit("dies", max_attempts=1)
    attempt = gateway.service.ledger.claim(job_id, "by-hand")
    attempt.fail(EngineDown("gone", subject="fake"))
    (letter,) = gateway.http.get("/v1/dead", params={"code": "engine_down"}).json()["data"]
    assert (letter["id"], letter["state"]) == (job_id, "dead")
    assert gateway.http.delete(f"/v1/dead/{job_id}").status_code == 204
    assert gateway.http.get(f"/v1/jobs/{job_id}").status_code == 404
    assert gateway.http.delete(f"/v1/dead/{job_id}").json()["code"] == "job_not_found"


def test_the_installation_is_seen_and_held_back(gateway: Any, worker: subprocess.Popen[bytes]):
    (info,) = gateway.http.get("/v1/workers").json()["data"]
    assert (info["name"], info["slots"]) == ("w1", 4)
    assert gateway.http.post("/v1/queues/pause", json={"queue": "vision.batch"}).status_code == 204
    assert gateway.http.get("/v1/queues").json()["paused"] == ["vision.batch"]
    assert gateway.http.post("/v1/queues/resume", json={"queue": "vision.batch"}).status_code == 204
    assert gateway.http.get("/v1/queues").json()["paused"] == []
    assert gateway.http.post("/v1/queues/pause", json={}).json()["code"] == "queue_unknown"
    assert gateway.http.put("/v1/tenants/anna/limits", json={"running": 3}).status_code == 204
    (anna,) = (one for one in gateway.http.get("/v1/tenants").json()["data"] if one["name"] == "anna")
    assert anna["limits"]["running"] == 3


def test_models_are_listed_in_openais_shape(gateway: Any, worker: subprocess.Popen[bytes]):
    gateway.http.get(f"/v1/jobs/{gateway.submit('load it')}", params={"wait": 20})
    listed = gateway.http.get("/v1/models").json()
    assert listed["object"] == "list"
    by_id = {model["id"]: model for model in listed["data"]}
    assert by_id["extractive"]["default"] is True
    assert gateway.http.get("/v1/models/extractive").json() == by_id["extractive"]
    missing = gateway.http.get("/v1/models/nothing:here")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


def test_readiness_asks_redis_and_may_ask_for_workers(
    gateway: Any, worker: subprocess.Popen[bytes], make_gateway: Callable[..., Any]
):
    assert gateway.http.get("/readyz").json() == {"status": "ok", "workers": 1}
    short = gateway.http.get("/readyz", params={"workers": 2})
    assert (short.status_code, short.json()["code"]) == (503, "no_workers")
    # Nobody listens at this address: the process answers, and says that it can't work.
    lost = make_gateway(gateway.settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")}))
    assert lost.http.get("/healthz").status_code == 200
    unready = lost.http.get("/readyz")
    assert (unready.status_code, unready.json()["code"]) == (503, "redis_unavailable")
    assert unready.headers["retry-after"]


def test_requests_that_dont_fit_say_where(gateway: Any):
    wrong = gateway.http.post("/v1/jobs", json={"kind": "complete", "input": {"prompt": ""}, "secret": 1})
    assert wrong.status_code == 400
    assert wrong.json()["code"] == "request_invalid"
    assert {error["field"] for error in wrong.json()["errors"]} == {
        "body.complete.input.prompt",
        "body.complete.secret",
    }
    for content in (b"{", b"[" * 40_000, b"1" * 10_000, b"\xff"):
        bad = gateway.http.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})
        assert (bad.status_code, bad.headers["content-type"]) == (400, "application/problem+json"), bad.text
    plain = gateway.http.post("/v1/jobs", content=b"{}", headers={"Content-Type": "text/plain"})
    assert (plain.status_code, plain.json()["code"]) == (415, "content_type_unsupported")
    assert gateway.http.get("/v1/nothing").json()["code"] == "not_found"
    assert gateway.http.put("/v1/jobs").json()["code"] == "method_not_allowed"


def test_the_page_describes_every_answer_and_has_examples(gateway: Any):
    page = gateway.http.get("/openapi.json").json()
    assert "HTTPValidationError" not in str(page)
    for path, operations in page["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (method, path)
            assert operation.get("tags"), (method, path)
            assert operation.get("description"), (method, path)
            if path.startswith("/v1/"):
                assert {"400", "401", "403", "429", "503"} <= set(operation["responses"]), (method, path)
    assert set(page["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["examples"]) >= {"chat"}
    schemas = page["components"]["schemas"]
    for name, schema in schemas.items():
        whole = {**schema, "components": {"schemas": schemas}}
        for example in schema.get("examples", []):
            wrong = [str(error.message) for error in Draft202012Validator(whole).iter_errors(example)]
            assert not wrong, (name, wrong)
