"""Terms that have one translation, and words that have none: where a text has them, and whether a translation does.

Words are compared without their endings, in the language of each side, so that "refunds" is found for "refund" and
"Erstattungen" passes for "Erstattung". A term in capital letters ("IT", "VAT") is only found as it is written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from agents.checks.protect import Problem, without_items
from knowledge.words.terms import terms

_LEAST_INSIDE = 4
"""Letters of a term that is also found inside a longer word ("Ticket" in "Ticketnummer")."""


class Term(NamedTuple):
    """A term and its translation; a word that is kept is its own."""

    source: str
    target: str
    kept: bool


class Terms:
    """The glossary of a job.

    Args:
        glossary: Terms and how each is translated.
        keep: Words that are not translated.
        source: Primary code of the language that is translated from; empty: not known.
        target: The same of the language translated into.
    """

    def __init__(self, glossary: Mapping[str, str], keep: Sequence[str], source: str = "", target: str = "") -> None:
        self._source, self._target = source or "en", target or "en"
        kept = dict.fromkeys(word.strip() for word in keep if word.strip())
        self._kept = list(kept)
        self._terms: dict[str, list[tuple[tuple[str, ...], Term]]] = {}
        self._capitals: list[Term] = []
        for one, other in glossary.items():
            term = Term(one.strip(), other.strip(), kept=False)
            if not term.source or term.source in kept:
                continue
            if _is_capital(term.source):
                self._capitals.append(term)
            elif stems := tuple(terms(term.source, self._source)):
                self._terms.setdefault(stems[0], []).append((stems, term))
        for entries in self._terms.values():
            entries.sort(key=lambda entry: -len(entry[0]))  # "credit card" before "credit"

    def __bool__(self) -> bool:
        return bool(self._kept or self._capitals or self._terms)

    def within(self, text: str) -> Counter[Term]:
        """The terms that a text has, and how often; the longer one where two begin with the same word."""
        if not self:
            return Counter()
        bare = without_items(text)
        found = Counter(Term(word, word, kept=True) for word in self._found(self._keep_pattern, bare))
        capitals = {term.source: term for term in self._capitals}
        found.update(capitals[word] for word in self._found(self._capital_pattern, bare))
        found.update(self._by_stems(bare))
        return found

    def check(self, source: str, target: str) -> list[Problem]:
        """Hold a translation against the terms of its source: each must be there, a kept word as often as it was."""
        problems = []
        for term, count in self.within(source).items():
            if not term.kept:
                if not self._has(target, term.target):
                    problems.append(Problem("term", f'"{term.source}" should be translated as "{term.target}"'))
            elif len(self._found(_pattern([term.source]), without_items(target))) < count:
                problems.append(Problem("term", f'"{term.source}" should stay as it is'))
        return problems

    def _by_stems(self, text: str) -> Iterator[Term]:
        if not self._terms:
            return
        stems, at = terms(text, self._source), 0
        while at < len(stems):
            for wanted, term in self._terms.get(stems[at], ()):
                if tuple(stems[at : at + len(wanted)]) == wanted:
                    yield term
                    at += len(wanted)
                    break
            else:
                at += 1

    def _has(self, text: str, term: str) -> bool:
        folded = term.casefold()
        if len(folded) >= _LEAST_INSIDE and folded in text.casefold():
            return True
        wanted, stems = terms(term, self._target), terms(text, self._target)
        if not wanted:
            return term in text
        return any(stems[at : at + len(wanted)] == wanted for at in range(len(stems) - len(wanted) + 1))

    @cached_property
    def _keep_pattern(self) -> re.Pattern[str] | None:
        return _pattern(self._kept)

    @cached_property
    def _capital_pattern(self) -> re.Pattern[str] | None:
        return _pattern([term.source for term in self._capitals])

    @staticmethod
    def _found(pattern: re.Pattern[str] | None, text: str) -> list[str]:
        return pattern.findall(text) if pattern is not None else []


def _is_capital(term: str) -> bool:
    return term.isupper() and len(term) > 1


def _pattern(words: Sequence[str]) -> re.Pattern[str] | None:
    """Finds any of the words, the longest first, not inside other words; words of CJK scripts anywhere."""
    if not words:
        return None
    ordered = sorted(words, key=len, reverse=True)
    return re.compile("|".join(f"{_edge(word[0], '<!')}{re.escape(word)}{_edge(word[-1], '!')}" for word in ordered))


def _edge(char: str, look: str) -> str:
    # \w also holds the scripts that put no spaces between words: there nothing says where a word ends.
    return rf"(?{look}[\w])" if char.isalnum() and char < "\u2e80" else ""
