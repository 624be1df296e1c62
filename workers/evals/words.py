"""Words, overlap with references, and languages of texts, as all metrics count them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_WORD = re.compile(r"\w+")
_LEAST_LETTERS = 20
"""Letters below which no language is told: names and numbers look like any."""


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
    """ISO 639-1 code of a text's language; empty where it is too short to say."""
    from py3langid import classify

    if sum(char.isalpha() for char in text) < _LEAST_LETTERS:
        return ""
    return str(classify(text)[0])


def code_of(language: str) -> str:
    """The two letters of a code or English name: ``de`` for de, de-AT and German; empty for what is not known."""
    from agents.prompts.languages import language_name

    if re.fullmatch(r"[A-Za-z]{2,3}(?:[-_].*)?", language):
        return language[:2].lower()
    return _codes(language_name).get(language.lower(), "")


@lru_cache
def _codes(name: Any) -> dict[str, str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    pairs = (one + other for one in letters for other in letters)
    return {name(code).lower(): code for code in pairs if name(code) != code}
