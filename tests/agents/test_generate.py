from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk

from agents.budget import SMALLEST_INPUT, Budget, most
from agents.complete import build_complete
from agents.contract import CompleteInput, Usage
from agents.errors import ContextOverflow, Interrupted
from agents.generate import Answer, trimmed
from agents.think import ThinkFilter

ASK = [HumanMessage("Hello?")]


def test_complete_streams_tokens_and_counts(model, run) -> None:
    result, chunks = run(build_complete(model("one two three", engine_notes=["n"])), CompleteInput(prompt="a b"))
    assert len(chunks) > 3
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (6, 3)
    assert (result.finish_reason, result.notes) == ("stop", ["n"])


def test_complete_says_when_it_was_cut_off(model, run, cut) -> None:
    result, _ = run(build_complete(model(cut("one two"))), CompleteInput(prompt="a"))
    assert result.finish_reason == "length"
    assert len(result.notes) == 1


def test_a_prompt_that_does_not_fit_is_never_sent(model) -> None:
    scripted = model("x", limit=50)
    with pytest.raises(ContextOverflow) as caught:
        build_complete(scripted).invoke(CompleteInput(prompt="word " * 60))
    assert caught.value.details == {"tokens": 64, "limit": 50}
    assert scripted.prompts == []


def test_an_interruption_passes_through(model) -> None:
    with pytest.raises(Interrupted):
        build_complete(model("some words here", interrupt_after=2)).invoke(CompleteInput(prompt="a"))


def test_closing_the_stream_ends_the_run(model) -> None:
    scripted = model("some words here")
    stream = build_complete(scripted).stream(CompleteInput(prompt="a"))
    next(stream)
    stream.close()
    assert scripted.closed


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize(
    ("raw", "text", "thinking"),
    [
        ("plain", "plain", ""),
        ("<think>hm</think>\n\nyes", "yes", "hm"),
        (" \n<think>\nhm\n</think>yes <think>no</think>", "yes <think>no</think>", "hm"),
        ("<think>never closed", "", "never closed"),
        ("<thi", "<thi", ""),
        ("  <b>bold</b>", "  <b>bold</b>", ""),
        ("a <think>b</think>", "a <think>b</think>", ""),
        ("", "", ""),
    ],
)
def test_thinking_is_kept_apart(model, raw, text, thinking, size) -> None:
    answer = Answer(model(raw, piece=size), ASK).read()
    assert answer.text == text
    assert answer.thinking == thinking
    assert any("thinking" in note for note in answer.notes) == bool(thinking and not text)


@given(st.text(alphabet="<think/> ab\n", max_size=60), st.integers(1, 7))
def test_the_filter_does_the_same_for_pieces_of_any_size(raw, size) -> None:
    def run(step: int) -> tuple[str, str]:
        think = ThinkFilter()
        text = "".join(think.feed(raw[i : i + step]) for i in range(0, len(raw), step)) + think.finish()
        return text, think.thinking

    assert run(size) == run(len(raw) + 1)
    if "<think>" not in raw:
        assert run(size)[0] == raw


@given(st.lists(st.text(alphabet="a b\n", max_size=6), max_size=8))
def test_trimmed_drops_only_the_white_space_around(pieces) -> None:
    assert "".join(trimmed(pieces)) == "".join(pieces).strip()


@given(st.integers(0, 50), st.integers(-1, 60))
def test_most_finds_the_largest_that_fits(limit, edge) -> None:
    assert most(limit, lambda n: n <= edge) == min(limit, edge)


def test_a_model_without_profile_gets_the_smallest_budget(model) -> None:
    scripted = model()
    scripted.profile = None
    assert Budget(scripted).prompt == SMALLEST_INPUT
    assert Budget(scripted).tokens("one two three") == 4


def test_what_the_engine_had_kept_of_the_prompt_is_counted():
    class Keeps(GenericFakeChatModel):
        def _stream(self, messages, stop=None, run_manager=None, **kwargs):
            counts = UsageMetadata(
                input_tokens=6, output_tokens=1, total_tokens=7, input_token_details={"cache_read": 4}
            )
            yield ChatGenerationChunk(message=AIMessageChunk(content="Yes", usage_metadata=counts))

    answer = Answer(Keeps(messages=iter(())), [HumanMessage("Do you?")]).read()
    assert (answer.usage + answer.usage).cached_tokens == 8
    assert "cached_tokens" not in Usage(prompt_tokens=6).model_dump_json(), "older versions know no such field"
