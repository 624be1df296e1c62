"""One try at a job, by the worker that holds its lease."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
import uuid
from collections.abc import Sequence
from typing import Literal

from agents.contract import Progress, Result
from knowledge.errors import PhiqError
from workers.errors import LeaseLost, RedisUnavailable, StorageFull
from workers.jobs import Job, JobRecord, State, parse_job
from workers.ledger.checkpoints import Checkpoints
from workers.ledger.config import LedgerConfig
from workers.ledger.records import to_record
from workers.ledger.scripts import Scripts
from workers.ledger.shown import Shown
from workers.ledger.writing import Writing
from workers.payloads import Payloads

log = logging.getLogger(__name__)

StopReason = Literal["", "cancelled", "expired", "released", "lost"]
_IDS_WAIT = 10
"""How many times longer ids of tokens wait than text: nobody reads them, and they are written with text anyway."""
_PATIENCE = 0.2
"""Seconds between tries while Redis is away and the lease still holds."""


class Attempt:
    """A job while it runs here. Safe between the job's thread and the one that keeps leases.

    Every write checks the token in Redis: once the lease went to another, it raises `LeaseLost` and the work is
    discarded. The holder also stops itself by its own clock before the lease runs out, since a writer that was
    frozen can't know.

    It runs its job from the beginning. As long as it says what earlier attempts streamed, nothing is written; where
    it says something else, the stream gets ``restarted`` and all of its text.

    Args:
        scripts: To write with.
        config: Times and sizes.
        token: That holds the job.
        fields: The record.
        points: Finished parts that earlier attempts kept, as JSON.
        text: What earlier attempts streamed.
        ids: Token ids that the last attempt left behind.
        payloads: Where large results are put away.

    Attributes:
        stop: Set when the work must end; ``stop_reason`` says why.
        checkpoints: What outlives this attempt; a finished part is written at once.
    """

    def __init__(
        self,
        scripts: Scripts,
        config: LedgerConfig,
        token: str,
        fields: dict[str, str],
        points: dict[str, str],
        text: str = "",
        ids: str = "",
        payloads: Payloads | None = None,
    ) -> None:
        self.record: JobRecord = to_record(dict(fields))
        self.job: Job = parse_job(fields["job"])
        self.number: int = self.record.attempt
        self.stop = threading.Event()
        self.stop_reason: StopReason = ""
        self.checkpoints = Checkpoints(self, points, ids, config.checkpoint_bytes)
        self.settled: State | None = None
        self._scripts = scripts
        self._config = config
        self._payloads = payloads
        self._token = token
        self._lock = threading.RLock()
        self._shown = Shown(text)
        self._writing = Writing(self.number, int(fields.get("began") or 1), len(text), len(ids))
        self._flushed = 0.0
        self._stopped = 0.0
        self._alive = time.monotonic()
        self._holds_until = time.monotonic() + config.lease

    @property
    def id(self) -> str:
        """The job's id."""
        return self.record.id

    @property
    def stopped_for(self) -> float:
        """Seconds since it was asked to end; 0.0 while it may run."""
        return time.monotonic() - self._stopped if self.stop.is_set() else 0.0

    @property
    def silent_for(self) -> float:
        """Seconds since the job last showed life."""
        return time.monotonic() - self._alive

    # What the job's thread calls

    def delta(self, text: str) -> None:
        """Stream text. It is collected for some 40 ms, then written in one go.

        Raises:
            LeaseLost: the job is another's by now.
        """
        self._alive = time.monotonic()
        with self._lock:
            self._say(self._shown.feed(text))
            if time.monotonic() - self._flushed >= self._config.flush:
                self._flush()

    def progress(self, progress: Progress) -> None:
        """Say how far the job is; of several within 40 ms only the last is written.

        Raises:
            LeaseLost: the job is another's by now.
        """
        self._alive = time.monotonic()
        with self._lock:
            self._writing.progress = progress.model_dump_json()
            if time.monotonic() - self._flushed >= self._config.flush:
                self._flush()

    def beat(self) -> None:
        """Show life when there is nothing else to write."""
        self._alive = time.monotonic()

    def succeed(self, result: Result) -> State:
        """Hand in the result; returns the job's state, ``cancelled`` or ``expired`` when those came first.

        Raises:
            LeaseLost: the job is another's by now; the result is discarded.
        """
        with self._lock:
            self._say(self._shown.finish())
        payload = result.model_dump_json()
        try:
            ref = self._payloads.put_away(payload, f"the result of job {self.id}") if self._payloads else ""
        except PhiqError as error:
            # Redis could not hold it either; the work is done again when there is room.
            return self.fail(error)
        used = f"{result.usage.prompt_tokens} {result.usage.completion_tokens}"
        return self._settle("succeeded", "" if ref else payload, ref=ref, used=used, kept=",".join(result.kept()))

    def fail(self, error: PhiqError) -> State:
        """End with an error: again after a delay when it may pass and attempts are left, else for good.

        Raises:
            LeaseLost: the job is another's by now.
        """
        payload = json.dumps(error.to_dict(), default=str)
        return self._settle("failed", payload, error.transient, at_least=_asked_delay(error))

    def cancelled(self) -> State:
        """End because the job was cancelled."""
        return self._settle("cancelled")

    def expired(self) -> State:
        """End because the job's deadline passed."""
        return self._settle("expired")

    def release(self) -> State:
        """Give the job back unfinished; it does not count as one of its attempts."""
        return self._settle("released")

    # What the checkpoints call

    def keep(self, name: str, value: str) -> None:
        """Write one finished part, as JSON; ids that wait to be written are of no more use then.

        Raises:
            LeaseLost: the job is another's by now.
        """
        self.beat()
        with self._lock:
            self._writing.no_log()
            if not self._heed(self._scripts.run("checkpoint", self.id, self._token, name, value)):
                raise self._lost()

    def log(self, words: Sequence[object], *, anew: bool) -> None:
        """Collect token ids for the next write."""
        self.beat()
        with self._lock:
            self.checkpoints.full(self._writing.log(words, anew=anew))

    def start_over(self) -> None:
        """What comes now replaces what earlier attempts streamed."""
        with self._lock:
            self._shown.start_over()

    # What the keeper of leases calls

    def flush_if_due(self) -> bool:
        """Write what has waited long enough; returns whether some is left for later."""
        if not self._writing.waits or not self._lock.acquire(blocking=False):
            return False
        try:
            if self.settled:
                return False
            pause = self._config.flush if self._writing.urgent else self._config.flush * _IDS_WAIT
            if time.monotonic() - self._flushed < pause:
                return True
            self._flush()
            return self._writing.waits
        finally:
            self._lock.release()

    def renew(self) -> None:
        """Renew the lease, or stop the job when it is no longer held.

        Raises:
            RedisUnavailable, StorageFull: not renewed this time.
        """
        asked = time.monotonic()
        standing = self._scripts.run("renew", self.id, self._token, round(self._config.lease * 1000))
        if self._heed(standing):
            self._holds_until = asked + self._config.lease

    def watch(self) -> None:
        """Stop by this machine's own clock, a little before the lease runs out at Redis."""
        if time.monotonic() > self._holds_until - self._config.lease * 0.1:
            self.interrupt("lost")

    def interrupt(self, reason: StopReason) -> None:
        """Ask the job to end; the first reason stays, except that a lost lease overrides all."""
        if not self.stop_reason or reason == "lost":
            self.stop_reason = reason
        if not self.stop.is_set():
            self._stopped = time.monotonic()
            self.stop.set()

    # Inside

    def _heed(self, standing: str) -> bool:
        if standing in ("cancelled", "expired"):
            self.interrupt(standing)  # type: ignore[arg-type]  # narrowed above
        elif standing == "lost":
            self.interrupt("lost")
            return False
        return True

    def _say(self, what: tuple[bool, str]) -> None:
        self._writing.text(*what, resumed=self._shown.resumed)

    def _flush(self) -> None:
        """Write what is collected. While Redis is away it stays collected, as long as the lease may hold."""
        if self.settled:
            raise self._lost()
        while write := self._writing.next():
            self._flushed = time.monotonic()
            try:
                standing = self._scripts.run("stream", self.id, self._token, *write)
            except (RedisUnavailable, StorageFull) as error:
                log.warning("job %s: %s Trying again.", self.id, error.message)
                self.watch()
                return
            self._writing.written()
            if not self._heed(standing):
                raise self._lost()

    def _settle(
        self,
        outcome: str,
        payload: str = "",
        transient: bool = False,
        ref: str = "",
        at_least: float = 0.0,
        used: str = "",
        kept: str = "",
    ) -> State:
        with self._lock:
            if self.settled:
                return self.settled
            nonce = uuid.uuid4().hex
            delay = round(max(at_least, self._retry_delay()) * 1000)
            letters = round(self._config.dead_ttl * 1000)
            state = ""
            while not state:
                try:
                    self._flush()
                    if not self._writing.waits:
                        known = (self._writing.offset, letters, self._writing.began, used, kept)
                        args = (nonce, outcome, payload, int(transient), delay, ref, *known)
                        state = self._scripts.run("settle", self.id, self._token, *args)
                except (RedisUnavailable, StorageFull) as error:
                    log.warning("job %s: %s Trying again.", self.id, error.message)
                if not state:
                    if time.monotonic() > self._holds_until:
                        raise self._lost()
                    time.sleep(_PATIENCE)
            if state == "lost":
                raise self._lost()
            self.settled = State(state)
            return self.settled

    def _retry_delay(self) -> float:
        """Seconds before the next try: doubling, with jitter so that many failures do not come back together."""
        delay = min(self._config.retry_cap, self._config.retry_base * 2.0 ** (self.number - 1))
        return delay * (0.5 + secrets.randbelow(1000) / 1000)

    def _lost(self) -> LeaseLost:
        self.interrupt("lost")
        return LeaseLost(
            f"Job {self.id} is no longer held by its attempt {self.number}; what it did is discarded.",
            hint="The job runs again elsewhere; nothing is to be done.",
            subject=self.id,
        )


def _asked_delay(error: PhiqError) -> float:
    """Seconds that who refused asks to wait, an hour at most; 0.0 when it does not say."""
    asked = error.details.get("retry_after")
    return min(3600.0, max(0.0, float(asked))) if isinstance(asked, int | float) else 0.0
