# ruff: noqa: RUF001, RUF002 -- separators and digits of other scripts are meant
"""Numbers in text, in one spelling whatever separators and digits the language uses."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_WORDS = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15",
    "sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19", "twenty": "20", "thirty": "30",
    "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
}  # fmt: skip
_WORD = re.compile(r"\b(?:" + "|".join(_WORDS) + r")\b", re.IGNORECASE)

_TIGHT = "[.,'’\u00a0\u202f\u2009\u066c\u066b]"
# A number with thousands separators and perhaps decimals, or one with decimals, or plain digits. Anything looser
# would read a date such as 12.05.2024 as one number.
_NUMBER = re.compile(
    rf"(?<!\d)(?:\d{{1,3}}(?:{_TIGHT}\d{{3}})+(?!\d)(?:[.,\u066b]\d+)?"
    r"|(?<!\d[.,])\d+[.,\u066b]\d+(?![.,]?\d)|\d+)"
)
_SPACED = re.compile(r"(?<![\d.,])(\d{1,3})((?: \d{3})+)(?!\d)")


def numbers(text: str, *, join_spaces: bool = False) -> Counter[str]:
    """Each number of a text with how often it stands there.

    1,234.5 and 1.234,5 and ١٬٢٣٤٫٥ are all ``1234.5``. A lone separator before exactly three digits is read as
    one of thousands. Leading zeros are dropped.

    Args:
        text: Any text.
        join_spaces: Read ``12 500`` as one number, as French and Swedish write it.
    """
    if join_spaces:
        text = _SPACED.sub(lambda match: match[0].replace(" ", ""), text)
    return Counter(_plain(match[0]) for match in _NUMBER.finditer(text))


def number_words(text: str) -> Counter[str]:
    """English number words from two to ninety, as digits."""
    return Counter(_WORDS[match[0].lower()] for match in _WORD.finditer(text))


def foreign_numbers(text: str, source: str) -> list[str]:
    """Numbers of ``text`` that stand nowhere in ``source``, in any of the spellings, ``5.00`` being ``5``."""
    known = {
        _short(number)
        for found in (numbers(source), numbers(source, join_spaces=True), number_words(source))
        for number in found
    }
    readings = (numbers(text) | number_words(text), numbers(text, join_spaces=True) | number_words(text))
    return min(([number for number in found if _short(number) not in known] for found in readings), key=len)


def changed_numbers(source: str, target: str) -> tuple[list[str], list[str]]:
    """What a translation lost and what it made up: numbers missing in ``target``, and numbers only there.

    Small numbers that the source writes as words (three → 3) are no change.
    """
    best: tuple[list[str], list[str]] | None = None
    for source_spaces in (False, True):
        for target_spaces in (False, True):
            ours = numbers(source, join_spaces=source_spaces)
            theirs = numbers(target, join_spaces=target_spaces)
            missing, extra = list((ours - theirs).elements()), list((theirs - ours).elements())
            if best is None or len(missing) + len(extra) < len(best[0]) + len(best[1]):
                best = missing, extra
    assert best is not None
    missing, extra = best
    if not missing:
        extra = [number for number in extra if not (number.isdigit() and int(number) <= 12)]
    return missing, extra


def _plain(number: str) -> str:
    digits = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in number)
    separators = [char for char in digits if not char.isdecimal()]
    whole, decimals = digits, ""
    if separators:
        last = digits.rindex(separators[-1])
        tail = digits[last + 1 :]
        # Two kinds of separators: the last is the decimal one. One kind: it is, unless it sets off thousands.
        if len(tail) != 3 or (len(set(separators)) > 1 and separators.count(separators[-1]) == 1):
            whole, decimals = digits[:last], tail
    whole = "".join(char for char in whole if char.isdecimal()).lstrip("0") or "0"
    return f"{whole}.{decimals}" if decimals else whole


def _short(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
