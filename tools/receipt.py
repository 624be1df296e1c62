"""The fields of a receipt by rules over the text that was read in it: company, date, address, total."""

from __future__ import annotations

import re
from statistics import median

from tools.read_image_text import rows
from tools.types import TextLine

_MONTHS = "jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez"
_DATE = re.compile(
    rf"(?i)(?<![\d/.-])([0-3]?\d([/.-])[0-3]?\d\2(?:20\d\d|\d\d)|20\d\d([/.-])[01]?\d\3[0-3]?\d|"
    rf"\d{{1,2}}[ -/.]?(?:{_MONTHS})[a-z]*[ -/.,]?(?:20)?\d\d|(?:{_MONTHS})[a-z]*\.? \d{{1,2}},? 20\d\d)(?!\d|[/.-]\d)"
)
_AMOUNT = re.compile(r"(?<![\d.,])\d{1,3}(?:[, ]\d{3})+[.]\d{2}(?!\d)|(?<![\d.,])\d+[.,]\s?\d{2}(?![\d.,]?\d)")
_LEGAL = re.compile(
    r"(?i)\b(sdn\.?\s?bhd|bhd|ltd|limited|inc|llc|llp|plc|gmbh|ag|kg|s\.?a\.?r\.?l|s\.?a|s\.?l|d\.?o\.?o|b\.?v|corp|company|"
    r"enterprise|trading|restaurant|store|supermarket|mart|hardware|pharmacy|cafe|hotel)\b"
)
_STREET = re.compile(
    r"(?i)\b(no|lot|jalan|jln|street|st|road|rd|avenue|ave|lane|drive|taman|lorong|persiaran|kampung|bandar|plaza|floor|"
    r"level|unit|blok|block|wing|mall|centre|center|straße|strasse|str|platz|rue|calle|ulica|trg)\b|\b\d{4,6}\b"
)
_NO_ADDRESS = re.compile(
    r"(?i)\b(tel|telephone|phone|hp|fax|gst|reg|regn|roc|co\.?\s?no|tax|(?:tax)?invoice|receipt|cash|bill|date|time|doc|document|"
    r"e-?mail|website|www|http|cashier|member|slip|table|order|ssm|vat|uid|company\s?no|id)\b"
)
_TOTALS = (
    re.compile(
        r"(?i)\b(grand|rounded|round(ing)? ?adj\w*)\s*total\b|\btotal\s*(rounded|after rounding|due|payable|sales?)\b"
    ),
    re.compile(r"(?i)\b(net+|final)\s*total\b|\btotal\s*\(?\s*(incl\w*|rm|gst|myr|eur|usd|amount|amt|with)|amount due"),
    re.compile(r"(?i)\b(total|gesamt|summe|montant|importe|ukupno|totale)\b|\btotal"),
)
_NO_TOTAL = re.compile(
    r"(?i)sub\s?-?total|total\s*(qty|quantity|items?|discount|savings?|tax|gst|pieces|pcs|excl\w*|exc\b|\(excl)|(qty|item|discount|"
    r"tax|gst)\s*total|before|without|excluding|change|tendered"
)


def receipt_fields(lines: list[TextLine]) -> dict[str, str | None]:
    """Company, date, address and total as they stand in the picture; None where none was found."""
    found = rows(lines)
    texts = [" ".join(line.text for line in row) for row in found]
    company, below = _company(texts)
    return {
        "company": company,
        "date": _date(texts),
        "address": _address(texts, below),
        "total": _total(found),
    }


def _company(texts: list[str]) -> tuple[str | None, int]:
    """The first row with a word that companies have, near the top; else the first that has letters enough."""
    top = [(at, text) for at, text in enumerate(texts[:8]) if _is_name(text)]
    for at, text in top[:5]:
        if _LEGAL.search(text):
            return text, at + 1
    return (top[0][1], top[0][0] + 1) if top else (None, 0)


def _is_name(text: str) -> bool:
    letters = sum(char.isalpha() for char in text)
    return letters >= 4 and letters > 0.5 * len(text.replace(" ", "")) and not _NO_ADDRESS.search(text)


def _address(texts: list[str], below: int) -> str | None:
    taken: list[str] = []
    for text in texts[below : below + 9]:
        amount = _AMOUNT.search(text) and not _STREET.search(text)
        if amount or _NO_ADDRESS.search(text) or _DATE.search(text):
            if taken:
                break
            continue
        letters = sum(char.isalpha() for char in text)
        # A registration number in brackets stands between the name and the address.
        if re.fullmatch(r"[\W\d]*[A-Z]?[\W\d]*", text) and not re.fullmatch(r"\W*\d{4,6}\W*", text):
            if taken:
                break
            continue
        if letters < 3 and not taken:
            continue
        taken.append(text)
    while taken and not any(_STREET.search(text) for text in taken[:1]) and len(taken) > 1 and "," not in taken[0]:
        taken.pop(0)
    return " ".join(taken) or None if any(_STREET.search(text) or "," in text for text in taken) else None


def _date(texts: list[str]) -> str | None:
    dated = [(text, match) for text in texts if (match := _DATE.search(text))]
    for text, match in dated:
        if re.search(r"(?i)\bdate|datum|fecha|datum", text[: match.start()] or ""):
            return match[1]
    return dated[0][1][1] if dated else None


def _total(found: list[list[TextLine]]) -> str | None:
    """The amount beside or just below the word for total; the most telling wording wins, then the last one."""
    texts = [" ".join(line.text for line in row) for row in found]
    for wording in _TOTALS:
        for at in range(len(texts) - 1, -1, -1):
            if not wording.search(texts[at]) or _NO_TOTAL.search(texts[at]):
                continue
            value = _amount(texts[at]) or (_amount(texts[at + 1]) if at + 1 < len(texts) and _near(found, at) else None)
            if value is not None:
                return value
    return None


def _near(found: list[list[TextLine]], at: int) -> bool:
    """Whether the next row holds little but an amount, close below."""
    height = median(line.box[3] - line.box[1] for line in found[at])
    words = "".join(line.text for line in found[at + 1])
    return found[at + 1][0].box[1] - found[at][0].box[3] < 1.5 * height and sum(map(str.isalpha, words)) <= 3


def _amount(text: str) -> str | None:
    amounts = _AMOUNT.findall(text)
    return amounts[-1].replace(" ", "") if amounts else None
