"""The finished parts of a job, which outlive its attempts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any


class Checkpoints(MutableMapping[str, Any]):
    """Finished parts: JSON values by name. One that was set is kept before the call returns.

    Args:
        keep: Writes a part, given as JSON, for good; raises `LeaseLost` when the job is another's by now.
        points: What earlier attempts kept, as JSON.
    """

    def __init__(self, keep: Callable[[str, str], None], points: dict[str, str]) -> None:
        self._keep = keep
        self._points: dict[str, Any] = {name: json.loads(text) for name, text in points.items()}

    def __getitem__(self, name: str) -> Any:
        return self._points[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._keep(name, json.dumps(value))
        self._points[name] = value

    def put(self, name: str, value: Any) -> None:
        """Keep a part; the agents' own word for setting it."""
        self[name] = value

    def __delitem__(self, name: str) -> None:
        raise TypeError("a finished part stays finished")

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)
