"""Checks of what a model says about a picture, against the text that was read in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from agents.contract import ALT_TEXT, PictureText

_BEGINS = re.compile(
    r"(?i)^(?:alt(?:ernative)? ?text\s*:\s*|(?:an? |the )?(?:image|picture|photo|photograph) (?:of|showing|shows) )+"
)
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def fit_alt_text(said: str) -> PictureText:
    """An alt text on one line, without quotes and introductions, cut at a word where it is too long."""
    text = " ".join(said.split()).strip("\"'“”„«»` ")
    text = _BEGINS.sub("", text).strip("\"'“”„«»` ") or text
    text = text[:1].upper() + text[1:]
    if len(text) <= ALT_TEXT:
        return PictureText(name="", text=text)
    cut = text[: ALT_TEXT - 1]
    # In scripts without spaces the last "word" may be all there is: then the cut is where the room ends.
    at = cut.rfind(" ") if text[ALT_TEXT - 1] != " " else len(cut)
    cut = cut[:at] if at > ALT_TEXT // 2 else cut
    return PictureText(name="", text=cut.rstrip(" ,;:.-\u2013\u2014") + "…", shortened=True)


def fields_in(said: str, names: Sequence[str]) -> dict[str, str | None] | None:
    """The fields in a model's JSON, also with words or a fence around it; None when it is none or has none of them."""
    match = _OBJECT.search(said)
    if match is None:
        return None
    try:
        found = json.loads(match[0])
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    lowered = {str(name).strip().lower(): value for name, value in found.items()}
    if not any(name in lowered for name in names):
        return None
    return {name: _plain(lowered.get(name)) for name in names}


def _plain(value: object) -> str | None:
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value)
    if isinstance(value, bool | dict) or value is None:
        return None
    text = " ".join(str(value).split())
    return None if text.lower() in ("", "null", "none", "n/a", "not found", "unknown", "…") else text


def unsupported(values: Mapping[str, str | None], read: str) -> list[str]:
    """The names of fields whose value is not in the text that was read.

    All digits of a value must be there in their order, and four of five of its words: the reader loses letters, but a
    number that it did not see is one nobody saw.
    """
    letters = _bare(read)
    known = {_bare(word) for word in read.split()}
    found = []
    for name, value in values.items():
        if value is None or _bare(value) in letters:
            continue
        words = [bare for word in value.split() if (bare := _bare(word))]
        hits = sum(word in known or word in letters for word in words)
        numbers = all(_bare(number) in letters for number in _NUMBER.findall(value))
        if not numbers or hits < 0.8 * len(words):
            found.append(name)
    return found


def _bare(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())
