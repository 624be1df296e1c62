"""The fake engine that is faithful, and what it does when told to spoil its answers."""

import threading

import py3langid
import pytest

from agents.contract import Message
from agents.prompts import chat, summarize, translate
from knowledge.types import Passage
from workers.engines.base import EngineURI
from workers.engines.fake import FakeEngine
from workers.engines.fake_faithful import CORRUPTIONS, UNSUPPORTED
from workers.errors import EngineUnknown
from workers.jobs import GenerationOptions

LINE = (
    "Dear {name}, please pay <b>45.50 dollars</b> before the 12th at https://example.org/pay and run `phiq up` again."
)
PASSAGES = [
    Passage(id="1", text="The ring is held for 12 seconds. Nothing is lost.", source="a", title="A"),
    Passage(id="2", text="Cats sleep all day. A reset in the app takes 30 seconds.", source="b", title="B"),
]


def said(name, messages):
    model = FakeEngine(EngineURI("fake", name)).chat_model(GenerationOptions(), threading.Event())
    message = model.invoke(messages)
    return message.content, message.response_metadata["finish_reason"]


def translation(corrupt, text=LINE, target="fr"):
    return said(f"faithful?corrupt={corrupt}", translate.alone(text, translate.Languages("en", target)))


def answer(corrupt):
    question = Message(role="user", content="How many seconds is the ring held for a reset?")
    return said(f"faithful?corrupt={corrupt}", chat.grounded(PASSAGES, [question]))[0]


def test_it_keeps_what_a_translation_must_keep_and_looks_like_the_language():
    text, finish = translation("")
    for kept in ("{name}", "<b>", "</b>", "45.50", "12th", "https://example.org/pay", "`phiq up`"):
        assert text.count(kept) == 1
    assert (finish, py3langid.classify(text)[0]) == ("stop", "fr")
    assert len(text.split()) == len(LINE.split())


def test_numbered_lines_stay_numbered():
    lines = translate.numbered(["One line", "Another {x} line"], translate.Languages(None, "German"))
    first, second = said("faithful", lines)[0].split("\n")
    assert first.startswith("[1] ")
    assert second.startswith("[2] ")
    assert "{x}" in second
    assert "Another" not in second


def test_each_corruption_of_a_translation_is_what_it_says():
    text, _ = translation("")
    assert translation("placeholder")[0] == text.replace("{name}", "", 1)
    assert translation("number")[0] == text.replace("45.50", "46.50")
    assert translation("unsupported")[0].startswith(text + " ")
    assert py3langid.classify(translation("language")[0])[0] == "de"
    half = translation("cut")
    assert text.startswith(half[0])
    assert (len(half[0].split()), half[1]) == (len(text.split()) // 2, "stop")
    assert translation("limit") == (half[0], "length")


def test_it_mends_when_it_is_told_that_it_was_wrong():
    again = translate.strict(LINE, translate.Languages("en", "fr"), ["45.50 is missing"], ["45.50"])
    assert said("faithful?corrupt=number&mends=1", again) == translation("")
    assert said("faithful?corrupt=number", again) == translation("number")


def test_an_answer_quotes_the_passages_and_is_spoilt_on_request():
    assert answer("") == "The ring is held for 12 seconds. [1] A reset in the app takes 30 seconds. [2]"
    assert answer("number") == "The ring is held for 13 seconds. [1] A reset in the app takes 31 seconds. [2]"
    assert answer("marker") == "The ring is held for 12 seconds. [2] A reset in the app takes 30 seconds. [3]"
    assert answer("unsupported").endswith(f"{UNSUPPORTED} [1]")
    assert answer("cut") == "The ring is held for 12"
    assert "12" in answer("language")
    assert py3langid.classify(answer("language"))[0] == "de"


def test_a_summary_has_as_many_sentences_as_asked_for():
    prompt = summarize.whole([(p.title, p.text) for p in PASSAGES], summarize.Wish(2, None, None))
    assert said("faithful", prompt)[0] == "The ring is held for 12 seconds. Cats sleep all day."
    assert said("faithful?corrupt=number", prompt)[0].startswith("The ring is held for 13 seconds.")
    assert said("faithful?corrupt=unsupported", prompt)[0].endswith(UNSUPPORTED)
    german = summarize.whole([(p.title, p.text) for p in PASSAGES], summarize.Wish(2, None, "de"))
    assert py3langid.classify(said("faithful", german)[0])[0] == "de"


@pytest.mark.parametrize(
    "name", ["echo?corrupt=number", "faithful?corrupt=lies", "faithful?corrupt=number,", "words?corrupt=cut"]
)
def test_what_it_does_not_know_is_refused(name):
    with pytest.raises(EngineUnknown, match="corrupt belongs to fake:faithful"):
        FakeEngine(EngineURI("fake", name))


@pytest.mark.parametrize("corrupt", CORRUPTIONS)
def test_it_is_the_same_each_time_and_never_empty(corrupt):
    assert translation(corrupt) == translation(corrupt)
    assert translation(corrupt, "Yes.")[0]
