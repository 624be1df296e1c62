"""The child process: loads one model and runs what comes over the pipe, many requests together.

It ends when its pipe closes, even when the parent was killed, and at nothing else: SIGINT and SIGTERM, which a
terminal or a supervisor sends to all processes of a group, are for the worker, whose jobs may still be running here.
"""

from __future__ import annotations

import fcntl
import os
import queue
import signal
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from workers.engines.host.failures import brief, trouble_of
from workers.engines.host.protocol import Cancel, LoadFailed, LoadSpec, Ready, Request


class Inbox:
    """What the parent sent, read by a thread of its own so that a closed pipe is seen during a step."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._messages: queue.SimpleQueue[Request | Cancel] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def take(self, *, wait: bool) -> Iterator[Request | Cancel]:
        """All there is; with ``wait`` at least one."""
        if wait:
            yield self._messages.get()
        while not self._messages.empty():
            yield self._messages.get()

    def _read(self) -> None:
        while True:
            try:
                self._messages.put(self._pipe.recv())
            except (EOFError, OSError):
                # The parent is gone or wants us gone. The main thread may be deep in the library: don't ask it.
                os._exit(0)


def main(descriptor: int, lifeline: int) -> None:
    """Serve the pipe behind a file descriptor until it closes.

    Args:
        descriptor: Of the pipe.
        lifeline: Of a socket on which nothing is ever sent: it closes when the parent ends.
    """
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    end_with(lifeline)
    _offer_to_the_kernel()
    pipe: Connection[Any, Any] = Connection(descriptor)
    spec: LoadSpec = pipe.recv()
    inbox = Inbox(pipe)
    try:
        from workers.engines.host.backends import load
        from workers.engines.host.warm import warm_up

        backend = load(spec)
        warm_up(backend, spec.bos)
    except ImportError as error:
        pipe.send(LoadFailed("refused", brief(error)))
        return
    except Exception as error:  # noqa: BLE001 - the library raises RuntimeError, MemoryError and pybind11's own
        pipe.send(LoadFailed(trouble_of(error, "broken"), brief(error)))
        return
    try:
        pipe.send(Ready(backend.slots, backend.note))
        _serve(pipe, backend, inbox)
    except OSError:
        os._exit(0)  # the pipe is closed


def _serve(pipe: Connection[Any, Any], backend: Any, inbox: Inbox) -> None:
    from workers.engines.host.scheduler import Scheduler

    scheduler = Scheduler(backend, pipe.send)
    while True:
        for message in inbox.take(wait=scheduler.idle):
            if isinstance(message, Cancel):
                scheduler.cancel(message.id)
            else:
                scheduler.submit(message)
        scheduler.step()


def end_with(lifeline: int) -> None:
    """Let the kernel end this process when the other end of a socket closes, even while a library holds the GIL.

    Loading takes seconds in which no Python runs here; the inbox's thread would notice a dead parent only afterwards.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)  # which ends the process (on Linux; elsewhere the inbox does)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _offer_to_the_kernel() -> None:
    """When memory runs out on Linux, let the kernel end this process and not the worker."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123 - no pathlib: fast start
            file.write("700")
    except OSError:
        pass  # another system, or not allowed: then the kernel chooses
