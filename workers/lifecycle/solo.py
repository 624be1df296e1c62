"""Runs suspects, each in a process of its own.

A job that was running when two workers died may be the cause, or may just have been there: a worker with many slots
takes many innocent jobs along. In a process of its own a suspect harms no other job when it ends that process, nobody
has to wait until a worker is empty, and the evidence is clear: the end of the worker beside it says nothing about it.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from workers.settings import child_environment

if TYPE_CHECKING:
    from workers.settings import Settings

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "workers", "solo")
MOST = 8
"""Processes beside one worker at once. As many suspects more wait here for one; the others wait in the ledger."""
IDLE = 60.0
"""Seconds without a suspect after which the process that begins theirs ends."""


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
        self._nursery: _Nursery | None = None
        self._idle: threading.Timer | None = None
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
            if self._idle is not None:
                self._idle.cancel()
        try:
            with self._hosted if hosted else contextlib.nullcontext(), self._room:
                self._run(job_id)
        finally:
            with self._lock:
                self._jobs.discard(job_id)
                if not self._jobs and not self._closing:
                    self._idle = threading.Timer(IDLE, self._rest)
                    self._idle.daemon = True
                    self._idle.start()

    def give_back(self) -> None:
        """Tell all processes to give their jobs back and end; no more are started."""
        with self._lock:
            self._closing = True
            nursery, self._nursery = self._nursery, None
        if nursery is not None:
            nursery.close()

    def _run(self, job_id: str) -> None:
        log.warning("job %s runs in a process of its own: workers died while they ran it", job_id)
        with self._lock:
            if self._closing:
                return
            if self._nursery is None or self._nursery.ended:
                self._nursery = _Nursery(self._settings, self._worker)
            ended = self._nursery.begin(job_id)
        code = ended.result()
        if code:
            how = f"by signal {-code}" if code < 0 else f"with code {code}"
            log.error("the process of job %s ended %s", job_id, how)

    def _rest(self) -> None:
        with self._lock:
            if self._jobs:
                return
            nursery, self._nursery = self._nursery, None
        if nursery is not None:
            nursery.close()


class _Nursery:
    """The process that begins those of the suspects; see `workers.lifecycle.solo_nursery`."""

    def __init__(self, settings: Settings, worker: str) -> None:
        # Its standard input is its lifeline: when this worker ends in whatever way, it hears of it, and so do they.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*COMMAND, worker], env=child_environment(settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._lock = threading.Lock()
        self._running: dict[str, Future[int]] = {}
        self.ended = False
        threading.Thread(target=self._listen, name="phiq-nursery", daemon=True).start()

    def begin(self, job_id: str) -> Future[int]:
        """Have a suspect begun; what is returned holds its exit code when its process has ended."""
        ended: Future[int] = Future()
        with self._lock:
            if self.ended:
                ended.set_result(1)
                return ended
            self._running[job_id] = ended
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it ended just now: its reader says so
            self._process.stdin.write(f"{job_id}\n".encode())
            self._process.stdin.flush()
        return ended

    def close(self) -> None:
        """Let it and what it began end; those give back what they have not done."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as reports:
            for line in reports:
                job_id, _, code = line.decode().strip().partition(" ")
                with self._lock:
                    ended = self._running.pop(job_id, None)
                if ended is not None:
                    ended.set_result(int(code))
        code_of_all = self._process.wait()
        with self._lock:
            self.ended = True
            left, self._running = self._running, {}
        for job_id, ended in left.items():
            log.error("job %s: the process that begins suspects ended with code %d", job_id, code_of_all)
            ended.set_result(1)
