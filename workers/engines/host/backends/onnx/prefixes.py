"""Keys and values of texts that were read before: blocks of tokens, found by all tokens up to their end.

A block belongs to what stands before it, so two texts share the blocks of their common beginning and no more. What
was not used for longest goes first, the end of a text before its beginning.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np

from workers.engines.host.backends.onnx.graph import Floats

BLOCK = 16
"""Tokens of a block: what a text's end may lose, against work for each block."""


class Prefixes:
    """A store of at most ``limit`` bytes.

    Args:
        limit: Bytes.
        token_bytes: Bytes of one token's keys and values.
    """

    def __init__(self, limit: int, token_bytes: int) -> None:
        self._most = limit // (token_bytes * BLOCK) if token_bytes else 0
        # By number, not by nested tuples, which would be hashed from the first token each time.
        self._numbers: dict[tuple[int, tuple[int, ...]], int] = {}
        self._blocks: OrderedDict[int, tuple[tuple[int, tuple[int, ...]], Floats]] = OrderedDict()
        self._next = 1

    def __len__(self) -> int:
        """Blocks kept."""
        return len(self._blocks)

    def fill(self, buffers: Sequence[Floats], slot: int, tokens: Sequence[int], most: int) -> int:
        """Copy into a row what is known of its beginning, ``most`` tokens at most; returns how many."""
        found = self._known(tokens, most)
        for place, number in enumerate(found):
            parts = self._blocks[number][1]
            for buffer, part in zip(buffers, parts, strict=True):
                buffer[slot, :, place * BLOCK : (place + 1) * BLOCK] = part
        self._touch(found)
        return len(found) * BLOCK

    def keep(self, buffers: Sequence[Floats], slot: int, tokens: Sequence[int]) -> None:
        """Keep a row's tokens, all of which are read; what does not fill a block is left out."""
        whole = min(len(tokens) // BLOCK, self._most)
        path = self._known(tokens, whole * BLOCK)
        self._touch(path)
        for place in range(len(path), whole):
            key = (path[-1] if path else 0, tuple(tokens[place * BLOCK : (place + 1) * BLOCK]))
            part = slice(place * BLOCK, (place + 1) * BLOCK)
            copied = np.stack([buffer[slot, :, part] for buffer in buffers])
            number, self._next = self._next, self._next + 1
            self._numbers[key] = number
            self._blocks[number] = (key, copied)
            path.append(number)
        self._touch(path)
        while len(self._blocks) > self._most:
            _, (key, _) = self._blocks.popitem(last=False)
            del self._numbers[key]

    def _known(self, tokens: Sequence[int], most: int) -> list[int]:
        return list(self._walk(tokens, most))

    def _walk(self, tokens: Sequence[int], most: int) -> Iterator[int]:
        before = 0
        for start in range(0, min(most, len(tokens)) - BLOCK + 1, BLOCK):
            number = self._numbers.get((before, tuple(tokens[start : start + BLOCK])))
            if number is None:
                return
            yield number
            before = number

    def _touch(self, path: Sequence[int]) -> None:
        """Mark as used, the beginning last: it then outlives its continuations."""
        for number in reversed(path):
            self._blocks.move_to_end(number)
