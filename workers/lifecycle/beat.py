"""RedBeat, with firings that several schedulers may make and that still happen once, and that outlives its Redis.

RedBeat's lock lets one scheduler at a time tick. A lock in Redis can be lost (a frozen holder, a Redis that was rolled
back, an operator who deletes it), and then two tick. RedBeat itself ends with its first tick without Redis or lock.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from redbeat import RedBeatScheduler
from redbeat.schedulers import LUA_EXTEND_TO_SCRIPT, RetryingConnection, get_redis
from redis import RedisError
from redis.exceptions import LockError

from knowledge.errors import PhiqError
from workers.firing import firing_id
from workers.schedules import Ticker
from workers.schedules.ticker import LOOK
from workers.service import Service

log = logging.getLogger(__name__)

_PAUSE = 1.0
"""Seconds until the next tick when Redis did not answer this one."""
# RedBeat's own waits for Redis grow to this many seconds.
RetryingConnection.RETRY_MAX_WAIT = 3


class Scheduler(RedBeatScheduler):  # type: ignore[misc]  # RedBeat ships no types
    """Gives each message a task id made of the entry's name and its run before; the task's id is the job's."""

    lock: Any

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send an entry's message. Two who read the same entry send the same id; who reads later finds it not due."""
        # RedBeat reads its entries anew for each tick, so this one may be changed.
        entry.options = {**entry.options, "task_id": firing_id(entry.name, f"after {entry.last_run_at}")}
        return super().apply_async(entry, producer=producer, advance=advance, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Fire what is due, if the lock is ours or free; returns the seconds until the next look."""
        try:
            if self.lock_key and self.lock is None and not self._take_lock():
                return float(self.max_interval)
            more = self._ticker.tick()
            return min(0.0 if more else LOOK, float(super().tick(*args, **kwargs)))
        except LockError:
            log.warning("the scheduler's lock was lost; taking it again")
            self.lock = None
        except RedisError as error:
            log.warning("Redis does not answer the scheduler (%s: %s); trying again", type(error).__name__, error)
        except PhiqError as error:
            log.warning("the scheduler's tick: %s", error.message)
        return _PAUSE

    def close(self) -> None:
        """Give the lock back, where Redis can be told."""
        try:
            super().close()
        except RedisError as error:
            log.warning("the scheduler's lock stays until it runs out (%s)", type(error).__name__)

    @cached_property
    def _ticker(self) -> Ticker:
        from workers.settings import get_settings

        return Ticker(Service.connect(get_settings()), background=True)

    def _take_lock(self) -> bool:
        client = get_redis(self.app)
        lock = client.lock(self.lock_key, timeout=self.lock_timeout, blocking=False)
        # RedBeat's own extension, as its start sets it: to a time from now, not by one.
        lock.lua_extend = client.register_script(LUA_EXTEND_TO_SCRIPT)
        if not lock.acquire():
            return False
        log.info("the scheduler took its lock")
        self.lock = lock
        return True
