"""One run between the thread that drives it and the one that reads it.

They are two so that a reader that is slow, or forgot to close its iterator, never keeps the model from others: the
run goes on to its end without it, and what it made waits here (bounded by the run's ``max_tokens``).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from agents.errors import Interrupted
from workers.engines.host.protocol import Delta, Done
from workers.engines.host.turns import StopFlag


class Run:
    """A run's events on their way, and the wish to end it.

    Args:
        stop: The caller's flag.
    """

    def __init__(self, stop: StopFlag) -> None:
        self._stop = stop
        self._abandoned = threading.Event()
        self._events: queue.SimpleQueue[Delta | Done | BaseException] = queue.SimpleQueue()

    def is_set(self) -> bool:
        """Whether the run should end: its caller said so or reads no more."""
        return self._abandoned.is_set() or self._stop.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait for that, ``timeout`` seconds at most."""
        return self._abandoned.wait(timeout) or self._stop.is_set()

    def drive(self, events: Callable[[], Iterator[Delta | Done]]) -> None:
        """Pass on everything that ``events`` gives, its error included; returns when it has ended."""
        try:
            for event in events():
                self._events.put(event)
        except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
            self._events.put(error)

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
                yield event
                if isinstance(event, Done):
                    return
        finally:
            self._abandoned.set()
