"""Runs suspects, each in a process of its own.

A job that was running when two workers died may be the cause, or may just have been there: a worker with many slots
takes many innocent jobs along. In a process of its own a suspect harms no other job when it ends that process, nobody
has to wait until a worker is empty, and the evidence is clear: the end of the worker beside it says nothing about it.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from workers.settings import child_environment

if TYPE_CHECKING:
    from workers.settings import Settings

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "workers", "solo")
MOST = 4
"""Processes beside one worker at once. As many suspects more wait here for one; the others wait in the ledger."""
_GRACE = 15.0
"""Seconds a process has to end after it was told to give its job back."""


class Solos:
    """The processes in which a worker runs suspects.

    Args:
        settings: Theirs too.
        worker: The worker's name; theirs begin with it.
    """

    def __init__(self, settings: Settings, worker: str) -> None:
        self._settings = settings
        self._worker = worker
        self._room = threading.BoundedSemaphore(MOST)
        # A model in memory is there a second time in such a process: one of them at once.
        self._hosted = threading.Lock()
        self._lock = threading.Lock()
        self._jobs: set[str] = set()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._closing = False

    def run(self, job_id: str, *, hosted: bool) -> None:
        """Run a suspect that is kept for this worker; returns when its process has ended.

        Where there is no room for it, it is left: it stays kept for a minute, then the ledger sends it again.

        Args:
            job_id: Which.
            hosted: Whether its process loads a model of its own.
        """
        with self._lock:
            if job_id in self._jobs or len(self._jobs) >= 2 * MOST or self._closing:
                return
            self._jobs.add(job_id)
        try:
            with self._room:
                if not hosted:
                    self._run(job_id)
                    return
                with self._hosted:
                    self._run(job_id)
        finally:
            with self._lock:
                self._jobs.discard(job_id)

    def give_back(self) -> None:
        """Tell all processes to give their jobs back and end; no more are started."""
        with self._lock:
            self._closing = True
            running = list(self._running.values())
        for process in running:
            if process.stdin is not None:
                process.stdin.close()

    def _run(self, job_id: str) -> None:
        log.warning("job %s runs in a process of its own: workers died while they ran it", job_id)
        with self._lock:
            if self._closing:
                return
            # Its standard input is its lifeline: when this worker ends in whatever way, the process hears of it.
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*COMMAND, job_id, self._worker], env=child_environment(self._settings), stdin=subprocess.PIPE
            )
            self._running[job_id] = process
        try:
            code = self._wait(process)
        finally:
            with self._lock:
                del self._running[job_id]
        if code:
            how = f"by signal {-code}" if code < 0 else f"with code {code}"
            log.error("the process of job %s ended %s", job_id, how)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        while True:
            try:
                return process.wait(1.0)
            except subprocess.TimeoutExpired:
                if self._closing:
                    break
        try:
            return process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
