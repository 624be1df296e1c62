"""Quotations: whether words said to be a passage's are, and where they stand in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tools.sentences import Span

# ruff: noqa: RUF001 -- quotation marks of many languages are meant
_QUOTED = re.compile(r"[“„«»「『\"]([^“”„«»「」『』\"]{2,}?)[”“»«」』\"]")
_LEAST = 3  # words; one or two in quotation marks are often a name or a manner of speaking
_LOOSE = {"'": "['’‘`]", "’": "['’‘`]", '"': '["“”„«»]', "“": '["“”„«»]', "”": '["“”„«»]', "-": "[-–—‑]", "–": "[-–—‑]"}


def find_quote(quote: str, text: str) -> Span | None:
    """Where the words stand in a text; white space, letter case, kinds of quotation marks and dashes aside.

    Full stops, commas and dots that set off a quotation at its ends do not count.
    """
    wanted = quote.strip().strip("…").strip(" \t\n.,;:")
    if not wanted:
        return None
    pattern = r"\s+".join("".join(_LOOSE.get(char, re.escape(char)) for char in word) for word in wanted.split())
    found = re.search(pattern, text, re.IGNORECASE)
    return None if found is None else Span(found.start(), found.end(), found[0])


def foreign_quotes(claim: str, sources: Sequence[str]) -> list[str]:
    """What a claim puts in quotation marks, three words or more, and none of the sources says."""
    quoted = [match[1] for match in _QUOTED.finditer(claim) if len(match[1].split()) >= _LEAST]
    return [words for words in quoted if not any(find_quote(words, source) for source in sources)]
