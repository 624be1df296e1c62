"""A batch from its file to its output, on a real worker."""

from __future__ import annotations

import json

import pytest

from workers.batches.errors import BatchEnded
from workers.ledger import Limits


def line(name: str, text: str = "one two three", **fields: object) -> dict[str, object]:
    job = {"kind": "complete", "input": {"prompt": text}, "model": "fake:echo", **fields}
    return {"custom_id": name, "job": job}


@pytest.fixture
def begin(service, worker, jsonl):
    def start(*lines: object, **fields: object):
        file = service.batches.files.put(jsonl(*lines), "in.jsonl", "default")
        return service.batches.create("default", file.id, **fields)

    return start


def test_each_line_has_its_answer_in_the_order_of_the_file(begin, ended, written, service):
    batch = ended(begin(*(line(f"n-{number}", f"word{number} end") for number in range(250))))
    assert (batch.state, batch.total, batch.completed, batch.failed) == ("completed", 250, 250, 0)
    assert batch.error_file is None
    out = written(batch.output_file)
    assert [one["custom_id"] for one in out] == [f"n-{number}" for number in range(250)]
    assert [one["result"]["text"] for one in out] == [f"word{number} end" for number in range(250)]
    assert (batch.usage.completion_tokens, batch.seconds > 0) == (500, True)
    assert service.list(limit=10) == [], "the jobs of lines that were written are forgotten"


def test_a_line_that_cannot_be_done_is_in_the_error_file_and_harms_no_other(begin, ended, written):
    batch = ended(
        begin(
            line("good"),
            line("fails", model="fake:echo?fail=model_misbehaved", max_attempts=1),
            {"custom_id": "odd", "job": {"kind": "complete", "input": {"prompt": ""}}},
            line("key", idempotency_key="mine"),
            line("lane", lane="interactive"),
            line("tenant", tenant="other"),
            line("engine", model="nobody:x"),
            line("last"),
        )
    )
    assert (batch.state, batch.completed, batch.failed) == ("completed", 2, 6)
    assert [one["custom_id"] for one in written(batch.output_file)] == ["good", "last"]
    errors = {one["custom_id"]: one["error"]["code"] for one in written(batch.error_file)}
    assert errors.pop("fails") == "model_misbehaved"
    assert errors == {
        "odd": "job_invalid",
        "key": "job_invalid",
        "lane": "job_invalid",
        "tenant": "job_invalid",
        "engine": "engine_unknown",
    }


def test_what_is_done_when_the_time_is_over_is_kept(begin, ended, written):
    slow = [line(f"slow-{number}", model="fake:words?count=600&rate=10") for number in range(6)]
    batch = ended(begin(line("quick"), *slow, expires_in=4.0))
    assert (batch.state, batch.completed, batch.failed) == ("expired", 1, 6)
    assert [one["custom_id"] for one in written(batch.output_file)] == ["quick"]
    assert {one["error"]["code"] for one in written(batch.error_file)} == {"batch_expired"}


def test_cancelling_ends_what_runs_and_keeps_what_is_done(begin, ended, written, service, wait_until):
    slow = [line(f"slow-{number}", model="fake:words?count=600&rate=10") for number in range(300)]
    batch = begin(line("quick"), *slow)
    wait_until(lambda: service.batches.get(batch.id, "default").completed == 1, 30)
    assert service.batches.cancel(batch.id, "default").state == "cancelling"
    batch = ended(batch, 20)
    assert (batch.state, batch.completed, batch.failed) == ("cancelled", 1, 300)
    assert len(written(batch.error_file)) == 300
    with pytest.raises(BatchEnded):
        service.batches.cancel(batch.id, "default")


BAD = [
    (b"no json", "invalid_json_line"),
    (b"[1]", "invalid_json_line"),
    (b"[" * 50_000, "invalid_json_line"),
    (b'{"custom_id": "\xff"}', "invalid_encoding"),
    (b"\xff\xfe{\x00}\x00", "invalid_encoding"),
    ({"job": {}}, "missing_custom_id"),
    ({"custom_id": 1, "job": {}}, "invalid_custom_id"),
    ({"custom_id": "", "job": {}}, "invalid_custom_id"),
    (b'{"custom_id": "\\ud800", "job": {}}', "invalid_custom_id"),
    (b'{"custom_id": "a\\u0000b", "job": {}}', "invalid_custom_id"),
    ({"custom_id": "x" * 513, "job": {}}, "invalid_custom_id"),
    ({"custom_id": "first", "job": {}}, "duplicate_custom_id"),
    ({"custom_id": "b"}, "missing_required_parameter"),
    ({"custom_id": "c", "job": 1}, "invalid_body"),
    ({"custom_id": "d", "job": {}, "url": "/v1/jobs"}, "unknown_parameter"),
    ({"custom_id": "e", "error": {}}, "missing_required_parameter"),
    ({"custom_id": "f", "job": {"x": "y" * 8_010_000}}, "line_too_large"),
]


def test_lines_of_the_wrong_form_fail_the_batch_before_anything_runs(begin, ended):
    batch = ended(begin(line("first"), b"", *(bad for bad, _ in BAD), line("last")))
    assert (batch.state, batch.output_file, batch.completed) == ("failed", None, 0)
    assert [(one.line, one.code) for one in batch.errors] == [(at, code) for at, (_, code) in enumerate(BAD, 3)]


def test_files_that_are_no_batch_fail_it(service, worker, ended):
    def failed(data: bytes, **fields: object) -> list[str]:
        file = service.batches.files.put(data, "x.jsonl", "default")
        return [one.code for one in ended(service.batches.create("default", file.id, **fields)).errors]

    assert failed(b"") == ["empty_file"]
    assert failed(b"\n \n\r\n") == ["empty_file"]
    good = b'{"custom_id": "a", "method": "GET", "url": "/v1/embeddings", "body": {}}'
    assert failed(good, endpoint="/v1/chat/completions") == ["invalid_method"]
    assert failed(good.replace(b"GET", b"POST"), endpoint="/v1/chat/completions") == ["invalid_url"]
    assert failed(b"\x00" * 100_000) == ["invalid_json_line"]


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(service, worker, ended, written):
    data = "\ufeff" + "\r\n".join(json.dumps(line(f"č{number}")) for number in range(3))
    batch = ended(service.batches.create("default", service.batches.files.put(data.encode(), "x", "default").id))
    assert [one["custom_id"] for one in written(batch.output_file)] == ["č0", "č1", "č2"]


def test_a_tenant_at_its_limit_gets_its_batch_done_all_the_same(service, begin, ended):
    service.set_limits("default", Limits(queued=3, running=2, share=1))
    try:
        batch = ended(begin(*(line(f"n{number}") for number in range(20))))
    finally:
        service.set_limits("default", Limits())
    assert (batch.state, batch.completed) == ("completed", 20)
