"""The thread in each worker that brings batches forward: one worker at a time for each batch, by a lease.

Any worker may take over: the lease of one that died is free after a third more than a job's, and `drive` goes on from
what is there. A worker that leaves gives its batches back at once.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from knowledge.errors import PhiqError
from workers.batches import scripts
from workers.batches.drive import Held, Lost, drive
from workers.batches.plan import dump_problems
from workers.batches.records import BatchState, LineProblem
from workers.batches.tell import tell_all
from workers.errors import ContentMissing
from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    from workers.service import Service

log = logging.getLogger(__name__)

STUCK = 300.0
"""Seconds without a step after which a lease is renewed no more: another worker may have more luck."""
_LOOK, _REST = 1.0, 0.1
_TROUBLE = 2.0


@dataclass
class _Driven:
    held: Held
    steps: Iterator[bool]
    moved: float = field(default_factory=time.monotonic)
    rest_until: float = 0.0


class Driver:
    """Drives the batches of one worker.

    Args:
        service: Where they are.
        most: Batches at once; others are for other workers.
    """

    def __init__(self, service: Service, most: int = 32) -> None:
        self._service = service
        self._most = most
        self._driven: dict[str, _Driven] = {}
        self._lease = max(3.0, service.settings.lease_seconds * 4 / 3)

    def run(self, stop: threading.Event) -> None:
        """Drive until ``stop``; meant for a thread of its own."""
        renewer = threading.Thread(target=self._renew, args=(stop,), name="phiq-batch-leases", daemon=True)
        renewer.start()
        due = 0.0
        while not stop.is_set():
            if time.monotonic() >= due:
                due = time.monotonic() + _LOOK
                self._take()
            if not self._step(stop):
                stop.wait(_REST if self._driven else max(_REST, due - time.monotonic()))
        for batch_id in list(self._driven):
            self._leave(batch_id)

    def _take(self) -> None:
        """Take leases of batches that nobody drives; tell of those that have ended."""
        try:
            tell_all(self._service.batches)
            for batch_id in self._service.batches.open_ids():
                if batch_id in self._driven or len(self._driven) >= self._most:
                    continue
                token = secrets.token_hex(8)
                if not self._service.batches.run(scripts.LEASE, batch_id, token, round(self._lease * 1000)):
                    continue
                self._begin(batch_id, token)
        except PhiqError as error:
            log.warning("batches: %s", error.message)

    def _begin(self, batch_id: str, token: str) -> None:
        client: Any = self._service.ledger.scripts.client
        with redis_errors():
            tenant = client.hget(self._service.batches.key(batch_id), "tenant")
            if tenant is None:
                client.srem(self._service.batches.key("open"), batch_id)
                return
        held = Held(self._service, self._service.batches.get(batch_id, str(tenant)), token)
        self._driven[batch_id] = _Driven(held, drive(held))

    def _step(self, stop: threading.Event) -> bool:
        """One step of each; returns whether any did something."""
        moved = False
        for batch_id, driven in list(self._driven.items()):
            if stop.is_set() or time.monotonic() < driven.rest_until:
                continue
            driven.moved = time.monotonic()
            try:
                moved |= next(driven.steps)
            except StopIteration:
                del self._driven[batch_id]
                log.info("batch %s has ended", batch_id)
            except Lost:
                del self._driven[batch_id]
                log.warning("batch %s: another worker has it", batch_id)
            except ContentMissing as error:
                self._give_up(batch_id, driven, error)
            except PhiqError as error:
                log.warning("batch %s: %s", batch_id, error.message)
                self._again(batch_id, driven)
            except Exception:
                log.exception("batch %s: trying again", batch_id)
                self._again(batch_id, driven)
        return moved

    def _give_up(self, batch_id: str, driven: _Driven, error: ContentMissing) -> None:
        """What it reads or has written is gone or damaged: nobody can go on with it."""
        log.error("batch %s fails: %s", batch_id, error.message)
        problems = dump_problems([LineProblem(code=error.code, message=error.message)])
        ttl = round(self._service.settings.batch_ttl * 1000)
        try:
            driven.held.run(scripts.FINISH, BatchState.FAILED, ttl, "errors", problems)
        except Lost:
            del self._driven[batch_id]
        except PhiqError:
            self._again(batch_id, driven)
        else:
            del self._driven[batch_id]

    def _again(self, batch_id: str, driven: _Driven) -> None:
        """From what is written, in a while; an outage must not end a batch."""
        try:
            driven.held.refresh()
        except PhiqError as error:
            if error.code == "batch_not_found":
                del self._driven[batch_id]
                return
        driven.steps = drive(driven.held)
        driven.rest_until = time.monotonic() + _TROUBLE

    def _renew(self, stop: threading.Event) -> None:
        """Apart from the steps: one that copies a large file may take longer than a lease."""
        while not stop.wait(self._lease / 4):
            for batch_id, driven in list(self._driven.items()):
                if time.monotonic() - driven.moved < STUCK:
                    try:
                        self._service.batches.run(scripts.LEASE, batch_id, driven.held.token, round(self._lease * 1000))
                    except PhiqError as error:
                        log.warning("batch %s: %s", batch_id, error.message)

    def _leave(self, batch_id: str) -> None:
        driven = self._driven.pop(batch_id)
        try:
            self._service.batches.run(scripts.LEAVE, batch_id, driven.held.token)
        except PhiqError as error:
            log.warning("batch %s: %s", batch_id, error.message)
