"""Answers held to a form: every one fits, whoever else runs, and what can't be compiled costs only itself."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from langchain_core.messages import HumanMessage

from workers.engines.host.backends.genai import GenAI
from workers.engines.host.backends.onnx.guides import Form
from workers.engines.host.backends.onnx.load import load
from workers.engines.host.protocol import Delta, Done, Failed, Guide, LoadSpec, Request
from workers.engines.host.scheduler import Scheduler
from workers.errors import OptionUnsupported

SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["a", "b"]}, "open": {"type": "boolean"}},
    "required": ["kind", "open"],
    "additionalProperties": False,
}
PROMPT = tuple(range(300, 340))


@pytest.fixture(scope="module", params=["loop", "genai"])
def backend(request, tiny):
    spec = LoadSpec(str(tiny), threads=1, max_length=1024)
    return load(spec) if request.param == "loop" else GenAI(spec)


def run(backend, *requests):
    events = []
    scheduler = Scheduler(backend, events.append)
    for number, request in enumerate(requests):
        scheduler.submit(replace(request, id=number))
    while not scheduler.idle:
        scheduler.step()
    return [
        (
            "".join(event.text for event in events if isinstance(event, Delta) and event.id == number),
            next(event for event in events if isinstance(event, Done | Failed) and event.id == number),
        )
        for number in range(len(requests))
    ]


def ask(kind, text, **options):
    return Request(tokens=PROMPT, max_tokens=60, guide=Guide(kind, text), **options)


def test_each_kind_of_form_is_kept_beside_a_run_without_one(backend):
    free = Request(tokens=PROMPT, max_tokens=30)
    alone = run(backend, free)[0][0]
    answers = run(
        backend,
        ask("json_schema", json.dumps(SCHEMA)),
        free,
        ask("regex", r"[a-c]{3}-[0-9]{2}"),
        ask("choice", json.dumps(["yes", "no", "not known (yet)"])),
        ask("json_schema", json.dumps(SCHEMA), temperature=2.0, seed=5),
    )
    for place in (0, 4):
        text, done = answers[place]
        assert set(json.loads(text)) == {"kind", "open"}
        assert done.finish_reason == "stop"
    assert answers[1][0] == alone
    assert re.fullmatch(r"[a-c]{3}-[0-9]{2}", answers[2][0].strip())
    assert answers[3][0].strip() in ("yes", "no", "not known (yet)")


@pytest.mark.parametrize(
    ("kind", "text"), [("regex", "("), ("json_schema", '{"type": "strange"}'), ("json_schema", "{nope")]
)
def test_a_form_that_can_not_be_compiled_costs_only_itself(tiny, kind, text):
    backend = load(LoadSpec(str(tiny), threads=1, max_length=1024))
    (good, done), (_, failed) = run(backend, Request(tokens=PROMPT, max_tokens=5), ask(kind, text))
    assert good
    assert done.completion_tokens == 5
    assert failed.trouble == "option"


def test_a_form_that_allows_nothing_any_more_costs_only_itself(tiny, monkeypatch):
    backend = load(LoadSpec(str(tiny), threads=1, max_length=1024))
    monkeypatch.setattr(Form, "forbid", lambda _form, logits: logits - float("inf"))
    (good, _), (_, failed) = run(backend, Request(tokens=PROMPT, max_tokens=5), ask("regex", "a+"))
    assert good
    assert failed.trouble == "option"


def test_a_run_held_to_a_form_goes_on_where_it_stopped(tiny):
    backend = load(LoadSpec(str(tiny), threads=1, max_length=1024))
    request = ask("json_schema", json.dumps(SCHEMA))
    whole = run(backend, request)[0]
    events = []
    scheduler = Scheduler(backend, events.append)
    scheduler.submit(request)
    for _ in range(6):
        scheduler.step()
    made = tuple(token for event in events if isinstance(event, Delta) for token in event.ids)
    scheduler.cancel(0)
    assert 0 < len(made) < whole[1].completion_tokens
    assert run(backend, replace(request, made=made))[0] == whole


def test_a_jobs_response_format_holds_its_answer(chat):
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    model = chat(max_tokens=60)
    assert model.profile["structured_output"]
    answer = model.invoke([HumanMessage("is it open?")], response_format=form)
    assert json.loads(answer.content)["kind"] in ("a", "b")
    with pytest.raises(OptionUnsupported, match="json_schema"):
        model.invoke(
            [HumanMessage("?")],
            response_format={"type": "json_schema", "json_schema": {"schema": {"type": "strange"}}},
        )
