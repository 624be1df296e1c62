"""What there is once in each worker process: ledger, runner, keeper, and the threads that speak for it."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from knowledge.errors import PhiqError, ServiceError
from workers.celery_config import served
from workers.connections import redis_client
from workers.errors import RedisUnavailable
from workers.ledger import Ledger, WorkerInfo, names
from workers.lifecycle.execute import execute
from workers.lifecycle.keeper import Keeper
from workers.lifecycle.listen import listen
from workers.service import ledger_config
from workers.settings import Settings, get_settings

if TYPE_CHECKING:
    from workers.runner import Runner

log = logging.getLogger(__name__)

_TICK = 1.0
_LAST_GRACE = 5.0
"""Seconds after the drain's limit in which released jobs may still end in good order."""


class WorkerProcess:
    """One worker. Celery's threads call `run`; its own threads do the rest."""

    def __init__(self, settings: Settings) -> None:
        from workers.runner import Runner

        self.settings = settings
        self.name = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"
        self.ledger = Ledger(redis_client(settings), ledger_config(settings))
        self.runner: Runner = Runner(settings)
        self.keeper = Keeper(self.ledger.config)
        self.draining = threading.Event()
        self._serves = served(settings)
        self._started = datetime.now(UTC)
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._threads = [
            threading.Thread(target=self._tick, name="phiq-tick", daemon=True),
            threading.Thread(
                target=listen,
                args=(self.ledger.scripts, self._closing, self._wake.set, self.keeper.interrupt),
                name="phiq-listen",
                daemon=True,
            ),
        ]

    def start(self) -> None:
        """Begin to serve; once."""
        if self._threads[0].ident is not None:
            return
        self.keeper.start()
        for thread in self._threads:
            thread.start()
        log.info("worker %s serves %s with %d slots", self.name, self.settings.queues, self.settings.slots)

    def run(self, job_id: str) -> None:
        """Run a job if it is to be had; returns when it ended here, one way or the other."""
        if self.draining.is_set():
            return
        try:
            attempt = self.ledger.claim(job_id, self.name)
        except PhiqError as error:
            # Its message is gone, but the ledger sends another when nobody claims it.
            log.warning("job %s not claimed: %s", job_id[:64], error.message)
            return
        if attempt is None:
            return
        with self.keeper.hold(attempt):
            execute(attempt, self.runner)
        self._wake.set()

    def drain(self, seconds: float) -> None:
        """Take no more jobs, let the running ones end, and give back what is left after ``seconds``.

        Celery would wait for as long as they take. Returns when nothing is held, or ends the process when a job's
        thread does not come back: its job is released by then.
        """
        if self.draining.is_set():
            return
        self.draining.set()
        log.info("draining: %d jobs have %g s to end", len(self.keeper.held()), seconds)
        if self._empty(seconds):
            return
        for attempt in self.keeper.held():
            attempt.interrupt("released")
        if self._empty(_LAST_GRACE):
            return
        for attempt in self.keeper.held():
            try:
                attempt.release()
            except PhiqError as error:
                log.warning("job %s not released: %s", attempt.id, error.message)
        log.error("ending with %d jobs that do not stop", len(self.keeper.held()))
        self.close()
        os._exit(0)

    def close(self) -> None:
        """Stop the threads, leave the list of workers, end the engines."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._wake.set()
        self.keeper.close()
        try:
            self.ledger.leave(self.name)
        except PhiqError as error:
            log.warning("not taken off the list: %s", error.message)
        self.runner.close()

    def info(self) -> WorkerInfo:
        """What the worker says of itself."""
        held = self.keeper.held()
        return WorkerInfo(
            name=self.name,
            version=_version(),
            machine=socket.gethostname(),
            pid=os.getpid(),
            serves=self._serves,
            slots=self.settings.slots,
            running=[attempt.id for attempt in held],
            hosts=self.runner.hosts(),
            loading=self.runner.loading(),
            draining=self.draining.is_set(),
            started_at=self._started,
            progress_ago=max((attempt.silent_for for attempt in held), default=None),
        )

    def _empty(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self.keeper.held():
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def _tick(self) -> None:
        """Once a second: say that we live and look after jobs; whenever something changed: dispatch."""
        due = 0.0
        workers: list[WorkerInfo] = []
        while not self._closing.is_set():
            self._wake.clear()
            try:
                if time.monotonic() >= due:
                    due = time.monotonic() + _TICK
                    self.ledger.heartbeat(self.info())
                    for job_id, state in self.ledger.reap().lost.items():
                        log.warning("job %s was lost by its worker: now %s", job_id, state)
                    workers = self.ledger.workers()
                self.ledger.dispatch(self._send, workers)
            except PhiqError as error:
                log.warning("%s", error.message)
            except Exception:
                log.exception("tick failed; trying again")
                self._closing.wait(_TICK)
            self._wake.wait(max(0.0, due - time.monotonic()))

    def _send(self, queue: str, job_id: str) -> None:
        from kombu.exceptions import OperationalError

        from workers.app import app

        try:
            app.send_task("phiq.run", args=[job_id], queue=names.celery_queue(queue), retry=False)
        except OperationalError as error:
            # The ledger sends it again when nobody claims it.
            raise RedisUnavailable(
                f"The broker does not take messages ({type(error).__name__}).", hint="phiq doctor", subject="broker"
            ) from error


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("phiq")
    except PackageNotFoundError:
        return "uninstalled"


@cache
def current() -> WorkerProcess:
    """This process's worker.

    Raises:
        ServiceError: in a process that is none.
    """
    if not _serving.is_set():
        raise ServiceError("phiq.run was called outside a worker.", hint="Start one with `phiq up`.")
    return WorkerProcess(get_settings())


_serving = threading.Event()


def serve() -> WorkerProcess:
    """Make this process a worker."""
    _serving.set()
    return current()
