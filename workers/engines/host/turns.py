"""Whose turn it is at a model: runs that people wait for before batch ones, each in order of arrival."""

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
    """One at a time: first those that people wait for, then batch ones, each in order of arrival.

    Whoever has the turn keeps it until the end: a batch run that has begun is not stopped for one that came later,
    since what it has read and made would be lost. Batch runs wait as long as others keep coming; their jobs come one
    after another too, so it is the queue that shares the time out.

    Args:
        name: What is waited for, for messages.
        most: How many may wait beside the one whose turn it is.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._lines: tuple[deque[object], deque[object]] = (deque(), deque())
        self._turn: object | None = None
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many wait, without the one whose turn it is."""
        return max(0, self._present - 1)

    @property
    def busy(self) -> bool:
        """Whether somebody holds a turn or waits for one."""
        return self._present > 0

    def join(self, *, batch: bool = False) -> object:
        """Stand in line, a batch run behind all others.

        Returns:
            The ticket, which must be given to ``hold`` or ``leave``.

        Raises:
            EngineDown: when the line is full.
        """
        ticket = object()
        with self._changed:
            if self._present > self._most:
                raise EngineDown(
                    f"{self._present} runs wait for {self._name}: there is no room for another.",
                    hint="Try again later, or set PHIQ_SLOTS lower so that jobs wait in the queue.",
                    subject=self._name,
                    waiting=self._present,
                )
            self._lines[batch].append(ticket)
        return ticket

    @contextmanager
    def hold(self, ticket: object, stop: StopFlag) -> Iterator[None]:
        """Wait for a ticket's turn and hold it.

        Raises:
            Interrupted: when ``stop`` is set while waiting.
        """
        try:
            with self._changed:
                while self._turn is not None or self._next is not ticket:
                    if stop.is_set():
                        raise Interrupted
                    self._changed.wait(_LOOK)
                self._remove(ticket)
                self._turn = ticket
            yield
        finally:
            self.leave(ticket)

    def leave(self, ticket: object) -> None:
        """Give a ticket back; ``hold`` does it by itself."""
        with self._changed:
            if self._turn is ticket:
                self._turn = None
            else:
                self._remove(ticket)
            self._changed.notify_all()

    @property
    def _present(self) -> int:
        return sum(map(len, self._lines)) + (self._turn is not None)

    @property
    def _next(self) -> object | None:
        return next((line[0] for line in self._lines if line), None)

    def _remove(self, ticket: object) -> None:
        for line in self._lines:
            if ticket in line:
                line.remove(ticket)
