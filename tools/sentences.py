# ruff: noqa: RUF001 -- the marks of other scripts are the point here
"""Where sentences begin and end, with exact character offsets.

Rules, not a model: punctuation of many scripts, abbreviations, initials, list items, headings, speakers' lines and
hard-wrapped paragraphs. A wrong cut costs a clumsy quotation, never a wrong one: ``text[start:end]`` is always the
sentence as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_SENTENCE = 1000
"""Characters; what is longer (tables, scripts without full stops) is cut at a comma or a space."""


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Never the end of a sentence when a dot follows (compared in lower case, inner dots removed).
_ABBREVIATIONS = _words(
    "mr mrs ms mx dr prof rev hon gen col capt lt sgt st mt ft eg ie cf vs viz al ca approx est incl excl resp ed eds "
    "dept avg bzw zb dh ua usw evtl ggf inkl zzgl vgl hr fr str mme mlle sra srta dña av"
)
# Not the end when a number follows: "No. 5", "Jan. 3".
_NUMBERED = _words(
    "no nos nr núm vol p pp fig figs art sec tel ext jan feb mar apr jun jul aug sep sept oct okt nov dec dez"
)
# May end one; it does when a usual first word follows.
_DOUBTFUL = _words("etc inc ltd co corp jr sr us uk eu un am pm ad bc phd ba ma bros usa dc min max")
_OPENERS = _words(
    "a an the this that these those it its he she his her they their we our you your i in on at for from by with as if "
    "when while after before but and or so yet however there here what who how why where please to no not"
)
_MONTHS = _words(
    "januar februar märz april mai juni juli august september oktober november dezember "
    "january february march may june july october december"
)

_END = re.compile(
    r"(?P<full>[。！？｡])[」』”’）】》\"]*"  # no space follows in Chinese and Japanese
    r"|(?P<mark>[.!?…]+|[؟۔।॥።။։។‼⁇⁈⁉]+)(?:\s?''|[\"'”’»)\]])*(?=\s|$)"
)
_LIST_MARK = re.compile(r"\s*(?:#{1,6}\s+|>\s+|[-*+•–·▪]\s+(?:\[[ xX]\]\s+)?|\(?(?:\d{1,3}[.)]|[a-z]\))\s+)")
_BLOCK_START = re.compile(
    r"\s*(?:#{1,6}\s|>\s|\||[-*+•·▪]\s|\(?\d{1,3}[.)]\s|[^\W\d_#][\w .'’#-]{0,30}:\s|#\w[\w ]{0,20}:\s)"
)
_LAST_WORD = re.compile(r"[\w.’'-]{0,40}$")
_NEXT_WORD = re.compile(r"\s*[\"'“‘«(\[`]*([\w’']+)?")


class Span(NamedTuple):
    """A sentence: ``text`` is the whole text's ``[start:end]``, without white space or a list mark around it."""

    start: int
    end: int
    text: str


def split_sentences(text: str) -> list[Span]:
    """The sentences of ``text`` in order; headings and list items are sentences of their own."""
    spans: list[Span] = []
    for start, end in _blocks(text):
        mark = _LIST_MARK.match(text, start, end)
        begin = mark.end() if mark and mark.end() < end else start
        for left, right in _cut(text, begin, end):
            for low, high in _bounded(text, left, right):
                piece = text[low:high]
                stripped = piece.strip()
                if stripped and any(char.isalnum() for char in stripped):
                    low += len(piece) - len(piece.lstrip())
                    spans.append(Span(low, low + len(stripped), stripped))
    return spans


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Stretches no sentence crosses: paragraphs, list items, headings, speakers' lines."""
    lines: list[tuple[int, int]] = []
    for match in re.finditer(r"[^\n\r\x0b\x0c\x85\u2028\u2029]+", text):
        gap = text[lines[-1][1] : match.start()].count("\n") if lines else 0
        blank = not match.group().strip()
        if lines and (blank or gap > 1 or _BLOCK_START.match(match.group()) or _stands_alone(text, lines, match)):
            yield lines[0][0], lines[-1][1]
            lines = []
        if not blank:
            lines.append(match.span())
    if lines:
        yield lines[0][0], lines[-1][1]


def _stands_alone(text: str, lines: list[tuple[int, int]], following: re.Match[str]) -> bool:
    """Whether the last line is a heading or a short entry, not a wrapped line that goes on in ``following``."""
    start, end = lines[-1]
    line = text[start:end].strip()
    if line.startswith(("#", "|")):
        return True
    goes_on = following.group().lstrip()[:1]
    # Most scripts have no capitals: there a short line says it alone.
    caseless = goes_on.isalpha() and not goes_on.islower() and not goes_on.isupper()
    if not (caseless or goes_on.isupper() or goes_on.isdigit()) or line[-1:] in ",;-，、،؛":
        return False
    widest = max(high - low for low, high in [*lines, following.span()])
    return len(line) < 0.6 * widest or (widest < 40 and not caseless)


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    left = start
    for match in _END.finditer(text, start, end):
        if match.group("full") or _ends(text, left, end, match):
            yield left, match.end()
            left = match.end()
    yield left, end


def _ends(text: str, left: int, end: int, match: re.Match[str]) -> bool:
    """Whether a mark followed by white space ends the sentence that began at ``left``."""
    mark = match.group("mark")
    found = _NEXT_WORD.match(text, match.end(), end)
    following = (found.group(1) if found else None) or ""
    lower_next = following[:1].islower()
    if mark != ".":
        return not (lower_next and mark[0] in ".!?…")
    before = _LAST_WORD.search(text, max(left, match.start() - 40), match.start())
    word = before.group() if before else ""
    plain = word.replace(".", "").lower()
    if plain.isdigit():
        return not (len(plain) <= 2 and (lower_next or following.lower() in _MONTHS or match.start() - left <= 3))
    if plain in _DOUBTFUL or ("." in word and len(plain) <= 4):
        return following.lower() in _OPENERS and following[:1].isupper()
    if plain in _NUMBERED:
        return not (lower_next or following[:1].isdigit())
    if plain in _ABBREVIATIONS or (_is_initial(text, left, match.start()) and word != "I"):
        return False
    # People write tickets without capitals; a longer word that is no known abbreviation ends a sentence there too.
    return not lower_next or (len(plain) >= 4 and plain.isalpha())


def _is_initial(text: str, left: int, dot: int) -> bool:
    """Whether one letter stands alone before the dot, as in "J. Smith" or "p. 5"."""
    return text[dot - 1].isalpha() and (dot - 1 <= left or text[dot - 2] in " (.-\n")


def _bounded(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut what is longer than ``MAX_SENTENCE`` at the last comma or space, else anywhere."""
    while end - start > MAX_SENTENCE:
        window = text[start : start + MAX_SENTENCE]
        at = max(window.rfind(mark) for mark in (";", ", ", "，", "、", "\n", "|"))
        if at < MAX_SENTENCE // 3:
            at = window.rfind(" ")
        if at < MAX_SENTENCE // 3:
            at = MAX_SENTENCE - 1
        yield start, start + at + 1
        start += at + 1
    yield start, end
