"""What a text is indexed by: its words without endings, names and numbers whole and in parts, CJK in pairs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

TERMS_VERSION = "1"
"""Raise when a text would be indexed otherwise: indexes of another version are made anew."""

MOST_QUERY_TERMS = 96
_LONGEST = 64
# A word, a number or a code with its joints: E-31, 2.4.1, user_id, AC/DC.
_WORD = re.compile(r"\w+(?:[-./_'’:]\w+)*")  # noqa: RUF001 - the typographic apostrophe is meant
_PARTS = re.compile(r"[^\W_]+")
_STEMMERS = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "cs": "czech", "da": "danish", "nl": "dutch",
    "en": "english", "eo": "esperanto", "et": "estonian", "fi": "finnish", "fr": "french", "de": "german",
    "el": "greek", "hi": "hindi", "hu": "hungarian", "id": "indonesian", "ga": "irish", "it": "italian",
    "lt": "lithuanian", "ne": "nepali", "no": "norwegian", "nb": "norwegian", "nn": "norwegian", "fa": "persian",
    "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "hr": "serbian",
    "bs": "serbian", "es": "spanish", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
# What nearly every English passage holds: it costs time in large collections and tells nothing apart.
_ENGLISH = """
a an and are as at be been but by can could did do does for from had has have he her his how i if in into is it its may
me my no not of on or our she should so than that the their them then there these they this those to us was we were what
when where which who whom whose why will with would you your
"""
_COMMON = frozenset(_ENGLISH.split())


def terms(text: str, language: str = "en") -> list[str]:
    """The terms of a text in order.

    Args:
        text: Any text.
        language: Whose endings are taken off (BCP 47); where no stemmer knows it, words stay whole.
    """
    return [term for word in _words(text) for term in _terms_of(word, language.split("-")[0].lower())]


def query_terms(text: str, languages: tuple[str, ...]) -> list[str]:
    """The distinct terms that a query is looked up by, at most `MOST_QUERY_TERMS`.

    Args:
        text: The query.
        languages: Those of the passages: the same word ends differently in each.
    """
    found: dict[str, None] = {}
    for language in languages or ("en",):
        for word in _words(text):
            if word not in _COMMON:
                found.update(dict.fromkeys(_terms_of(word, language.split("-")[0].lower())))
    # A question of nothing but common words is looked up by those.
    found = found or dict.fromkeys(terms(text))
    return list(found)[:MOST_QUERY_TERMS]


def _words(text: str) -> Iterator[str]:
    folded = "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))
    for match in _WORD.finditer(unicodedata.normalize("NFC", folded)):
        yield match[0]


def _terms_of(word: str, language: str) -> Iterator[str]:
    parts = _PARTS.findall(word)
    for part in parts:
        if _is_cjk(part):
            yield from (part[at : at + 2] for at in range(max(1, len(part) - 1)))
        else:
            yield _stem(part[:_LONGEST], language)
    # "E-31" is also found by "E31", and "it's" by "its".
    if len(parts) > 1 and not any(_is_cjk(part) for part in parts):
        yield "".join(parts)[:_LONGEST]


def _is_cjk(word: str) -> bool:
    """Whether a word is of a script that is written without spaces between words."""
    return any(
        "\u2e80" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7af" or "\u0e00" <= char <= "\u0eff" for char in word
    )


@lru_cache(maxsize=65536)
def _stem(word: str, language: str) -> str:
    stemmer = _stemmer(language)
    return str(stemmer.stemWord(word)) if stemmer is not None and word.isalpha() else word


@cache
def _stemmer(language: str) -> Any:
    import Stemmer

    name = _STEMMERS.get(language)
    return Stemmer.Stemmer(name) if name else None
