"""What a run is told of its place in line while it waits for a slot."""

from __future__ import annotations

import time
from collections.abc import Callable

from workers.engines.host.protocol import Waiting

_BETWEEN = 1.0
"""Seconds between two words; a run that gets its slot within the first has not waited."""


class Waits:
    """Passes a run's place in line on when it changed, once a second at most.

    Args:
        told: Takes it in words; empty: the wait is over.
        clock: Seconds that only grow.
    """

    def __init__(self, told: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._told = told
        self._clock = clock
        self._said = ""
        self._at = clock()

    def waiting(self, event: Waiting) -> None:
        """The model's process says where the run stands, several times a second."""
        words = in_line(event.place, event.seconds)
        if words != self._said and self._clock() - self._at >= _BETWEEN:
            self._said, self._at = words, self._clock()
            self._told(words)

    def begun(self) -> None:
        """The run has its slot."""
        if self._said:
            self._said = ""
            self._told("")


def in_line(place: int, seconds: float | None) -> str:
    """A place in line and about how long that takes, for people."""
    return f"{place} in line" + (f", about {seconds:.0f} s" if seconds is not None else "")
