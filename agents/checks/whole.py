# ruff: noqa: RUF001 -- marks of other scripts are meant
"""Whether a translated segment is whole and nothing more, and in the language asked for.

Measured on 6,000 translations by people between five European languages (benchmarks/bench_fidelity.py).
"""

from __future__ import annotations

import unicodedata

from agents.checks.protect import Problem, check_segment, letters, without_items
from agents.prompts.languages import language_name
from tools.detect_language import alike, detect
from tools.sentences import split_sentences

_TIMES, _MORE = 1.25, 20
"""How many times as long, and how many letters on top, with a sentence more than the source: people split sentences,
but then what they say is hardly longer."""

_FEW = 4
"""Words that may be a name and the same in both languages."""

_CLOSING = frozenset("\"'*_`)]}>»›|")
_ENDS = frozenset(".!?…:;。！？：；؟۔।॥။")
_UNMARKED = ("\u0e00", "\u0eff"), ("\u1780", "\u17ff")
"""Thai, Lao and Khmer put no mark at the end of a sentence."""


def check_translation(source: str, target: str, language: str = "") -> list[Problem]:
    """Hold a translated segment against its source in every way; empty when nothing is wrong.

    Args:
        source: The segment.
        target: Its translation.
        language: Primary code of the language asked for; empty: any will do.
    """
    problems = check_segment(source, target)
    if any(problem.kind in ("empty", "length") for problem in problems):
        return problems
    if language and (other := _other_language(source, target, language)):
        return [*problems, Problem("language", f"it is in {language_name(other)}, not in {language_name(language)}")]
    if ended(source) and not ended(target):
        problems.append(Problem("length", "it stops in the middle of a sentence, the source does not"))
    elif _added(without_items(source), without_items(target)):
        problems.append(Problem("length", "it has a sentence more than the source: something was added"))
    return problems


def ended(text: str) -> bool:
    """Whether a text comes to its end: by its last mark, quotation marks, brackets and Markdown aside."""
    bare = text.rstrip()
    while bare and (bare[-1] in _CLOSING or unicodedata.category(bare[-1]) in ("Pf", "Pi", "Pe")):
        bare = bare[:-1].rstrip()
    return bool(bare) and (bare[-1] in _ENDS or any(first <= bare[-1] <= last for first, last in _UNMARKED))


def stops_short(sentence: str) -> bool:
    """Whether the last sentence of an answer is only a part of one: some words, without a mark or anything at its end.

    A few words may well be the answer ("30 days"); a marker of a citation, or the quotation of what is rendered, is put
    when a sentence is done.
    """
    return len(sentence.split()) >= _FEW and not ended(sentence) and sentence.rstrip()[-1:] not in _CLOSING


def _other_language(source: str, target: str, language: str) -> str:
    """The language a translation is in, where that is another one for sure; names and codes stay as they were."""
    bare = without_items(target)
    if bare.split() == without_items(source).split() and len(bare.split()) < _FEW:
        return ""
    found = detect(bare)
    return found.language if found.sure and not alike(found.language, language) else ""


def _added(source: str, target: str) -> bool:
    if letters(target) <= _TIMES * letters(source) + _MORE:
        return False
    # A headline that has become a sentence has had one put behind it.
    return len(split_sentences(target)) > len(split_sentences(source)) or (ended(target) and not ended(source))
