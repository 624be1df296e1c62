"""Translations: near those of people, whole, with everything kept that must be, in the right language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from agents.checks.numbers import changed_numbers
from agents.checks.protect import protected_items, without_items
from agents.prompts.languages import language_code
from workers.evals.figures import SAMPLES, Figure, Scores, mean
from workers.evals.records import TranslateRecord
from workers.evals.words import same_language

_WORDLESS = {"zh": "zh", "ja": "char", "ko": "char", "th": "char"}
"""How BLEU cuts languages whose words stand without spaces between them; all others as ``13a`` does."""


def score(pairs: list[tuple[TranslateRecord, dict[str, Any]]]) -> Scores:
    """Figures of translations; BLEU and chrF++ over all records of a target language, then their mean."""
    scores = Scores()
    for target in sorted({record.target for record, _ in pairs}):
        own = [(record, result["text"]) for record, result in pairs if record.target == target and record.reference]
        if own:
            scores.figures += _near(target, [text for _, text in own], [record.reference for record, _ in own])
    kept, counted, right, whole = [], [], [], []
    for record, result in pairs:
        text = result["text"]
        kept.append(float(Counter(protected_items(record.source)) == Counter(protected_items(text))))
        counted.append(float(changed_numbers(without_items(record.source), without_items(text)) == ([], [])))
        if (said := same_language(record.target, without_items(text))) is not None:
            right.append(float(said))
        whole.append(float(not result.get("issues")))
        scores.by_record[record.id] = (kept[-1] + counted[-1]) / 2
    scores.figures += [
        *mean("translate", "placeholders and tags kept", kept),
        *mean("translate", "numbers kept", counted),
        *mean("translate", "right language", right),
        *mean("translate", "without flags", whole),
    ]
    for record, result in pairs:
        if record.reference:
            scores.by_record[record.id] += _likeness(result["text"], record.reference)
    return scores


def _near(target: str, said: Sequence[str], references: Sequence[Sequence[str]]) -> list[Figure]:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    # The library wants the first references of all, then the second ones; where one is missing the first again.
    most = max(map(len, references))
    columns = [[own[min(at, len(own) - 1)] for own in references] for at in range(most)]
    metrics = (
        ("BLEU", BLEU(tokenize=_WORDLESS.get(language_code(target), "13a"), effective_order=False)),
        ("chrF++", CHRF(word_order=2)),
    )
    figures = []
    for name, metric in metrics:
        drawn = metric.corpus_score(list(said), columns, n_bootstrap=SAMPLES if len(said) > 1 else 1)
        around = float(drawn._ci) if len(said) > 1 else 0.0  # noqa: SLF001 - the library has no other way to it
        value = float(drawn.score)
        figures.append(
            Figure(
                task="translate",
                name=f"{name} into {target}",
                value=value,
                low=value - around,
                high=value + around,
                n=len(said),
            )
        )
    return figures


def _likeness(said: str, references: Sequence[str]) -> float:
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF(word_order=2).sentence_score(said, list(references)).score) / 100
