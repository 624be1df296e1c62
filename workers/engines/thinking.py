"""Telling a reasoning model's thoughts from its answer while both stream by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

OPEN = "<think>"
CLOSE = "</think>"


@dataclass
class Thinking:
    """Splits a stream that may begin with ``<think>…</think>``; anywhere else the tags are text.

    A piece that could be the beginning of a tag is held back until it is known not to be.
    """

    _state: Literal["before", "inside", "gap", "after"] = "before"
    _held: str = field(default="", repr=False)

    def feed(self, text: str) -> tuple[str, str]:
        """Take a piece of the stream.

        Returns:
            What of the answer, and what of the thoughts, is known by now.
        """
        self._held += text
        if self._state == "before":
            start = self._held.lstrip()
            if start.startswith(OPEN):
                self._state = "inside"
                self._held = start[len(OPEN) :]
            elif OPEN.startswith(start):
                return "", ""
            else:
                self._state = "after"
        if self._state == "inside":
            thought, found, rest = self._held.partition(CLOSE)
            if not found:
                keep = _overlap(self._held, CLOSE)
                self._held, thought = self._held[len(self._held) - keep :], self._held[: len(self._held) - keep]
                return "", thought
            self._state, self._held = "gap", rest
            return self._answer(), thought
        return self._answer(), ""

    def _answer(self) -> str:
        if self._state == "gap":  # blank lines between thoughts and answer belong to neither
            self._held = self._held.lstrip()
            if self._held:
                self._state = "after"
        answer, self._held = self._held, ""
        return answer

    def end(self) -> tuple[str, str]:
        """What was held back, as ``feed`` would say it."""
        held, self._held = self._held, ""
        return ("", held) if self._state == "inside" else (held, "")


def split_thoughts(chunks: Iterator[ChatGenerationChunk]) -> Iterator[ChatGenerationChunk]:
    """Move a stream's thoughts into ``additional_kwargs["reasoning_content"]``, where LangChain keeps them."""
    thinking = Thinking()
    for chunk in chunks:
        answer, thought = thinking.feed(chunk.text)
        if isinstance(chunk.message, AIMessageChunk) and chunk.message.chunk_position == "last":
            rest = thinking.end()
            answer, thought = answer + rest[0], thought + rest[1]
        extra = {"reasoning_content": thought} if thought else {}
        kwargs = {**chunk.message.additional_kwargs, **extra}
        message = chunk.message.model_copy(update={"content": answer, "additional_kwargs": kwargs})
        yield ChatGenerationChunk(message=message, generation_info=chunk.generation_info)


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of ``text`` could begin ``tag``."""
    return next((size for size in range(min(len(text), len(tag) - 1), 0, -1) if tag.startswith(text[-size:])), 0)
