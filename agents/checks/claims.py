"""What a summary says that its text does not: numbers, names, dates, sentences; and whether it is whole itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from agents.checks.numbers import foreign_numbers
from agents.checks.whole import ended
from agents.checks.words import content_words, shared_words
from agents.prompts.languages import language_code, language_name
from tools.detect_language import Detected, alike, detect
from tools.sentences import Span, split_sentences

Kind = Literal["number", "name", "date", "unsupported", "language", "cut_off"]


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LEAST = 0.3
"""Share of a sentence's content words that the text must hold: people put things in words of their own, about other
matters they share hardly any."""
_ENOUGH = 4
"""Content words below which a sentence is too short to tell."""
_COUNTED = _words("two three four five six seven eight nine ten eleven twelve")
"""Number words that people come to by counting what a text tells one by one."""
_HEADLINE = 12
"""Words up to which a line without a mark at its end may be a headline."""
_PROPER = 0.2
"""Share of capitals within a text's sentences from which they mean nothing: German nouns, titles."""
_NOUNS_IN_CAPITALS = ("de", "lb")


_LIST_MARK = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+")
_NUMBER_OR_WORD = re.compile(r"\d(?:[\d.,'’\u00a0\u202f]*\d)?|[^\W\d_]+")  # noqa: RUF001 - an apostrophe that sets off thousands
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
    keeps numbers and names; whether its sentences are borne out can't be told by words then.

    Args:
        summary: What was made of it.
        text: The whole of what was summarised.
    """
    words = content_words(text)
    all_words = {word.casefold() for word in _WORD.findall(text)}
    sentences = [_without_mark(span) for span in split_sentences(summary)]
    shares = {span: _share(span.text, words) for span in sentences}
    ours, theirs = detect(summary), detect(text)
    # Where the languages can't be told: in the text's own one most sentences share its words, in another hardly any.
    mostly = sum(share >= _LEAST for share in shares.values()) * 2 >= len(shares)
    same = alike(ours.language, theirs.language) if ours.sure and theirs.sure else mostly
    named = ours.language not in _NOUNS_IN_CAPITALS and _capitals_mean_names(text)
    claims: list[Claim] = []
    for span in sentences:
        claims += _numbers(span, text)
        claims += _dates(span, all_words) if same else []
        claims += _names(span, all_words) if named else []
        if same and shares[span] < _LEAST and len(content_words(span.text)) >= _ENOUGH:
            claims.append(Claim("unsupported", span.start, span.end, "the text says nothing like it"))
    return sorted(claims, key=lambda claim: (claim.start, claim.end))


def check_summary(summary: str, text: str, language: str = "") -> list[Claim]:
    """All that is wrong with a summary: its claims, its language, and whether it comes to an end.

    Args:
        summary: What was made of it.
        text: The whole of what was summarised.
        language: The language asked for, a code or a name; empty: that of the text.
    """
    problems = check_claims(summary, text)
    wanted = detect(text) if not language else Detected(language_code(language), sure=True)
    found = detect(summary)
    if wanted.sure and wanted.language and found.sure and not alike(found.language, wanted.language):
        detail = f"it is in {language_name(found.language)}, not in {language_name(wanted.language)}"
        # What is said in another language shares no words with the text; that is no second thing that is wrong.
        problems = [problem for problem in problems if problem.kind != "unsupported"]
        problems.append(Claim("language", 0, len(summary), detail))
    if _prose(summary) and not ended(summary):
        problems.append(Claim("cut_off", 0, len(summary), "it stops in the middle of a sentence"))
    return problems


def _prose(summary: str) -> bool:
    """Whether a text is sentences: points of a list, and a line that is a headline, need no mark at their end."""
    lines = [line for line in summary.splitlines() if line.strip()]
    if any(_LIST_MARK.match(line) or line.lstrip().startswith(("#", "|")) for line in lines):
        return False
    return len(split_sentences(summary)) > 1 or len(summary.split()) > _HEADLINE


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
    for match in _NUMBER_OR_WORD.finditer(span.text):
        if foreign_numbers(match[0], text) and match[0].casefold() not in _COUNTED:
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
