# ruff: noqa: RUF001 -- marks of other scripts are meant
"""Whether a translated segment is whole and nothing more: not cut off, nothing added.

Measured on 6,000 translations by people between five European languages (benchmarks/bench_fidelity.py).
"""

from __future__ import annotations

import unicodedata

from agents.checks.protect import Problem, check_segment, letters, without_items
from tools.sentences import split_sentences

_TIMES, _MORE = 1.25, 20
"""How many times as long, and how many letters on top, with a sentence more than the source: people split sentences,
but then what they say is hardly longer."""

_CLOSING = frozenset("\"'*_`)]}>»›|")
_ENDS = frozenset(".!?…:;。！？：；؟۔।॥။")
_UNMARKED = ("\u0e00", "\u0eff"), ("\u1780", "\u17ff")
"""Thai, Lao and Khmer put no mark at the end of a sentence."""


def check_translation(source: str, target: str) -> list[Problem]:
    """Hold a translated segment against its source in every way; empty when nothing is wrong.

    Args:
        source: The segment.
        target: Its translation.
    """
    problems = check_segment(source, target)
    if any(problem.kind in ("empty", "length") for problem in problems):
        return problems
    if _ended(source) and not _ended(target):
        problems.append(Problem("length", "it stops in the middle of a sentence, the source does not"))
    elif _added(without_items(source), without_items(target)):
        problems.append(Problem("length", "it has a sentence more than the source: something was added"))
    return problems


def _ended(text: str) -> bool:
    """Whether a text comes to its end: by its last mark, quotation marks, brackets and Markdown aside."""
    bare = text.rstrip()
    while bare and (bare[-1] in _CLOSING or unicodedata.category(bare[-1]) in ("Pf", "Pi", "Pe")):
        bare = bare[:-1].rstrip()
    return bool(bare) and (bare[-1] in _ENDS or any(first <= bare[-1] <= last for first, last in _UNMARKED))


def _added(source: str, target: str) -> bool:
    if letters(target) <= _TIMES * letters(source) + _MORE:
        return False
    # A headline that has become a sentence has had one put behind it.
    return len(split_sentences(target)) > len(split_sentences(source)) or (_ended(target) and not _ended(source))
