"""One run between the thread that takes events from the child and the one that reads them.

They are two so that a reader that is slow, or forgot to close its iterator, never keeps the model from others: the
run goes on to its end without it, and what it made waits here (bounded by the run's ``max_tokens``).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from agents.errors import Interrupted
from workers.engines.host.protocol import Delta, Done, Waiting


class StopFlag(Protocol):
    """What is asked of a ``threading.Event`` here."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait for it, ``timeout`` seconds at most; returns whether to stop."""
        ...


class Run:
    """A run's events on their way, and the wish to end it.

    Args:
        stop: The caller's flag.
        batch: Whether it lets others go first.
        told: Called in the reader's thread with the run's place in line, whenever the child says it.
    """

    def __init__(self, stop: StopFlag, told: Callable[[Waiting], None] | None = None, *, batch: bool = False) -> None:
        self.batch = batch
        self._stop = stop
        self._told = told
        self._abandoned = threading.Event()
        self._events: queue.SimpleQueue[Waiting | Delta | Done | BaseException] = queue.SimpleQueue()
        self.waits: Waiting | None = None
        """Its place in line, None once it has a slot."""
        self.begun = False
        """Whether it ever had a slot."""
        self.heard = 0.0
        """When the child last said anything of it, by the monotonic clock."""

    def is_set(self) -> bool:
        """Whether the run should end: its caller said so or reads no more."""
        return self._abandoned.is_set() or self._stop.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait for that, ``timeout`` seconds at most."""
        return self._abandoned.wait(timeout) or self._stop.is_set()

    def put(self, event: Waiting | Delta | Done | BaseException) -> None:
        """Pass an event on; an exception is raised in the reader's thread."""
        if not isinstance(event, Waiting) or self._told is not None:
            self._events.put(event)

    def read(self) -> Iterator[Delta | Done]:
        """The events until Done; closing the iterator abandons the run.

        Raises:
            Interrupted: the caller's flag is set; what was made and not read is dropped.
            BaseException: what ended the run.
        """
        try:
            while True:
                event = self._events.get()
                if self._stop.is_set():
                    raise Interrupted
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, Waiting):
                    if self._told is not None:
                        self._told(event)
                    continue
                yield event
                if isinstance(event, Done):
                    return
        finally:
            self._abandoned.set()
