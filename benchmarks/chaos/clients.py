"""The clients: each submits its job, follows its stream through every outage, and writes down what it gets."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks.chaos.mix import COLLECTION, TENANTS
from benchmarks.chaos.options import Options
from benchmarks.chaos.transcript import REPLAYED, Answer, Held, Planned, Seen, Transcript
from knowledge.errors import PhiqError
from workers.errors import JobNotFound, RedisUnavailable, StorageFull
from workers.jobs import Event, JobRecord, parse_job
from workers.service import Service
from workers.settings import Settings

_PAUSE = 0.3
"""Seconds between tries while Redis is away."""
_READ_SECONDS = 20.0
"""A reading that brought nothing for so long is begun anew."""
_THREADS = 256
_DOORS = 4
"""Services, each with connections of its own, that the clients share."""


class Clients:
    """Clients for all jobs of a plan.

    Args:
        options: For the seed of what clients do at random.
        settings: Where Redis and the content store are.
        proxied: The same with the Redis that drops replies, for some of the connections.
        plan: The jobs in the order they arrive.

    Attributes:
        transcripts: One for each job, in the order of the plan.
        stirred: When anything was last heard of any job, by the monotonic clock.
        late: Seconds by which the last job was submitted too late, because all clients were busy.
        cut: Readings that a client broke off.
    """

    def __init__(self, options: Options, settings: Settings, proxied: Settings, plan: list[Planned]) -> None:
        self.transcripts = [Transcript(planned) for planned in plan]
        self.stirred = time.monotonic()
        self.late = 0.0
        self.cut = 0
        self.done = 0
        self.errors: list[str] = []
        self._options = options
        self._doors = [*(Service.connect(settings) for _ in range(_DOORS - 1)), Service.connect(proxied)]
        self._giveup = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._began = 0.0

    def start(self) -> None:
        """Let the first jobs arrive now."""
        self._began = time.monotonic()
        todo: queue.SimpleQueue[Transcript] = queue.SimpleQueue()
        for transcript in self.transcripts:
            todo.put(transcript)
        self._run(todo, self._live, min(_THREADS, len(self.transcripts)))

    def replay(self, dead: list[Transcript]) -> None:
        """Have dead jobs replayed and follow them to their end; returns when all are done or given up."""
        todo: queue.SimpleQueue[Transcript] = queue.SimpleQueue()
        for transcript in dead:
            todo.put(transcript)
        self._run(todo, self._relive, min(64, max(1, len(dead))))

    def first_document(self) -> None:
        """Put a document into every tenant's collection, so that there is something to search from the beginning."""
        service = self._doors[0]
        attached = service.attach(("first.md", b"# First\n\nThe harbour's lantern burns all night.\n"))
        content = {"collection": COLLECTION, "files": [attached.model_dump() | {"source": "chaos/first.md"}]}
        records = [
            service.submit(parse_job({"kind": "ingest", "input": content, "tenant": tenant})) for tenant in TENANTS
        ]
        for record in records:
            state = service.wait(record.id, timeout=60.0, tenant=record.tenant).state.value
            if state != "succeeded":
                raise SystemExit(f"the first document could not be put into Chroma: {state}")

    def running(self) -> bool:
        """Whether any client is at work."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return bool(self._threads)

    def give_up(self) -> None:
        """Tell the clients to stop; they do within seconds."""
        self._giveup.set()

    def abandon(self) -> None:
        """Let go of the jobs that are not done; what can still be asked of them is asked at the final count."""
        self.give_up()
        self.join(2 * _READ_SECONDS)
        self._giveup.clear()

    def join(self, seconds: float) -> None:
        """Wait for the clients to end."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def close(self) -> None:
        """Close the connections."""
        for service in self._doors:
            service.close()

    def count(self, transcript: Transcript) -> None:
        """The final count of one job: its record, and its whole stream as a new reader sees it."""
        service = self._doors[transcript.plan.number % _DOORS]
        if not transcript.ids:
            return
        self._look(transcript, service)
        transcript.reread = []
        after = "0-0"
        try:
            # Beyond an end too: there must be nothing.
            for _ in range(2 + transcript.replays):
                for event in service.events(transcript.id, transcript.plan.tenant, after=after, follow=False):
                    after = event.id
                    transcript.reread.append(_seen(event))
        except PhiqError as error:
            transcript.missing = transcript.missing or isinstance(error, JobNotFound)
            transcript.problem = transcript.problem or error.message

    def _run(self, todo: queue.SimpleQueue[Transcript], act: Callable[[Transcript], None], threads: int) -> None:
        def work() -> None:
            while not self._giveup.is_set():
                try:
                    transcript = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    act(transcript)
                except Exception as error:  # noqa: BLE001 - whatever it is, the run must not end well
                    self.errors.append(f"{transcript.plan.marker}: {type(error).__name__}: {error}")
                self.done += 1

        self._threads = [threading.Thread(target=work, name="chaos-client", daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _live(self, job: Transcript) -> None:
        wait = self._began + job.plan.arrives - time.monotonic()
        if wait > 0:
            self._giveup.wait(wait)
        else:
            self.late = max(self.late, -wait)
        rng = random.Random(f"{self._options.seed}:{job.plan.number}")
        service = rng.choice(self._doors)
        if self._submit(job, service):
            self._follow(job, rng)
            self._look(job, service)

    def _relive(self, job: Transcript) -> None:
        service = self._doors[0]
        if self._insist(job, lambda: service.replay(job.id, job.plan.tenant)) is None:
            return
        job.entries.append(Seen(time.time(), "", REPLAYED))
        self._follow(job, random.Random(job.plan.number))
        self._look(job, service)

    def _submit(self, job: Transcript, service: Service) -> bool:
        content = dict(job.plan.job)
        if job.plan.document is not None:
            name, text = job.plan.document
            attached = service.attach((name, text.encode()))
            content["input"] = content["input"] | {"files": [attached.model_dump() | {"source": f"chaos/{name}"}]}
        made = parse_job(content)
        record = self._insist(job, lambda: service.submit(made, job_id=job.plan.job_id or None))
        if record is not None:
            job.accepted = job.accepted or time.time()
            job.ids.append(record.id)
        return record is not None

    def _follow(self, job: Transcript, rng: random.Random) -> None:
        """Read to the end, whatever happens in between."""
        done: set[str] = set()
        events = 0
        self._intervene(job, events, done)
        while not self._giveup.is_set():
            service = rng.choice(self._doors)
            try:
                for event in service.events(job.id, job.plan.tenant, after=job.last_id, timeout=_READ_SECONDS):
                    job.entries.append(_seen(event))
                    self.stirred = time.monotonic()
                    if event.type == "end":
                        return
                    if self._giveup.is_set():
                        return
                    events += 1
                    self._intervene(job, events, done)
                    if events in job.plan.cuts:
                        self.cut += 1
                        self._giveup.wait(rng.uniform(0.0, 1.5))
                        break
            except JobNotFound as error:
                job.missing, job.problem = True, error.message
                return
            except (RedisUnavailable, StorageFull):
                self._giveup.wait(_PAUSE)

    def _intervene(self, job: Transcript, events: int, done: set[str]) -> None:
        """Cancel, or submit once more, when the plan says so."""
        plan = job.plan
        if plan.resubmit_after is not None and events >= plan.resubmit_after and "resubmit" not in done:
            done.add("resubmit")
            self._submit(job, self._doors[events % _DOORS])
        if plan.cancel_after is not None and events >= plan.cancel_after and "cancel" not in done:
            done.add("cancel")
            record = self._insist(job, lambda: self._doors[0].cancel(job.id, plan.tenant))
            job.cancel = record.state.value if record is not None else ""

    def _look(self, job: Transcript, service: Service) -> None:
        """Read the record and add it to the answers."""
        if self._giveup.is_set() and job.answers:
            return
        record = self._insist(job, lambda: service.get(job.id, job.plan.tenant))
        if record is None:
            return
        text = None if record.result is None else str(record.result.get("text", ""))
        job.answers.append(Answer(record.state.value, text, record.attempt))
        job.suspect = job.suspect or record.suspect
        job.held = [_held(attempt) for attempt in record.attempts]
        if record.error:
            job.problem = f"{record.error.get('code')}: {record.error.get('message')}"

    def _insist(self, job: Transcript, call: Callable[[], JobRecord]) -> JobRecord | None:
        """Ask until Redis answers; None when it was given up or the job is not known."""
        while True:
            try:
                record = call()
            except JobNotFound as error:
                # Only what was accepted can be missing.
                job.missing, job.problem = bool(job.ids), error.message
                return None
            except (RedisUnavailable, StorageFull):
                if self._giveup.wait(_PAUSE):
                    return None
            else:
                self.stirred = time.monotonic()
                return record


def _seen(event: Event) -> Seen:
    state = None if event.state is None else event.state.value
    return Seen(time.time(), event.id, event.type, event.attempt, event.offset, event.text, state)


def _held(attempt: Any) -> Held:
    ended = None if attempt.ended_at is None else attempt.ended_at.timestamp()
    return Held(attempt.number, attempt.worker, attempt.started_at.timestamp(), ended, attempt.outcome)
