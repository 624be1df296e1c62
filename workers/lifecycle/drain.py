"""How a worker leaves: it takes nothing new, lets its jobs end for a while, gives back the rest, and ends for certain.

Celery would wait for its jobs for as long as they take, and for ever when its loop hangs.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from knowledge.errors import PhiqError

if TYPE_CHECKING:
    from workers.lifecycle.process import WorkerProcess

log = logging.getLogger(__name__)

LAST_GRACE = 5.0
"""Seconds after the limit in which released jobs may still end in good order, and then for Celery to end."""


class Leaving:
    """What successive calls of `drain` share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.hurry = threading.Event()


def drain(worker: WorkerProcess, leaving: Leaving, seconds: float, code: int = 0) -> None:
    """Empty a worker and end its process; a second call, while the first runs, cuts its time short.

    Args:
        worker: Which.
        leaving: Its own.
        seconds: For running jobs to end; what is left is given back, which is no attempt used up.
        code: The exit code. Other than 0 the process is ended here; else Celery, told by the same signal, does it,
            and this only sees to it when it does not.
    """
    with leaving.lock:
        again = worker.draining.is_set()
        worker.draining.set()
    if again:
        if not leaving.hurry.is_set():
            log.warning("asked to end again: giving back %d jobs now", worker.busy)
        leaving.hurry.set()
        return
    log.info("draining: %d jobs have %g s to end", worker.busy, seconds)
    if not _empty(worker, seconds, leaving.hurry):
        _give_back(worker)
    if code == 0 and not worker.busy and worker.closed.wait(LAST_GRACE):
        # Celery has come back from its loop. When all is well the process ends before this thread wakes.
        time.sleep(2 * LAST_GRACE)
    log.warning("ending the process with code %d and %d jobs that did not stop", code, worker.busy)
    end(worker, code)


def end(worker: WorkerProcess, code: int) -> None:
    """End this process, whatever hangs in it."""
    closing = threading.Thread(target=worker.close, name="phiq-close", daemon=True)
    closing.start()
    closing.join(LAST_GRACE)
    logging.shutdown()
    os._exit(code)


def _give_back(worker: WorkerProcess) -> None:
    if _empty(worker, LAST_GRACE, give_back=True):
        return
    for attempt in worker.keeper.held():
        try:
            attempt.release()
        except PhiqError as error:
            log.warning("job %s not released: %s", attempt.id, error.message)


def _empty(
    worker: WorkerProcess, seconds: float, hurry: threading.Event | None = None, *, give_back: bool = False
) -> bool:
    """Whether no job's thread is left, at the latest after ``seconds``; with ``give_back`` they are told to stop."""
    until = time.monotonic() + seconds
    # Not only what is held: a thread that is just claiming holds nothing yet.
    while worker.busy:
        if time.monotonic() > until or (hurry is not None and hurry.is_set()):
            return False
        if give_back:
            worker.solos.give_back()
            for attempt in worker.keeper.held():
                attempt.interrupt("released")
        time.sleep(0.05)
    return True
