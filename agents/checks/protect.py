"""What a translation must carry over unchanged: placeholders, numbers, addresses, code and markup."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from agents.checks.numbers import changed_numbers

Kind = Literal[
    "placeholder", "number", "url", "code", "markup", "length", "empty", "cut_off", "language", "term", "formality"
]

_PROTECTED = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`).{1,2000}?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<element><(?P<tag>code|kbd|samp|var)\b[^<>]{0,500}>[^<>]{0,2000}</(?P=tag)>)"
    r"|(?P<target>(?<=\]\()[^()\s]+(?:\([^()\s]*\)[^()\s]*)*)"
    r"|(?P<markup><!--.{0,2000}?-->|</?[A-Za-z][\w:-]*(?:\s[^<>]{0,2000})?/?>|&(?:\#\d+|\#x[0-9A-Fa-f]+|[A-Za-z]\w{1,30});)"
    r"|(?P<url>(?:(?:https?|ftp)://|www\.)[^\s<>()\[\]\"`|]*[^\s<>()\[\]\"`|.,;:!?'*_]"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<placeholder>\{\{.{0,200}?\}\}|[$\#]\{[^{}]+\}"
    r"|\{\s*\w+\s*,\s*(?:plural|select|selectordinal|number|date|time)\b|\{[\w.:!\[\]-]*\}"
    r"|(?<![\d%])%(?:\(\w+\)|\d+\$)?[-+\#0]*\d*(?:\.\d+)?(?:l{0,2}[diufgGxXeEcrs]|@)(?![A-Za-z])|%%"
    r"|(?<![\w:]):[A-Za-z][\w+-]*:(?![\w:])|\$[A-Z_][A-Z0-9_]+)"
)
_MARKS = ("**", "~~", "](", "![", "|", "{", "}")
# 6,000 translations by people between English, German, French, Croatian and Spanish stay within 1.7 times and 30.
_TIMES, _MORE = 2, 30
"""How many times as long as its source, and how many letters on top, a segment may be; the same the other way."""
_WIDE = 2.5
"""Letters that a character of Chinese, Japanese or Korean stands for, roughly."""

_BLOCK_MARK = re.compile(r"(?:#{1,6}|[-*+>]|\d{1,9}[.)])\s|```|~~~")


class Item(NamedTuple):
    """Something to be kept as it is."""

    kind: Kind
    text: str


class Problem(NamedTuple):
    """What is wrong with a translated segment; ``detail`` is for people."""

    kind: Kind
    detail: str


def protected_items(text: str) -> list[Item]:
    """The items of a text in order, numbers apart."""
    return [item for _, item in _items(text)]


def without_items(text: str) -> str:
    """The text with a space in place of each item."""
    out, last = [], 0
    for (start, end), _ in _items(text):
        out.append(text[last:start])
        last = end
    return " ".join([*out, text[last:]])


def has_words(text: str) -> bool:
    """Whether anything in a text can be translated."""
    return any(char.isalpha() for char in without_items(text))


def begins_block(text: str) -> bool:
    """Whether Markdown would take a line for a heading, list item, quotation or code by how it begins."""
    return bool(_BLOCK_MARK.match(text))


def check_segment(source: str, target: str) -> list[Problem]:
    """Hold a translated segment against its source; empty when all that must be kept was kept.

    Where decimals and thousands are separated otherwise (1,234.5 and 1.234,5) nothing is wrong.
    """
    if not target.strip():
        return [Problem("empty", "the translation is empty")]
    problems = []
    ours, theirs = Counter(protected_items(source)), Counter(protected_items(target))
    for item, missing in ((ours - theirs), True), ((theirs - ours), False):
        problems += [
            Problem(kind, f"{text} {'is missing' if missing else 'is not in the source'}")
            for kind, text in item.elements()
        ]
    bare_source, bare_target = without_items(source), without_items(target)
    lost, made = changed_numbers(bare_source, bare_target)
    problems += [Problem("number", f"{number} is missing") for number in lost]
    problems += [Problem("number", f"{number} is not in the source") for number in made]
    problems += [
        Problem("markup", f"{mark} occurs {bare_target.count(mark)} times, in the source {bare_source.count(mark)}")
        for mark in _MARKS
        if bare_source.count(mark) != bare_target.count(mark)
    ]
    if (what := _odd_length(bare_source, bare_target)) is not None:
        problems.append(Problem("length", what))
    if begins_block(target) and not begins_block(source):
        problems.append(Problem("markup", "it begins like a heading, list item, quotation or code"))
    return problems


def longest(source: str) -> int:
    """Characters that no translation of a text takes, whatever is said around it."""
    return int(2 * _TIMES * letters(source)) + 10 * _MORE


def _odd_length(source: str, target: str) -> str | None:
    """Whether a text is far longer or shorter than its source: made up, repeated or left out."""
    ours, theirs = letters(source), letters(target)
    if theirs > _TIMES * ours + _MORE:
        return "it is far longer than the source: something was added"
    if ours > _TIMES * theirs + _MORE:
        return "it is far shorter than the source: something was left out"
    return None


def letters(text: str) -> float:
    """How long a text is, in letters of an alphabet."""
    return sum(_WIDE if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _items(text: str) -> Iterator[tuple[tuple[int, int], Item]]:
    for match in _PROTECTED.finditer(text):
        kind = "code" if match["code"] or match["element"] else str(match.lastgroup)
        yield match.span(), Item("url" if kind == "target" else kind, match[0])  # type: ignore[arg-type]
