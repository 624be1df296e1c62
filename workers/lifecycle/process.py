"""What there is once in each worker process: ledger, runner, keeper, and the threads that speak for it."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING

from knowledge.errors import PhiqError, ServiceError
from workers.batches.driver import Driver
from workers.celery_config import served
from workers.connections import redis_client
from workers.doctor.redis_look import log_findings
from workers.ledger import Attempt, Ledger, MustRunAlone, WorkerInfo
from workers.lifecycle import canary, drain
from workers.lifecycle.about import describe
from workers.lifecycle.broker import Broker
from workers.lifecycle.execute import execute
from workers.lifecycle.garbage import Garbage
from workers.lifecycle.housekeeping import chores, keep_house
from workers.lifecycle.intake import intake
from workers.lifecycle.keeper import Keeper
from workers.lifecycle.listen import listen
from workers.lifecycle.solo import Solos
from workers.payloads import Payloads
from workers.service import Service, ledger_config
from workers.settings import Settings, get_settings
from workers.sight import tracing
from workers.sight.counts import Reporter
from workers.sight.tally import TALLY
from workers.webhooks import deliver as webhooks

if TYPE_CHECKING:
    from workers.runner import Runner

log = logging.getLogger(__name__)

_TICK = 1.0
_REPORT = 5.0
"""Seconds between reports of what was counted."""


class WorkerProcess:
    """One worker. Celery's threads call `run`; its own threads do the rest.

    Attributes:
        busy: Slots in use by our own count.
        draining: Set when it takes nothing new.
        closed: Set when its threads are told to end.
        trouble: What is wrong with it, in a sentence; empty mostly.
    """

    def __init__(self, settings: Settings) -> None:
        from workers.runner import Runner

        self.settings = settings
        self.name = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"
        self.ledger = Ledger(redis_client(settings), ledger_config(settings), Payloads.of(settings))
        self.runner: Runner = Runner(settings)
        self.keeper = Keeper(self.ledger.config)
        self.solos = Solos(settings, self.name)
        self._garbage = Garbage()
        self._counts = Reporter(self.ledger.scripts)
        self.broker = Broker()
        self.canary = canary.Canary(settings.canary_seconds, partial(self.broker.send_canary, self.name))
        self.draining = threading.Event()
        self._leaving = drain.Leaving()
        self.busy = 0
        self._counting = threading.Lock()
        self.trouble = ""
        self.serves = served(settings)
        self.started = datetime.now(UTC)
        self.closed = threading.Event()
        self._wake = threading.Event()
        heard = (self.ledger.scripts, self.closed, self._wake.set, self.keeper.interrupt)
        self._threads = [
            threading.Thread(target=target, args=args, name=f"phiq-{name}", daemon=True)
            for name, target, args in (
                ("tick", self._tick, ()),
                ("listen", listen, heard),
                ("intake", intake, (self.draining,)),
                ("canary", self._listen_for_messages, ()),
                ("look", log_findings, (settings,)),
                ("batches", Driver(Service(settings, self.ledger)).run, (self.draining,)),
                ("report", self._report, ()),
                ("told", webhooks.listen, (self.ledger, self.draining)),
                ("webhooks", webhooks.Deliverer(self.ledger, settings).run, (self.draining,)),
                ("chores", keep_house, (self.ledger, chores(self.ledger, settings), self.draining)),
            )
        ]

    def start(self) -> None:
        """Begin to serve; once."""
        if self._threads[0].ident is not None:
            return
        tracing.begin(self.settings, "worker")
        self.keeper.start()
        TALLY.add("workers", "started")
        for thread in self._threads:
            thread.start()
        log.info("worker %s serves %s with %d slots", self.name, self.settings.queues, self.settings.slots)

    def run(self, job_id: str) -> None:
        """Run a job if it is to be had; returns when it ended here, one way or the other."""
        self.canary.heard()
        with self._occupied():
            if self.draining.is_set():
                return
            try:
                attempt = self.ledger.claim(job_id, self.name)
            except MustRunAlone as suspect:
                self.solos.run(job_id, hosted=str(suspect.details.get("model", "")).startswith("onnx:"))
            except PhiqError as error:
                # Its message is gone, but the ledger sends another when nobody claims it.
                log.warning("job %s not claimed: %s", job_id[:64], error.message)
            else:
                self._work(attempt)

    def drain(self, seconds: float, code: int = 0) -> None:
        """Take no more jobs, let the running ones end, give back what is left after ``seconds``; see `drain.drain`."""
        drain.drain(self, self._leaving, seconds, code)

    def close(self) -> None:
        """Stop the threads, leave the list of workers, end the engines."""
        if self.closed.is_set():
            return
        self.closed.set()
        self._wake.set()
        self.keeper.close()
        try:
            self.ledger.leave(self.name)
            self._counts.report()
        except PhiqError as error:
            log.warning("not taken off the list, or its last counts not reported: %s", error.message)
        self.runner.close()
        tracing.end()

    def _work(self, attempt: Attempt | None) -> None:
        """Run a claimed job to its end, whichever; nothing when there is none."""
        if attempt is not None:
            with self.keeper.hold(attempt):
                execute(attempt, self.runner)

    @contextmanager
    def _occupied(self) -> Iterator[None]:
        with self._counting:
            self.busy += 1
        try:
            yield
        finally:
            with self._counting:
                self.busy -= 1

    def _listen_for_messages(self) -> None:
        """Whether messages still reach us; a deaf worker ends, to be started anew."""
        pause = min(_TICK, self.settings.canary_seconds / 4)
        while not self.closed.wait(pause) and not self.draining.is_set():
            try:
                deaf = self.canary.look(free=self.busy < self.settings.slots)
            except PhiqError as error:
                log.warning("%s", error.message)
            except Exception:
                log.exception("the broker could not be tried")
            else:
                if deaf:
                    self.trouble = "Messages do not reach this worker, nor its own; it ends, to be started anew."
                    log.error("%s", self.trouble)
                    self.drain(self.settings.drain_seconds, canary.EXIT_DEAF)

    def _report(self) -> None:
        """Bring what was counted to the others' now and then."""
        while not self.closed.wait(_REPORT):
            self._counts.try_report()

    def _tick(self) -> None:
        """Once a second: say that we live and look after jobs; whenever something changed: dispatch."""
        due = 0.0
        workers: list[WorkerInfo] = []
        while not self.closed.is_set():
            self._wake.clear()
            try:
                if time.monotonic() >= due:
                    due = time.monotonic() + _TICK
                    self.ledger.heartbeat(describe(self))
                    for job_id, state in self.ledger.reap().lost.items():
                        log.warning("job %s was lost by its worker: now %s", job_id, state)
                    workers = self.ledger.workers()
                    self._garbage.tidy(idle=not self.busy)
                self.ledger.dispatch(workers=workers)
            except PhiqError as error:
                log.warning("%s", error.message)
            except Exception:
                log.exception("tick failed; trying again")
                self.closed.wait(_TICK)
            self._wake.wait(max(0.0, due - time.monotonic()))


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


def is_worker() -> bool:
    """Whether this process is a worker, or about to be one."""
    return _serving.is_set()


def serve() -> WorkerProcess:
    """Make this process a worker."""
    _serving.set()
    return current()
