"""Breaking streamed text between words."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.wrap import Wrapper


def stream(text: str, width: int, pieces: int) -> str:
    out: list[str] = []
    wrapper = Wrapper(out.append, width)
    for start in range(0, len(text), pieces):
        wrapper.feed(text[start : start + pieces])
    wrapper.finish()
    return "".join(out)


@pytest.mark.parametrize("pieces", [1, 3, 7, 1000])
def test_text_is_broken_where_textwrap_would_break_it_whatever_the_pieces(pieces: int) -> None:
    text = "To reset the Loop to its factory settings, hold the ring for twelve seconds until it flashes. " * 3
    assert stream(text.strip(), 30, pieces) == textwrap.fill(text, 30)


def test_line_breaks_and_indents_of_the_text_stay() -> None:
    assert stream("one\n\n  two\n- three", 20, 2) == "one\n\n  two\n- three"


def test_without_a_terminal_nothing_changes() -> None:
    text = "words " * 100
    assert stream(text, 0, 5) == text


def test_text_without_spaces_streams() -> None:
    out: list[str] = []
    Wrapper(out.append, 20).feed("字" * 60)
    assert "".join(out) == "字" * 60


@given(st.text(alphabet="ab \n字", max_size=200), st.integers(1, 9), st.integers(5, 40))
def test_no_word_is_lost_or_changed(text: str, pieces: int, width: int) -> None:
    assert stream(text, width, pieces).split() == text.split()
