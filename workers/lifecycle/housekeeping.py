"""What some worker must do now and then, once for the whole installation.

Every worker looks; `Ledger.once` gives each period of each chore to one of them. A chore whose worker dies in the
middle is done in the next period, so a chore must bear being cut short.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from knowledge.errors import PhiqError
from workers.ledger.scripts import redis_errors
from workers.webhooks.catch_up import catch_up

if TYPE_CHECKING:
    from workers.ledger import Ledger
    from workers.settings import Settings

log = logging.getLogger(__name__)

_LOOK = 5.0


@dataclass(frozen=True)
class Chore:
    """Something to do every so many seconds; ``do`` may take long, and raises our errors or whatever it likes."""

    name: str
    every: float
    do: Callable[[], object]


def chores(ledger: Ledger, settings: Settings) -> list[Chore]:
    """All there are."""
    return [
        Chore("sweep", settings.sweep_seconds, lambda: _sweep(ledger)),
        Chore("webhooks", 600.0, lambda: catch_up(ledger)),
    ]


def keep_house(ledger: Ledger, chores: list[Chore], stop: threading.Event, look: float = _LOOK) -> None:
    """Do the chores as they fall due, until ``stop``."""
    due = dict.fromkeys(chores, 0.0)
    while chores and not stop.wait(look):
        for chore in chores:
            if time.monotonic() < due[chore] or stop.is_set():
                continue
            try:
                # By Redis' clock: workers whose own clocks differ must mean the same period.
                with redis_errors():
                    now: Any = ledger.scripts.client.time()
                period, into = divmod(now[0], chore.every)
                due[chore] = time.monotonic() + chore.every - into
                if ledger.once(f"chore:{chore.name}", f"{period:.0f}", 2 * chore.every):
                    chore.do()
            except PhiqError as error:
                log.warning("housekeeping (%s): %s", chore.name, error.message)
            except Exception:
                log.exception("housekeeping (%s) failed", chore.name)


def _sweep(ledger: Ledger) -> None:
    """Take out of the content store what no job needs; not while a backup or an erase relies on it."""
    from workers.keeping_lock import keeping_lock
    from workers.sweep import sweep

    if ledger.payloads is not None:
        with keeping_lock(ledger.scripts.client, ledger.config.prefix):
            sweep(ledger.scripts, ledger.payloads)
