"""A scheduler's tick: what is due becomes firings, and each firing is brought one step further.

Any number of schedulers may tick. Each change is one script that does nothing when another was first: the instant goes
on together with the firings that it makes, so none is lost when a scheduler dies behind it; and a firing's work has an
id that follows from the firing, so none happens twice when two start it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from knowledge.errors import PhiqError
from workers.access.principal import RateLimited
from workers.errors import QuotaExceeded, RedisUnavailable
from workers.schedules import work
from workers.schedules.plan import plan, turn
from workers.schedules.records import Firing, FiringState, Schedule
from workers.schedules.store import Store
from workers.schedules.tell import tell

if TYPE_CHECKING:
    from workers.service import Service

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two ticks."""
_POLL = 2.0
"""Seconds between two looks at work that runs or waits."""
_AT_ONCE = 50
"""Schedules, and firings, of one tick: it must end long before a scheduler's lock does, on a slow disk too."""
_LONGEST_TRY = timedelta(days=1)


class Ticker:
    """Fires schedules.

    Args:
        service: Whose schedules, and where their work goes.
        clock: Says what time it is; None: Redis' clock.
        background: Reads the documents of batches beside the ticks, which go on meanwhile.
    """

    def __init__(
        self, service: Service, clock: Callable[[], datetime] | None = None, *, background: bool = False
    ) -> None:
        self._service = service
        self._store = Store(service.ledger.scripts.client, service.settings.key_prefix)
        self._clock = clock or self._store.now
        self._beside = ThreadPoolExecutor(2, "phiq-schedule") if background else None
        self._reading: dict[str, Future[bool]] = {}

    def tick(self) -> bool:
        """Fire what is due; returns whether more of it is left for the next tick, at once.

        Raises:
            RedisUnavailable: Redis does not answer; what was not done is done at a later tick.
        """
        now = self._clock()
        self._store.ticked(now)
        due, done = self._store.due(now, _AT_ONCE), 0
        for tenant, name in due:
            done += self._guarded(tenant, name, partial(self._advance, tenant, name, now))
        pending = self._store.open(now, _AT_ONCE)
        for tenant, name, key in pending:
            done += self._guarded(tenant, name, partial(self._step, tenant, name, key, now))
        return done > 0 and _AT_ONCE in (len(due), len(pending))

    def _guarded(self, tenant: str, name: str, do: Callable[[], None]) -> bool:
        """Do it; whether it went well. One schedule's trouble is not the others'."""
        try:
            do()
            return True
        except RedisUnavailable:
            raise
        except PhiqError as error:
            log.warning("schedule %s of tenant %s: %s", name, tenant, error.message)
        except Exception:
            log.exception("schedule %s of tenant %s", name, tenant)
        return False

    def _advance(self, tenant: str, name: str, now: datetime) -> None:
        schedule = self._store.get(tenant, name)
        if schedule is None or schedule.paused or schedule.next_at is None or schedule.next_at > now:
            return
        following, firings = plan(schedule, now)
        for one in firings:
            tell(self._service.ledger, schedule, one)  # those that are missed; the others come to it later
        if self._store.advance(schedule, following, firings, now):
            for one in firings:
                log.info("schedule %s of tenant %s: %s is %s", name, tenant, one.key, one.state)

    def _step(self, tenant: str, name: str, key: str, now: datetime) -> None:
        schedule, firing = self._store.get(tenant, name), self._store.firing(tenant, name, key)
        if schedule is None or firing is None:
            return
        if firing.state in (FiringState.DUE, FiringState.WAITING):
            chosen = self._turn(schedule, firing, now)
            if chosen is None:
                return
            firing = chosen
        if firing.state is FiringState.STARTING:
            self._begin(schedule, firing, now)
        elif firing.state is FiringState.RUNNING:
            self._follow(schedule, firing, now)

    def _begin(self, schedule: Schedule, firing: Firing, now: datetime) -> None:
        """Start it, beside the ticks where that may take long."""
        if self._beside is None or schedule.spec.batch is None:
            self._start(schedule, firing, now)
            return
        self._reading = {run: future for run, future in self._reading.items() if not future.done()}
        run = firing.run or ""
        if run not in self._reading:
            begin = partial(self._start, schedule, firing, now)
            self._reading[run] = self._beside.submit(self._guarded, schedule.tenant, schedule.name, begin)
        self._change(schedule, firing, now)  # the same, looked at again later

    def _turn(self, schedule: Schedule, firing: Firing, now: datetime) -> Firing | None:
        """Decide by the policy for overlap; the firing if it is to be started."""
        decision, before = turn(schedule, firing, self._store.firings(schedule.tenant, schedule.name))
        running = next((one.run for one in before if one.state.begun), None) or (before[0].key if before else "")
        if decision == "start":
            run = work.run_id(schedule, firing)
            return self._change(schedule, firing, now, state=FiringState.STARTING, run=run, reason="")
        if decision == "skip":
            self._change(schedule, firing, now, state=FiringState.SKIPPED, reason=f"{running} has not ended")
            return None
        for one in before if decision == "replace" else []:
            if one.run is not None and one.state is FiringState.RUNNING:
                work.cancel(self._service, schedule.tenant, one.run)
            elif not one.state.begun:
                self._change(schedule, one, now, state=FiringState.SKIPPED, reason=f"{firing.key} came after it")
        self._change(schedule, firing, now, state=FiringState.WAITING, reason=f"{running} has not ended")
        return None

    def _start(self, schedule: Schedule, firing: Firing, now: datetime) -> None:
        try:
            run = work.start(self._service, schedule, firing)
        except PhiqError as error:
            again = error.transient or isinstance(error, QuotaExceeded | RateLimited)
            tries, problem = firing.tries + 1, error.to_dict()
            if again and now - firing.decided_at < _LONGEST_TRY:
                look = now + timedelta(seconds=min(60, 2 ** min(tries, 6)))
                self._change(schedule, firing, now, look=look, tries=tries, error=problem)
                return
            log.warning("schedule %s of tenant %s: %s", schedule.name, schedule.tenant, error.message)
            self._change(schedule, firing, now, state=FiringState.FAILED, tries=tries, error=problem)
            return
        self._change(schedule, firing, now, state=FiringState.RUNNING, run=run, started_at=now, error=None)

    def _follow(self, schedule: Schedule, firing: Firing, now: datetime) -> None:
        state = work.state(self._service, schedule.tenant, firing.run or "")
        self._change(schedule, firing, now, state=state)

    def _change(
        self, schedule: Schedule, firing: Firing, now: datetime, look: datetime | None = None, **changes: Any
    ) -> Firing | None:
        """Change a firing; the changed one, or None when another scheduler was first."""
        new = firing.model_copy(update=changes)
        if new.state.final:
            new = new.model_copy(update={"ended_at": now})
        else:
            look = look or now + timedelta(seconds=_POLL)
        told = new.state is not firing.state
        decided_here = new.state is FiringState.SKIPPED
        if told and not decided_here:
            # Before it is written down: repeated it is told once, forgotten it would be told never.
            tell(self._service.ledger, schedule, new)
        if not self._store.step(schedule.tenant, schedule.name, firing, new, look):
            return None
        if told and decided_here:
            # Behind it: another scheduler may have decided otherwise.
            tell(self._service.ledger, schedule, new)
        return new
