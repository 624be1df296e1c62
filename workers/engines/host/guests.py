"""Workers that joined a model's process over its Unix socket: who they are, and what they send.

A thread takes them in and one more listens to each, so that one that sends half a frame, or nothing, holds up nobody.
What they want is handed to the main thread; all that breaks here costs the one worker its connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from multiprocessing.connection import Connection
from typing import Any, Protocol

from workers.engines.host.frames import HELLO, LONGEST, BadFrame, greeting, protocol_id, read_greeting, unpack_order
from workers.engines.host.outbox import Outbox
from workers.engines.host.protocol import Cancel, LoadSpec, Request

_MOST = 64
"""Workers that may join at once."""
_GREET = 10.0
"""Seconds in which one has to say what it is."""


class Guest:
    """One joined worker.

    Args:
        line: Its socket.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.pipe: Connection[Any, Any] = Connection(os.dup(line.fileno()))
        self.outbox = Outbox(self.pipe)

    def dismiss(self) -> None:
        """End its connection; the thread that listens to it finds that out. Safe to call twice."""
        self.outbox.close()
        # Not closed: another thread may be in it, and the number would be somebody else's next.
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)


class Left:
    """Said in place of a message: a guest is gone."""


class Came:
    """Said in place of a message: a guest is here."""


Message = Request | Cancel | Came | Left


class Sink(Protocol):
    """Where messages go."""

    def put(self, item: tuple[Guest, Message], /) -> None:
        """Take one."""
        ...


class Reception:
    """Takes workers in.

    Args:
        listener: A bound Unix socket.
        spec: What is loaded here.
        sink: Takes each guest's messages: `Came` first, `Left` last.
    """

    def __init__(self, listener: socket.socket, spec: LoadSpec, sink: Sink) -> None:
        self._listener = listener
        self._spec = spec
        self._sink = sink
        self._here = threading.Semaphore(_MOST)
        listener.listen(_MOST)
        threading.Thread(target=self._receive, name="reception", daemon=True).start()

    def close(self) -> None:
        """Take nobody else in."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _receive(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            if self._here.acquire(blocking=False):
                threading.Thread(target=self._host, args=(line,), name="guest", daemon=True).start()
            else:
                line.close()

    def _host(self, line: socket.socket) -> None:
        guest = Guest(line)
        try:
            if self._welcome(line, guest):
                self._sink.put((guest, Came()))
                try:
                    while True:
                        self._sink.put((guest, unpack_order(guest.pipe.recv_bytes(LONGEST))))
                finally:
                    self._sink.put((guest, Left()))
        except (EOFError, OSError, BadFrame):
            pass
        finally:
            guest.dismiss()
            line.close()
            self._here.release()

    def _welcome(self, line: socket.socket, guest: Guest) -> bool:
        refused = "" if peer(line)[1] in (os.getuid(), None) else "user"
        if not refused:
            if not guest.pipe.poll(_GREET):
                return False
            theirs = read_greeting(guest.pipe.recv_bytes(HELLO))
            refused = "" if theirs.get("protocol") == protocol_id() else "version"
        spec = self._spec
        guest.pipe.send_bytes(
            greeting(
                refused=refused,
                owner=os.getppid(),
                max_length=spec.max_length,
                slots=spec.slots,
                threads=spec.threads,
            )
        )
        return not refused


def peer(line: socket.socket) -> tuple[int, int | None]:
    """The process (0: not known) and the user (None: not known) at the other end of a Unix socket."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0, None  # the folder, which is this user's alone, keeps others out
    size = struct.calcsize("3i")
    pid, user, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return pid, user
