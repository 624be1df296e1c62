"""Summaries: near those of people, without numbers of their own, in the right language."""

from __future__ import annotations

from typing import Any

from agents.checks.numbers import foreign_numbers
from workers.evals.figures import Scores, mean
from workers.evals.records import SummarizeRecord
from workers.evals.words import Tokenizer, language_of, rouge, same_language


def score(pairs: list[tuple[SummarizeRecord, dict[str, Any]]]) -> Scores:
    """Figures of summaries."""
    scores = Scores()
    found = {record.id: rouge(result["text"], record.reference) for record, result in pairs if record.reference}
    for name, key in (("ROUGE-1", "rouge1"), ("ROUGE-2", "rouge2"), ("ROUGE-L", "rougeL")):
        scores.figures += mean("summarize", name, [one[key] for one in found.values()])
    clean = [float(not foreign_numbers(result["text"], "\n".join(record.text))) for record, result in pairs]
    scores.figures += mean("summarize", "numbers borne out", clean)
    right = []
    for record, result in pairs:
        wanted = str(record.input.get("language") or "") or language_of("\n".join(record.text))
        if (said := same_language(wanted, result["text"])) is not None:
            right.append(float(said))
    scores.figures += mean("summarize", "right language", right)
    lengths = [float(len(Tokenizer().tokenize(result["text"]))) for _, result in pairs]
    scores.figures += mean("summarize", "words", lengths, "neither")
    scores.by_record = {
        record.id: found[record.id]["rouge1"] if record.id in found else whole
        for (record, _), whole in zip(pairs, clean, strict=True)
    }
    return scores
