"""What outlives an attempt: finished parts, and the token ids of the call that was in flight."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, Protocol


class Keeps(Protocol):
    """Where checkpoints are written: the attempt that holds the job."""

    def keep(self, name: str, value: str) -> None:
        """Keep a finished part, given as JSON, for good; raises `LeaseLost` when the job is another's by now."""
        ...

    def log(self, words: Sequence[object], *, anew: bool) -> None:
        """Add words to the log of token ids, or begin it anew; written with the next text or progress."""
        ...

    def start_over(self) -> None:
        """What comes is not what earlier attempts streamed, even where it looks the same."""
        ...


class Checkpoints(MutableMapping[str, Any]):
    """Finished parts: JSON values by name. One that was set is kept before the call returns.

    Beside them the ids of one call's tokens are kept as they are made; a part that is set takes their place.

    Args:
        keeps: Where they are written.
        points: What earlier attempts kept, as JSON.
        log: The token ids that the last attempt left behind: the call's name, then ids, with spaces.
        bound: Characters of all this together; what goes beyond is not kept, and done again by the next attempt.
    """

    def __init__(self, keeps: Keeps, points: dict[str, str], log: str = "", bound: int = 4_000_000) -> None:
        self._keeps = keeps
        self._points: dict[str, Any] = {name: json.loads(text) for name, text in points.items()}
        self._room = bound - sum(len(name) + len(text) for name, text in points.items())
        name, *ids = log.split(" ")
        self._left = (name, [int(number) for number in ids])
        self._open = ""
        self._full = False

    def __getitem__(self, name: str) -> Any:
        return self._points[name]

    def __setitem__(self, name: str, value: Any) -> None:
        text = json.dumps(value)
        if len(name) + len(text) <= self._room:
            self._keeps.keep(name, text)
            self._room -= len(name) + len(text)
        self._open = ""
        self._points[name] = value

    def put(self, name: str, value: Any) -> None:
        """Keep a part; the agents' own word for setting it."""
        self[name] = value

    def tokens(self, name: str) -> list[int]:
        """The ids that an earlier attempt made of a call, once; `extend` then adds to them."""
        left, self._left = self._left, ("", [])
        if left[0] != name or not left[1]:
            self._open = ""
            return []
        self._open, self._full = name, False
        return left[1]

    def extend(self, name: str, ids: Sequence[int]) -> None:
        """Add ids to a call's. Say it before the text that they stand for, and of one call at a time."""
        if self._open == name and self._full:
            return
        anew = self._open != name
        self._open = name
        self._keeps.log([name, *ids] if anew else ids, anew=anew)

    def full(self, characters: int) -> None:
        """Called with the length of the log: beyond the bound it grows no more."""
        self._full = characters > self._room

    def start_over(self) -> None:
        """Forget the ids: the engine can't go on from them, and what it says now replaces what was streamed."""
        self._left, self._open, self._full = ("", []), "", False
        self._keeps.start_over()

    def __delitem__(self, name: str) -> None:
        raise TypeError("a finished part stays finished")

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)
