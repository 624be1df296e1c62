"""How well a passage bears an answer to a question, as log-odds: 0 where it is as likely as not.

A weighted sum of what can be seen without a model that reads. Weights are a logistic regression's on the 300
questions of ClapNQ's development set that are shared for measuring (Apache-2.0), half of them with a passage that is
on the matter and holds no answer; `python benchmarks/bench_extractive.py DATA --only abstaining` fits them anew and
says what they bring on questions that were held out. Cosines are all-MiniLM-L6-v2's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.checks.words import content_words
from agents.extractive.evidence import Evidence
from knowledge.types import Passage

_FEW = 3  # sentences; of fewer none can stand out


@dataclass(frozen=True)
class Weights:
    """What each sign counts.

    Attributes:
        passage: Cosine of question and passage, its title before it.
        sentence: Cosine of question and the best sentence.
        words: Share of the asked words which that sentence holds.
        quantity: It holds the number or time asked for (1), or not (-1), or none was asked for (0).
        contrast: By how much the best sentence is nearer than the passage's mean one. A passage on the matter that
            holds no answer is near all over.
        asked: Content words of the question, up to eight: the more it asks, the harder it is met.
        usual: The contrast of passages too short to have one.
        bias: Added to the sum.
    """

    passage: float = 10.28
    sentence: float = 3.77
    words: float = 0.82
    quantity: float = 0.40
    contrast: float = 11.32
    asked: float = -0.21
    usual: float = 0.108
    bias: float = -8.64


DEFAULT = Weights()


def signs(question: str, passage: Passage, ranked: Sequence[Evidence], usual: float = DEFAULT.usual) -> list[float]:
    """The six signs, in the order of :class:`Weights`; ``ranked`` holds the passage's sentences among others."""
    own = [item for item in ranked if item.passage.id == passage.id]
    asked = min(len(content_words(question)), 8)
    if not own:
        return [passage.score, 0.0, 0.0, 0.0, usual, asked]
    # Chosen without regard to quantities: in a long passage some sentence always holds a number.
    best = max(own, key=lambda item: item.cosine / 2 + 0.1 * item.coverage)
    titled = [item.titled for item in own]
    contrast = max(titled) - sum(titled) / len(titled) if len(own) >= _FEW else usual
    return [passage.score, best.cosine, best.coverage, best.fits, contrast, asked]


def support(question: str, passage: Passage, ranked: Sequence[Evidence], weights: Weights = DEFAULT) -> float:
    """The log-odds that a passage answers a question."""
    counts = (weights.passage, weights.sentence, weights.words, weights.quantity, weights.contrast, weights.asked)
    found = signs(question, passage, ranked, weights.usual)
    return weights.bias + sum(count * sign for count, sign in zip(counts, found, strict=True))
