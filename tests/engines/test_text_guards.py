"""Markers, token estimates and thoughts: what is done to text on its way to a server and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from workers.engines.estimate import estimate, floor, tokens_of
from workers.engines.markers import MARKERS, break_markers, note_of
from workers.engines.thinking import Thinking

PIECES = st.lists(st.sampled_from([*MARKERS, "<|", "|>", "<", ">", "|", "end", "/s", "s", " ", "x"]), max_size=12)


@pytest.mark.parametrize("marker", MARKERS)
def test_every_known_marker_is_broken_and_named(marker):
    text, found = break_markers(f"before {marker} after")
    assert marker not in text
    assert found == [marker]
    assert text.replace(" ", "") == f"before{marker}after"
    assert marker in note_of(found)


@given(PIECES.map("".join))
def test_no_marker_is_left_however_they_are_nested(text):
    broken, found = break_markers(text)
    assert not any(marker in broken for marker in MARKERS)
    assert break_markers(broken) == (broken, [])
    assert broken.replace(" ", "") == text.replace(" ", "")
    assert bool(found) == (broken != text)


@pytest.mark.parametrize("text", ["", "a < b | c > d", "<b>bold</b>", "if a <| b", "<||>", "f(x) |> g", "1 <s and> 2"])
def test_ordinary_text_is_left_alone(text):
    assert break_markers(text) == (text, [])
    assert note_of([]) == ""


PROSE = (
    "The quick brown fox jumps over the lazy dog while seventeen committee members, unimpressed, "
    "continue their discussion of the annual budget for infrastructure maintenance."
)


def test_prose_is_estimated_high_but_not_absurdly():
    words = len(PROSE.split())
    assert 1.3 * words <= tokens_of(PROSE) <= 2.5 * words


@given(st.text(max_size=200))
def test_the_estimate_is_never_below_the_floor(text):
    messages = [HumanMessage(text)]
    assert estimate(messages) >= floor(messages)
    assert tokens_of(text) <= 4 * len(text.encode("utf-8", "surrogatepass")) + 1


@given(st.text(max_size=60), st.text(max_size=60))
def test_more_text_is_never_fewer_tokens_by_much(first, second):
    assert tokens_of(first + "\n" + second) >= max(tokens_of(first), tokens_of(second)) - 1


@pytest.mark.parametrize(("text", "least"), [("1234567890", 10), ("你好世界", 8), ("def f():\n    return 1\n", 9)])
def test_what_small_vocabularies_split_is_counted_so(text, least):
    assert tokens_of(text) >= least


def test_turns_and_pictures_cost():
    picture = HumanMessage([{"type": "text", "text": "x"}, {"type": "image", "base64": "", "mime_type": "image/png"}])
    assert estimate([picture]) > 2000
    assert estimate([HumanMessage("x"), AIMessage("x")]) > estimate([HumanMessage("x")])


def split(pieces):
    thinking = Thinking()
    answer = thought = ""
    for piece in pieces:
        new = thinking.feed(piece)
        answer, thought = answer + new[0], thought + new[1]
    new = thinking.end()
    return answer + new[0], thought + new[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>hm, 2 < 3</think>\n\nFour.", ("Four.", "hm, 2 < 3")),
        ("\n <think>hm</think>Four.", ("Four.", "hm")),
        ("Four. <think> is a tag </think>", ("Four. <think> is a tag </think>", "")),
        ("<think>never closed", ("", "never closed")),
        ("<think>almost </thin", ("", "almost </thin")),
        ("<thi", ("<thi", "")),
        ("", ("", "")),
        ("  leading", ("  leading", "")),
    ],
)
def test_thoughts_are_told_from_the_answer_however_the_stream_is_cut(text, expected):
    assert split([text]) == expected
    assert split(list(text)) == expected
