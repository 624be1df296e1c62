"""What every worker does for webhooks: turns ended jobs into deliveries, and sends what is due."""

from __future__ import annotations

import logging
import secrets
import threading
from functools import cached_property, partial
from typing import TYPE_CHECKING

from knowledge.errors import PhiqError
from workers.outbox import Ended, Outbox
from workers.webhooks import endpoints
from workers.webhooks.errors import WebhookNotFound
from workers.webhooks.events import job_ended
from workers.webhooks.records import Delivery, Endpoint, to_delivery
from workers.webhooks.send import Sent, problem, send
from workers.webhooks.webhooks import rules_of

if TYPE_CHECKING:
    import httpx

    from workers.ledger import Ledger
    from workers.settings import Settings

log = logging.getLogger(__name__)

_AT_ONCE = 4
_OF_ONE_ENDPOINT = 2
_LOOK = 0.5
_DELIVERED_KEPT = 3 * 86400.0


def listen(ledger: Ledger, stop: threading.Event) -> None:
    """Read the outbox until ``stop``."""
    Outbox(ledger).read("webhooks", partial(expand, ledger), stop)


def expand(ledger: Ledger, ended: list[Ended]) -> None:
    """Make the deliveries for some jobs that ended; those there are already stay one."""
    known: dict[str, list[Endpoint]] = {}
    for one in ended:
        if one.tenant not in known:
            known[one.tenant] = endpoints.read(ledger, one.tenant)
        job_ended(ledger, one, known[one.tenant])


class Deliverer:
    """Sends deliveries that are due, a few at once.

    Args:
        ledger: Of the installation.
        settings: For times, and where webhooks may go.
    """

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._free = threading.Semaphore(_AT_ONCE)

    def run(self, stop: threading.Event) -> None:
        """Send until ``stop``. What is under way then may end with the process: another worker takes it up."""
        while not stop.is_set():
            try:
                taken = self._take()
            except PhiqError as error:
                log.warning("webhooks: %s", error.message)
                taken = None
            if taken is None:
                stop.wait(_LOOK)
                continue
            self._free.acquire()
            threading.Thread(target=self._deliver, args=taken, name="phiq-webhook", daemon=True).start()

    def once(self) -> int:
        """Send everything that is due now; returns how many tries there were."""
        done = 0
        while taken := self._take():
            self._free.acquire()
            self._deliver(*taken)
            done += 1
        return done

    @cached_property
    def _http(self) -> httpx.Client:
        from knowledge import outgoing

        return outgoing.client(rules_of(self._settings), seconds=self._settings.webhook_seconds)

    def _take(self) -> tuple[Delivery, str] | None:
        owner = secrets.token_hex(8)
        # A try takes a little longer than its endpoint may: its name must be resolved, its job read.
        lease = round((2 * self._settings.webhook_seconds + 30) * 1000)
        dead = round(self._ledger.config.dead_ttl * 1000)
        flat = self._ledger.scripts.run("webhook_take", owner, lease, _OF_ONE_ENDPOINT, dead)
        return None if not flat else (to_delivery(dict(zip(flat[::2], flat[1::2], strict=True))), owner)

    def _deliver(self, delivery: Delivery, owner: str) -> None:
        try:
            sent = self._try(delivery)
            state = self._settle(delivery, owner, sent)
            if sent.outcome != "delivered":
                log.warning(
                    "webhook %s of %s: %s, %s (%s)", delivery.id, delivery.endpoint, sent.error, state, delivery.type
                )
        except PhiqError as error:
            log.warning("webhook %s: %s", delivery.id, error.message)
        except Exception:
            log.exception("webhook %s failed", delivery.id)
        finally:
            self._free.release()

    def _try(self, delivery: Delivery) -> Sent:
        try:
            endpoint = endpoints.get(self._ledger, delivery.tenant, delivery.endpoint)
            return send(self._http, self._ledger, delivery, endpoint, self._settings.webhook_give_up)
        except WebhookNotFound:
            return Sent("dead", error="the endpoint was removed")
        except PhiqError as error:
            return problem(error)

    def _settle(self, delivery: Delivery, owner: str, sent: Sent) -> str:
        settings = self._settings
        return str(
            self._ledger.scripts.run(
                "webhook_settle",
                delivery.id,
                owner,
                sent.outcome,
                round(sent.delay * 1000),
                sent.status or "",
                sent.error[:300],
                round(_DELIVERED_KEPT * 1000),
                round(self._ledger.config.dead_ttl * 1000),
                round(settings.webhook_disable * 1000),
            )
        )
