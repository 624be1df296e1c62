"""What a summary says that its text does not: numbers, names, dates, and whole sentences without a root in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from agents.checks.numbers import foreign_numbers
from agents.checks.words import content_words, shared_words
from tools.sentences import Span, split_sentences

Kind = Literal["number", "name", "date", "unsupported"]

_LEAST = 0.3
"""Share of a sentence's content words that the text must hold: people put things in words of their own, about other
matters they share hardly any."""
_ENOUGH = 4
"""Content words below which a sentence is too short to tell."""
_PROPER = 0.2
"""Share of capitals within sentences from which they mean nothing: German nouns, titles."""


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LIST_MARK = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+")
_NUMBER = re.compile(r"\d(?:[\d.,'’\u00a0\u202f]*\d)?")  # noqa: RUF001 - an apostrophe that sets off thousands
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")  # noqa: RUF001 - a typed apostrophe
_DATES = _words(
    "january february march april may june july august september october november december "
    "monday tuesday wednesday thursday friday saturday sunday "
    "januar februar märz mai juni juli oktober dezember montag dienstag mittwoch donnerstag freitag samstag sonntag "
    "janvier février mars avril juin juillet août septembre octobre novembre décembre "
    "lundi mardi mercredi jeudi vendredi samedi dimanche "
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre "
    "lunes martes miércoles jueves viernes sábado domingo"
)


class Claim(NamedTuple):
    """Something that is not borne out: ``summary[start:end]``, and why in words for people."""

    kind: Kind
    start: int
    end: int
    detail: str


def check_claims(summary: str, text: str) -> list[Claim]:
    """What of a summary the text does not bear out, in order; empty when all is.

    Names are looked for by their capitals, where capitals mean names. A summary in another language than its text
    keeps numbers and names; whether its sentences are borne out can't be told by words, so only those that share the
    text's words are.

    Args:
        summary: What was made of it.
        text: The whole of what was summarised.
    """
    words = content_words(text)
    all_words = {word.casefold() for word in _WORD.findall(text)}
    sentences = [_without_mark(span) for span in split_sentences(summary)]
    shares = {span: _share(span.text, words) for span in sentences}
    # Written in the text's own language most sentences share its words; in another one hardly any does.
    same = sum(share >= _LEAST for share in shares.values()) * 2 >= len(shares)
    named = _capitals_mean_names(summary) and _capitals_mean_names(text)
    claims: list[Claim] = []
    for span in sentences:
        claims += _numbers(span, text)
        claims += _dates(span, all_words) if same else []
        claims += _names(span, all_words) if named else []
        if same and shares[span] < _LEAST and len(content_words(span.text)) >= _ENOUGH:
            claims.append(Claim("unsupported", span.start, span.end, "the text says nothing like it"))
    return sorted(claims, key=lambda claim: (claim.start, claim.end))


def _without_mark(span: Span) -> Span:
    mark = _LIST_MARK.match(span.text)
    at = mark.end() if mark else 0
    return Span(span.start + at, span.end, span.text[at:])


def _share(sentence: str, words: frozenset[str]) -> float:
    own = content_words(sentence)
    return len(shared_words(own, words)) / len(own) if own else 1.0


def _numbers(span: Span, text: str) -> Iterator[Claim]:
    if not foreign_numbers(span.text, text):
        return
    for match in _NUMBER.finditer(span.text):
        if foreign_numbers(match[0], text):
            yield Claim(
                "number", span.start + match.start(), span.start + match.end(), f"{match[0]} is not in the text"
            )


def _dates(span: Span, words: set[str]) -> Iterator[Claim]:
    for match in _WORD.finditer(span.text):
        word = match[0].casefold()
        # "may" and "mars" are words of their own; months and days are written with a capital in English and German.
        if word in _DATES and word not in words and (match[0][0].isupper() or word not in ("may", "mars", "march")):
            yield Claim("date", span.start + match.start(), span.start + match.end(), f"{match[0]} is not in the text")


def _names(span: Span, words: set[str]) -> Iterator[Claim]:
    heads = {word[:5] for word in words}
    for match in list(_WORD.finditer(span.text))[1:]:
        name = match[0]
        before = span.text[: match.start()].rstrip(" \"'“‘(«„")  # noqa: RUF001 - quotation marks are meant
        if not name[0].isupper() or len(name) < 2 or name.casefold() in _DATES or before.endswith((":", ".", "-")):
            continue
        parts = [part for part in re.split(r"['’-]", name.casefold()) if len(part) > 1]  # noqa: RUF001 - a typed apostrophe
        if parts and not any(part in words or (len(part) > 4 and part[:5] in heads) for part in parts):
            yield Claim("name", span.start + match.start(), span.start + match.end(), f"{name} is not in the text")


def _capitals_mean_names(text: str) -> bool:
    inner = [word for span in split_sentences(text[:20_000]) for word in _WORD.findall(span.text)[1:]]
    return sum(map(str.isupper, (word[0] for word in inner))) <= _PROPER * len(inner)
