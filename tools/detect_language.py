"""Which language a text is in, by the model of py3langid; nothing is read before the first use (0.6 s, once).

    detect("Wie hoch ist die Gebühr?")  ->  Detected(language="de", sure=True)

Short texts are often names or codes: a guess is made and not called sure. Only languages that people write to each
other in are guessed; dialects and dead languages would win short texts from them. Croatian, Bosnian and Serbian (in
Latin letters), the two Norwegians, and Indonesian and Malay can't be told apart in a sentence or two: one of them is
named, and :func:`alike` takes them for the same.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_CODES = (
    "af ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko "
    "lo lt lv mk ml mn mr ms mt my ne nl nn no pa pl pt ro ru si sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh"
)
LANGUAGES = frozenset(_CODES.split())
_ALIKE = (frozenset({"hr", "bs", "sr", "sh"}), frozenset({"no", "nb", "nn"}), frozenset({"id", "ms"}))
_LEAST_LETTERS = 8
_LEAST_WIDE = 3  # letters of a script in which few of them make a word
_SURE = 0.7
_MOST = 2000  # characters; more change nothing but the time
_lock = threading.Lock()


class Detected(NamedTuple):
    """A guess: ISO 639-1 code, empty when the text has no letters; ``sure`` when it may be acted upon."""

    language: str
    sure: bool


def detect(text: str, among: Collection[str] = ()) -> Detected:
    """The language of a text, of its beginning when it is long.

    Args:
        text: Plain text; a sentence is enough, a word is not.
        among: Codes to choose from (``de-AT`` counts as ``de``); empty: any that is known. Codes that are not known
            are passed over; when none is left the guess is empty.
    """
    letters = [char for char in text[:_MOST] if char.isalpha()]
    codes = frozenset(map(primary, among)) & LANGUAGES if among else LANGUAGES
    if not letters or not codes:
        return Detected("", sure=False)
    with _lock:  # restricting languages changes the identifier
        identifier = _identifier()
        identifier.set_languages(codes)
        ranked = identifier.rank(text[:_MOST])
    language = ranked[0][0]
    if language == "sr" and "hr" in codes and not any("\u0400" <= char <= "\u04ff" for char in letters):
        language = "hr"  # a model asked for Serbian would answer in Cyrillic letters
    certain = sum(share for code, share in ranked if alike(code, language))
    wide = sum(ord(char) > 0x2FF for char in letters) > len(letters) / 2
    enough = len(letters) >= (_LEAST_WIDE if wide else _LEAST_LETTERS)
    return Detected(language, sure=enough and certain >= _SURE)


def alike(one: str, other: str) -> bool:
    """Whether two codes name the same language, or two that a short text does not tell apart."""
    mine, theirs = primary(one), primary(other)
    return mine == theirs or any(mine in group and theirs in group for group in _ALIKE)


def primary(code: str) -> str:
    """The language of a BCP 47 code: ``pt`` of ``pt-BR``."""
    return code.replace("_", "-").split("-")[0].strip().lower()


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
