"""Begins the process of each suspect as a copy of itself, so that it costs a hundredth of what a new one does.

A storm that kills many workers makes hundreds of suspects at once. A fresh interpreter for each needs more than a
second of CPU for its imports alone; this process has imported all they need, and has no threads and no connections
that a copy could break.

The worker writes an id a line to standard input and reads ``ID CODE`` a line from standard output as each process
ends. At the end of standard input, when the worker died too, all give their jobs back and end.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import select
import signal
import sys
import time

from workers.settings import Settings

log = logging.getLogger(__name__)

# What a job loads lazily is among it: with LangChain's parts a copy needs 0.02 s of CPU, without them 1.0 s.
# Nothing here may start threads: numpy and onnxruntime do when they are imported, so they are left to the copies.
_PRELOAD = (
    "agents.chat",
    "agents.complete",
    "agents.describe",
    "agents.summarize",
    "agents.translate",
    "langchain_core.callbacks.manager",
    "langchain_core.language_models.chat_models",
    "langchain_core.runnables.fallbacks",
    "langchain_core.tracers.event_stream",
    "langchain_core.tracers.langchain",
    "langchain_core.tracers.log_stream",
    "redis.asyncio",
    "redis.observability",
    "workers.connections",
    "workers.engines.registry",
    "workers.lifecycle.solo_child",
    "workers.payloads",
    "workers.runner",
)
_GRACE = 15.0
"""Seconds the processes have to end after they were told to give their jobs back."""


def serve(settings: Settings, worker: str) -> int:
    """Run suspects for a worker until standard input ends; returns the exit code."""
    # The worker says when to end. A Ctrl-C at a terminal reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    report = os.dup(1)
    os.dup2(2, 1)  # what a job or a library prints must not look like a report
    for name in _PRELOAD:
        importlib.import_module(name)
    nursery = _Nursery(settings, worker, report)
    nursery.serve()
    return 0


class _Nursery:
    def __init__(self, settings: Settings, worker: str, report: int) -> None:
        self._settings = settings
        self._worker = worker
        self._report = report
        # Held by this process alone; its end is what the copies read as the end of standard input.
        self._alive, self._lifeline = os.pipe()
        self._running: dict[int, tuple[int, str]] = {}
        """By the descriptor that ends with a copy: its process id and job."""

    def serve(self) -> None:
        """Begin what is asked for and report what ended, until nothing more can be asked."""
        unread = b""
        while True:
            ready, _, _ = select.select([0, *self._running], [], [])
            self._bury(ready)
            if 0 not in ready:
                continue
            read = os.read(0, 65536)
            if not read:
                break
            *lines, unread = (unread + read).split(b"\n")
            for line in lines:
                self._begin(line.decode("ascii", "replace"))
        self._end_all()

    def _begin(self, job_id: str) -> None:
        ended, held = os.pipe()
        try:
            process = os.fork()
        except OSError as error:
            log.warning("job %s not begun: %s", job_id[:64], error)
            os.close(ended)
            os.close(held)
            self._tell(job_id, 1)
            return
        if not process:
            self._be(job_id)
        os.close(held)  # the copy's alone, which ends when that does, in whatever way
        self._running[ended] = (process, job_id)

    def _be(self, job_id: str) -> None:
        """Run one suspect in this copy; does not return."""
        code = 1
        try:
            os.close(self._lifeline)
            os.close(self._report)
            os.dup2(self._alive, 0)
            for other in self._running:
                os.close(other)
            from workers.lifecycle.solo_child import main

            code = main(self._settings, job_id, self._worker)
        except BaseException:
            log.exception("the process of job %s failed", job_id[:64])
        finally:
            # Without what this interpreter has to do at its end: that is the nursery's.
            logging.shutdown()
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(code)

    def _bury(self, ready: list[int]) -> None:
        for ended in [one for one in ready if one in self._running]:
            process, job_id = self._running.pop(ended)
            os.close(ended)
            _, status = os.waitpid(process, 0)
            self._tell(job_id, os.waitstatus_to_exitcode(status))

    def _tell(self, job_id: str, code: int) -> None:
        with contextlib.suppress(OSError):  # the worker is gone
            os.write(self._report, f"{job_id} {code}\n".encode())

    def _end_all(self) -> None:
        os.close(self._lifeline)
        until = time.monotonic() + _GRACE
        while self._running:
            ready, _, _ = select.select(list(self._running), [], [], max(0.0, until - time.monotonic()))
            if not ready:
                for process, _ in self._running.values():
                    os.kill(process, signal.SIGKILL)
                until = time.monotonic() + _GRACE
            self._bury(ready)
