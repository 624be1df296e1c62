"""Text from tokens by the tokenizers library, for backends whose own library has no stream for it.

The library's own DecodeStream raises where a model writes bytes that are no text, which random and tired ones do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BYTES = 4
"""Tokens that one character may take; what is no character after so many never becomes one."""


class Words:
    """One run's text; control tokens give none.

    What a token adds depends on the one before (the space at its start), so both are decoded together.

    Args:
        tokenizer: The model's.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._before: list[int] = []
        self._held: list[int] = []

    def decode(self, token: int) -> str:
        """The text that is whole with this token; empty in the middle of a character."""
        self._held.append(token)
        before = self._text(self._before)
        text = self._text([*self._before, *self._held])
        if text.endswith("\ufffd") and len(self._held) < _BYTES:
            return ""
        self._before, self._held = self._held, []
        return text[len(before) :]

    def _text(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True) if ids else ""
