"""Whether a sentence is borne out by the passages it cites: its words, numbers and quotations, and no hidden "not"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agents.checks.numbers import foreign_numbers, numbers
from agents.checks.quotes import foreign_quotes
from agents.checks.roles import swapped_roles
from agents.checks.words import content_words, limits, negated_words, shared_words
from tools.sentences import Span, split_sentences

_CLAUSE = re.compile(r"[,;:–—]|\b(?:but|however|although|aber|jedoch|mais|pero|ma|mas|maar)\b")  # noqa: RUF001 - dashes are meant


@dataclass(frozen=True)
class SupportConfig:
    """How much support is enough.

    Attributes:
        coverage: Share of a sentence's content words that its passages must hold together.
        share: Share that each passage it cites must hold by itself; less is a citation for show.
        clause: Share from which a clause without "not" is taken to say the same, whatever is denied elsewhere.
    """

    coverage: float = 0.6
    share: float = 0.2
    clause: float = 0.8


@dataclass(frozen=True)
class Verdict:
    """What the check found; ``reason`` is why not, ``detail`` the numbers in question."""

    supported: bool
    coverage: float
    reason: Literal["", "empty", "words", "numbers", "quotation", "negation", "roles"] = ""
    detail: str = ""


def check_support(claim: str, cited: Sequence[str], config: SupportConfig | None = None) -> Verdict:
    """Hold a sentence, its markers removed, against the texts of the passages it cites."""
    config = config or SupportConfig()
    words = content_words(claim)
    if not words and not numbers(claim):
        return Verdict(supported=False, coverage=0.0, reason="empty")
    found = [shared_words(words, content_words(text)) for text in cited]
    coverage = len(frozenset().union(*found)) / len(words) if words else 1.0
    if foreign := foreign_numbers(claim, "\n".join(cited)):
        return Verdict(supported=False, coverage=coverage, reason="numbers", detail=", ".join(foreign))
    thin = words and any(len(held) < config.share * len(words) for held in found)
    if coverage < config.coverage or thin or not cited:
        return Verdict(supported=False, coverage=coverage, reason="words")
    if foreign_quoted := foreign_quotes(claim, cited):
        return Verdict(supported=False, coverage=coverage, reason="quotation", detail="; ".join(foreign_quoted))
    if swapped_roles(claim, cited):
        return Verdict(supported=False, coverage=coverage, reason="roles")
    if _turned(claim, words, cited, config):
        return Verdict(supported=False, coverage=coverage, reason="negation")
    return Verdict(supported=True, coverage=coverage)


def best_sentence(claim: str, passage: str) -> Span:
    """The sentence of a passage that bears a claim out best: most shared words and numbers, the earlier on a tie."""
    words, figures = content_words(claim), numbers(claim)

    def score(span: Span) -> float:
        shared = len(shared_words(words, content_words(span.text)))
        # A long sentence should not win by its length alone.
        return shared + 2 * (figures & numbers(span.text)).total() - len(span.text) / 2000

    spans = split_sentences(passage)
    return max(spans, key=score) if spans else Span(0, len(passage), passage)


def _turned(claim: str, words: frozenset[str], cited: Sequence[str], config: SupportConfig) -> bool:
    """Whether the claim says no where the passages say yes, or the other way round."""
    sentences = [span.text for text in cited for span in split_sentences(text)]
    if " ".join(claim.split()) in (" ".join(sentence.split()) for sentence in sentences):
        return False
    near = [
        sentence
        for sentence in sentences
        if len(shared_words(words, content_words(sentence))) >= config.coverage * len(words)
    ] or sentences
    ours = negated_words(claim)
    if ours:
        # Some sentence that says nearly the same must deny the same, or draw a limit from which the no follows.
        denied = frozenset().union(*ours)
        return not any(limits(text) - limits(claim) or _denies(text, denied, 1) for text in near)
    if not any(_denies(text, words, 2) for text in near):
        return False
    return not any(
        len(shared_words(words, content_words(clause))) >= config.clause * len(words) and not negated_words(clause)
        for sentence in sentences
        for clause in _CLAUSE.split(sentence)
    )


def _denies(text: str, words: frozenset[str], least: int) -> bool:
    """Whether one of the text's "not" denies ``least`` of these words, or all it denies is among them."""
    return any(denied and len(shared_words(denied, words)) >= min(least, len(denied)) for denied in negated_words(text))
