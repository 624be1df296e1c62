"""Pictures: the words read in them, descriptions near those of people, and fields of forms and receipts."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from workers.evals.figures import Scores, mean, ratio
from workers.evals.records import DescribeRecord
from workers.evals.words import edits, rouge

_JSON = re.compile(r"\{.*\}", re.DOTALL)
_ALT = 125
"""Characters of an alternative text that screen readers read whole."""


def score(pairs: list[tuple[DescribeRecord, dict[str, Any]]]) -> Scores:
    """Figures of descriptions."""
    scores = Scores()
    read = [(record.text, _read(result)) for record, result in pairs if record.text]
    hits = [((_bag(wanted) & _bag(got)).total(), _bag(wanted).total()) for wanted, got in read]
    scores.figures += ratio("describe", "words read", [hit for hit, _ in hits], [every for _, every in hits])
    wrong = [(edits(_plain(got), _plain(wanted)), len(_plain(wanted))) for wanted, got in read]
    scores.figures += ratio(
        "describe", "character error rate", [one for one, _ in wrong], [length for _, length in wrong], "lower"
    )
    near = {
        record.id: rouge(result["text"], record.reference)["rouge1"] for record, result in pairs if record.reference
    }
    scores.figures += mean("describe", "ROUGE-1", list(near.values()))
    fields = [(_fields_right(record, result), len(record.fields)) for record, result in pairs if record.fields]
    scores.figures += ratio("describe", "fields right", [one for one, _ in fields], [every for _, every in fields])
    alt = [float(len(result["text"]) <= _ALT) for record, result in pairs if record.input.get("form") == "alt_text"]
    scores.figures += mean("describe", "within 125 characters", alt)
    for record, result in pairs:
        bag = _bag(record.text)
        share = (bag & _bag(_read(result))).total() / bag.total() if bag else 1.0
        scores.by_record[record.id] = near.get(record.id, share)
    return scores


def _read(result: dict[str, Any]) -> str:
    """The text found in the pictures: apart where the result has it so, else all that was said."""
    apart = "\n".join(str(one["text"]) for one in result.get("texts", ()))
    if not apart.strip():
        apart = "\n".join(str(line["text"]) for facts in result.get("facts", ()) for line in facts.get("lines", ()))
    return apart if apart.strip() else str(result.get("text", ""))


def _bag(text: str) -> Counter[str]:
    return Counter(text.upper().split())


def _plain(text: str) -> str:
    return "".join(text.upper().split())


def _fields_right(record: DescribeRecord, result: dict[str, Any]) -> int:
    said: Any = {name: value for one in result.get("fields", ()) for name, value in one["values"].items()}
    if not said:
        found = _JSON.search(str(result.get("text", "")))
        try:
            said = json.loads(found[0]) if found else {}
        except ValueError:
            said = {}
    if not isinstance(said, dict):
        return 0
    return sum(_plain(str(said.get(name, ""))) == _plain(value) for name, value in record.fields.items())
