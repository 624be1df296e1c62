"""Answers to questions: right, borne out, cited, in the right language, or rightly withheld."""

from __future__ import annotations

from typing import Any

from agents.checks.markers import without_markers
from workers.evals.figures import Scores, mean, ratio
from workers.evals.metrics import citing
from workers.evals.metrics.abstaining import abstaining, risk
from workers.evals.metrics.ranking import ranking
from workers.evals.metrics.search import relevant, sources
from workers.evals.records import ChatRecord
from workers.evals.words import language_of, rouge, same_language

_RIGHT = 0.3
"""ROUGE-L from which an answer without known sources counts as right when risk is taken."""

Pair = tuple[ChatRecord, dict[str, Any]]


def score(pairs: list[Pair]) -> Scores:
    """Figures of chats."""
    answered = [pair for pair in pairs if pair[1].get("band") in ("answered", "ungrounded")]
    known = [pair for pair in pairs if pair[0].answerable]
    scores = Scores(figures=abstaining([record.answerable for record, _ in pairs], [result for _, result in pairs]))
    overlap = {record.id: _overlap(record, result) for record, result in known if record.answer}
    said = [overlap[record.id] for record, _ in answered if record.id in overlap]
    scores.figures += mean("chat", "ROUGE-L where answered", said)
    if wrongs := [(_wrong(record, result, overlap), result) for record, result in pairs]:
        figures, curve = risk([wrong for wrong, _ in wrongs], [result for _, result in wrongs])
        scores.figures += figures
        scores.curves["risk by coverage"] = curve
    found = {record.id: sources(result) for record, result in known}
    scores.figures += ranking("chat", found, {record.id: relevant(record) for record, _ in known})
    scores.figures += _citations(answered)
    scores.figures += _language(answered)
    for record, result in pairs:
        wrong = _wrong(record, result, overlap)
        scores.by_record[record.id] = -0.5 if wrong and not record.answerable else overlap.get(record.id, 1.0 - wrong)
    return scores


def _overlap(record: ChatRecord, result: dict[str, Any]) -> float:
    if result.get("band") not in ("answered", "ungrounded"):
        return 0.0
    return rouge(without_markers(result.get("text", "")), record.answer)["rougeL"]


def _wrong(record: ChatRecord, result: dict[str, Any], overlap: dict[str, float]) -> bool:
    """Whether what is said is wrong: nothing answers it, it is from elsewhere, or it is far from the right answers."""
    if not record.answerable:
        return True
    cited = {one["source"] for one in result.get("citations", ())}
    if (wanted := relevant(record)) and cited:
        return not cited & set(wanted)
    return overlap[record.id] < _RIGHT if record.id in overlap else False


def _citations(answered: list[Pair]) -> list[Any]:
    from collections.abc import Callable

    figures = []
    with_sources = [(record, result) for record, result in answered if record.answerable and relevant(record)]
    for name, of in (("citation precision", citing.precision), ("citation recall", citing.recall)):
        counts = [of(result, relevant(record)) for record, result in with_sources]
        figures += ratio("chat", name, [one for one, _ in counts], [all_ for _, all_ in counts])
    grounded = [result for _, result in answered if result.get("band") == "answered"]
    ways: tuple[tuple[str, Callable[[dict[str, Any]], tuple[int, int]]], ...] = (
        ("citations with exact spans", citing.exact),
        ("sentences verbatim", citing.verbatim),
    )
    for name, count in ways:
        counts = [count(result) for result in grounded]
        figures += ratio("chat", name, [one for one, _ in counts], [all_ for _, all_ in counts])
    return [*figures, *mean("chat", "numbers borne out", [float(citing.numbers_borne_out(one)) for one in grounded])]


def _language(answered: list[Pair]) -> list[Any]:
    right = []
    for record, result in answered:
        wanted = record.language or language_of(record.last)
        said = same_language(wanted, without_markers(result.get("text", "")))
        if said is not None:
            right.append(float(said))
    return mean("chat", "right language", right)
