"""What is measured of each task. Every module has ``score(pairs)``: records with their answers in, scores out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from workers.evals.answers import Answer
from workers.evals.figures import Figure, Scores, mean, spread
from workers.evals.records import TASKS, Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Pairs = Sequence[tuple[Any, dict[str, Any]]]
"""A task's records, each with its result as JSON."""

_HOMES = {
    "chat": "chat",
    "search": "search",
    "summarize": "summaries",
    "translate": "translations",
    "describe": "pictures",
}


def measure(records: Sequence[Record], answers: dict[str, Answer]) -> Scores:
    """All figures of one model.

    Args:
        records: What was asked.
        answers: What came, by record.
    """
    scores = Scores()
    for task in TASKS:
        asked = [record for record in records if record.task == task and record.id in answers]
        if not asked:
            continue
        pairs = [(record, result) for record in asked if (result := answers[record.id].result) is not None]
        score: Callable[[Pairs], Scores] = import_module(f"workers.evals.metrics.{_HOMES[task]}").score
        if pairs:
            scores.add(score(pairs))
        failed = [float(answers[record.id].result is None) for record in asked]
        scores.figures += mean(task, "failed", failed, "lower")
        scores.by_record |= {record.id: -1.0 for record in asked if answers[record.id].result is None}
        # What failed was fast or slow for other reasons than an answer is.
        took = [answers[record.id].seconds for record in asked if answers[record.id].result is not None]
        if took:
            scores.figures += _seconds(task, took)
    return scores


def _seconds(task: str, seconds: Sequence[float]) -> list[Figure]:
    import numpy as np

    took = np.asarray(seconds)

    def at(picked: NDArray[np.int64], share: float) -> float:
        return float(np.quantile(took[picked], share))

    names = (("seconds p50", 0.5), ("seconds p95", 0.95))
    return [spread(task, name, len(took), partial(at, share=share), "lower") for name, share in names]
