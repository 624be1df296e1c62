"""Several engines for one job: who takes over, when, and what the result says of it."""

from __future__ import annotations

import threading

import pytest

from agents.errors import ContextOverflow, NeedsModel
from workers.engines.base import EngineURI
from workers.engines.route import Breakers, order, parse_route
from workers.errors import EngineDown, EngineProtocolError, EngineRefused, EngineUnknown, OptionUnsupported
from workers.jobs import parse_job, version_of
from workers.runner import Runner
from workers.settings import Settings

CHAT = "/v1/chat/completions"
ROUTE = "vllm:phi,lmstudio:phi"


@pytest.fixture
def runner(server, other_server, tmp_path):
    settings = Settings(
        data_dir=tmp_path,
        vllm_url=f"{server.url}/v1",
        lmstudio_url=f"{other_server.url}/v1",
        allow_fake_engine=True,
        engine_timeout=2.0,
    )
    made = Runner(settings)
    yield made
    made.close()


def run(runner, model=ROUTE, kind="complete", **fields):
    given = {"prompt": "Say hello"} if kind == "complete" else {"texts": [{"text": "One. Two. Three."}]}
    job = parse_job({"kind": kind, "input": given, "model": model, **fields})
    chunks = list(runner.run(job, threading.Event()))
    return chunks[-1].result


def good(say, words):
    return say.reply(parts=say.openai(words))


DOWN = {"status": 503, "parts": [b"overloaded"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extractive", ["extractive"]),
        ("onnx:phi-4-mini, ollama:phi4 ,extractive", ["onnx:phi-4-mini", "ollama:phi4", "extractive"]),
        ("onnx:/models/a,b", ["onnx:/models/a,b"]),
        ("vllm:a,vllm:a,vllm:b", ["vllm:a", "vllm:b"]),
    ],
)
def test_a_route_is_read_from_text(text, expected):
    assert [str(uri) for uri in parse_route(text)] == expected


@pytest.mark.parametrize(
    "text", ["", ",", "onnx:a,extractive,nothing", ",".join(f"vllm:m{number}" for number in range(9))]
)
def test_what_is_no_route_is_refused(text):
    with pytest.raises(EngineUnknown):
        parse_route(text)


def test_a_list_is_a_route_that_older_workers_leave_alone():
    job = parse_job({"kind": "complete", "input": {"prompt": "x"}, "model": ["vllm:a", "extractive"]})
    assert job.model == "vllm:a,extractive"
    assert version_of(job) == 4
    assert version_of(job.model_copy(update={"model": "vllm:a"})) == 1


@pytest.mark.parametrize(
    "reply",
    [DOWN, {"status": 401, "parts": [b"{}"]}, {"status": 404, "parts": [b"{}"]}, {"stall_before_headers": True}],
)
def test_the_next_one_takes_over_and_the_result_says_so(server, other_server, say, runner, reply):
    server.replies[CHAT] = say.reply(**reply)
    other_server.replies[CHAT] = good(say, ["Hel", "lo"])
    result = run(runner)
    assert (result.text, result.engine, result.model) == ("Hello", "lmstudio", "phi")
    assert [one.model for one in result.moved] == ["vllm:phi"]
    assert any(note.startswith("vllm:phi was passed over") for note in result.notes)


def test_one_that_works_is_not_left_and_says_nothing_of_others(server, other_server, say, runner):
    server.replies[CHAT] = good(say, ["Hello"])
    result = run(runner)
    assert (result.engine, result.moved) == ("vllm", [])
    assert "moved" not in result.model_dump()
    assert other_server.requests == []


def test_one_that_failed_is_left_alone_until_it_is_probed(server, other_server, say, runner, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("workers.engines.route.time.monotonic", lambda: now[0])
    server.replies[CHAT] = say.reply(**DOWN)
    other_server.replies[CHAT] = good(say, ["Hello"])
    for _ in range(3):
        assert run(runner).engine == "lmstudio"
    assert len(server.requests) == 1
    now[0] += 5.1
    assert run(runner).engine == "lmstudio"
    assert len(server.requests) == 2, "the probe"
    now[0] += 5.1
    assert run(runner).engine == "lmstudio"
    assert len(server.requests) == 2, "after the second failure in a row it is left alone for twice as long"
    now[0] += 5.1
    server.replies[CHAT] = good(say, ["Back"])
    assert run(runner).text == "Back"
    assert run(runner).text == "Back"


def test_only_one_run_probes(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("workers.engines.route.time.monotonic", lambda: now[0])
    breakers, uri = Breakers(), EngineURI("vllm", "phi")
    breakers.failed(uri, EngineDown("Down.", retry_after=30))
    now[0] = 29.0
    assert breakers.blocked(uri) is not None
    now[0] = 31.0
    assert breakers.blocked(uri) is None
    assert breakers.blocked(uri) is not None
    breakers.left(uri)
    assert breakers.blocked(uri) is None


def test_when_all_are_left_alone_the_first_is_asked_anyway():
    breakers, route = Breakers(), parse_route(ROUTE)
    for uri in route:
        breakers.failed(uri, EngineDown("Down."))
    assert [(str(uri), error is None) for uri, error in order(route, breakers)] == [
        ("vllm:phi", False),
        ("lmstudio:phi", False),
        ("vllm:phi", True),
    ]


def test_when_all_are_down_the_job_fails_as_one_that_may_be_tried_again(server, other_server, say, runner):
    server.replies[CHAT] = say.reply(status=401, parts=[b"{}"])
    other_server.replies[CHAT] = say.reply(**DOWN)
    with pytest.raises(EngineDown):
        run(runner)


def test_what_is_wrong_with_the_job_moves_nothing(server, other_server, say, runner):
    server.replies[CHAT] = say.reply(status=400, parts=[b'{"error": {"code": "context_length_exceeded"}}'])
    with pytest.raises(ContextOverflow):
        run(runner)
    with pytest.raises(OptionUnsupported):
        run(runner, options={"top_k": 3})
    assert other_server.requests == []


def test_after_the_first_words_nobody_goes_on_in_the_same_attempt(server, other_server, say, runner):
    part = b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n'
    server.replies[CHAT] = say.reply(parts=[part], cut=True)
    other_server.replies[CHAT] = good(say, ["Hello"])
    with pytest.raises(EngineProtocolError):
        run(runner)
    assert other_server.requests == []
    assert run(runner).text == "Hello", "the next attempt begins with the other one"


def test_the_extractive_twin_comes_last_without_options_and_only_where_it_can(server, say, runner):
    server.replies[CHAT] = say.reply(**DOWN)
    result = run(runner, "vllm:phi,extractive", "summarize", options={"temperature": 0.5})
    assert (result.engine, [one.code for one in result.moved]) == ("extractive", ["engine_down"])
    with pytest.raises(EngineDown):
        run(runner, "vllm:phi,extractive")
    with pytest.raises(NeedsModel):
        run(runner, "extractive,vllm:phi")


def test_none_of_a_route_may_send_words_away(tmp_path):
    from workers.engines.registry import Registry

    with pytest.raises(EngineRefused):
        Registry(Settings(data_dir=tmp_path)).check_route("ollama:phi,github:microsoft/Phi-4")
