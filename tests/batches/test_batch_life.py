"""A batch from its file to its output, on a real worker."""

from __future__ import annotations

import pytest


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
