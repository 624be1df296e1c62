"""Checks an answer in another language than its passages, sentence by sentence against the words it quotes.

Words can't be compared across languages, so the model gives for each sentence the words of the passage it renders:

    Geöffnete Software ist vom Umtausch ausgeschlossen. [1] "Opened software is excluded from returns."

Shown is the sentence with its marker, when the quoted words stand in that passage as they are, every number and code
of the sentence stands in the sentences quoted from, one denies exactly if the other does, and the sentence is not
much longer than what it renders. That the wording says the same is not checked; a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from agents.checks.markers import Sentence
from agents.checks.numbers import foreign_numbers
from agents.checks.orders import without_orders
from agents.checks.quotes import find_quote
from agents.checks.words import content_words, limits, negated_words
from agents.contract import Citation
from agents.prompts.chat import NO_ANSWER
from knowledge.types import Passage
from tools.sentences import Span, split_sentences

_CLAIM = re.compile(
    r"^\s*(?:[-*•]\s+|\d{1,2}[.)]\s+)?(?P<claim>.+?)\s*\[\s*(?P<marker>\d{1,3})\s*\][.:]?\s*"
    r"[\"“„«»「『](?P<quote>.+)[\"”“»«」』][.\s]*$"
)
_CODE = re.compile(r"\b(?=\w*\d)(?=\w*[^\W\d_])[\w-]+\b|\b[A-Z]{2,}[\w-]*\b")
_LEAST_QUOTE = 2  # content words
_LONGER = 2.0  # times as long as what is rendered, in characters
_ROOM = 40  # characters more, whatever the length


class _Found(NamedTuple):
    marker: int
    span: Span


_TAIL = re.compile(r"(?:\[\s*\d{1,3}\s*\])?[.:]?\s*[\"“„«»「『].+[\"”“»«」』][.\s]*$")


def without_quotes(line: str) -> str:
    """The line without what it quotes behind its sentence."""
    return _TAIL.sub("", line).strip()


class LineStream:
    """Cuts streaming text into lines; a line is out once the next has begun."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, piece: str) -> list[Sentence]:
        """The lines that ``piece`` completes."""
        *lines, self._text = (self._text + piece).split("\n")
        return [Sentence(line.strip(), "\n") for line in lines if line.strip()]

    def finish(self) -> list[Sentence]:
        """What is left when the stream ends."""
        rest, self._text = self._text.strip(), ""
        return [Sentence(rest, "\n")] if rest else []


class QuotedGrounding:
    """The shown part of such an answer while it grows; used as :class:`agents.checks.grounded.Grounding` is.

    Attributes:
        text: What has been shown so far.
        citations: One for each sentence shown; ``quote`` is what it renders, in the passage's language.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = list(passages)
        self._withheld = 0
        self.text = ""
        self.citations: list[Citation] = []

    def admit(self, sentence: Sentence, *, cut: bool = False) -> str:
        """What to show of a line: its sentence with its marker, or nothing; ``cut``: the line may be incomplete."""
        if sentence.text.strip(" .`*\"'") == NO_ANSWER:
            return ""
        parts = _CLAIM.match(sentence.text)
        claim = parts["claim"].strip() if parts else ""
        found = self._borne_out(claim, int(parts["marker"]), parts["quote"]) if parts else None
        if found is None:
            self._withheld += not cut
            return ""
        shown = f"{claim} [{found.marker}]"
        delta = f" {shown}" if self.text else shown
        start = len(self.text) + len(delta) - len(shown)
        self.text += delta
        passage = self._passages[found.marker - 1]
        self.citations.append(
            Citation(
                marker=found.marker,
                passage_id=passage.id,
                source=passage.source,
                title=passage.title,
                page=passage.page,
                quote=passage.text[found.span.start : found.span.end],
                start=found.span.start,
                end=found.span.end,
                answer_start=start,
                answer_end=len(self.text),
            )
        )
        return delta

    def notes(self) -> list[str]:
        """What a reader must know of sentences that were not shown."""
        if not self._withheld:
            return []
        if self._withheld == 1:
            return ["1 sentence of the model did not render words of the passages that it quoted, and was not shown."]
        rest = "did not render words of the passages that they quoted, and were not shown."
        return [f"{self._withheld} sentences of the model {rest}"]

    def _borne_out(self, claim: str, marker: int, quote: str) -> _Found | None:
        if not claim or not 1 <= marker <= len(self._passages):
            return None
        text = without_orders(self._passages[marker - 1].text)
        span = find_quote(quote, text)
        if span is None or len(content_words(span.text)) < _LEAST_QUOTE:
            return None
        around = " ".join(one.text for one in split_sentences(text) if one.start < span.end and one.end > span.start)
        codes = {code.casefold() for code in _CODE.findall(claim)}
        # "unused" is no denial of its sentence.
        drawn = [word for word in limits(around) if not word.startswith("un") or word in ("unless", "unavailable")]
        denied, denies = bool(negated_words(claim)), bool(negated_words(around) or drawn)
        ours_only = denied and not denies
        theirs_only = bool(negated_words(span.text)) and not denied
        if (
            foreign_numbers(claim, around)
            or any(code not in around.casefold() for code in codes)
            or ours_only
            or theirs_only
            or len(claim) > _LONGER * len(around) + _ROOM
        ):
            return None
        return _Found(marker, span)
