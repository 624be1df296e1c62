"""Whose turn it is at a model: first come, first served, and a bound on how many wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from agents.errors import Interrupted
from workers.errors import EngineDown

_LOOK = 0.05
"""Seconds between looks at a waiter's stop flag."""


class StopFlag(Protocol):
    """What is asked of a ``threading.Event`` here."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait for it, ``timeout`` seconds at most; returns whether to stop."""
        ...


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

    @property
    def busy(self) -> bool:
        """Whether somebody holds a turn or waits for one."""
        return bool(self._line)

    def join(self) -> object:
        """Stand in line; returns the ticket, which must be given to ``hold`` or ``leave``.

        Raises:
            EngineDown: when the line is full.
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
        return ticket

    @contextmanager
    def hold(self, ticket: object, stop: StopFlag) -> Iterator[None]:
        """Wait for a ticket's turn and hold it.

        Raises:
            Interrupted: when ``stop`` is set while waiting.
        """
        try:
            with self._changed:
                while self._line[0] is not ticket:
                    if stop.is_set():
                        raise Interrupted
                    self._changed.wait(_LOOK)
            yield
        finally:
            self.leave(ticket)

    def leave(self, ticket: object) -> None:
        """Give a ticket back; ``hold`` does it by itself."""
        with self._changed:
            self._line.remove(ticket)
            self._changed.notify_all()
