"""Jobs that offer tools to a real ONNX model, behind a real worker: what must be called is, and who can't says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workers.jobs import State, parse_job
from workers.models.shelf import Shelf

pytestmark = pytest.mark.service

TINY = Path(__file__).resolve().parents[1] / "assets" / "tiny-phi3"
PAINT = {
    "name": "paint",
    "description": "Paint a wall",
    "parameters": {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]},
}


def test_a_tool_is_called_and_what_it_said_goes_on(service, start_worker, tooled):
    Shelf(service.settings.data_dir).add(tooled, "tooled")
    Shelf(service.settings.data_dir).add(TINY, "plain")
    worker = start_worker()

    def ask(model: str, messages: list[dict[str, Any]], **more: Any) -> str:
        given = {"messages": messages, "collection": None, "verbatim": True, "tools": [PAINT], **more}
        job = {"kind": "chat", "model": model, "input": given, "options": {"max_tokens": 60, "temperature": 0}}
        return service.submit(parse_job(job)).id

    turns: list[dict[str, Any]] = [{"role": "user", "content": "paint it"}]
    refused = ask("onnx:plain", turns)
    called = service.wait(ask("onnx:tooled", turns, tool_choice="required"), timeout=90)
    assert called.state is State.SUCCEEDED, worker.log.read_text()
    result = called.parsed_result()
    (call,) = result.tool_calls
    assert (result.finish_reason, result.text, call.name) == ("tool_calls", "", "paint")
    assert json.loads(call.arguments)["colour"] in ("red", "blue")

    turns += [
        {"role": "assistant", "content": "", "tool_calls": [call.model_dump()]},
        {"role": "tool", "content": "painted", "tool_call_id": call.id},
    ]
    answered = service.wait(ask("onnx:tooled", turns, tool_choice="none"), timeout=90)
    assert answered.state is State.SUCCEEDED, answered.error
    assert answered.parsed_result().text
    assert answered.parsed_result().tool_calls == []

    failed = service.wait(refused, timeout=90)
    assert (failed.state, failed.error["code"]) == (State.FAILED, "option_unsupported")
    assert "onnx:phi-4-mini" in failed.error["hint"]
