"""From a record to the job that asks it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from workers.evals.records import (
    Asked,
    ChatRecord,
    DescribeRecord,
    Record,
    SearchRecord,
    SummarizeRecord,
    TranslateRecord,
)


class Question(NamedTuple):
    """A job in the words of ``Client.submit``; ``paths`` are files to attach as its pictures."""

    kind: str
    input: dict[str, Any]
    options: Mapping[str, Any]
    paths: tuple[Path, ...] = ()


def question(record: Record, collection: str, folder: Path) -> Question:
    """The job for a record.

    Args:
        record: What is asked.
        collection: The one to ask, where the record names none of its own.
        folder: The set's, where its pictures lie.
    """
    where = record.collection or collection if isinstance(record, Asked) else ""
    match record:
        case ChatRecord():
            body: dict[str, Any] = {"messages": record.turns, "collection": where}
        case SearchRecord():
            body = {"query": record.query, "collection": where, "top_k": 10}
        case SummarizeRecord():
            body = {"texts": [{"text": text, "name": f"text {at}"} for at, text in enumerate(record.text, 1)]}
            body |= {"focus": record.focus} if record.focus else {}
        case TranslateRecord():
            body = {"text": record.source, "target": record.target}
            body |= {"source": record.language} if record.language else {}
        case DescribeRecord():
            paths = tuple(folder / name for name in record.image)
            asked = {"question": record.question} if record.question else {}
            return Question("describe", {**asked, **record.input}, record.options, paths)
    return Question(record.task, {**body, **record.input}, record.options)
