# ruff: noqa: RUF001 -- the marks of other scripts are the point here
"""Sentences with exact offsets."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.sentences import MAX_SENTENCE, split_sentences


def _texts(text: str) -> list[str]:
    return [span.text for span in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Lee met Mr. Ng at 5 p.m. today.", ["Dr. Lee met Mr. Ng at 5 p.m. today."]),
        ("We sell e.g. pens. And ink.", ["We sell e.g. pens.", "And ink."]),
        ("It rose by 3.5 percent. Then it fell.", ["It rose by 3.5 percent.", "Then it fell."]),
        ("He lives in the U.S. The house is old.", ["He lives in the U.S.", "The house is old."]),
        ("The U.S. Army came.", ["The U.S. Army came."]),
        ("J. R. Smith wrote it. See No. 5 there.", ["J. R. Smith wrote it.", "See No. 5 there."]),
        ('She said "Stop." Then she left.', ['She said "Stop."', "Then she left."]),
        ("Yahoo! is a company. Wait... what?", ["Yahoo! is a company.", "Wait... what?"]),
        ("It ended in 2020. The rest is known.", ["It ended in 2020.", "The rest is known."]),
        ("Sie kommt am 3. Mai an. Das passt z. B. gut.", ["Sie kommt am 3. Mai an.", "Das passt z. B. gut."]),
        ("the printer is broken. please send another one", ["the printer is broken.", "please send another one"]),
        ("which recurs every year . Any change counts .", ["which recurs every year .", "Any change counts ."]),
        ("今天下雨。我们在家！你呢？好", ["今天下雨。", "我们在家！", "你呢？", "好"]),
        ("彼は「行く。」と言った。帰った。", ["彼は「行く。」", "と言った。", "帰った。"]),
        ("هل وصل الطلب؟ نعم وصل.", ["هل وصل الطلب؟", "نعم وصل."]),
        ("यह पहला है। यह दूसरा है।", ["यह पहला है।", "यह दूसरा है।"]),
        ("Visit https://example.org/a.b?c=d. It helps.", ["Visit https://example.org/a.b?c=d.", "It helps."]),
        ("They said no. We left on Jan. 5 then.", ["They said no.", "We left on Jan. 5 then."]),
        ("", []),
        (" \n\n . ! \n", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert _texts(text) == sentences


def test_headings_list_items_and_speakers_stand_alone() -> None:
    text = "# Returns\n\nRefunds\nYou have 30 days to send an item back to us.\n- Keep the box.\n2. Print the label"
    text += "\nAnna: hi\nBen: yes"

    assert _texts(text) == [
        "Returns",
        "Refunds",
        "You have 30 days to send an item back to us.",
        "Keep the box.",
        "Print the label",
        "Anna: hi",
        "Ben: yes",
    ]


def test_a_hard_wrapped_sentence_stays_whole() -> None:
    text = "The warranty covers every part of the machine that we have made and\nsold in the last two years. It ends."

    assert _texts(text)[0].endswith("sold in the last two years.")
    assert len(_texts(text)) == 2


def test_a_text_without_marks_is_cut_within_the_limit() -> None:
    spans = split_sentences("word " * 5000)

    assert max(span.end - span.start for span in spans) <= MAX_SENTENCE
    assert sum(span.text.count("word") for span in spans) == 5000


@given(st.text(alphabet=st.one_of(st.sampled_from('ab. !?\n#-1:|。？"”(A'), st.characters()), max_size=400))
def test_offsets_are_exact_and_in_order(text: str) -> None:
    spans = split_sentences(text)

    assert all(text[span.start : span.end] == span.text == span.text.strip() for span in spans)
    assert all(left.end <= right.start for left, right in itertools.pairwise(spans))


@pytest.mark.parametrize("piece", [". ", "a. ", "x\n", "''\"", "a" * 50 + ". ", "1.", "Mr. ", " " * 10])
def test_time_grows_with_length_only(piece: str) -> None:
    text = piece * (400_000 // len(piece))
    begin = time.monotonic()

    split_sentences(text)

    assert time.monotonic() - begin < 20
