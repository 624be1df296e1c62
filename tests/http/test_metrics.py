"""/metrics: the whole installation, whichever gateway is asked, in a form that Prometheus reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus


def samples(text, parse=prometheus):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def test_what_workers_did_is_seen_at_every_gateway(gateway, worker, make_gateway, wait_until):
    job = gateway.submit("one two three")
    gateway.service.wait(job, timeout=30)
    gateway.service.cancel(gateway.submit(delay=100.0))
    other = make_gateway(gateway.settings)

    def reported():
        found = samples(other.http.get("/metrics").text)
        return found if any(name == "phiq_tokens_total" for name, *_ in found) else None

    found = wait_until(reported, 20, "the worker's report")
    model = ("model", "fake:echo")
    kind = ("kind", "complete")
    assert found["phiq_jobs_total", kind, model, ("state", "succeeded")] == 1
    assert found["phiq_jobs_total", kind, model, ("state", "cancelled")] == 1
    assert found["phiq_attempts_total", ("outcome", "succeeded")] == 1
    assert found["phiq_tokens_total", ("direction", "out"), model] > 0
    assert found["phiq_job_wait_seconds_count", kind, ("lane", "interactive")] == 1
    assert found["phiq_job_first_text_seconds_bucket", kind, ("le", "+Inf"), model] == 1
    assert found["phiq_attempt_run_seconds_count", kind, model] == 1
    assert found["phiq_workers_total", ("event", "started")] == 1
    assert (found["phiq_slots",], found["phiq_workers_alive",], found["phiq_dead_letters",]) == (4, 1, 0)
    at_hand = [(dict(labels), value) for (name, *labels), value in found.items() if name == "phiq_model_workers"]
    assert [(one["model"], one["how"], value) for one, value in at_hand] == [("fake:echo", "own", 1)]
    assert found["phiq_queue_waiting", ("queue", "generate.interactive")] == 0
    # What a gateway counts of its own requests is its own.
    assert not any(name == "phiq_http_requests_total" and ("route", "/v1/jobs") in labels for name, *labels in found)
    own = samples(gateway.http.get("/metrics").text)
    assert own["phiq_http_requests_total", ("method", "POST"), ("route", "/v1/jobs"), ("status", "202")] == 2


def test_addresses_that_lead_nowhere_and_odd_methods_make_no_series_of_their_own(gateway):
    for number in range(5):
        gateway.http.get(f"/nothing/{number}")
        gateway.http.request(f"ODD{number}", f"/v1/jobs/{number}")
        gateway.http.get(f"/v1/jobs/{number:032x}")
    found = samples(gateway.http.get("/metrics").text)
    routes = {dict(labels)["route"] for name, *labels in found if name == "phiq_http_requests_total"}
    methods = {dict(labels)["method"] for name, *labels in found if name == "phiq_http_requests_total"}
    assert "/v1/jobs/{job_id}" in routes
    assert all(route == "none" or route in gateway.http.get("/openapi.json").json()["paths"] for route in routes)
    assert methods <= {"GET", "POST", "OTHER"}


def test_tenants_are_named_only_when_asked_and_only_so_many(gateway):
    for tenant in ("a1", "a2", "a3"):
        for _ in range(int(tenant[1])):
            gateway.submit(tenant=tenant, delay=50.0)
    assert "phiq_tenant_jobs" not in gateway.http.get("/metrics").text
    found = samples(gateway.http.get("/metrics", params={"tenants": 2}).text)
    named = {dict(labels)["tenant"]: value for (name, *labels), value in found.items() if name == "phiq_tenant_jobs"}
    assert {"a3", "a2", "_other"} == set(named)
    answer = gateway.http.get("/metrics", params={"tenants": 1000})
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")


def test_openmetrics_when_it_is_asked_for(gateway):
    answer = gateway.http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert samples(answer.text, open_metrics)["phiq_workers_alive",] in (0, 1)
    assert gateway.http.get("/metrics").headers["content-type"].startswith("text/plain")


def test_stats_over_http_are_those_of_the_service(gateway):
    gateway.service.cancel(gateway.submit(delay=100.0))
    found = gateway.http.get("/v1/stats", params={"seconds": 60}).json()
    assert found["kinds"]["complete"]["states"]["cancelled"] >= 1
    assert gateway.http.get("/v1/stats", params={"seconds": -1}).status_code == 400


def test_the_dashboard_asks_for_series_that_there_are(gateway, worker, wait_until):
    gateway.service.wait(gateway.submit(), timeout=30)
    board = json.loads((Path(__file__).parents[2] / "docs" / "grafana.json").read_text())
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"phiq_\w+", target["expr"])
    }
    families = re.findall(r"^# TYPE (\S+)", gateway.http.get("/metrics").text, re.MULTILINE)
    there = {f"{name}{end}" for name in families for end in ("", "_bucket")}
    assert asked <= there, asked - there
