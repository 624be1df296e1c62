"""From where on a chat answers: thresholds, and how they are fitted on questions of which it is known.

A threshold is fitted so that at most a given share of the questions that a collection can't answer are answered all
the same. What it brings is measured on questions that it was not fitted on (cross-validation).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

ANSWER_AT = 0.34
NEAR = 0.48
NOTE = "calibration"
"""Under which it is kept with a collection."""
LEAST = 20
"""Questions of each kind that are needed: fewer say nothing about one in ten."""
_FOLDS = 5


@dataclass(frozen=True)
class Calibration:
    """Thresholds of a collection; the defaults are fitted on ClapNQ (docs/answers.md).

    Attributes:
        answer_at: Support (log-odds, :mod:`agents.extractive.support`) from which the extractive chat answers.
        near: Cosine of the best passage below which the extractive chat abstains, unless its support is enough,
            and any chat with a model.
        questions: Questions it was fitted on; 0: the defaults.
    """

    answer_at: float = ANSWER_AT
    near: float = NEAR
    questions: int = 0

    def dump(self) -> str:
        """As it is kept with a collection."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> Calibration:
        """What :meth:`dump` wrote; the defaults when it can't be read or a newer version wrote more."""
        try:
            kept = json.loads(text)
            return cls(float(kept["answer_at"]), float(kept["near"]), int(kept.get("questions", 0)))
        except (ValueError, TypeError, KeyError):
            return cls()


@dataclass(frozen=True)
class Judged:
    """A question that was looked up: whether the collection can answer it, and what was seen."""

    answerable: bool
    support: float
    score: float


@dataclass(frozen=True)
class Rates:
    """Shares 0..1 of what can be answered and was, and of what can't be answered and was all the same."""

    answered: float
    falsely: float


def fit(judged: Sequence[Judged], at_most: float = 0.1) -> Calibration:
    """The thresholds under which at most ``at_most`` of the unanswerable questions are answered.

    ``near`` is put just below the cosine of what is then answered, the lowest fiftieth left out, but not above the
    default: questions of a set are seldom as far off as those of strangers.
    """
    answer_at = _from(sorted((one.support for one in judged if not one.answerable), reverse=True), at_most)
    kept = sorted(one.score for one in judged if one.answerable and one.support >= answer_at)
    near = min(NEAR, kept[len(kept) // 50]) if kept else NEAR
    return Calibration(round(answer_at, 4), round(near, 4), len(judged))


def rates(judged: Sequence[Judged], calibration: Calibration) -> Rates:
    """What the thresholds bring on these questions."""

    def share(answerable: bool) -> float:
        asked = [one for one in judged if one.answerable is answerable]
        hits = sum(one.support >= calibration.answer_at for one in asked)
        return hits / len(asked) if asked else 0.0

    return Rates(share(True), share(False))


def held_out(judged: Sequence[Judged], at_most: float = 0.1) -> Rates:
    """What thresholds bring on questions they were not fitted on: five folds, each kind spread over all of them."""
    answered, falsely = [], []
    for rest, fold in _folds(judged):
        found = rates(fold, fit(rest, at_most))
        answered.append(found.answered)
        falsely.append(found.falsely)
    return Rates(sum(answered) / len(answered), sum(falsely) / len(falsely))


def _folds(judged: Sequence[Judged]) -> Iterator[tuple[list[Judged], list[Judged]]]:
    shuffled = list(judged)
    random.Random(7).shuffle(shuffled)  # noqa: S311 - no secret: the same folds in every run
    ordered = sorted(shuffled, key=lambda one: one.answerable)
    for number in range(_FOLDS):
        fold = ordered[number::_FOLDS]
        rest = [one for at, one in enumerate(ordered) if at % _FOLDS != number]
        yield rest, fold


def _from(falling: Sequence[float], at_most: float) -> float:
    """The lowest threshold that at most this share of the values reaches."""
    allowed = int(at_most * len(falling))
    highest_refused = falling[allowed] if allowed < len(falling) else falling[-1] - 1.0
    return highest_refused + 1e-4
