"""Whether a sentence holds the kind of thing a question asks for: a number, or a time."""

from __future__ import annotations

import re

_NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen twenty thirty forty "
    "fifty sixty ninety hundred thousand million billion half dozen once twice"
)
_TIMES = (
    "seconds? minutes? hours? days? nights? weeks? months? years? decades? century centuries "
    "january february march april may june july august september october november december "
    "monday tuesday wednesday thursday friday saturday sunday before after during until since when"
)


def _any(words: str) -> re.Pattern[str]:
    return re.compile(rf"\d|\b(?:{'|'.join(words.split())})\b", re.IGNORECASE)


# English only, as the embedder is: in other languages nothing is asked for and nothing changes.
_ASKED = (
    (re.compile(r"\bhow (?:much|many|old|far|tall|big|high|heavy|often|long)\b", re.IGNORECASE), _any(_NUMBERS)),
    (re.compile(r"\bwhen\b|\bwhat (?:year|date|time|day)\b", re.IGNORECASE), _any(f"{_NUMBERS} {_TIMES}")),
)


def fits(question: str, sentence: str) -> int:
    """1 when the sentence holds the number or time asked for, -1 when it does not, 0 when none was asked for."""
    for asks, holds in _ASKED:
        if asks.search(question):
            return 1 if holds.search(sentence) else -1
    return 0
