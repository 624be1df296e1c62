"""The sentences of passages that answer a question, ranked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.checks.words import content_words, limits, negated_words, shared_words
from agents.extractive.quantity import fits
from agents.extractive.vectors import embed
from knowledge.types import Passage
from tools.sentences import Span, split_sentences

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


@dataclass(frozen=True)
class EvidenceConfig:
    """How sentences are ranked and how many answer.

    Fitted on ClapNQ's passages (benchmarks/bench_extractive.py prints what they bring).

    Attributes:
        words: Weight of the share of the question's words that a sentence holds, beside its cosine of 0..1.
        denied: Bonus of a sentence that denies or excludes something, when the question asks for what is not.
        early: Bonus of a passage's first sentence; the n-th has an n-th of it.
        close: Share of the best score from which a further sentence is taken too.
        most: Sentences at most.
    """

    words: float = 0.1
    denied: float = 0.15
    early: float = 0.08
    close: float = 0.82
    most: int = 3


@dataclass(frozen=True)
class Evidence:
    """A sentence of a passage.

    Attributes:
        score: How it ranks.
        cosine: To the question, as it reads alone.
        coverage: The share of asked words it holds, 0..1.
        titled: Cosine to the question, as it reads below its document's title.
        fits: Whether it holds the number or time asked for (:func:`agents.extractive.quantity.fits`).
    """

    passage: Passage
    span: Span
    score: float
    cosine: float
    coverage: float
    fits: int = 0
    titled: float = 0.0


def rank_sentences(
    question: str, passages: Sequence[Passage], embeddings: Embeddings, config: EvidenceConfig | None = None
) -> list[Evidence]:
    """All sentences of the passages that can answer, best first.

    A sentence is ranked as it reads below its document's title, which often names what "it" is (on ClapNQ ROUGE-L
    .576 against .535 without). Headings, questions and lead-ins ("You need:") answer nothing themselves: they are
    read together with what follows them, and are candidates only where a passage has nothing else.
    """
    config = config or EvidenceConfig()
    found = [(passage, place, *entry) for passage in passages for place, entry in enumerate(_candidates(passage.text))]
    if not found:
        return []
    alone = [context for _, _, _, context in found]
    titled = [f"{passage.title}: {context}" for passage, _, _, context in found]
    vectors = embed(embeddings, [question, *alone, *titled])
    cosines = (vectors[1:] @ vectors[0]).tolist()
    asked, denies = content_words(question), bool(negated_words(question))
    ranked = []
    for at, (passage, place, span, context) in enumerate(found):
        share = coverage(asked, context)
        titled_cosine = cosines[len(found) + at]
        score = titled_cosine + config.words * share + config.early / (1 + place)
        if denies and (negated_words(span.text) or limits(span.text)):
            score += config.denied
        ranked.append(Evidence(passage, span, score, cosines[at], share, fits(question, span.text), titled_cosine))
    return sorted(ranked, key=lambda item: -item.score)


def choose(ranked: Sequence[Evidence], config: EvidenceConfig | None = None) -> list[Evidence]:
    """The few that answer, in reading order: nearly as good as the best, none twice."""
    config = config or EvidenceConfig()
    chosen: list[Evidence] = []
    seen: set[str] = set()
    for item in ranked:
        words = " ".join(item.span.text.casefold().split())
        if len(chosen) == config.most or item.score < config.close * ranked[0].score:
            break
        if words not in seen:
            seen.add(words)
            chosen.append(item)
    order = {item.passage.id: place for place, item in reversed(list(enumerate(chosen)))}
    return sorted(chosen, key=lambda item: (order[item.passage.id], item.span.start))


def coverage(asked: frozenset[str], text: str) -> float:
    """The share of the asked words that stand in a text, 0 where nothing was asked."""
    return len(shared_words(asked, content_words(text))) / len(asked) if asked else 0.0


def _candidates(text: str) -> list[tuple[Span, str]]:
    """Sentences with what they are read as: themselves, or themselves after their heading."""
    spans = split_sentences(text)
    found: list[tuple[Span, str]] = []
    lead, reach = "", 0
    for at, span in enumerate(spans):
        leads = at + 1 < len(spans) and _is_lead(text, span)
        if leads:
            lead, reach = span.text, 4 if span.text.endswith(":") else 1
        else:
            found.append((span, f"{lead} {span.text}" if reach else span.text))
            reach = max(0, reach - 1)
    return found or [(span, span.text) for span in spans]


def _is_lead(text: str, span: Span) -> bool:
    ends_line = bool(re.match(r"[ \t*_#]*(?:\r?\n|$)", text[span.end :]))
    last = span.text.rstrip("*_ \"'”)")[-1:]
    if last in "?？؟":  # noqa: RUF001 -- question marks of other scripts
        return True
    return ends_line and (last == ":" or (last not in ".!…。।" and len(span.text.split()) <= 8))
