"""Many readers of jobs' streams in one asyncio loop, over a few connections: what `Reader` does for one, for hundreds.

All streams that somebody follows are read with one blocking XREAD. A stream that joins while that blocks begins another
one over all streams; the one before it is not renewed. A few may be under way at once, and what two of them bring is
given once, since every reader knows its place. A reader that does not take what it was given is left out of the reads
until it does: Redis keeps the stream, nothing piles up here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from knowledge.errors import PhiqError
from workers.errors import RedisUnavailable
from workers.jobs import Event, is_job_id
from workers.ledger import events
from workers.ledger.events import Entries, Place
from workers.ledger.letters import not_found
from workers.ledger.scripts import Scripts, redis_errors

log = logging.getLogger(__name__)
T = TypeVar("T")

_BLOCKS = (1000, 400, 150, 50)
"""Milliseconds that a read may block, by how many are under way: the last one to begin is the first to be free."""
_COUNT = 200
"""Entries of a stream in one read."""
_QUEUE = 500
"""Events that a reader may have untaken before its stream is left out of the reads."""
_PAUSE = 0.00002
"""Seconds, for each stream, between two reads: with hundreds of them busy, a read then brings more than one entry."""
_LOOKERS = 4


class Following:
    """One reader's events: ``async with fanout.follow(…) as following: async for event in following``.

    Made by `Fanout.follow`. Ends after ``end``; also, without it, when the fan-out is stopped or `close` was called:
    whoever follows then goes on elsewhere from the last event's id.
    """

    def __init__(self, fanout: Fanout, place: Place) -> None:
        self.place = place
        self.looking = False
        self.missed = False
        """A read was begun without it, or brought it something that it did not take."""
        self.quiet_since = time.monotonic()
        self._fanout = fanout
        self._events: deque[Event] = deque()
        self._changed = asyncio.Event()
        self._error: PhiqError | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        await self._fanout.join(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if not await self._more():
                raise StopAsyncIteration
        return self._taken()

    async def batch(self, seconds: float) -> list[Event] | None:
        """All events that are there, or come first, within so many seconds; None: no more will come.

        Raises:
            PhiqError: following failed; see `Fanout`.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._events:
                    if not await self._more():
                        return None
        except TimeoutError:
            return []
        return [self._taken() for _ in range(len(self._events))]

    @property
    def hungry(self) -> bool:
        """Whether it takes more."""
        return not (self.looking or self._closed or self.place.ended) and len(self._events) < _QUEUE

    def offer(self, start: str, entries: Entries) -> bool:
        """Take what was read from ``start`` on; False: text is missing, a look must tell."""
        if not self.hungry or _order(start) > _order(self.place.cursor):
            self.missed = True  # in the second case, what lies between has to be read first
            return True
        for entry_id, fields in entries:
            if _order(entry_id) <= _order(self.place.cursor):
                continue
            event = self.place.take(entry_id, fields)
            if event is None:
                return False
            self.put(event)
            if self.place.ended:
                break
        return True

    def put(self, event: Event | None) -> None:
        """Hand an event over; None: only look whether it has ended."""
        self.quiet_since = time.monotonic()
        if event is not None:
            self._events.append(event)
        self._changed.set()

    def fail(self, error: PhiqError) -> None:
        """End with an error, after the events that are there."""
        self._error = error
        self.close()

    def close(self) -> None:
        """End: for the reader after what it has not taken yet."""
        self._closed = True
        self._changed.set()
        self._fanout.leave(self)

    async def _more(self) -> bool:
        """Wait for more; False at the end."""
        if self._error is not None:
            raise self._error
        if self._closed or self.place.ended:
            return False
        self._changed.clear()
        await self._changed.wait()
        return True

    def _taken(self) -> Event:
        event = self._events.popleft()
        if self.missed and not self.looking and len(self._events) <= _QUEUE // 2:
            self._fanout.kick()
        return event


class Fanout:
    """Follows jobs for many readers. Made and used in one asyncio loop; `stop` ends it.

    Args:
        scripts: The ledger's.

    Outages of Redis up to half a minute are waited out; then each reader gets `RedisUnavailable`. A reader whose job
    is gone gets `JobNotFound`.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._feeds: dict[str, set[Following]] = {}
        self._pool = ThreadPoolExecutor(len(_BLOCKS) + _LOOKERS, "phiq-follow")
        self._looks = asyncio.Semaphore(_LOOKERS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = 0
        self._newest = 0
        self._wanted = False
        self._away_since: float | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stopped = False

    def follow(self, job_id: str, tenant: str, after: str = "0-0") -> Following:
        """A reader of a job's events after ``after``; enter it to begin.

        Entering raises `JobNotFound` when no job of this tenant has the id.

        Raises:
            JobNotFound: the id has not the form of one.
            JobInvalid: ``after`` is not an event's id.
        """
        if not is_job_id(job_id):
            raise not_found(job_id)
        return Following(self, Place(job_id, tenant, after))

    async def join(self, following: Following) -> None:
        """Let a reader begin: look at its place, then read for it."""
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        await self._look(following)
        if self._stopped:
            following.close()
        elif not following.place.ended:
            self._feeds.setdefault(following.place.id, set()).add(following)
            self.kick()

    def leave(self, following: Following) -> None:
        """Read no more for it."""
        feed = self._feeds.get(following.place.id)
        if feed is not None:
            feed.discard(following)
            if not feed:
                del self._feeds[following.place.id]

    async def await_end(self, job_id: str, tenant: str, seconds: float) -> None:
        """Return when a job has ended, after so many seconds, or when the fan-out is stopped.

        Raises:
            JobNotFound: no job of this tenant has the id, or no longer.
        """

        def latest() -> str:
            with redis_errors():
                found: Any = self._scripts.client.xrevrange(self._scripts.key("events", job_id), count=1)
            return str(found[0][0]) if found else "0-0"

        following = self.follow(job_id, tenant)
        following.place.cursor = await self._in_thread(latest)
        try:
            async with asyncio.timeout(seconds), following:
                async for _ in following:
                    pass
        except TimeoutError:
            return

    def kick(self) -> None:
        """Somebody wants what no read under way brings: begin one, now or when a connection is free."""
        self._wanted = True
        if self._reading < len(_BLOCKS) and not self._stopped:
            self._wanted = False
            self._newest += 1
            self._reading += 1
            self._begin(self._read(self._newest))

    @property
    def open(self) -> int:
        """How many readers there are."""
        return sum(len(feed) for feed in self._feeds.values())

    def end_all(self) -> None:
        """End every reader, without an ``end``, and each that is yet to come."""
        self._stopped = True
        for feed in list(self._feeds.values()):
            for following in list(feed):
                following.close()

    async def stop(self) -> None:
        """End every reader and let the connections go."""
        self.end_all()
        if self._watcher is not None:
            self._watcher.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._pool.shutdown(wait=False)

    async def _read(self, generation: int) -> None:
        """Read until a newer read has begun, or nobody wants more."""
        block = _BLOCKS[self._reading - 1]
        try:
            while not self._stopped and generation == self._newest:
                starts = self._starts()
                if not starts:
                    break
                found = await self._entries(starts, block)
                for job_id, entries in found.items():
                    self._deliver(job_id, starts[job_id], entries)
                await asyncio.sleep(_PAUSE * len(starts) if found else 0)
                block = _BLOCKS[self._reading - 1]
        finally:
            self._reading -= 1
            if self._wanted:
                self.kick()

    def _starts(self) -> dict[str, str]:
        """The jobs that somebody wants more of, with the place of the reader that is furthest behind."""
        starts = {}
        for job_id, feed in self._feeds.items():
            places = []
            for one in feed:
                one.missed = not one.hungry
                if one.hungry:
                    places.append(one.place.cursor)
            if places:
                starts[job_id] = min(places, key=_order)
        return starts

    async def _entries(self, starts: dict[str, str], block: int) -> dict[str, Entries]:
        keys = {self._scripts.key("events", job_id): job_id for job_id in starts}

        def read() -> dict[str, Entries]:
            with redis_errors():
                streams: Any = {key: starts[job_id] for key, job_id in keys.items()}
                return events.by_key(self._scripts.client.xread(streams, count=_COUNT, block=block))

        try:
            found = await self._in_thread(read)
        except PhiqError as error:
            self._away_since = self._away_since or time.monotonic()
            transient = isinstance(error, RedisUnavailable)
            if not transient or time.monotonic() - self._away_since > events.OUTAGE:
                self._fail(starts, error)
            await asyncio.sleep(0.2)
            return {}
        self._away_since = None
        return {keys[key]: entries for key, entries in found.items()}

    def _fail(self, job_ids: dict[str, str], error: PhiqError) -> None:
        for job_id in job_ids:
            for following in list(self._feeds.get(job_id, ())):
                following.fail(error)

    def _deliver(self, job_id: str, start: str, entries: Entries) -> None:
        for following in list(self._feeds.get(job_id, ())):
            if not following.offer(start, entries):
                following.looking = True
                self._begin(self._look_again(following, torn=True))

    async def _watch(self) -> None:
        """Make sure, after some seconds of silence, that jobs still exist and their readers' places hold."""
        while True:
            await asyncio.sleep(0.25)
            if self._reading == 0 and self._feeds:
                self.kick()
            late = time.monotonic() - events.LOOK_EVERY
            for feed in list(self._feeds.values()):
                for following in feed:
                    if following.hungry and following.quiet_since < late:
                        following.looking = True
                        self._begin(self._look_again(following))

    async def _look_again(self, following: Following, torn: bool = False) -> None:
        try:
            await self._look(following, torn)
        except PhiqError as error:
            following.fail(error)
        following.looking = False
        if following.hungry and (following.missed or torn):
            self.kick()

    async def _look(self, following: Following, torn: bool = False) -> None:
        until = time.monotonic() + events.OUTAGE
        while True:
            try:
                async with self._looks:
                    reply = await self._in_thread(partial(self._scripts.run, "peek", *following.place.question(torn)))
                break
            except RedisUnavailable:
                if time.monotonic() > until or self._stopped:
                    raise
                await asyncio.sleep(0.2)
        if reply is None:
            raise not_found(following.place.id)
        following.put(following.place.looked(reply, torn))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("following jobs' events failed; it begins anew", exc_info=error)


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)
