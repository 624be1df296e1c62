"""The process of one suspect: claims it, runs it, says that it lives, and ends."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from datetime import UTC, datetime

from knowledge.errors import PhiqError
from workers.errors import JobNotFound
from workers.jobs import State
from workers.ledger import Attempt, Ledger, WorkerInfo
from workers.lifecycle.execute import execute
from workers.lifecycle.keeper import Keeper
from workers.lifecycle.listen import listen
from workers.settings import Settings
from workers.sight import tracing
from workers.sight.counts import Reporter
from workers.sight.logs import configure

log = logging.getLogger(__name__)

_BEAT = 1.0
_GRACE = 5.0
"""Seconds the job has to stop when it is to be given back."""


def main(settings: Settings, job_id: str, worker: str) -> int:
    """Run a suspect for a worker; returns the exit code.

    Standard input is the lifeline: at its end the job is given back, with what it has done, and the process ends.
    """
    from workers.connections import redis_client
    from workers.payloads import Payloads
    from workers.runner import Runner
    from workers.service import ledger_config

    configure(settings, "alone")
    tracing.begin(settings, "worker")
    process = _Process(
        Ledger(redis_client(settings), ledger_config(settings), Payloads.of(settings)), f"{worker}/alone-{os.getpid()}"
    )
    if settings.engine_share == "on":
        # It uses the model that its worker has. Of a process that ends with its job, and may be brought down by it,
        # nobody else should have one.
        settings = settings.model_copy(update={"engine_share": "join"})
    runner = Runner(settings)
    try:
        process.begin()
        attempt = process.ledger.claim(job_id, process.name, alone=True)
        if attempt is not None:
            with process.keeper.hold(attempt):
                execute(attempt, runner)
            process.await_reaping(attempt)
    except PhiqError as error:
        # Kept for the worker a while, then the ledger sends it again.
        log.warning("job %s not claimed: %s", job_id[:64], error.message)
    finally:
        process.close()
        runner.close()
        tracing.end()
    return 0


class _Process:
    """The threads that speak for the job while it runs."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self.ledger = ledger
        self.name = name
        self.keeper = Keeper(ledger.config)
        self._started = datetime.now(UTC)
        self._closing = threading.Event()

    def begin(self) -> None:
        """Report to the ledger: only one that did can be seen to have died."""
        self.ledger.heartbeat(self._info())
        self.keeper.start()
        heard = (self.ledger.scripts, self._closing, lambda: None, self.keeper.interrupt)
        for name, target, args in (
            ("beat", self._beat, ()),
            ("lifeline", self._hold_on, ()),
            ("listen", listen, heard),
        ):
            threading.Thread(target=target, args=args, name=f"phiq-{name}", daemon=True).start()

    def close(self) -> None:
        """End the threads and leave the list of workers."""
        self._closing.set()
        self.keeper.close()
        try:
            self.ledger.leave(self.name)
            Reporter(self.ledger.scripts).report()
        except PhiqError as error:
            log.warning("not taken off the list, or what it counted not reported: %s", error.message)

    def await_reaping(self, attempt: Attempt) -> None:
        """Go on saying that we live until a job that could not be settled (Redis was away) is taken from us.

        Else it would look as if this process had died of it.
        """
        until = time.monotonic() + 3 * self.ledger.config.lease
        while attempt.settled is None and time.monotonic() < until:
            try:
                record = self.ledger.get(attempt.id, attempt.record.tenant)
            except JobNotFound:
                return
            except PhiqError as error:
                log.warning("%s", error.message)
            else:
                if record.attempt != attempt.number or record.state is not State.RUNNING:
                    return
            self._closing.wait(_BEAT)

    def _info(self) -> WorkerInfo:
        doing = self.keeper.doing()
        return WorkerInfo(
            name=self.name,
            machine=socket.gethostname(),
            pid=os.getpid(),
            slots=0,
            running=[one.id for one in doing],
            started_at=self._started,
            progress_ago=max((one.progress_ago for one in doing), default=None),
            doing=doing,
            alone=True,
        )

    def _beat(self) -> None:
        while not self._closing.wait(_BEAT):
            try:
                self.ledger.heartbeat(self._info())
            except PhiqError as error:
                log.warning("%s", error.message)

    def _hold_on(self) -> None:
        while sys.stdin is not None and sys.stdin.buffer.read(1):
            pass
        for attempt in self.keeper.held():
            attempt.interrupt("released")
        if self._closing.wait(_GRACE):
            return
        for attempt in self.keeper.held():
            try:
                attempt.release()
            except PhiqError as error:
                log.warning("job %s not released: %s", attempt.id, error.message)
        logging.shutdown()
        os._exit(1)
