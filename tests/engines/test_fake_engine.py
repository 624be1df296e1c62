"""The fake engine keeps the contract's promises, so that what is tested with it holds for real ones."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_tests.unit_tests import ChatModelUnitTests

from agents.errors import ContextOverflow, Interrupted
from knowledge.errors import PhiqError
from workers.engines.base import EngineURI
from workers.engines.fake import FakeChatModel, FakeEngine
from workers.errors import EngineUnknown
from workers.jobs import GenerationOptions


def model(name, stop=None, **options):
    return FakeEngine(EngineURI("fake", name)).chat_model(GenerationOptions(**options), stop or threading.Event())


def full(chunks):
    total = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    return total


class TestStandard(ChatModelUnitTests):
    @property
    def chat_model_class(self):
        return FakeChatModel

    @property
    def chat_model_params(self):
        return {}

    @property
    def standard_chat_model_params(self):
        return {}

    @property
    def has_tool_calling(self):
        return False

    @property
    def has_structured_output(self):
        return False


def test_echo_streams_the_last_user_turn_word_by_word_with_usage_in_the_last_chunk():
    turns = [SystemMessage("be brief"), HumanMessage("first"), AIMessage("ok"), HumanMessage("one two three")]
    chunks = list(model("echo").stream(turns))
    assert [chunk.content for chunk in chunks] == ["one", " two", " three", ""]
    assert chunks[-1].usage_metadata == {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    assert chunks[-1].response_metadata["finish_reason"] == "stop"
    assert all(chunk.usage_metadata is None for chunk in chunks[:-1])


def test_invoke_says_the_same_as_stream():
    message = model("words?count=9").invoke("x")
    assert message.content == full(model("words?count=9").stream("x")).content
    assert len(message.content.split()) == 9


def test_a_seed_repeats_and_another_differs():
    assert model("words", seed=4).invoke("x").content == model("words", seed=4).invoke("x").content
    assert model("words", seed=4).invoke("x").content != model("words", seed=5).invoke("x").content


def test_max_tokens_and_stop_words_are_honoured():
    limited = model("echo", max_tokens=2).invoke("a b c")
    assert (limited.content, limited.response_metadata["finish_reason"]) == ("a b", "length")
    assert model("echo", stop=None).invoke("a b STOP c", stop=["STOP"]).content == "a b"
    engine = FakeEngine(EngineURI("fake", "echo"))
    assert engine.chat_model(GenerationOptions(stop=["c"]), threading.Event()).invoke("a b c d").content == "a b"


def test_rate_and_latency_are_kept():
    started = time.monotonic()
    stream = model("words?count=11&ttft=0.1&rate=100").stream("x")
    next(stream)
    first = time.monotonic() - started
    list(stream)
    assert first >= 0.1
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("name", ["echo?ttft=60", "words?rate=0.01"])
def test_stop_ends_a_wait_at_once(name):
    stop = threading.Event()
    started = time.monotonic()
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    with pytest.raises(Interrupted):
        list(model(name, stop).stream("hello"))
    timer.join()
    assert time.monotonic() - started < 5


def test_the_witness_file_gets_a_line_for_each_answer_that_ran_to_its_end(tmp_path):
    file = tmp_path / "runs.witness"
    model(f"echo?witness={file}").invoke([HumanMessage("other words"), AIMessage("ok"), HumanMessage("m1 two")])
    broken = model(f"echo?witness={file}&fail=engine_down&at=1").stream("m2 two")
    assert next(broken).content
    with pytest.raises(PhiqError):
        next(broken)
    abandoned = model(f"echo?witness={file}").stream("m3 two")
    next(abandoned)
    abandoned.close()
    (line,) = file.read_text().splitlines()
    marker, instant, process, digest = line.split("\t")
    assert (marker, int(process)) == ("m1", os.getpid())
    assert abs(float(instant) - time.time()) < 60
    assert digest == hashlib.sha256(b"m1 two").hexdigest()


def test_a_prompt_that_does_not_fit_is_refused_before_anything_runs():
    with pytest.raises(ContextOverflow) as caught:
        model("echo?context=8&ttft=60", max_tokens=2).invoke("a b c d e f g")
    assert caught.value.details == {"tokens": 7, "limit": 6}


@pytest.mark.parametrize("code", ["engine_down", "engine_lost", "out_of_memory", "engine_timeout", "engine_protocol"])
def test_it_fails_where_and_as_it_is_told(code):
    stream = model(f"words?fail={code}&at=2").stream("x")
    assert next(stream).content
    assert next(stream).content
    with pytest.raises(PhiqError) as caught:
        next(stream)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "name",
    [
        "poem",
        "echo?speed=3",
        "echo?rate=fast",
        "echo?fail=boredom",
        "echo?rate=-1",
        "echo?parse=1",
        "echo?witness=/tmp/x",
    ],
)
def test_what_cant_be_read_is_an_error_and_not_a_default(name):
    with pytest.raises(EngineUnknown):
        FakeEngine(EngineURI("fake", name))


class Log:
    """What is taken of an `agents.checkpoints.TokenLog`."""

    def __init__(self, *ids):
        self.ids = ids
        self.added = []
        self.refused = False

    def add(self, ids):
        self.added += ids

    def refuse(self):
        self.ids, self.refused = (), True


def test_it_goes_on_behind_the_tokens_it_is_given_and_waits_only_for_the_rest():
    whole = [chunk.text for chunk in model("words?count=9").stream("x")]
    log = Log(0, 1, 2, 3, 4, 5, 6)
    started = time.monotonic()
    chunks = list(model("words?count=9&rate=5").stream("x", resume=log))
    assert time.monotonic() - started < 1.5
    assert [chunk.text for chunk in chunks] == whole
    assert log.added == [7, 8]
    assert chunks[-1].usage_metadata["output_tokens"] == 9


@pytest.mark.parametrize("ids", [(1, 2), tuple(range(10))])
def test_ids_that_are_not_its_own_are_refused(ids):
    log = Log(*ids)
    assert full(model("words?count=9").stream("x", resume=log)).content == model("words?count=9").invoke("x").content
    assert log.refused
    assert log.added == list(range(9))


def test_it_can_be_one_that_starts_over():
    assert model("words").resumes
    assert not model("words?resume=0").resumes
    assert not model("words", seed=3).resumes
