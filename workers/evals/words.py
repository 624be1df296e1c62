"""Words, overlap with references, and languages of texts, as all metrics count them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_WORD = re.compile(r"\w+")


class Tokenizer:
    """Words of every script; the library's own knows the letters a to z only."""

    def tokenize(self, text: str) -> list[str]:
        """Lower-case words."""
        return _WORD.findall(text.lower())


@lru_cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False, tokenizer=Tokenizer())


def rouge(said: str, references: Sequence[str]) -> dict[str, float]:
    """F measures of ROUGE-1, -2 and -L, each against the reference it does best with."""
    found = [_scorer().score(reference, said) for reference in references]
    return {name: max(one[name].fmeasure for one in found) for name in ("rouge1", "rouge2", "rougeL")}


def edits(one: str, other: str) -> int:
    """Levenshtein distance, a row at a time."""
    import numpy as np

    against = np.frombuffer(other.encode("utf-32-le"), dtype=np.uint32)
    row = np.arange(len(against) + 1)
    for at, char in enumerate(np.frombuffer(one.encode("utf-32-le"), dtype=np.uint32), start=1):
        best = np.minimum(row[1:] + 1, row[:-1] + (against != char))
        steps = np.concatenate([[at], best]) - np.arange(len(row))
        row = np.minimum.accumulate(steps) + np.arange(len(row))
    return int(row[-1])


def language_of(text: str) -> str:
    """Primary code of a text's language; empty where it is too short to say."""
    from tools.detect_language import detect

    found = detect(text)
    return found.language if found.sure else ""


def same_language(wanted: str, text: str) -> bool | None:
    """Whether a text is in a language; None where either can't be said.

    Args:
        wanted: A code or an English name.
        text: The text.
    """
    from agents.prompts.languages import language_code
    from tools.detect_language import alike

    code, found = language_code(wanted), language_of(text)
    return alike(code, found) if code and found else None
