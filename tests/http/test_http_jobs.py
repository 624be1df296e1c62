"""/v1/jobs over a real uvicorn, Redis and worker."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any


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
