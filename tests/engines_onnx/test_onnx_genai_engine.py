"""GenAI's own engine as a backend. On a CPU it batches statically, four at most; CUDA, which it is for, is not here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workers.engines.host.backends.genai import GenAI
from workers.engines.host.backends.genai_engine import GenAIEngine, batches
from workers.engines.host.backends.onnx import load
from workers.engines.host.host import Host
from workers.engines.host.protocol import Cancelled, Delta, Done, Failed, Guide, LoadSpec, Request, RunEvent
from workers.engines.host.scheduler import Scheduler


def prompt(start: int, length: int = 30) -> tuple[int, ...]:
    return tuple(range(start, start + length))


@pytest.fixture(scope="module")
def spec(tiny: Path) -> LoadSpec:
    return LoadSpec(str(tiny), threads=1, max_length=512, slots=8)


@pytest.fixture
def backend(spec: LoadSpec) -> GenAIEngine:
    return GenAIEngine(spec)


@pytest.fixture(scope="module")
def alone(spec: LoadSpec) -> GenAI:
    return GenAI(spec)


def together(backend: Any, *requests: Request, cancel: int = 0) -> list[RunEvent]:
    events: list[RunEvent] = []
    scheduler = Scheduler(backend, events.append, clock=lambda: 0.0)
    for number, request in enumerate(requests, 1):
        scheduler.submit(replace(request, id=number))
    for step in range(2_000):
        if scheduler.idle:
            return events
        if cancel and step == 5:
            scheduler.cancel(cancel)
        scheduler.step()
    raise AssertionError("it does not end")


def text(events: list[RunEvent], number: int) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta) and event.id == number)


def test_runs_that_share_steps_say_what_they_say_alone(backend: GenAIEngine, alone: GenAI) -> None:
    requests = [Request(prompt(300 + 7 * number, 20 + number), 12 + number) for number in range(7)]
    events = together(backend, *requests)
    assert backend.slots == 4
    assert len([event for event in events if isinstance(event, Done)]) == 7
    for number, request in enumerate(requests, 1):
        assert text(events, number) == text(together(alone, request), 1)


def test_a_run_goes_on_behind_what_it_had_made(backend: GenAIEngine) -> None:
    whole = together(backend, Request(prompt(300), 20))
    made = tuple(token for event in whole if isinstance(event, Delta) for token in event.ids)[:8]
    again = together(backend, Request(prompt(300), 20, made=made))
    assert text(again, 1) == text(whole, 1)
    (done,) = (event for event in again if isinstance(event, Done))
    assert done.completion_tokens == 20


def test_a_cancelled_run_leaves_the_others_alone(backend: GenAIEngine, alone: GenAI) -> None:
    requests = [Request(prompt(300), 40), Request(prompt(340), 40)]
    events = together(backend, *requests, cancel=1)
    assert Cancelled(1) in events
    assert text(events, 2) == text(together(alone, requests[1]), 1)
    assert text(together(backend, requests[0]), 1)  # the slot is free again


def test_a_form_is_kept(backend: GenAIEngine) -> None:
    events = together(backend, Request(prompt(300), 40, guide=Guide("choice", '["red", "blue"]')))
    assert text(events, 1) in ("red", "blue")
    schema = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"], "additionalProperties": False}
    events = together(backend, Request(prompt(300), 40, guide=Guide("json_schema", json.dumps(schema))))
    assert json.loads(text(events, 1)) == {"a": "x"}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(prompt(300), 5, min_p=0.1), "min_p"),
        (Request((99_999,), 5), "none of the model's"),
        (Request(prompt(300), 5, temperature=1.0), "temperature"),
        (Request(prompt(300), 5, pictures=(b"x",)), "pictures"),
        (Request(prompt(300), 5, guide=Guide("regex", "(")), ""),
        (Request(prompt(300, 30), 500), "512"),
    ],
)
def test_what_it_cant_do_fails_its_own_run(backend: GenAIEngine, request_: Request, words: str) -> None:
    events = together(backend, request_, Request(prompt(320), 5))
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert failed.id == 1
    assert words in failed.message
    assert text(events, 2)


def test_an_engine_that_failed_is_made_anew(backend: GenAIEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dead:
        def run(self, buffer: Any) -> Any:
            raise RuntimeError("Model execution failed and the Engine is no longer healthy.")

        def __getattr__(self, name: str) -> Any:
            return getattr(live, name)

    live = backend._engine
    monkeypatch.setattr(backend, "_engine", Dead())
    events = together(backend, Request(prompt(300), 5), Request(prompt(320), 5))
    assert {event.id for event in events if isinstance(event, Failed)} == {1, 2}
    assert text(together(backend, Request(prompt(300), 5)), 1)


def test_a_folder_built_for_it_gets_it(broken_copy: Path, spec: LoadSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph of one's own with pages is no CPU's: that the engine is chosen is what can be seen here."""
    assert not batches(spec.folder)
    file = broken_copy / "genai_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"engine": {"dynamic_batching": {"block_size": 16}}}))
    assert batches(str(broken_copy))
    chosen: list[LoadSpec] = []
    monkeypatch.setattr(load, "GenAIEngine", lambda spec: chosen.append(spec) or "engine")
    made: Any = load.load(replace(spec, folder=str(broken_copy), provider="cuda"))
    assert (made, len(chosen)) == ("engine", 1)


def test_in_the_hosts_process(spec: LoadSpec, stop: Any) -> None:
    host = Host(replace(spec, backend="genai-engine"))
    try:
        events: Callable[[int], Iterator[Any]] = lambda start: host.generate(Request(prompt(start), 6), stop)  # noqa: E731
        assert [type(event).__name__ for event in events(300)][-1] == "Done"
        assert "only when it is empty" in host.status().words()
    finally:
        host.close()
