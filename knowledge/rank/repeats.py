"""Texts that say the same count once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from knowledge.types import Passage

ALIKE = 0.9
"""Share of the pairs of words that two texts must have in common."""
_WORD = re.compile(r"\w+")


def distinct(passages: Iterable[Passage]) -> list[Passage]:
    """Without texts that nearly repeat a better one: a notice on every page, a file kept twice, a later version.

    Numbers and codes keep texts apart: two prices of two years differ in little else.
    """
    kept: list[Passage] = []
    seen: dict[frozenset[str], list[frozenset[tuple[str, str]]]] = {}
    for passage in passages:
        words = _WORD.findall(passage.text.casefold())
        numbers = frozenset(word for word in words if any(char.isdigit() for char in word))
        pairs = frozenset(pairwise(["", *words]))
        others = seen.setdefault(numbers, [])
        if not any(_alike(pairs, other) for other in others):
            kept.append(passage)
            others.append(pairs)
    return kept


def _alike(one: frozenset[tuple[str, str]], other: frozenset[tuple[str, str]]) -> bool:
    if one == other:
        return True
    if min(len(one), len(other)) < ALIKE * max(len(one), len(other)):
        return False
    return len(one & other) >= ALIKE * len(one | other)
