"""Who may run beside whom in one worker: any jobs together, or a suspect alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOOK = 0.5
"""Seconds between looks at whether waiting still makes sense."""


class Gate:
    """Lets jobs in: any number that share, or one alone. Who wants to be alone keeps newcomers out while it waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = ""

    @property
    def alone(self) -> str:
        """The id of the job that is alone inside, or waits to be; empty when there is none."""
        return self._alone

    @contextmanager
    def shared(self, seconds: float, give_up: Callable[[], bool]) -> Iterator[bool]:
        """Go in beside others; False inside the block when it did not open within ``seconds`` or ``give_up`` says so.

        The wait keeps a slot of this worker busy on purpose: what it can't run now, others read from the broker.
        """
        with self._changed:
            until = time.monotonic() + seconds
            while self._alone and not give_up() and time.monotonic() < until:
                self._changed.wait(_LOOK)
            inside = not self._alone
            self._inside += inside
        try:
            yield inside
        finally:
            with self._changed:
                self._inside -= inside
                self._changed.notify_all()

    @contextmanager
    def apart(self, job_id: str, seconds: float, give_up: Callable[[], bool]) -> Iterator[bool]:
        """Go in alone, once all who are inside have left; False inside the block when that is not to be.

        It is not to be when another waits to be alone already (this may be the same job, announced twice), when it
        took more than ``seconds``, or when ``give_up``, asked every half second, says so.
        """
        with self._changed:
            first = not self._alone
            if first:
                self._alone = job_id
        try:
            yield first and self._emptied(seconds, give_up)
        finally:
            if first:
                with self._changed:
                    self._alone = ""
                    self._changed.notify_all()

    def _emptied(self, seconds: float, give_up: Callable[[], bool]) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self._changed:
                if not self._inside:
                    return True
                self._changed.wait(_LOOK)
            # Outside the lock: it may ask Redis, and the jobs that leave must not wait for that.
            if give_up():
                return False
        return False
