"""Whose turn it is at a model: first come, first served, and a bound on how many wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from agents.errors import Interrupted
from workers.errors import EngineDown

_LOOK = 0.05
"""Seconds between looks at a waiter's stop flag."""


class Turns:
    """One at a time, in order of arrival.

    Args:
        name: What is waited for, for messages.
        most: How many may wait beside the one whose turn it is.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._line: deque[object] = deque()
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many wait, without the one whose turn it is."""
        return max(0, len(self._line) - 1)

    @contextmanager
    def turn(self, stop: threading.Event) -> Iterator[None]:
        """Wait for the turn and hold it.

        Raises:
            EngineDown: when the line is full.
            Interrupted: when ``stop`` is set while waiting.
        """
        ticket = object()
        with self._changed:
            if len(self._line) > self._most:
                raise EngineDown(
                    f"{len(self._line)} runs wait for {self._name}: there is no room for another.",
                    hint="Try again later, or set PHIQ_SLOTS lower so that jobs wait in the queue.",
                    subject=self._name,
                    waiting=len(self._line),
                )
            self._line.append(ticket)
        try:
            with self._changed:
                while self._line[0] is not ticket:
                    if stop.is_set():
                        raise Interrupted
                    self._changed.wait(_LOOK)
            yield
        finally:
            with self._changed:
                self._line.remove(ticket)
                self._changed.notify_all()
