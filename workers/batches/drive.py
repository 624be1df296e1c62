"""Bringing one batch forward, in small steps: read its input, keep its lines in flight, write what has ended.

`drive` is a generator that yields after each step, so that one thread serves many batches. It keeps nothing that could
not be found again: when it is closed, or its process dies, another one goes on from what Redis and the content store
hold. All it writes to Redis is refused once the lease is another's (`Lost`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from knowledge.errors import PhiqError
from workers.batches import scripts
from workers.batches.chunk import Chunk, forget
from workers.batches.errors import BatchLineCancelled, BatchLineExpired
from workers.batches.finish import finish
from workers.batches.lines import raw_lines
from workers.batches.plan import Place, dump_problems, make_plan
from workers.batches.records import BatchRecord, BatchState, LineProblem
from workers.errors import ContentMissing
from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    from workers.service import Service

CHUNKS = 8
"""Chunks open at once: a slow line must not keep the others from going on."""
_SHOW = 0.5
"""Seconds between two writes of the counts, which cost the disk something."""
_SLACK = 4096
"""Bytes a line has around its job."""


class Lost(Exception):
    """Raised when the lease of a batch is another's."""


class Held:
    """A batch under our lease."""

    def __init__(self, service: Service, batch: BatchRecord, token: str) -> None:
        self.service = service
        self.batches = service.batches
        self.batch = batch
        self.token = token
        self.max_line = service.ledger.config.max_job_bytes + _SLACK

    def run(self, script: str, *args: str | float) -> None:
        """Run a script that is refused once the lease is another's.

        Raises:
            Lost: it is.
        """
        if not self.batches.run(script, self.batch.id, self.token, *args):
            raise Lost

    def refresh(self) -> BatchRecord:
        """Read the record anew."""
        self.batch = self.batches.get(self.batch.id, self.batch.tenant)
        return self.batch

    def field(self, name: str) -> str:
        """A field that the record does not show."""
        client: Any = self.service.ledger.scripts.client
        with redis_errors():
            return str(client.hget(self.batches.key(self.batch.id), name) or "")

    def table(self, name: str) -> dict[int, str]:
        """Chunks by number: their ``chunks`` (places) or ``parts``."""
        client: Any = self.service.ledger.scripts.client
        with redis_errors():
            found: dict[str, str] = client.hgetall(self.batches.key(name, self.batch.id))
        return {int(number): found[number] for number in sorted(found, key=int)}


def drive(held: Held) -> Iterator[bool]:
    """All steps to the batch's end; yields whether the step did anything (else there is time to rest).

    Raises:
        Lost: the lease is another's.
        PhiqError: something does not answer; drive it again in a while.
    """
    ref = held.field("input_ref")
    if held.batch.state is BatchState.VALIDATING:
        yield from _plan(held, ref)
        if held.refresh().state.final:
            return
    yield from _tidy(held, ref)
    yield from _work(held, ref)
    yield from finish(held)


def _plan(held: Held, ref: str) -> Iterator[bool]:
    settings = held.service.settings
    steps = make_plan(held.batches.files.store, ref, held.batch, max_lines=settings.batch_lines, max_line=held.max_line)
    plan = None
    for plan in steps:
        yield True
        if plan is None and held.refresh().state is not BatchState.VALIDATING:
            return  # cancelled
    assert plan is not None
    if held.batch.task is None:  # else phiq itself has put there what the lines refer to
        foreign = held.service.uploads.foreign(held.batch.tenant, plan.refs)
        plan.problems += [_not_uploaded(ref) for ref in sorted(foreign)]
    if plan.problems:
        ttl = round(settings.batch_ttl * 1000)
        held.run(scripts.FINISH, BatchState.FAILED, ttl, "errors", dump_problems(plan.problems), "total", plan.total)
        return
    for some in _slices(list(enumerate(plan.places)), 500):
        held.run(scripts.PLAN, *(part for number, place in some for part in (number, place.dump())))
    for refs in _slices(sorted(plan.refs), 1000):
        held.run(scripts.PLAN, "", *refs)
    held.run(scripts.BEGIN, plan.total)


def _not_uploaded(ref: str) -> LineProblem:
    return LineProblem(code=ContentMissing.code, message=f"{ref[:19]}… was not uploaded: POST /v1/attachments.")


def _tidy(held: Held, ref: str) -> Iterator[bool]:
    """Forget the jobs of chunks that an earlier holder wrote and had no time to tidy up after."""
    client: Any = held.service.ledger.scripts.client
    with redis_errors():
        litter = sorted(int(number) for number in client.smembers(held.batches.key("litter", held.batch.id)))
    places = held.table("chunks") if litter else {}
    for number in litter:
        place = Place.load(places[number])
        with held.batches.files.store.open(ref) as stream:
            stream.seek(place.offset)
            lines = raw_lines(stream, held.max_line, offset=place.offset, number=place.number)
            numbers = [raw.number for raw, _ in zip(lines, range(place.lines), strict=False)]
        forget(held.service, held.batch, numbers)
        held.run(scripts.TIDIED, number)
        yield True


def _work(held: Held, ref: str) -> Iterator[bool]:
    """Chunk by chunk, some of them at once, until each has its parts."""
    written = held.table("parts")
    left = iter([(number, Place.load(text)) for number, text in held.table("chunks").items() if number not in written])
    room, chunks, more = held.service.settings.batch_flight, list[Chunk](), True
    shown, show_at, closing = (-1, -1), 0.0, False
    while chunks or more:
        why = _closing(held)
        if why is not None and not closing:
            held.run(scripts.SAVE, "closing", why.code)
            closing = True
        while more and len(chunks) < CHUNKS and (why or not any(chunk.waits for chunk in chunks)):
            following = next(left, None)
            if following is None:
                more = False
                break
            chunks.append(Chunk(held.service, held.batch, ref, *following, held.max_line))
            yield True
        moved = False
        for chunk in list(chunks):
            if why is not None:
                chunk.close(why)
            moved |= chunk.submit(room - sum(one.flight for one in chunks))
            moved |= chunk.look()
            if chunk.ended:
                chunks.remove(chunk)
                shown = (sum(one.completed for one in chunks), sum(one.failed for one in chunks))
                held.run(scripts.PART, chunk.number, *chunk.write(), *shown)
                chunk.forget()
                held.run(scripts.TIDIED, chunk.number)
                moved = True
        now = (sum(one.completed for one in chunks), sum(one.failed for one in chunks))
        if now != shown and time.monotonic() >= show_at:
            show_at = time.monotonic() + _SHOW
            held.run(scripts.SAVE, "live_completed", now[0], "live_failed", now[1])
            shown = now
        yield moved
        held.refresh()


def _closing(held: Held) -> PhiqError | None:
    """Why no more lines may start; None: they may."""
    batch = held.batch
    if batch.state is BatchState.CANCELLING:
        return BatchLineCancelled("The batch was cancelled before this line was done.", subject=batch.id)
    if held.batches.now() >= batch.expires_at.timestamp():
        return BatchLineExpired("The batch's time was over before this line was done.", subject=batch.id)
    return None


def _slices(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
