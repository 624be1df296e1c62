"""Going on from tokens: an answer made in two or three runs is, token by token, the one that a single run makes."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from agents.checkpoints import TokenLog
from agents.generate import Answer
from workers.engines.base import EngineURI
from workers.engines.host.backends.genai import GenAI
from workers.engines.host.protocol import Cancelled, Delta, Done, LoadSpec, Request
from workers.engines.host.writer import Writer
from workers.engines.hosted.encode import PromptEncoder
from workers.engines.onnx import OnnxEngine
from workers.engines.onnx.folder import ModelFolder
from workers.jobs import GenerationOptions

PLACES = [1, 2, 5, 63, 64, 65, 150, 299]


class Kept(dict):
    """Checkpoints in memory, as the ledger's."""

    def __init__(self) -> None:
        self.logs: dict[str, list[int]] = {}
        self.anew = 0

    def put(self, key, value):
        self[key] = value

    def tokens(self, key):
        return list(self.logs.get(key, ()))

    def extend(self, key, ids):
        self.logs.setdefault(key, []).extend(ids)

    def start_over(self):
        self.anew += 1
        self.logs.clear()


@pytest.fixture(scope="module", params=["tiny-phi3", "tiny-phi3-longrope"])
def model(request, tiny):
    return GenAI(LoadSpec(str(tiny.with_name(request.param)), threads=1, max_length=4096))


@pytest.fixture
def whole(drive):
    """Ids, text and end of a run that goes on from ``made``."""

    def run(model, request, made=()):
        ids, text, done = list(made), "", None
        for event in drive(model, replace(request, made=tuple(made))):
            if isinstance(event, Delta):
                ids += event.ids
                text += event.text
            elif isinstance(event, Done):
                done = event
        return ids, text, done

    return run


@pytest.mark.parametrize(("first", "step", "length"), [(0, 3, 20), (148, 7, 112), (37, 4, 43)])
def test_whereever_it_stopped_the_tokens_are_the_same(model, whole, first, step, length):
    """The second of these prompts is one where tokens read in chunks lead to others after 149."""
    request = Request(tokens=tuple(300 + (first + place * step) % 350 for place in range(length)), max_tokens=300)
    expected = whole(model, request)
    assert expected[2].completion_tokens == 300
    for place in PLACES:
        assert whole(model, request, expected[0][:place]) == expected, place


def test_a_run_that_was_told_everything_makes_nothing_more(model, whole):
    request = Request(tokens=(300, 301, 302), max_tokens=40)
    expected = whole(model, request)
    assert whole(model, request, expected[0]) == expected


def test_a_cancel_reaches_it_while_it_reads_what_was_made(model, whole, drive):
    made = whole(model, Request(tokens=(300, 301), max_tokens=500))[0]
    asked = []
    events = list(
        drive(
            model,
            Request(tokens=(300, 301), max_tokens=900, made=tuple(made)),
            lambda: len(asked) > 70 or asked.append(1),
        )
    )
    assert isinstance(events[-1], Cancelled)
    assert len(asked) == 71


@pytest.mark.parametrize("text", ["你好 🙂 ж", "𝄞𝄢 a𝄞", "one END two", "one EN two 🙂"])
def test_text_is_cut_nowhere_and_stop_strings_are_found_across_the_break(model, tiny, text):
    ids = PromptEncoder(tiny).encode_text(text)
    shown = text.partition("END")[0]

    def run(made):
        request = Request(tokens=(1,), max_tokens=100, stop=("END",), made=tuple(made))
        writer = Writer(request, model.text(), model.ends)
        return [
            *writer.again(),
            *(event for token in ids[len(made) :] for event in writer.add(token)),
            *writer.end("stop"),
        ]

    for place in range(len(ids)):
        events = run(ids[:place])
        deltas = [event for event in events if isinstance(event, Delta)]
        assert "".join(event.text for event in deltas).strip() == shown.strip()
        assert not any("\ufffd" in event.text for event in deltas)
        assert (events[-1].completion_tokens < len(ids)) == (shown != text)
    # What is logged at any moment covers the text shown by then: from it alone the same text comes again.
    logged, said = [], ""
    for event in run([]):
        if isinstance(event, Delta):
            logged += event.ids
            said += event.text
            again = run(logged)
            assert "".join(one.text for one in again if isinstance(one, Delta)).startswith(said)


@pytest.fixture
def answers(engine):
    """Ask the tiny model, going on from what is kept, and break off after so many pieces."""

    def ask(kept, prompt="the customer", pieces=None, **options):
        answer = Answer(engine.chat_model(GenerationOptions(**options), threading.Event()), _ask(prompt), kept)
        stream = iter(answer)
        text = ""
        for number, piece in enumerate(stream, 1):
            text += piece
            if number == pieces:
                stream.close()
                break
        return answer, text

    return ask


def _ask(prompt):
    from langchain_core.messages import HumanMessage

    return [HumanMessage(prompt)]


@pytest.mark.parametrize("stop", [[], ["er w"]])
def test_an_answer_in_three_attempts_is_that_of_one(answers, stop):
    undisturbed, _ = answers(Kept(), max_tokens=200, stop=stop)
    kept, before = Kept(), ""
    for pieces in (7, 50):
        _, text = answers(kept, pieces=pieces, max_tokens=200, stop=stop)
        assert text.startswith(before) or before.startswith(text)
        before = max(text, before, key=len)
    answer, text = answers(kept, max_tokens=200, stop=stop)
    assert (answer.text, answer.usage, answer.finish_reason) == (
        undisturbed.text,
        undisturbed.usage,
        undisturbed.finish_reason,
    )
    assert text == undisturbed.text
    assert undisturbed.usage.completion_tokens == 200
    assert kept.anew == 0


def test_an_answer_goes_on_after_its_process_was_killed(tiny):
    import os
    import signal

    from workers.errors import EngineLost

    engine = OnnxEngine(EngineURI("onnx", "tiny"), ModelFolder.read(tiny), threads=1)
    try:
        model = engine.chat_model(GenerationOptions(max_tokens=1500), threading.Event())
        undisturbed = Answer(model, _ask("hello")).read()
        kept, text = Kept(), ""
        answer = Answer(model, _ask("hello"), kept)
        with pytest.raises(EngineLost):  # noqa: PT012 - it is raised by the loop
            for number, piece in enumerate(answer):
                text += piece
                if number == 30:
                    os.kill(engine._runtime.host.status().pid, signal.SIGKILL)
        assert 30 < len(kept.logs[answer.key]) < 1500
        again = Answer(model, _ask("hello"), kept).read()
        assert again.text.startswith(text)
        assert (again.text, again.usage) == (undisturbed.text, undisturbed.usage)
        assert len(kept.logs[answer.key]) in (1499, 1500)
    finally:
        engine.close()


def test_a_seeded_answer_starts_over_and_says_so(answers):
    kept = Kept()
    answers(kept, pieces=5, max_tokens=40, temperature=1.5, seed=3)
    assert kept.logs == {}
    again, _ = answers(kept, max_tokens=40, temperature=1.5, seed=3)
    assert kept.anew == 2
    assert again.text == answers(Kept(), max_tokens=40, temperature=1.5, seed=3)[0].text


def test_a_drawn_answer_without_a_seed_goes_on(answers):
    kept = Kept()
    _, before = answers(kept, pieces=20, max_tokens=100, temperature=1.5)
    answer, _ = answers(kept, max_tokens=100, temperature=1.5)
    assert answer.text.startswith(before)
    assert answer.usage.completion_tokens <= 100
    assert kept.anew == 0


@pytest.mark.parametrize("ids", [[10**6], [-1], [300] * 41])
def test_ids_that_can_not_be_its_own_are_refused(answers, ids):
    kept = Kept()
    key = Answer(None, _ask("the customer")).key
    kept.logs[key] = ids
    answer, _ = answers(kept, max_tokens=40)
    assert kept.anew == 1
    assert answer.text == answers(Kept(), max_tokens=40)[0].text
    assert TokenLog(kept, key).ids != tuple(ids)
