"""Lets through only those sentences of an answer that its passages bear out, and notes where they stand."""

from __future__ import annotations

from collections.abc import Sequence

from agents.checks.markers import Sentence, cited_markers, without_markers
from agents.checks.orders import without_orders
from agents.checks.support import SupportConfig, best_sentence, check_support
from agents.contract import Citation
from agents.prompts.chat import NO_ANSWER
from knowledge.types import Passage


class Grounding:
    """The shown part of an answer while it grows.

    Attributes:
        text: What has been shown so far.
        citations: One for each marker of each sentence shown; the spans are exact in ``text`` and the passage.
    """

    def __init__(
        self, passages: Sequence[Passage], config: SupportConfig | None = None, *, find_markers: bool = True
    ) -> None:
        self._passages = list(passages)
        # Of the same length as the passages, so that spans in them are spans in those.
        self._evidence = [without_orders(passage.text) for passage in self._passages]
        self._config = config or SupportConfig()
        self._find_markers = find_markers
        self._withheld = self._marked = self._cut = 0
        self.text = ""
        self.citations: list[Citation] = []

    def admit(self, sentence: Sentence, *, cut: bool = False) -> str:
        """What to show of a sentence: its text with what sets it off, or nothing.

        Args:
            sentence: The next sentence of the answer.
            cut: The answer ended at its limit within this sentence: half a sentence is not shown.
        """
        claim = without_markers(sentence.text)
        if claim.strip(" .`*\"'") == NO_ANSWER or not any(char.isalnum() for char in claim):
            return ""
        markers, shown = cited_markers(sentence.text), sentence.text
        if cut and not (markers and sentence.text.rstrip().endswith(("]", ".", "!", "?", "。"))):
            self._cut += 1
            return ""
        if not markers and self._find_markers and (found := self._passage_of(claim)):
            markers, shown = (found,), f"{sentence.text} [{found}]"
            self._marked += 1
        if not self._supported(claim, markers):
            self._withheld += 1
            return ""
        delta = f"{sentence.before or ' '}{shown}" if self.text else shown
        start = len(self.text) + len(delta) - len(shown)
        self.text += delta
        self.citations += [self._citation(claim, marker, start) for marker in markers]
        return delta

    def notes(self) -> list[str]:
        """What a reader must know about sentences that were not shown, or were marked here."""
        notes = []
        if self._withheld:
            notes.append(_count(self._withheld, "was", "not borne out by the passages and not shown"))
        if self._marked:
            notes.append(_count(self._marked, "came", "without a marker; the passage was found by comparison"))
        if self._cut:
            notes.append("The last sentence was cut off and is not shown.")
        return notes

    def _supported(self, claim: str, markers: Sequence[int]) -> bool:
        if not markers or any(not 1 <= marker <= len(self._passages) for marker in markers):
            return False
        cited = [self._evidence[marker - 1] for marker in markers]
        return check_support(_without_list_mark(claim), cited, self._config).supported

    def _passage_of(self, claim: str) -> int:
        """The number of the passage that bears a claim out best by itself; 0 when none does."""
        verdicts = [
            (check_support(_without_list_mark(claim), [text], self._config), -number)
            for number, text in enumerate(self._evidence, 1)
        ]
        borne_out = [(verdict.coverage, number) for verdict, number in verdicts if verdict.supported]
        return -max(borne_out)[1] if borne_out else 0

    def _citation(self, claim: str, marker: int, answer_start: int) -> Citation:
        passage = self._passages[marker - 1]
        span = best_sentence(claim, self._evidence[marker - 1])
        return Citation(
            marker=marker,
            passage_id=passage.id,
            source=passage.source,
            title=passage.title,
            page=passage.page,
            quote=passage.text[span.start : span.end],
            start=span.start,
            end=span.end,
            answer_start=answer_start,
            answer_end=len(self.text),
        )


def _without_list_mark(claim: str) -> str:
    """The claim without ``2.`` or ``-`` before it: the number of a list item is no number of the passage's."""
    head, space, rest = claim.partition(" ")
    is_mark = head in ("-", "*", "•", "+") or (head[-1:] in (".", ")") and head[:-1].isdigit())
    return rest if space and is_mark else claim


def _count(number: int, verb: str, rest: str) -> str:
    if number == 1:
        return f"1 sentence of the model {verb} {rest}."
    return f"{number} sentences of the model {'were' if verb == 'was' else verb} {rest}."
