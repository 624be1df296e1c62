"""What jobs use is counted once, in the step that ends them; and who has used up what it may waits."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.contract import CompletionResult, Usage
from workers.access.key import KeySpec
from workers.access.principal import Principal, RateLimited
from workers.access.stamp import asking
from workers.errors import QuotaExceeded
from workers.jobs import Job, parse_job
from workers.ledger import Limits
from workers.service import Service
from workers.sight.logs import JsonFormatter

JOB = {"kind": "complete", "input": {"prompt": "one"}, "model": "fake:echo"}


def job_of(tenant: str, key: str | None = None, **more: Any) -> Job:
    return parse_job({**JOB, "tenant": tenant, **({"key": key} if key else {}), **more})


def run(service: Service, job_id: str, prompt: int, completion: int) -> None:
    attempt = service.ledger.claim(job_id, "w1")
    assert attempt is not None
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion)
    attempt.succeed(CompletionResult(text="one", model="fake:echo", usage=usage))


def test_a_jobs_use_is_counted_for_its_tenant_and_its_key_once(service: Service):
    key, _ = service.access.create(KeySpec(tenant="count"))
    record = service.submit(job_of("count", key.id))
    run(service, record.id, 30, 12)
    for found in (service.access.usage("count"), service.access.usage(key=key.id)):
        assert found.of_day == found.of_month
        assert (found.of_day.jobs, found.of_day.prompt_tokens, found.of_day.completion_tokens) == (1, 30, 12)
    assert service.access.usage("count").day == f"{datetime.now(UTC):%Y-%m-%d}"
    assert service.submit(job_of("count", key.id, idempotency_key="x")).id
    assert service.access.usage("count").of_day.jobs == 1


def test_nothing_is_counted_where_nobody_asks(service: Service):
    run(service, service.submit(job_of("free")).id, 5, 5)
    assert service.access.usage("free").of_month.jobs == 0


@pytest.mark.parametrize(("name", "longest"), [("tokens_day", 86400), ("tokens_month", 31 * 86400)])
def test_a_used_up_quota_refuses_with_when_to_come_back(service: Service, name: str, longest: int):
    tenant = name
    service.set_limits(tenant, Limits(**{name: 100}))
    service.submit(job_of(tenant))
    run(service, service.submit(job_of(tenant)).id, 60, 39)
    last = service.submit(job_of(tenant)).id
    run(service, last, 1, 0)
    with pytest.raises(QuotaExceeded) as caught:
        service.submit(job_of(tenant))
    assert caught.value.details["quota"] == name
    assert 0 < caught.value.details["retry_after"] <= longest
    assert service.submit(job_of("another")).id
    service.set_limits(tenant, Limits(**{name: 1000}))
    assert service.submit(job_of(tenant)).id


def test_the_month_ends_when_it_ends(service: Service):
    """The calendar inside Redis against Python's."""
    client: Any = service.ledger.scripts.client
    script = _prelude()
    for instant in ("1999-12-31T23:59:59", "2000-02-29T00:00:00", "2026-11-23T01:00:00", "2027-01-01", "2100-03-01"):
        moment = datetime.fromisoformat(instant).replace(tzinfo=UTC)
        found = client.eval(f"{script}\nreturn {{date({int(moment.timestamp() * 1000)})}}", 1, "none:")
        assert found == [f"{moment:%Y-%m}", f"{moment:%d}"]


def _prelude() -> str:
    from importlib import resources

    return (resources.files("workers.ledger") / "lua" / "prelude.lua").read_text("utf-8")


def test_seconds_count_whatever_the_outcome(service: Service):
    service.set_limits("slow", Limits(seconds_day=1))
    record = service.submit(job_of("slow", max_attempts=1))
    attempt = service.ledger.claim(record.id, "w1")
    assert attempt is not None
    client: Any = service.ledger.scripts.client
    key = service.ledger.scripts.key("job", record.id)
    client.hincrby(key, "try:1:started", -2500)
    client.hincrby(key, "submitted", -2500)
    service.cancel(record.id, "slow")
    attempt.cancelled()
    assert service.access.usage("slow").of_day.seconds >= 2.5
    with pytest.raises(QuotaExceeded):
        service.submit(job_of("slow"))


def test_a_keys_tokens_of_a_minute_are_taken_when_its_jobs_end(service: Service):
    key, _ = service.access.create(KeySpec(tenant="t", tokens=600))
    run(service, service.submit(job_of("t", key.id)).id, 500, 400)
    with pytest.raises(RateLimited) as caught:
        service.submit(job_of("t", key.id))
    # 300 below nothing, at 10 a second.
    assert 25 < caught.value.details["retry_after"] <= 31
    assert service.submit(job_of("t", key.id, origin="batch/b/1")).id


def test_replayed_jobs_count_against_the_key_and_each_end_once(service: Service):
    key, _ = service.access.create(KeySpec(tenant="again", jobs=1))
    record = service.submit(job_of("again", key.id))
    service.cancel(record.id, "again")
    service.replay(record.id, "again")
    with pytest.raises(RateLimited):
        service.submit(job_of("again", key.id))
    service.cancel(record.id, "again")
    assert service.access.usage(key=key.id).of_day.jobs == 2
    client: Any = service.ledger.scripts.client
    assert client.exists(service.ledger.scripts.key("key", "jobs", key.id)) == 0
    assert service.submit(job_of("again", key.id)).id


def test_what_ended_unseen_is_found_when_the_key_is_full(service: Service):
    key, _ = service.access.create(KeySpec(tenant="u", jobs=1))
    client: Any = service.ledger.scripts.client
    client.sadd(service.ledger.scripts.key("key", "jobs", key.id), "0" * 32)
    assert service.submit(job_of("u", key.id)).id


def test_cancelling_somebody_elses_job_is_written_down(service: Service):
    record = service.submit(job_of("c"))
    mine = service.submit(job_of("c", "0123456789ab"))
    token = asking.set(Principal("c", "0123456789ab", frozenset({"jobs:write"}), name="Anna"))
    try:
        service.cancel(mine.id, "c")
        service.cancel(record.id, "c")
    finally:
        asking.reset(token)
    found = service.access.audit.read(10, tenant="c")
    assert [(one.action, one.subject, one.who) for one in found] == [
        ("job.cancel", f"job {record.id}", "key 0123456789ab")
    ]


def test_refusals_are_counted_and_push_nothing_out(service: Service, caplog: pytest.LogCaptureFixture):
    audit = service.access.audit
    with caplog.at_level("INFO", logger="phiq.audit"):
        for _ in range(50):
            audit.denied("address 192.0.2.9", "GET /v1/jobs", "key_invalid")
    lines = [record for record in caplog.records if record.name == "phiq.audit"]
    assert len(lines) == 1
    line = json.loads(JsonFormatter("gateway").format(lines[0]))
    assert line["audit"]["who"] == "address 192.0.2.9"
    assert [one for one in audit.read(100) if one.action == "denied"] == []
    assert len([one for one in audit.read(100, denied=True) if one.who == "address 192.0.2.9"]) == 1
