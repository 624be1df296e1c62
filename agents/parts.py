"""Cuts long texts into parts that fit a prompt, at paragraphs, sentences, words or, at worst, anywhere.

The parts hold every character of the texts exactly once and in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tools.sentences import split_sentences

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_WORD = re.compile(r"\S+\s*|\s+")

LONG_WORD = 100
"""Characters without white space from which it is no word: a script without spaces, or garbage."""


class Piece(NamedTuple):
    """A stretch of one text: ``text`` is ``texts[source][start:end]``."""

    source: int
    start: int
    end: int
    text: str


class Part(NamedTuple):
    """What goes into one prompt: stretches of one or several texts."""

    pieces: tuple[Piece, ...]


def partition(texts: Sequence[str], room: int, tokens: Callable[[str], int], each: int = 0) -> list[Part]:
    """Cut texts into parts of at most ``room`` tokens.

    Args:
        texts: The texts, in order.
        room: Tokens a part may have, at least 1.
        tokens: Counts a stretch of text; may err high.
        each: Tokens each text adds to a part by being named and framed there.
    """
    parts: list[Part] = []
    pieces: list[Piece] = []
    used = 0

    def close() -> None:
        nonlocal pieces, used
        if pieces:
            parts.append(Part(tuple(pieces)))
        pieces, used = [], 0

    for index, text in enumerate(texts):
        for start, end in _units(text, 0, len(text), max(1, room - each), tokens):
            size = tokens(text[start:end])
            if used + size + (0 if _goes_on(pieces, index) else each) > room:
                close()
            if _goes_on(pieces, index):
                begin = pieces.pop().start
            else:
                begin = start
                used += each
            used += size
            pieces.append(Piece(index, begin, end, text[begin:end]))
    close()
    return parts


def halve(text: str) -> tuple[str, str] | None:
    """The text in two, cut at the sentence nearest its middle, else at a word, else, when long, anywhere.

    White space at the seam stays with the first; None where there is nothing to cut.
    """
    for cuts in (_sentences(text), _words(text), _halves(text) if len(text) > LONG_WORD else []):
        inside = [cut for cut in cuts if text[:cut].strip() and text[cut:].strip()]
        if inside:
            cut = min(inside, key=lambda at: abs(at - len(text) / 2))
            return text[:cut], text[cut:]
    return None


def _goes_on(pieces: list[Piece], index: int) -> bool:
    return bool(pieces) and pieces[-1].source == index


def _units(
    text: str, start: int, end: int, room: int, tokens: Callable[[str], int], level: int = 0
) -> Iterator[tuple[int, int]]:
    """Stretches of at most ``room`` tokens that cover ``text[start:end]``, as coarse as they can be."""
    for left, right in _split(text, start, end, level):
        if right - left <= 1 or tokens(text[left:right]) <= room:
            yield left, right
        else:
            yield from _units(text, left, right, room, tokens, min(level + 1, len(_CUTS) - 1))


def _split(text: str, start: int, end: int, level: int) -> Iterator[tuple[int, int]]:
    cuts = [start + cut for cut in _CUTS[level](text[start:end])]
    left = start
    for cut in [*cuts, end]:
        if left < cut:
            yield left, cut
            left = cut


def _paragraphs(text: str) -> list[int]:
    return [match.end() for match in _PARAGRAPH.finditer(text)]


def _sentences(text: str) -> list[int]:
    return [span.start for span in split_sentences(text)]


def _words(text: str) -> list[int]:
    return [match.end() for match in _WORD.finditer(text)]


def _halves(text: str) -> list[int]:
    return [len(text) // 2]


# From coarse to fine; below words a stretch is halved until it fits.
_CUTS: tuple[Callable[[str], list[int]], ...] = (_paragraphs, _sentences, _words, _halves)
