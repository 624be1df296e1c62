"""One chunk of a batch, from its lines to the parts of output that are written for them.

Any moment may be the last one of this process. What is true is in the ledger (the jobs, under ids that follow from
batch and line) and in the batch's parts: whoever opens the chunk again finds the jobs that are there, submits those
that are not, and writes the parts once.
"""

from __future__ import annotations

import itertools
import json
import logging
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

from agents.contract import Attachment, Usage
from knowledge.errors import PhiqError
from workers.access.principal import RateLimited
from workers.batches.answer import Answer, of_error, of_record
from workers.batches.lines import Line, raw_lines, read_line
from workers.batches.plan import Place
from workers.batches.records import BatchRecord
from workers.batches.request import job_id, job_of
from workers.content_errors import storage_errors
from workers.errors import IdempotencyConflict, JobInvalid, JobNotFound, QuotaExceeded
from workers.jobs import State
from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    from workers.service import Service

log = logging.getLogger(__name__)

_AT_ONCE = 50
"""Jobs submitted, or looked at, before other batches have their turn."""
_LOOK, _SELDOM = 0.1, 1.0
_SPOOL = 1 << 20
_FINAL = frozenset(state.value for state in State if state.final)


class Chunk:
    """A chunk that is being worked on.

    Args:
        service: Where its jobs go.
        batch: What it is part of.
        ref: The batch's input.
        number: Which it is.
        place: Where its lines are.
        max_line: Bytes of a line.

    Attributes:
        completed: Lines that have ended well, as far as was looked.
        failed: Lines that have ended otherwise.
        flight: Jobs in line or running.
    """

    def __init__(
        self, service: Service, batch: BatchRecord, ref: str, number: int, place: Place, max_line: int
    ) -> None:
        self.number = number
        self.completed = self.failed = 0
        self._service = service
        self._batch = batch
        self._errors: dict[int, dict[str, Any]] = {}
        self._names: dict[int, str] = {}
        self._lies = (ref, place, max_line)
        self._waiting: deque[Line] = deque(self._lines(*self._lies))
        self._pending: deque[int] = deque()
        self._not_before = self._look_at = 0.0
        self._pause = _LOOK
        self._closing: PhiqError | None = None
        self._find()

    @property
    def flight(self) -> int:
        """Jobs in line or running."""
        return len(self._pending)

    @property
    def waits(self) -> bool:
        """Whether it has lines that were not submitted and may be now."""
        return bool(self._waiting) and time.monotonic() >= self._not_before

    @property
    def ended(self) -> bool:
        """Whether each of its lines has an answer."""
        return not self._waiting and not self._pending

    def submit(self, room: int) -> bool:
        """Submit some lines; returns whether any was."""
        done = False
        for _ in range(min(room, _AT_ONCE)):
            if not self.waits:
                break
            line = self._waiting[0]
            if line.error is not None:
                self._fail(line.number, line.error)
            else:
                try:
                    self._submit(line)
                except (QuotaExceeded, RateLimited) as error:
                    self._not_before = time.monotonic() + min(5.0, float(error.details.get("retry_after") or 1.0))
                    break
                except PhiqError as error:
                    if error.fault != "user":
                        raise
                    self._fail(line.number, error.to_dict())
            self._waiting.popleft()
            done = True
        return done

    def look(self) -> bool:
        """See which jobs have ended, now and then; returns whether any has."""
        if time.monotonic() < self._look_at:
            return False
        some = [self._pending.popleft() for _ in range(min(_AT_ONCE, len(self._pending)))]
        ended = False
        lost: list[int] = []
        for number, state in zip(some, self._states(some), strict=True):
            if state is None:
                lost.append(number)
            elif state in _FINAL:
                ended = True
                self._count(state)
            else:
                self._pending.append(number)
        if lost:
            # Redis went back to an earlier state: what it forgot is submitted again, under the same ids.
            raise JobNotFound(f"{len(lost)} jobs of {self._batch.id} are gone.", subject=self._batch.id)
        # Jobs start about in their order: a chunk whose turn has not come need not be asked for often.
        self._pause = _LOOK if ended else min(_SELDOM, 2 * self._pause)
        self._look_at = time.monotonic() + self._pause
        return ended

    def close(self, why: PhiqError) -> None:
        """Submit no more and cancel what is in flight; lines without an answer say why."""
        if self._closing is not None:
            return
        self._closing = why
        for line in self._waiting:
            self._fail(line.number, line.error or why.to_dict())
        self._waiting.clear()
        for number in self._pending:
            try:
                self._service.ledger.cancel(job_id(self._batch.id, number), self._batch.tenant)
            except JobNotFound:
                continue

    def write(self) -> list[str]:
        """Put the answers into the content store; returns what `scripts.PART` is told of them."""
        store = self._service.batches.files.store
        usage, milliseconds, counts = Usage(), 0, [0, 0]
        with tempfile.SpooledTemporaryFile(_SPOOL) as output, tempfile.SpooledTemporaryFile(_SPOOL) as errors:
            for answer in self._answers():
                file: IO[bytes] = output if answer.ok else errors
                file.write(answer.text + b"\n")
                counts[not answer.ok] += 1
                usage += answer.usage
                milliseconds += round(answer.seconds * 1000)
            refs = ["", ""]
            for at, spool in enumerate((output, errors)):
                if counts[at]:
                    spool.seek(0)
                    refs[at] = store.put(spool, f"{self._batch.id}/{self.number}", limit=1 << 62).ref
        part = json.dumps({"output": refs[0], "errors": refs[1]})
        return [part, *map(str, (*counts, usage.prompt_tokens, usage.completion_tokens, milliseconds))]

    def forget(self) -> None:
        """Delete the jobs: their answers are written. Dead letters stay, they are evidence."""
        forget(self._service, self._batch, self._names)

    def _find(self) -> None:
        """Which lines have a job already, of an earlier holder of the batch."""
        numbers = [line.number for line in self._waiting]
        known = {number for number, state in zip(numbers, self._states(numbers), strict=True) if state is not None}
        self._pending.extend(number for number in numbers if number in known)
        self._waiting = deque(line for line in self._waiting if line.number not in known)

    def _lines(self, ref: str, place: Place, max_line: int) -> Iterator[Line]:
        with self._service.batches.files.store.open(ref) as stream, storage_errors(self._batch.input_file):
            stream.seek(place.offset)
            lines = raw_lines(stream, max_line, offset=place.offset, number=place.number)
            for raw in itertools.islice(lines, place.lines):
                line = read_line(raw, self._batch.endpoint, documents=self._batch.task is not None, limit=max_line)
                self._names[line.number] = line.custom_id
                yield line

    def _attach(self, name: str, data: bytes) -> Attachment:
        """Keep a picture of a request as the tenant's own."""
        made = self._service.attach((name, data))
        self._service.uploads.note(self._batch.tenant, made.ref)
        return made

    def _submit(self, line: Line) -> None:
        own = job_id(self._batch.id, line.number)
        try:
            job = job_of(line, self._batch, self._attach)
        except PhiqError:
            raise
        except Exception as error:
            # Whatever a stranger's request brings a library to, it must not hold up the other lines.
            log.exception("batch %s: line %d can't be read", self._batch.id, line.number)
            raise JobInvalid(f"The request can't be read ({type(error).__name__}).", hint="Correct it.") from error
        try:
            self._service.submit(job, job_id=own)
        except IdempotencyConflict:
            # Taken by an earlier version of phiq, which writes the same job otherwise; else somebody guessed the id.
            if self._service.get(own, self._batch.tenant).job.get("origin") != job.origin:
                raise
        self._pending.append(line.number)

    def _fail(self, number: int, error: dict[str, Any]) -> None:
        self._errors[number] = error
        self.failed += 1

    def _count(self, state: str) -> None:
        if state == State.SUCCEEDED:
            self.completed += 1
        else:
            self.failed += 1

    def _states(self, numbers: Iterable[int]) -> list[str | None]:
        return states(self._service, [job_id(self._batch.id, number) for number in numbers])

    def _answers(self) -> Iterator[Answer]:
        """In the order of the lines, one after the other: a chunk's requests and results together may be large."""
        for line in self._lines(*self._lies):
            if line.number in self._errors:
                yield of_error(line.custom_id, self._errors[line.number], self._batch.endpoint)
                continue
            record = self._service.get(job_id(self._batch.id, line.number), self._batch.tenant)
            yield of_record(line, record, self._closing)


def forget(service: Service, batch: BatchRecord, numbers: Iterable[int]) -> None:
    """Delete the jobs of some lines that have ended, dead letters apart."""
    ids = [job_id(batch.id, number) for number in numbers]
    ended = [
        (one, batch.tenant, uuid.uuid4().hex, str(state))
        for one, state in zip(ids, states(service, ids), strict=True)
        if state in _FINAL and state != State.DEAD
    ]
    service.ledger.scripts.run_each("forget", ended)


def states(service: Service, ids: Iterable[str]) -> list[str | None]:
    """The states of some jobs; None where there is none."""
    client: Any = service.ledger.scripts.client
    pipe = client.pipeline(transaction=False)
    for one in ids:
        pipe.hget(service.ledger.scripts.key("job", one), "state")
    with redis_errors():
        found: list[str | None] = pipe.execute()
    return found
