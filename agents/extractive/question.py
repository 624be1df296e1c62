"""What a conversation asks, worked out without a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.checks.words import content_words
from agents.contract import Message
from agents.extractive.evidence import coverage
from knowledge.types import Passage

_SHORT = 4  # content words; a shorter turn seldom says what it is about
_POINTING = re.compile(
    r"^(?:and|or|but|so|then|what about|how about|why|also|und|oder|et|y)\b"
    r"|\b(?:it|its|they|them|their|he|she|him|her|his|this|that|these|those|one|ones|there|same|instead|else)\b",
    re.IGNORECASE,
)
IGNORED_SYSTEM = "System instructions were not followed: the extractive engine only quotes."


@dataclass(frozen=True)
class Asked:
    """The question, and how to look for it.

    Attributes:
        question: What sentences are compared with.
        last_turn: What is looked up,
        before: with what was asked before it, the oldest first.
        follows: Whether it says little without the turn before it.
        last: The last turn's content words.
        foreign: Whether the question is mostly in another script than the Latin one.
        notes: What people should know.
    """

    question: str
    last_turn: str
    before: tuple[str, ...] = ()
    follows: bool = False
    last: frozenset[str] = frozenset()
    foreign: bool = False
    notes: list[str] = field(default_factory=list)

    def is_met_by(self, passage: Passage) -> bool:
        """Whether a near passage may be taken for an answer.

        A follow-up is looked up with the turn before it, which alone can bring a near passage: the passage must
        hold something of the last turn too. MiniLM knows English; in other scripts its cosine says little, and
        half of the asked words must stand there.
        """
        share = coverage(self.last, f"{passage.title} {passage.heading} {passage.text}")
        if self.foreign:
            return share >= 0.5
        return not self.follows or not self.last or share > 0


def understand(messages: Sequence[Message]) -> Asked:
    """The question that ends a conversation; a follow-up is read together with the user's turn before it."""
    turns = [message.content for message in messages if message.role == "user"]
    last = turns[-1]
    words = content_words(last)
    notes = [IGNORED_SYSTEM] if any(message.role == "system" for message in messages) else []
    letters = [char for char in last if char.isalpha()]
    foreign = sum(ord(char) > 0x24F for char in letters) > len(letters) / 2
    if len(turns) > 1 and (len(words) < _SHORT or _POINTING.search(last)):
        mixed = f"{turns[-2]} {last}"
        return Asked(mixed, last, tuple(turns[:-1]), True, words, foreign, notes)
    return Asked(last, last, tuple(turns[:-1]), False, words, foreign, notes)
