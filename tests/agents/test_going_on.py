"""Chains that were interrupted anywhere end as if nothing had happened, and do only the rest."""

from __future__ import annotations

import json

import pytest

from agents.chat import build_chat
from agents.complete import build_complete
from agents.contract import (
    ChatInput,
    CompleteInput,
    DescribeRequest,
    Message,
    Picture,
    SourceText,
    SummarizeInput,
    TranslateInput,
)
from agents.describe import build_describe
from agents.errors import Interrupted
from agents.summarize import build_summarize
from agents.translate import TranslateConfig, build_translate

RETURNS = "Unopened goods may be returned within thirty days. Shipping is not refunded."
GROUNDED = "Unopened goods may be returned within thirty days [1]. Pigs can fly. Shipping is not refunded [1]. The end."
LONG = " ".join(f"Sentence number {n} tells what came to pass in the year {1900 + n}." for n in range(60))


def asked(question="How do returns work?", collection="default"):
    return ChatInput(messages=[Message(role="user", content=question)], collection=collection)


def picture():
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "PNG")
    return DescribeRequest(pictures=(Picture(name="red.png", data=file.getvalue()),))


@pytest.fixture(params=["complete", "plain", "grounded", "describe", "summary", "translation"])
def chain(request, tokens, shelf, passage):
    """A chain of each kind: (make a model, build it with model and checkpoints, its input)."""
    name = request.param

    def model(**fields):
        replies = {
            "grounded": lambda _: GROUNDED,
            "summary": lambda m: f"A part of {len(m[-1].text)}." if "a part" in m[-1].text else "All is told.",
            "translation": lambda m: "\n".join(
                line.upper() for line in m[-1].text.split("<text>\n")[-1].split("\n</text>")[0].splitlines()
            ),
        }
        more = {"limit": 400} if name == "summary" else {}
        profile = {"image_inputs": True} if name == "describe" else {}
        return tokens(
            replies.get(name, lambda _: "<think>hm</think> one two three four"), profile=profile, **more, **fields
        )

    def build(model, kept):
        found = shelf(passage(RETURNS))
        return {
            "complete": lambda: build_complete(model, kept),
            "plain": lambda: build_chat(model, None, checkpoints=kept),
            "grounded": lambda: build_chat(model, found, checkpoints=kept),
            "describe": lambda: build_describe(model, checkpoints=kept),
            "summary": lambda: build_summarize(model, kept),
            "translation": lambda: build_translate(model, kept, TranslateConfig(8, 2)),
        }[name]()

    value = {
        "complete": CompleteInput(prompt="go"),
        "plain": asked(collection=None),
        "grounded": asked(),
        "describe": picture(),
        "summary": SummarizeInput(texts=[SourceText(text=LONG, name="t")]),
        "translation": TranslateInput(text="# one\n\ntwo and more\n\nthree\n\nfour\n", target="de"),
    }[name]
    return model, build, value


def attempt(chain, value):
    """Text and result of an attempt; no result when it was interrupted."""
    text, result = "", None
    try:
        for chunk in chain.stream(value):
            text += chunk.delta
            result = chunk.result or result
    except Interrupted:
        return text, None
    return text, result


@pytest.mark.parametrize("pieces", [1, 4, 11])
def test_whereever_it_is_interrupted_it_ends_the_same_and_makes_no_token_twice(chain, kept, pieces):
    model, build, value = chain
    whole = model()
    text, undisturbed = attempt(build(whole, type(kept)()), value)
    made, shown, result = 0, "", None
    for _ in range(500):
        part = model(stop_at=pieces)
        said, result = attempt(build(part, kept.attempt()), value)
        assert said.startswith(shown) or shown.startswith(said)
        shown = max(said, shown, key=len)
        made += sum(part.made)
        if result is not None:
            break
    assert (said, result) == (text, undisturbed), "text, usage and notes"
    assert made == sum(whole.made)
    assert kept.anew == 0


def test_passages_are_those_of_the_first_attempt(tokens, shelf, passage, kept):
    first = tokens(lambda _: GROUNDED, stop_at=8)
    said, result = attempt(build_chat(first, shelf(passage(RETURNS)), checkpoints=kept), asked())
    assert result is None
    changed = shelf(passage("Everything is different now.", 2))
    again = tokens(lambda _: GROUNDED)
    text, result = attempt(build_chat(again, changed, checkpoints=kept.attempt()), asked())
    assert [one.id for one in result.passages] == ["p1"]
    assert changed.queries == []
    assert text.startswith(said)
    assert again.prompts == first.prompts


def test_that_nothing_was_found_is_frozen_too(tokens, shelf, passage, kept):
    attempt(build_chat(tokens(lambda _: GROUNDED), shelf(), checkpoints=kept), asked())
    _, result = attempt(build_chat(tokens(lambda _: GROUNDED), shelf(passage(RETURNS)), checkpoints=kept), asked())
    assert result.band == "abstained"


def test_a_model_that_can_not_go_on_says_so(model, kept):
    """Each call of it that is not kept whole voids what was shown of it."""
    attempt(build_complete(model("one"), kept), CompleteInput(prompt="go"))
    assert kept.anew == 1
    assert kept.logs == {}


def test_the_same_part_asked_twice_costs_once(model, run, kept):
    config = TranslateConfig(8, 1)
    result, _ = run(build_translate(model("EINS"), kept, config), TranslateInput(text="one\n\none\n", target="de"))
    assert result.text == "EINS\n\nEINS\n"
    assert result.usage.completion_tokens == 1


def test_an_empty_answer_is_asked_for_again_in_a_later_attempt_too(tokens, run, kept):
    answers = ["", "A part."]
    model = tokens(
        lambda m: "All." if "a part" not in m[-1].text else answers.pop(0) if answers else "A part.", limit=400
    )
    result, _ = run(build_summarize(model, kept), SummarizeInput(texts=[SourceText(text=LONG, name="t")]))
    assert result.text == "All."
    assert all(json.loads(value)[0] for value in kept.values()), "an empty answer is no finished part"
