"""How many tokens a text has where no tokenizer is at hand: an estimate that errs high, and a floor.

Servers count with their own tokenizer, after the prompt was sent. To refuse a prompt that does not fit before
that, phiq needs a number that is not too small; to notice that a server cut a prompt, one that is surely not
too large.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from langchain_core.messages import BaseMessage

PER_MESSAGE = 8
"""Role, markers and newlines of one turn in any of Phi's templates, rounded up."""
PER_PROMPT = 8
PER_IMAGE = 2500
"""Phi's vision models spend 1,900 to 2,500 tokens on a picture of 16 crops."""

_PIECE = re.compile(r"[A-Za-z]+|[0-9]|\s+|[^\sA-Za-z0-9]")
_PLAIN = re.compile(r"[A-Z]?[a-z]+\Z")


def tokens_of(text: str) -> int:
    """An estimate that errs high for prose in any script, code and figures.

    Words of Latin letters count a token per three letters (mixed case, as in keys and base64, one per one and a
    half), digits, signs and letters of Latin, Greek and Cyrillic one each, other scripts by their bytes, since a
    small vocabulary falls back to bytes.
    """
    total = 0
    for piece in _PIECE.findall(text):
        if piece.isascii() and piece.isalpha():
            per_token = 3.0 if _PLAIN.match(piece) and len(piece) <= 24 else 1.5
            total += -int(-len(piece) // per_token)
        elif piece.isspace():
            # One space belongs to the word behind it; runs merge, newlines and tabs do not.
            total += sum(1 for char in piece if char != " ") + -(-piece.count(" ") // 4) - (piece == " ")
        else:
            size = len(piece.encode("utf-8", "surrogatepass"))
            total += 1 if size == 2 and piece < "\u0530" else size
    return total


def estimate(messages: Sequence[BaseMessage]) -> int:
    """Tokens of a prompt as a server will build it, pictures included, rounded up."""
    total = PER_PROMPT
    for message in messages:
        total += PER_MESSAGE + sum(tokens_of(text) for text in texts_of(message)) + PER_IMAGE * images_of(message)
    return total


def floor(messages: Sequence[BaseMessage]) -> int:
    """Tokens a prompt has at least: no tokenizer of the family joins two words into one token."""
    return sum(len(text.split()) for message in messages for text in texts_of(message))


def texts_of(message: BaseMessage) -> Iterable[str]:
    """The texts of a message, in order."""
    if isinstance(message.content, str):
        yield message.content
        return
    for part in message.content:
        if isinstance(part, str):
            yield part
        elif isinstance(part.get("text"), str):
            yield part["text"]


def images_of(message: BaseMessage) -> int:
    """How many pictures a message has."""
    if isinstance(message.content, str):
        return 0
    return sum(1 for part in message.content if isinstance(part, dict) and part.get("type") in ("image", "image_url"))
