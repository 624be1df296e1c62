"""Keeps the thinking of reasoning models apart from their answer, while the text streams."""

from __future__ import annotations

OPEN = "<think>"
CLOSE = "</think>"


class ThinkFilter:
    """Splits a stream of text into answer and thinking.

    Only a block that opens the answer counts: the same tag further on may belong to a text being translated.
    Text is held back no longer than it may still turn out to be a tag.
    """

    def __init__(self) -> None:
        self.thinking = ""
        self._held = ""
        self._state = "start"

    def feed(self, text: str) -> str:
        """The part of the answer that ``text`` makes certain."""
        if self._state == "answer":
            return text
        self._held += text
        if self._state == "start":
            head = self._held.lstrip()
            if OPEN.startswith(head[: len(OPEN)]) and len(head) < len(OPEN):
                return ""
            if not head.startswith(OPEN):
                return self._release()
            self._state, self._held = "thinking", head[len(OPEN) :]
        if self._state == "thinking":
            inside, closed, after = self._held.partition(CLOSE)
            if not closed:
                return ""
            self.thinking += inside
            self._state, self._held = "after", after
        # Blank lines between the block and the answer belong to neither.
        self._held = self._held.lstrip()
        return self._release() if self._held else ""

    def finish(self) -> str:
        """What was still held back when the stream ended; a block never closed stays thinking."""
        if self._state == "thinking":
            self.thinking += self._held
            self._held = ""
            return ""
        return self._release()

    def _release(self) -> str:
        text, self._held, self._state = self._held, "", "answer"
        return text
