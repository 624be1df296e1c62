"""Roles that were exchanged: "the buyer pays the seller" where the passage has it the other way round.

Who does what to whom needs a parser to tell in general. Only the plain case is caught: the claim has exactly the words
of a sentence, and two of them have changed places that are not joined by "and" or "or".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tools.sentences import split_sentences

_WORD = re.compile(r"\w+")
_JOINING = frozenset({"and", "or", "und", "oder", "et", "ou", "y", "o", "e", "i", "ili"})


def swapped_roles(claim: str, cited: Sequence[str]) -> bool:
    """Whether the claim is a cited sentence with two words exchanged, and no cited sentence says it as it is."""
    words = _words(claim)
    own = sorted(words)
    said = [
        sentence for text in cited for span in split_sentences(text) if sorted(sentence := _words(span.text)) == own
    ]
    return bool(said) and words not in said and all(_exchanged(words, sentence) for sentence in said)


def _exchanged(words: list[str], sentence: list[str]) -> bool:
    places = [at for at, (one, other) in enumerate(zip(words, sentence, strict=True)) if one != other]
    if len(places) != 2:
        return False
    return not _JOINING.intersection(words[places[0] + 1 : places[1]])


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]
