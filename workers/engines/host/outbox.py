"""What goes out to one worker, so that a worker that does not read holds up no other."""

from __future__ import annotations

import select
import threading
from collections import deque
from multiprocessing.connection import Connection
from typing import Any

from workers.engines.host.frames import pack

MOST = 1_000_000
"""Messages kept for a worker that does not read; what its runs can still make is far less."""


class Outbox:
    """Sends at once while there is room in the pipe; what comes when there is none waits for a thread.

    Args:
        pipe: To the worker.
        most: Messages that may wait.
    """

    def __init__(self, pipe: Connection[Any, Any], most: int = MOST) -> None:
        self._pipe = pipe
        self._most = most
        self._late: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._late_sender: threading.Thread | None = None
        self._broken = False
        self._room = select.poll()
        self._room.register(pipe.fileno(), select.POLLOUT)

    def send(self, message: object) -> None:
        """Send a message without waiting for the other side.

        Raises:
            OSError: the other side is gone, or has not read for too long.
        """
        data = pack(message)
        with self._changed:
            if self._broken:
                raise BrokenPipeError("the other side is gone")
            if not self._late and self._room.poll(0):
                self._pipe.send_bytes(data)
                return
            if len(self._late) >= self._most:
                self._broken = True
                raise BrokenPipeError("the other side does not read")
            self._late.append(data)
            if self._late_sender is None:
                self._late_sender = threading.Thread(target=self._send_late, name="outbox", daemon=True)
                self._late_sender.start()
            self._changed.notify()

    def close(self) -> None:
        """Send nothing more; the pipe itself is its reader's to close."""
        with self._changed:
            self._broken = True
            self._changed.notify()

    def _send_late(self) -> None:
        while True:
            with self._changed:
                while not self._late and not self._broken:
                    self._changed.wait()
                if self._broken:
                    return
            try:
                self._pipe.send_bytes(self._late[0])
            except OSError:
                self.close()
                return
            with self._changed:
                self._late.popleft()
