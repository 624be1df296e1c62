"""Searches: whether the relevant sources were found."""

from __future__ import annotations

from typing import Any

from workers.evals.figures import Scores
from workers.evals.metrics.ranking import ranking
from workers.evals.records import Asked, SearchRecord


def score(pairs: list[tuple[SearchRecord, dict[str, Any]]]) -> Scores:
    """Figures of searches."""
    found = {record.id: sources(result) for record, result in pairs}
    wanted = {record.id: relevant(record) for record, _ in pairs}
    worst = {
        name: 1.0 / (1 + min((found[name].index(one) for one in wanted[name] if one in found[name]), default=10**6))
        for name in found
    }
    return Scores(figures=ranking("search", found, wanted), by_record=worst)


def sources(result: dict[str, Any]) -> list[str]:
    """Where the passages of a result are from, best first, each once."""
    return list(dict.fromkeys(passage["source"] for passage in result.get("passages", ())))


def relevant(record: Asked) -> list[str]:
    """The sources that answer a record."""
    return record.relevant or [passage.id for passage in record.passages]
