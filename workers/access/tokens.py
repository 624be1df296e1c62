"""What a key looks like: ``phiq_sk_ID_SECRET``, or ``phiq_pk_ID_SECRET`` for one that may be seen in a page.

The id is the prefix people are shown; the secret is 256 random bits. Only its SHA-256 is kept: a slow hash protects
words that people choose, by making each guess dear. 256 random bits can't be guessed at any speed, and a slow hash
would cost every request, and give whoever sends bad keys a lever.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sk", "pk"]
_FORM = re.compile(r"phiq_(sk|pk)_([0-9a-f]{12})_[0-9a-f]{64}")
ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Token:
    """A key as it was sent: its kind, its id, and the hash of all of it."""

    kind: Kind
    key_id: str
    digest: str


def new_id() -> str:
    """An id for a new key."""
    return secrets.token_hex(6)


def make(kind: Kind, key_id: str) -> tuple[str, str]:
    """A new key and its hash; the key is shown once and never kept."""
    text = f"{prefix(kind, key_id)}_{secrets.token_hex(32)}"
    return text, digest(text)


def prefix(kind: Kind, key_id: str) -> str:
    """What people are shown of a key."""
    return f"phiq_{kind}_{key_id}"


def digest(text: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(text.encode()).hexdigest()


def read(text: str) -> Token | None:
    """A key as it was sent; None when it has not the form of one."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    kind: Kind = "pk" if found[1] == "pk" else "sk"
    return Token(kind, found[2], digest(text))


def looks_like_one(text: str) -> bool:
    """Whether a text means to be one of our keys, whole or not."""
    return text.startswith("phiq_")


def id_of(text: str) -> str:
    """The id in an id, a prefix or a whole key; empty when it is none of them."""
    if ID.fullmatch(text):
        return text
    parts = text.split("_")
    return parts[2] if len(parts) in (3, 4) and parts[0] == "phiq" and ID.fullmatch(parts[2]) else ""
