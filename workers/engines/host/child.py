"""The child process: loads one model and runs what comes over the pipe, many requests together.

Other workers of the same user may join over a Unix socket (`guests`). It ends when its owner's pipe closes, even when
the owner was killed, and at nothing else: SIGINT and SIGTERM, which a terminal or a supervisor sends to all processes
of a group, are for the worker, whose jobs may still be running here.

That others are still joined does not keep it: a process that outlives its worker is under nobody's memory limit and
idle time, and supervisors kill it with the worker's group anyway. The joined go on in the one that the next run starts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import signal
import socket
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from workers.engines.host.failures import brief, trouble_of
from workers.engines.host.guests import Came, Guest, Message, Reception
from workers.engines.host.hub import Hub
from workers.engines.host.outbox import Outbox
from workers.engines.host.protocol import Cancel, Failed, LoadFailed, LoadSpec, Ready, Request, Retire


class Inbox:
    """What the workers sent; the owner's is read by a thread here, so that a closed pipe is seen during a step."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._messages: queue.SimpleQueue[tuple[Guest | None, Message | Retire]] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def put(self, item: tuple[Guest, Message], /) -> None:
        """Take a guest's message."""
        self._messages.put(item)

    def take(self, *, wait: bool) -> Iterator[tuple[Guest | None, Message | Retire]]:
        """All there is, each with its sender (None: the owner); with ``wait`` at least one."""
        if wait:
            yield self._messages.get()
        while not self._messages.empty():
            yield self._messages.get()

    def _read(self) -> None:
        while True:
            try:
                self._messages.put((None, self._pipe.recv()))
            except (EOFError, OSError):
                # The parent is gone or wants us gone. The main thread may be deep in the library: don't ask it.
                os._exit(0)


def main(descriptor: int, lifeline: int, listener: int = -1) -> None:
    """Serve the pipe behind a file descriptor until it closes.

    Args:
        descriptor: Of the pipe.
        lifeline: Of a socket on which nothing is ever sent: it closes when the parent ends.
        listener: Of a bound Unix socket where other workers may join; -1: there is none.
    """
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    end_with(lifeline)
    _offer_to_the_kernel()
    pipe: Connection[Any, Any] = Connection(descriptor)
    spec: LoadSpec = pipe.recv()
    inbox = Inbox(pipe)
    reception = Reception(socket.socket(fileno=listener), spec, inbox) if listener >= 0 else None
    try:
        from workers.engines.host.backends import load
        from workers.engines.host.warm import warm_up

        backend = load(spec)
        warm_up(backend, spec.bos)
    except ImportError as error:
        _give_up(pipe, inbox, LoadFailed("refused", brief(error)))
        return
    except Exception as error:  # noqa: BLE001 - the library raises RuntimeError, MemoryError and pybind11's own
        _give_up(pipe, inbox, LoadFailed(trouble_of(error, "broken"), brief(error)))
        return
    ready = Ready(backend.slots, backend.note)
    try:
        owner = Outbox(pipe)
        owner.send(ready)
        _serve(backend, inbox, Hub(owner), ready, reception)
    except OSError:
        os._exit(0)  # the pipe is closed


def _give_up(pipe: Connection[Any, Any], inbox: Inbox, failed: LoadFailed) -> None:
    for guest, message in inbox.take(wait=False):
        if guest is not None and isinstance(message, Came):
            with contextlib.suppress(OSError):
                guest.outbox.send(failed)
    pipe.send(failed)


def _serve(backend: Any, inbox: Inbox, hub: Hub, ready: Ready, reception: Reception | None) -> None:
    from workers.engines.host.scheduler import Scheduler

    scheduler = Scheduler(backend, hub.send)
    while True:
        for sender, message in inbox.take(wait=scheduler.idle):
            if isinstance(message, Request):
                _submit(scheduler, hub, hub.take(sender, message))
            elif isinstance(message, Cancel):
                if (number := hub.ours(sender, message.id)) is not None:
                    scheduler.cancel(number)
            elif isinstance(message, Retire):
                if reception is not None:
                    reception.close()
                hub.send_away()
            elif sender is not None and isinstance(message, Came):
                hub.came(sender, ready)
            elif sender is not None:
                for number in hub.went(sender):
                    scheduler.cancel(number)
        scheduler.step()
        hub.tell()


def _submit(scheduler: Any, hub: Hub, request: Request) -> None:
    try:
        scheduler.submit(request)
    except OSError:
        raise  # the owner is gone
    except Exception as error:  # noqa: BLE001 - what one worker sends must not cost the others the loaded model
        hub.send(Failed(request.id, trouble_of(error, "refused"), brief(error)))


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
