"""One of sweep, erase, backup and restore at a time: each would pull the ground from under the others."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agents.errors import Interrupted
from knowledge.errors import ServiceError
from workers.collection_lock import collection_lock

if TYPE_CHECKING:
    import redis


class KeepingBusy(ServiceError):
    """Raised when another backup, restore, erase or sweep is under way."""

    code = "keeping_busy"
    transient = True


@contextlib.contextmanager
def keeping_lock(client: redis.Redis, prefix: str, patience: float = 30.0) -> Iterator[threading.Event]:
    """Hold the lock; yields an event that is set when it was lost.

    Raises:
        KeepingBusy: another holds it for longer than ``patience`` seconds.
    """
    waiting = threading.Event()
    timer = threading.Timer(patience, waiting.set)
    timer.daemon = True
    timer.start()
    with contextlib.ExitStack() as stack:
        try:
            lost = stack.enter_context(collection_lock(client, f"{prefix}:keeping:lock", waiting))
        except Interrupted as error:
            raise KeepingBusy(
                "Another backup, restore, erase or sweep is under way.", hint="Repeat the command when it is done."
            ) from error
        finally:
            timer.cancel()
        yield lost
