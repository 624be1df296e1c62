"""The OpenVINO engine on a tiny model: many runs in one process, prefixes kept, and what may go wrong in it."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from langchain_core.messages import HumanMessage

from agents.errors import ContextOverflow, Interrupted
from workers.engines.base import EngineURI
from workers.engines.host.backends.openvino import OpenVINO
from workers.engines.host.host import Host, HostLimits
from workers.engines.host.protocol import Delta, Done, Failed, Guide, LoadSpec, Request, RunEvent
from workers.engines.host.scheduler import Scheduler
from workers.engines.openvino import OpenVINOEngine
from workers.engines.openvino.folder import OpenVINOFolder
from workers.errors import EngineLost, EngineProtocolError, ModelTooLarge, OptionUnsupported
from workers.jobs import GenerationOptions

pytestmark = pytest.mark.extras
if os.environ.get("CI", "").lower() not in {"1", "true", "yes"}:
    pytest.importorskip("openvino_genai")

TINY = Path(__file__).resolve().parents[1] / "assets" / "tiny-phi3-ov"
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
"""Sums in a batch round as sums alone do only with all their bits: 8-bit caches and bfloat16 turn close decisions."""


def spec(folder: Path = TINY, **options: object) -> LoadSpec:
    """As the engine makes it, exact."""
    own = {"cache": 1, "cache_per_token": 640 * 4, "vocabulary": 756, "properties": EXACT, **options}
    return LoadSpec(str(folder), threads=1, max_length=4096, backend="openvino", slots=16, options=own)


def prompt(seed: int, length: int = 40) -> tuple[int, ...]:
    """Ids of ordinary pieces."""
    return tuple(int(one) for one in np.random.default_rng(seed).integers(300, 720, length))


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    host = Host(spec())
    yield host
    host.close()


@pytest.fixture(scope="module")
def backend() -> OpenVINO:
    return OpenVINO(spec())


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def run(backend: OpenVINO, requests: list[Request], late: int = 0) -> list[RunEvent]:
    """Run requests together, each ``late`` steps behind the one before."""
    events: list[RunEvent] = []
    scheduler = Scheduler(backend, events.append, clock=lambda: 0.0)
    for number, request in enumerate(requests, 1):
        scheduler.submit(replace(request, id=number))
        for _ in range(late):
            scheduler.step()
    for _ in range(20_000):
        if scheduler.idle:
            return events
        scheduler.step()
    raise AssertionError("it does not end")


def ids(events: list[RunEvent] | Iterator[RunEvent], number: int | None = None) -> list[int]:
    return [one for event in events if isinstance(event, Delta) and number in (None, event.id) for one in event.ids]


def said(events: list[RunEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_runs_that_come_one_after_another_write_what_each_writes_alone(backend):
    requests = [Request(prompt(seed, 10 + 37 * seed), max_tokens=20 + 5 * seed) for seed in range(8)]
    alone = [ids(run(backend, [request])) for request in requests]
    together = run(backend, requests, late=2)
    assert [ids(together, number) for number in range(1, 9)] == alone
    assert len({tuple(one) for one in alone}) == 8


def test_a_prefix_that_is_kept_is_not_read_again_and_changes_nothing(backend):
    shared = prompt(70, 1600)
    fresh = Request((*prompt(71, 1600), *prompt(72, 16)), max_tokens=12)
    first = ids(run(backend, [Request((*shared, *prompt(73, 16)), max_tokens=12)]))
    begin = time.perf_counter()
    cold = run(backend, [fresh])
    middle = time.perf_counter()
    warm = run(backend, [Request((*shared, *prompt(73, 16)), max_tokens=12)])
    assert ids(warm) == first
    assert cold
    assert time.perf_counter() - middle < 0.6 * (middle - begin)


def test_what_runs_that_come_together_share_is_read_once(backend):
    shared = prompt(80, 2000)
    jobs = [Request((*shared, *prompt(81 + number, 16)), max_tokens=4) for number in range(6)]
    begin = time.perf_counter()
    run(backend, [Request(prompt(90, 2016), max_tokens=4)])
    one = time.perf_counter() - begin
    events = run(backend, jobs)
    six = time.perf_counter() - begin - one
    assert six < 3 * one
    assert [ids(events, number) for number in (1, 6)] == [ids(run(backend, [jobs[at]])) for at in (0, 5)]


def test_each_seed_repeats_itself_whatever_runs_beside_it(backend):
    def drawn(seed: int) -> Request:
        return Request(prompt(1), max_tokens=24, temperature=1.0, top_k=50, top_p=0.95, min_p=0.001, seed=seed)

    alone = ids(run(backend, [drawn(5)]))
    beside = run(backend, [drawn(6), drawn(5), Request(prompt(2), max_tokens=30)], late=1)
    assert ids(beside, 2) == alone
    assert ids(beside, 1) != alone


def test_a_penalty_keeps_it_from_repeating_itself(backend):
    plain = ids(run(backend, [Request(prompt(3), max_tokens=60)]))
    varied = ids(run(backend, [Request(prompt(3), max_tokens=60, repetition_penalty=1.5)]))
    assert len(set(varied)) > len(set(plain))


def test_it_goes_on_from_what_was_made(backend):
    whole = ids(run(backend, [Request(prompt(4), max_tokens=40)]))
    rest = run(backend, [Request(prompt(4), max_tokens=40, made=tuple(whole[:17]))])
    assert [*whole[:17], *ids(rest)] == whole
    assert rest[-1] == Done(1, "length", 40, 40)


def test_a_batch_run_gives_way_and_goes_on(backend):
    slow = replace(spec(), slots=1)
    one = OpenVINO(slow)
    batch = Request(prompt(5), max_tokens=60, batch=True)
    events = run(one, [batch, Request(prompt(6), max_tokens=5)], late=10)
    ends = [event.id for event in events if isinstance(event, Done)]
    assert ends == [2, 1]
    assert ids(events, 1) == ids(run(backend, [batch]))


@pytest.mark.parametrize(
    ("guide", "form"),
    [
        (
            Guide(
                "json_schema",
                '{"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}, '
                '"required": ["answer"], "additionalProperties": false}',
            ),
            None,
        ),
        (Guide("regex", "(ab|cd){2,3}e"), "(ab|cd){2,3}e"),
        (Guide("choice", '["yes", "no (never)", "perhaps"]'), r"yes|no \(never\)|perhaps"),
    ],
    ids=["json", "regex", "choice"],
)
def test_an_answer_keeps_to_its_guide(backend, guide, form):
    events = run(backend, [Request(prompt(7), max_tokens=120, guide=guide), Request(prompt(8), max_tokens=20)])
    mine = said([event for event in events if event.id == 1])
    assert isinstance(events[-1], Done)
    if form is None:
        assert json.loads(mine)["answer"] in ("yes", "no")
    else:
        assert re.fullmatch(form, mine)


def test_a_guide_that_cannot_be_compiled_costs_nobody_else(backend):
    bad = Request(prompt(9), max_tokens=5, guide=Guide("json_schema", '{"type": "nonsense"}'))
    events = run(backend, [Request(prompt(9), max_tokens=30), bad], late=3)
    (failed,) = (event for event in events if isinstance(event, Failed))
    assert failed.id == 2
    assert "nonsense" in failed.message
    assert isinstance(events[-1], Done)


def test_an_error_within_a_step_costs_its_runs_and_no_more(backend, monkeypatch):
    monkeypatch.setattr("workers.engines.host.backends.openvino.check_form", lambda guide: None)
    events = run(backend, [Request(prompt(9), max_tokens=5, guide=Guide("json_schema", '{"type": "nonsense"}'))])
    assert isinstance(events[-1], Failed)
    assert "nonsense" in events[-1].message
    assert isinstance(run(backend, [Request(prompt(9), max_tokens=5)])[-1], Done)


@pytest.mark.parametrize("tokens", [(), (756,), (-1,), (300, 10**9)])
def test_tokens_that_the_model_has_not_are_refused(backend, tokens):
    events = run(backend, [Request(tokens, max_tokens=5)])
    assert isinstance(events[-1], Failed)
    assert "756" in events[-1].message


def test_a_model_without_numbers_is_noticed(tmp_path):
    folder = Path(shutil.copytree(TINY, tmp_path / "model"))
    weights = folder / "openvino_model.bin"
    data = bytearray(weights.read_bytes())
    data[-4096:] = np.full(2048, math.nan, dtype=np.float16).tobytes()
    weights.write_bytes(bytes(data))
    broken = OpenVINO(spec(folder))
    events = run(broken, [Request(prompt(10), max_tokens=5)])
    assert isinstance(events[-1], Failed)
    assert "NaN" in events[-1].message


def test_cancelled_within_a_step(host, stop):
    stream = host.generate(Request(prompt(11), max_tokens=3000), stop)
    next(stream)
    begin = time.perf_counter()
    stop.set()
    with pytest.raises(Interrupted):
        list(stream)
    assert time.perf_counter() - begin < 1.0
    assert isinstance(list(host.generate(Request(prompt(11), max_tokens=4), threading.Event()))[-1], Done)
    assert host.status().running == 0


def test_cancelled_while_the_prompt_is_read(backend):
    events: list[RunEvent] = []
    scheduler = Scheduler(backend, events.append, clock=lambda: 0.0)
    scheduler.submit(Request(prompt(12, 4000), max_tokens=5, id=1))
    scheduler.step()
    scheduler.cancel(1)
    assert scheduler.idle
    assert not [event for event in events if isinstance(event, Delta)]
    assert isinstance(run(backend, [Request(prompt(12, 4000), max_tokens=2)])[-1], Done)


def test_the_death_of_the_process_costs_its_runs_and_each_goes_on(host, stop):
    requests = [Request(prompt(20 + number), max_tokens=1500) for number in range(4)]
    whole = [ids(host.generate(replace(request, max_tokens=200), stop)) for request in requests]
    streams = [host.generate(request, stop) for request in requests]
    made = [list(next(stream).ids) for stream in streams]
    os.kill(host.status().pid, signal.SIGKILL)
    for stream, so_far in zip(streams, made, strict=True):
        with pytest.raises(EngineLost):  # noqa: PT012 - it is raised by the loop
            for event in stream:
                so_far += event.ids
    for request, so_far, expected in zip(requests, made, whole, strict=True):
        begun = tuple(so_far[:150])
        rest = ids(host.generate(replace(request, made=begun, max_tokens=200), stop))
        assert [*begun, *rest] == expected


@pytest.fixture(scope="module")
def engine() -> Iterator[OpenVINOEngine]:
    engine = OpenVINOEngine(EngineURI("openvino", "tiny"), OpenVINOFolder.read(TINY), threads=1)
    yield engine
    engine.close()


def test_a_conversation_streams_and_says_its_end(engine, stop):
    chunks = list(engine.chat_model(GenerationOptions(max_tokens=12), stop).stream("the customer writes down"))
    assert "".join(str(chunk.content) for chunk in chunks)
    last = next(chunk for chunk in reversed(chunks) if chunk.usage_metadata)
    assert last.response_metadata["finish_reason"] == "length"
    assert last.response_metadata["model_provider"] == "openvino"
    assert last.usage_metadata["output_tokens"] == 12


def test_markers_in_what_people_write_are_no_control_tokens(engine, stop):
    model = engine.chat_model(GenerationOptions(max_tokens=4), stop)
    plain = model.get_num_tokens_from_messages([HumanMessage("a")])
    assert model.get_num_tokens_from_messages([HumanMessage("a<|end|>")]) > plain + 1


def test_stop_strings_are_not_shown(engine, stop):
    text = engine.chat_model(GenerationOptions(max_tokens=30), stop).invoke("our engineer repairs").text
    cut = text[len(text) // 2 :][:3]
    assert (
        cut
        not in engine.chat_model(GenerationOptions(max_tokens=30, stop=[cut]), stop).invoke("our engineer repairs").text
    )


def test_a_prompt_beyond_the_session_is_refused(engine, stop):
    with pytest.raises(ContextOverflow) as refused:
        engine.chat_model(GenerationOptions(max_tokens=5), stop).invoke("word " * 5000)
    assert "PHIQ_OPENVINO_MAX_LENGTH" in refused.value.hint


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(stop):
    engine = OpenVINOEngine(EngineURI("openvino", "tiny"), OpenVINOFolder.read(TINY), cache=900)
    with pytest.raises(ModelTooLarge):
        engine.chat_model(GenerationOptions(max_tokens=5), stop).invoke("a")
    engine.close()


def test_a_device_that_cannot_batch_is_refused():
    with pytest.raises(OptionUnsupported, match="npu"):
        OpenVINOEngine(EngineURI("openvino", "tiny"), OpenVINOFolder.read(TINY), device="npu")


def test_a_device_that_is_not_here_is_named(stop):
    engine = OpenVINOEngine(EngineURI("openvino", "tiny"), OpenVINOFolder.read(TINY), device="gpu")
    with pytest.raises(Exception, match="GPU"):
        engine.chat_model(GenerationOptions(max_tokens=5), stop).invoke("a")
    engine.close()


def test_what_the_library_refuses_is_ours(host, stop):
    with pytest.raises(EngineProtocolError):
        list(host.generate(Request((10**6,), max_tokens=4), stop))


def test_a_tool_that_must_be_called_is(tmp_path: Path, stop: threading.Event) -> None:
    """The tiny model with Phi-4-mini's way of tools: they stand in the system's message."""
    folder = Path(shutil.copytree(TINY, tmp_path / "model"))
    template = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% if m.tools %}{{ m.tools }}{% endif %}"
    (folder / "chat_template.jinja").write_text(template + "<|end|>{% endfor %}<|assistant|>")
    engine = OpenVINOEngine(EngineURI("openvino", "tiny"), OpenVINOFolder.read(folder), threads=1)
    parameters = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}
    paint = {"type": "function", "function": {"name": "paint", "parameters": parameters}}
    try:
        model = engine.chat_model(GenerationOptions(max_tokens=60, temperature=0.0), stop)
        made = model.bind_tools([paint], tool_choice="any").invoke("paint it")
    finally:
        engine.close()
    (call,) = made.tool_calls
    assert call["name"] == "paint"
    assert call["args"]["colour"] in ("red", "blue")
    assert made.content == ""


def test_a_second_worker_joins_and_their_runs_are_those_of_one(stop, tmp_path):
    hosts = [Host(spec(), HostLimits(share=tmp_path / "models")) for _ in range(2)]
    try:
        request = Request(tokens=prompt(1), max_tokens=200)
        streams = [host.generate(request, stop) for host in hosts]
        made = [list(next(stream).ids) for stream in streams]
        assert hosts[0].status().pid == hosts[1].status().pid
        for stream, ids in zip(streams, made, strict=True):
            for event in stream:
                ids += event.ids if isinstance(event, Delta) else ()
        assert made[0] == made[1]
        assert len(made[0]) > 150
    finally:
        for host in hosts:
            host.close()
