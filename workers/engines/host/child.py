"""The child process: loads one model and runs what comes over the pipe, one request at a time.

It ends when its pipe closes, even when the parent was killed, and at nothing else: SIGINT and SIGTERM, which a
terminal or a supervisor sends to all processes of a group, are for the worker, whose jobs may still be running here.
"""

from __future__ import annotations

import fcntl
import os
import queue
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any

from workers.engines.host.protocol import Cancel, Failed, LoadFailed, LoadSpec, Ready, Request, Trouble

_MEMORY_WORDS = ("bad_alloc", "out of memory", "failed to allocate", "bfcarena", "memory exhausted", "bad allocation")


class Inbox:
    """What the parent sent, read by a thread of its own so that a cancel or a closed pipe is seen during a run."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def next(self) -> Request:
        """Wait for the next request."""
        request = self._requests.get()
        # Cancels that came after their run had ended; ids only grow.
        self._cancelled = {number for number in self._cancelled if number >= request.id}
        return request

    def cancelled(self, number: int) -> bool:
        """Whether a run was cancelled."""
        return number in self._cancelled

    def _read(self) -> None:
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                # The parent is gone or wants us gone. The main thread may be deep in the library: don't ask it.
                os._exit(0)
            if isinstance(message, Cancel):
                self._cancelled.add(message.id)
            else:
                self._requests.put(message)


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
        from workers.engines.host.model import Model

        model = Model(spec)
        model.warm_up()
    except ImportError as error:
        pipe.send(LoadFailed("refused", _brief(error)))
        return
    except Exception as error:  # noqa: BLE001 - the library raises RuntimeError, MemoryError and pybind11's own
        pipe.send(LoadFailed(_trouble(error, "broken"), _brief(error)))
        return
    pipe.send(Ready())
    while True:
        _serve(pipe, model, inbox)


def _serve(pipe: Connection[Any, Any], model: Any, inbox: Inbox) -> None:
    request = inbox.next()
    try:
        for event in model.run(request, lambda: inbox.cancelled(request.id)):
            pipe.send(event)
    except OSError:
        os._exit(0)  # the pipe is closed
    except Exception as error:  # noqa: BLE001 - one bad run must not cost the others the loaded model
        pipe.send(Failed(request.id, _trouble(error, "refused"), _brief(error)))


def _trouble(error: Exception, otherwise: Trouble) -> Trouble:
    text = str(error).lower()
    return "memory" if isinstance(error, MemoryError) or any(word in text for word in _MEMORY_WORDS) else otherwise


def _brief(error: Exception) -> str:
    """The library's words, bounded: they name files and shapes, not contents."""
    return " ".join(str(error).split())[:300] or type(error).__name__


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
