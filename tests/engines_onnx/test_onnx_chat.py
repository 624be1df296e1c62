"""Generation on the tiny model: determinism, stop strings, limits, options, cancel."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
import time

import pytest
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from agents.errors import ContextOverflow, Interrupted, ModelCannotSee
from workers.engines.base import EngineURI
from workers.engines.host.protocol import Delta, Done
from workers.engines.host.stops import StopFinder
from workers.engines.hosted.chat import HostedChatModel
from workers.engines.hosted.sampling import make_request
from workers.engines.onnx import OnnxEngine
from workers.engines.onnx.folder import ModelFolder
from workers.errors import OptionUnsupported
from workers.jobs import GenerationOptions
from workers.models.profiles import Sampling

LONG = "the customer writes down the broken kettle before lunch. " * 90


def test_greedy_is_the_default_and_repeats(chat):
    first = chat(max_tokens=40).invoke("the customer")
    assert chat(max_tokens=40, temperature=0.0).invoke("the customer").content == first.content
    assert first.response_metadata["finish_reason"] == "length"
    assert first.response_metadata["notes"] == []
    assert first.usage_metadata["output_tokens"] == 40


def test_a_seed_repeats_and_another_differs(chat):
    def run(seed: int) -> str:
        return chat(max_tokens=40, temperature=1.5, seed=seed).invoke("the customer").content

    assert run(5) == run(5)
    assert run(5) != run(6)
    assert run(2**63 - 1)  # the library takes 31 bits only


def test_without_a_seed_two_runs_differ(chat):
    model = chat(max_tokens=40, temperature=1.5)
    assert model.invoke("the customer").content != model.invoke("the customer").content


def test_top_k_and_top_p_reach_the_sampler(chat):
    greedy = chat(max_tokens=20).invoke("a").content
    assert chat(max_tokens=20, top_k=1).invoke("a").content == greedy
    assert chat(max_tokens=20, temperature=2.0, top_p=1e-6).invoke("a").content == greedy
    # More than the vocabulary means all of it; the library alone would refuse.
    assert chat(max_tokens=20, temperature=2.0, top_k=100_000, seed=3).invoke("a").content != greedy


def test_the_profiles_sampling_counts_where_a_job_says_nothing():
    def request(default: Sampling, **options: object):
        return make_request((1,), 1, GenerationOptions(**options), default, 100)

    assert request(Sampling(0.8, 0.95, 50)).temperature == 0.8
    assert request(Sampling(0.8, 0.95, 50)).top_k == 50
    assert request(Sampling(0.8, 0.95), temperature=0.0).temperature == 0.0
    assert request(Sampling(), top_p=0.5).temperature == 1.0


def test_a_stop_string_across_tokens_ends_the_run_and_is_never_shown(chat):
    whole = chat(max_tokens=40).invoke("the customer").content
    pieces = [chunk.content for chunk in chat(max_tokens=40).stream("the customer")]
    assert "".join(pieces) == whole
    borders = [len("".join(pieces[:count])) for count in range(1, len(pieces))]
    border = next(place for place in borders if 8 < place < len(whole) - 8)
    stop = whole[border - 2 : border + 2]
    expected = whole[: whole.find(stop)]
    chunks = list(chat(max_tokens=40, stop=[stop]).stream("the customer"))
    assert "".join(chunk.content for chunk in chunks) == expected
    assert chunks[-1].response_metadata["finish_reason"] == "stop"
    assert chunks[-1].usage_metadata["output_tokens"] < 40
    # A call's stop strings and the job's both count.
    assert chat(max_tokens=40, stop=["never there"]).invoke("the customer", stop=[stop]).content == expected
    assert chat(max_tokens=40, stop=[stop]).invoke("the customer", stop=["never there"]).content == expected


@pytest.mark.parametrize(
    ("stops", "pieces", "shown", "found"),
    [
        (("END",), ["a E", "N", "D b"], "a ", True),
        (("END",), ["a E", "N", "x"], "a ENx", False),
        (("END",), ["a EN"], "a EN", False),
        (("aab",), ["aa", "a", "b"], "a", True),
        (("xy", "y"), ["x", "y"], "", True),
        (("", "z"), ["ab", "", "z"], "ab", True),
        (("🙂",), ["ok 🙂 more"], "ok ", True),
        ((), ["anything"], "anything", False),
    ],
)
def test_stop_finder(stops, pieces, shown, found):
    finder = StopFinder(stops)
    out = "".join(finder.feed(piece) for piece in pieces) + finder.flush()
    assert (out, finder.found) == (shown, found)


def test_tokens_are_counted_as_they_are_sent(chat):
    messages = [SystemMessage("be kind"), HumanMessage("hello <|end|> there")]
    model = chat(max_tokens=1)
    assert model.get_num_tokens_from_messages(messages) == model.invoke(messages).usage_metadata["input_tokens"]


def test_the_longest_prompt_that_is_promised_fits_and_one_more_does_not(chat):
    model = chat(max_tokens=16)
    limit = model.profile["max_input_tokens"]
    assert limit + model.profile["max_output_tokens"] == 4096
    spare = limit - model.get_num_tokens_from_messages([HumanMessage("\na")])
    fits = [HumanMessage("\na" + "\na" * (spare // 2) + "\n" * (spare % 2))]
    assert model.get_num_tokens_from_messages(fits) == limit
    result = model.invoke(fits)
    assert result.usage_metadata == {"input_tokens": limit, "output_tokens": 16, "total_tokens": 4096}
    with pytest.raises(ContextOverflow) as overflow:
        model.invoke([HumanMessage(fits[0].content + "\n")])
    assert overflow.value.details == {"tokens": limit + 1, "limit": limit}


def test_without_max_tokens_an_answer_may_use_what_the_prompt_leaves(tiny):
    engine = OnnxEngine(EngineURI("onnx", "tiny"), ModelFolder.read(tiny), session=256, threads=1)
    try:
        model = engine.chat_model(GenerationOptions(), threading.Event())
        assert model.profile["max_output_tokens"] == 64
        usage = model.invoke("hi").usage_metadata
        assert usage["total_tokens"] == 256
    finally:
        engine.close()


def test_a_reasoning_models_thoughts_are_no_answer(engine, monkeypatch, stop):
    pieces = ["<thi", "nk>hm", "</think>", "\n\nYes", "."]
    events = [*(Delta(1, piece) for piece in pieces), Done(1, "stop", 3, 9)]
    monkeypatch.setattr(engine._runtime.host, "generate", lambda *_, **__: iter(events))
    runtime = dataclasses.replace(engine._runtime, thinks=True)
    result = HostedChatModel(runtime=runtime, interrupt=stop).invoke("hi")
    assert result.content == "Yes."
    assert result.additional_kwargs["reasoning_content"] == "hm"
    assert result.usage_metadata["output_tokens"] == 9


def test_longrope_sessions_stay_below_the_turning_point(longrope):
    folder = ModelFolder.read(longrope)
    assert (folder.context, folder.turning_point) == (5120, 4096)
    engine = OnnxEngine(EngineURI("onnx", "longrope"), folder, session=5120, threads=1)
    try:
        model = engine.chat_model(GenerationOptions(max_tokens=8), threading.Event())
        assert model.profile["max_input_tokens"] == 4088
        with pytest.raises(ContextOverflow):
            model.invoke("\na" * 2100)
        assert engine.status().state == "idle"  # nothing was loaded to find out
        assert model.invoke("\na" * 2000).usage_metadata["output_tokens"] == 8
    finally:
        engine.close()


def test_positions_are_taken_as_scaled_where_a_long_folder_does_not_say(broken_copy):
    path = broken_copy / "genai_config.json"
    config = json.loads(path.read_text("utf-8"))
    config["model"]["context_length"] = 131072
    path.write_text(json.dumps(config), "utf-8")
    assert ModelFolder.read(broken_copy).session(100_000) == 100_000  # config.json says they are not
    (broken_copy / "config.json").unlink()
    assert ModelFolder.read(broken_copy).session(100_000) == 4096


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ({"frequency_penalty": 1.0}, "frequency_penalty"),
        ({"tools": [{}]}, "tools"),
        ({"logit_bias": {1: 2}}, "logit_bias"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 4096}, "max_tokens"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": "x"}}, "response_format"),
    ],
)
def test_an_option_that_cannot_be_honoured_is_named(chat, call, name):
    with pytest.raises(OptionUnsupported) as refused:
        chat(max_tokens=2).invoke("hi", **call)
    assert refused.value.details["option"] == name


def test_options_are_checked_before_there_is_work(chat):
    with pytest.raises(OptionUnsupported, match="max_tokens 9000"):
        chat(max_tokens=9000)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (ToolMessage("42", tool_call_id="1"), OptionUnsupported),
        (AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}]), OptionUnsupported),
        (ChatMessage("hm", role="narrator"), OptionUnsupported),
        (HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,aa"}}]), ModelCannotSee),
        (HumanMessage([{"type": "audio", "data": "aa"}]), OptionUnsupported),
    ],
    ids=["tool", "tool calls", "role", "image", "audio"],
)
def test_messages_that_cannot_be_passed_on_are_refused(chat, message, error):
    with pytest.raises(error):
        chat(max_tokens=2).invoke([HumanMessage("hi"), message])


def test_no_message_is_refused(chat):
    with pytest.raises(OptionUnsupported, match="no message"):
        chat(max_tokens=2).invoke([])


def test_stop_ends_a_run_between_tokens(chat, stop):
    model = chat(max_tokens=3000)
    stream = model.stream("hi")
    for _ in range(3):
        next(stream)
    stop.set()
    with pytest.raises(Interrupted):
        next(stream)
    stop.clear()
    assert model.invoke("hi", max_tokens=2).usage_metadata["output_tokens"] == 2


def test_closing_a_stream_ends_the_run(chat):
    started = time.monotonic()
    assert chat(max_tokens=3500).invoke("hi").usage_metadata["output_tokens"] == 3500
    whole = time.monotonic() - started
    stream = chat(max_tokens=3500).stream("hi")
    next(stream)
    stream.close()
    started = time.monotonic()
    assert chat(max_tokens=2).invoke("hi").usage_metadata["output_tokens"] == 2
    # The next run did not wait for what was left of the closed one.
    assert time.monotonic() - started < whole / 2


def test_stop_set_before_the_run_starts_nothing(chat, stop):
    stop.set()
    with pytest.raises(Interrupted):
        chat(max_tokens=2).invoke("hi")


def test_the_parents_threads_go_on_while_the_child_is_busy(engine, chat):
    """A stopped child stands for one that is deep in the library for as long as one likes."""
    model = chat(max_tokens=8)
    model.invoke("warm")
    pid = engine._runtime.host.status().pid
    results: list[str] = []
    os.kill(pid, signal.SIGSTOP)
    try:
        job = threading.Thread(target=lambda: results.append(model.invoke(LONG).content))
        job.start()
        beats, heart = [], threading.Thread(target=lambda: beats.extend(_beat(20)))
        heart.start()
        heart.join(10)
        assert len(beats) == 20
        assert engine.status().state == "ready"
        assert model.get_num_tokens_from_messages([HumanMessage(LONG)]) > 800
        assert results == []
    finally:
        os.kill(pid, signal.SIGCONT)
    job.join(30)
    assert len(results) == 1


def _beat(count: int) -> list[float]:
    pause = threading.Event()
    return [time.monotonic() for _ in range(count) if not pause.wait(0.01)]


def test_several_threads_take_turns_and_each_gets_its_own_words(chat):
    prompts = [f"the customer {word}" for word in ("asks", "repairs", "returns", "orders", "forgets")]
    alone = [chat(max_tokens=30).invoke(prompt).content for prompt in prompts]
    results: dict[int, str] = {}

    def run(index: int) -> None:
        results[index] = chat(max_tokens=30).invoke(prompts[index]).content

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [results[index] for index in range(len(prompts))] == alone


def test_a_penalty_for_repetition_and_min_p_reach_the_sampler(chat):
    greedy = chat(max_tokens=60).invoke("the customer").content
    assert chat(max_tokens=60, repetition_penalty=1.8).invoke("the customer").content != greedy
    assert chat(max_tokens=60, temperature=2.0, min_p=1.0).invoke("the customer").content == greedy
    assert chat(max_tokens=60, min_p=1.0).invoke("the customer").content == greedy


def test_a_conversation_says_how_much_of_it_was_known(chat):
    turns = [HumanMessage(LONG[:2000])]
    first = chat(max_tokens=20).invoke(turns)
    turns += [AIMessage(first.content), HumanMessage("and then?")]
    second = chat(max_tokens=20).invoke(turns).usage_metadata
    assert second["input_token_details"]["cache_read"] > 0.8 * first.usage_metadata["input_tokens"]


def test_a_bias_bans_tokens_and_brings_them_on(engine, stop):
    wanted = engine.chat_model(GenerationOptions(), stop).get_token_ids("kettle")[-1]
    brought = (
        engine.chat_model(GenerationOptions(max_tokens=4, logit_bias={str(wanted): 100}), stop).invoke("a").content
    )
    plain = engine.chat_model(GenerationOptions(max_tokens=4), stop).invoke("a").content
    banned = (
        engine.chat_model(GenerationOptions(max_tokens=4, logit_bias={str(wanted): -100}), stop).invoke("a").content
    )
    assert brought != plain
    assert "kettle" in brought.replace(" ", "")
    assert "kettle" not in banned
    with pytest.raises(OptionUnsupported, match="has 737 tokens"):
        engine.chat_model(GenerationOptions(logit_bias={"99999": 1}), stop)
