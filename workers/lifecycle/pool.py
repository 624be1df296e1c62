"""Celery's thread pool, which tells Celery's loop when a slot is free.

With prefetch off the loop stops reading the broker while all slots are busy, and looks again only when something
wakes it: without this, up to a second after a job ended.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from celery.concurrency.thread import TaskPool as ThreadPool

if TYPE_CHECKING:
    from kombu.asynchronous import Hub


class TaskPool(ThreadPool):
    """Threads that wake the loop through a pipe."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)

    def register_with_event_loop(self, hub: Hub) -> None:
        """Called with each connection to the broker, since the loop forgets its readers when one is lost."""
        hub.add_reader(self._read, self._drain)

    def on_apply(self, *args: Any, **kwargs: Any) -> Any:
        """As ever, with a wake-up once Celery has booked the task as done."""
        applied = super().on_apply(*args, **kwargs)
        applied.f.add_done_callback(self._wake)
        return applied

    def _wake(self, _: object) -> None:
        try:
            os.write(self._write, b".")
        except BlockingIOError:
            pass  # full of wake-ups: the loop will wake

    def _drain(self, *_: object) -> None:
        try:
            os.read(self._read, 4096)
        except BlockingIOError:
            pass
