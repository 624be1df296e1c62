"""A run as a page that needs nothing else: tables, plots, and what went worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workers.evals.answers import Answer
from workers.evals.load import EvalSet
from workers.evals.records import ChatRecord, DescribeRecord, Record, SearchRecord, SummarizeRecord, TranslateRecord
from workers.evals.report.outcome import Outcome, shown

_WORST = 5
_LONGEST = 900


def page(outcome: Outcome, chosen: EvalSet, answers: Sequence[Mapping[str, Answer]]) -> str:
    """HTML of a run.

    Args:
        outcome: Its figures.
        chosen: What was asked.
        answers: For each model, the answers by record.
    """
    from jinja2 import Environment, PackageLoader

    from workers.evals.report.plots import COLOURS, risks, shares

    environment = Environment(loader=PackageLoader("workers.evals.report", "."), autoescape=True, trim_blocks=True)
    environment.filters["shown"] = shown
    tasks = [
        {"name": task, "rows": [row for row in outcome.rows() if row[0] == task], "plot": shares(outcome, task)}
        for task in chosen.tasks()
    ]
    worst = [
        {"model": model.model, "records": _worst(model.scores.by_record, chosen, own)}
        for model, own in zip(outcome.models, answers, strict=True)
    ]
    return environment.get_template("page.html").render(
        outcome=outcome, about=chosen.about, tasks=tasks, risks=risks(outcome), worst=worst, colours=COLOURS
    )


def _worst(scores: Mapping[str, float], chosen: EvalSet, answers: Mapping[str, Answer]) -> list[dict[str, str]]:
    """The records with the lowest scores; what failed comes first, each reason once: it would hide the answers."""
    by_id = {record.id: record for record in chosen.records}
    names = sorted(
        (name for name in scores if name in by_id and name in answers), key=lambda name: (scores[name], name)
    )
    seen: set[tuple[str, str]] = set()
    told = []
    for name in names:
        error = answers[name].error if answers[name].result is None else None
        reason = (by_id[name].task, str((error or {}).get("code")))
        if error is None or reason not in seen:
            told.append(name)
        if error is not None:
            seen.add(reason)
    return [
        {
            "id": name,
            "task": by_id[name].task,
            "score": "failed" if answers[name].result is None else f"{max(0.0, scores[name]):.2f}",
            "asked": _short(_asked(by_id[name])),
            "wanted": _short(_wanted(by_id[name])),
            "got": _short(_got(answers[name])),
        }
        for name in told[:_WORST]
        if scores[name] < 1
    ]


def _asked(record: Record) -> str:
    match record:
        case ChatRecord():
            return record.last
        case SearchRecord():
            return record.query
        case SummarizeRecord():
            return f"{record.focus}\n{record.text[0]}".strip()
        case TranslateRecord():
            return f"into {record.target}: {record.source}"
        case DescribeRecord():
            return f"{', '.join(record.image)} {record.question}".strip()


def _wanted(record: Record) -> str:
    match record:
        case ChatRecord():
            return (record.answer or ["an answer" if record.answerable else "no answer"])[0]
        case SearchRecord():
            return ", ".join(record.relevant or [passage.id for passage in record.passages])
        case DescribeRecord():
            return next(iter(record.reference), record.text or str(record.fields))
        case _:
            return next(iter(record.reference), "")


def _got(answer: Answer) -> str:
    if answer.result is None:
        error: dict[str, Any] = answer.error or {}
        return f"{error.get('code', '')}: {error.get('message', '')}"
    said = str(answer.result.get("text", ""))
    return said or ", ".join(dict.fromkeys(passage["source"] for passage in answer.result.get("passages", ())))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
