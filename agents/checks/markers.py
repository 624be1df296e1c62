"""Citation markers such as ``[2]`` and ``[1, 3]`` in a model's answer, and its sentences with theirs as they stream."""

from __future__ import annotations

import re
from typing import NamedTuple

from tools.sentences import split_sentences

_MARKER = re.compile(r"\s*\[\s*(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\s*\]")
_TIGHT = re.compile(r"[.!?](?:\[\s*\d{1,3}(?:\s*[,;]\s*\d{1,3})*\s*\])+(?=\s+[^\s\[])")
_LEADING = re.compile(r"(?:\s*\[\s*\d{1,3}(?:\s*[,;]\s*\d{1,3})*\s*\])+[.!?]?")
# A beginning that may yet turn out to be a marker of the sentence before.
_OPEN = re.compile(r"\s*(?:\[[\d,;\s]*)?$")


class Sentence(NamedTuple):
    """A sentence of an answer as it stands there; ``before`` is what sets it off from the one before."""

    text: str
    before: str


def cited_markers(sentence: str) -> tuple[int, ...]:
    """The numbers a sentence cites, in order, each once."""
    found = (int(number) for match in _MARKER.finditer(sentence) for number in re.findall(r"\d+", match[1]))
    return tuple(dict.fromkeys(found))


def without_markers(sentence: str) -> str:
    """The sentence's own words."""
    return _MARKER.sub("", sentence).strip()


class SentenceStream:
    """Cuts streaming text into sentences; a sentence is out once the next one has begun.

    Markers after the full stop belong to the sentence before them.
    """

    def __init__(self) -> None:
        self._text = ""
        self._first = True

    def feed(self, piece: str) -> list[Sentence]:
        """The sentences that ``piece`` completes."""
        self._text += piece
        return self._take(last=False)

    def finish(self) -> list[Sentence]:
        """What is left when the stream ends."""
        return self._take(last=True)

    def _take(self, *, last: bool) -> list[Sentence]:
        ends = self._ends()
        if not last:
            # The final cut is the end of what has come so far, not of a sentence.
            ends = ends[:-1]
        sentences, begin = [], 0
        for end in ends:
            raw = self._text[begin:end]
            begin = end
            if text := raw.strip():
                before = _gap(raw[: len(raw) - len(raw.lstrip())])
                sentences.append(Sentence(text, "" if self._first else before))
                self._first = False
        self._text = self._text[begin:]
        return sentences

    def _ends(self) -> list[int]:
        """Where sentences end in the text held, in order; the last end is the text's."""
        text = self._text
        # "Said so.[4] Next" has no space after the full stop: the splitter sees one sentence there.
        ends = {match.end() for match in _TIGHT.finditer(text)}
        starts = [span.start for span in split_sentences(text)][1:]
        for start in starts:
            end = start
            # A list mark or white space before a sentence belongs to it, not to the one before.
            line = text.rfind("\n", 0, start)
            if line >= 0 and not any(char.isalpha() for char in text[line:start]):
                end = line
            while end > 0 and text[end - 1].isspace():
                end -= 1
            rest = text[end:]
            if leading := _LEADING.match(rest):
                end += leading.end()
                rest = text[end:]
            if not _OPEN.fullmatch(rest):
                ends.add(end)
        return sorted({*ends, len(text)})


def _gap(space: str) -> str:
    lines = space.count("\n")
    return "\n\n" if lines > 1 else "\n" if lines else " "
