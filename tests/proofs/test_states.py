"""The state machine of docs/jobs.md, tested as one: random lives against a real Redis, with replies lost on the wire,
clocks moved, and Redis rolled back to an earlier file. After each step everything in Redis is compared with a model.
"""

from __future__ import annotations

import copy
import time
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from proofs_audit import audit
from proofs_model import (
    DEAD_TTL,
    DEADLINE,
    DELAY,
    EXPIRES,
    LEASE,
    RESERVED,
    RETRY,
    STEPS,
    TOLD,
    TTL,
    Holder,
    Model,
)
from proofs_servers import grow_older

from agents.contract import CompletionResult, Progress
from knowledge.errors import UserError
from workers.errors import (
    EngineDown,
    IdempotencyConflict,
    JobNotFound,
    LeaseLost,
    MustRunAlone,
    NotReplayable,
    QuotaExceeded,
)
from workers.jobs import Capability, State, parse_job
from workers.ledger import Ledger, LedgerConfig, Limits, WorkerInfo, attempt

pytestmark = pytest.mark.service

QUEUE = "generate.interactive"
EXAMPLES = 150
"""Some 7,500 steps. The profile of mutations.py asks for more."""
CONFIG = LedgerConfig(
    lease=LEASE,
    retry_base=RETRY,
    retry_cap=RETRY,
    flush=0.0,
    result_ttl=TTL,
    dead_ttl=DEAD_TTL,
    stream_bytes=1500,
    worker_ttl=1e6,
    reservation=RESERVED,
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9)
PICK = st.integers(0, 11)
HOW = st.sampled_from(["succeed", "fail", "fail", "refuse", "release"])
RENEWALS = st.sampled_from([(), (400.0,), (400.0, 400.0, 1100.0), (1100.0, 1100.0, 1100.0)])
WORKERS = st.sampled_from("vw")


SUBMITTED = {
    "tenant": st.sampled_from("ab"),
    "limit": st.sampled_from([1, 2, 9]),
    "given": st.sampled_from(
        [
            *({}, {}, {"delayed": True}, {"expires": True}, {"deadline": True}),
            *({"delayed": True, "expires": True}, {"deadline": True, "expires": True}),
        ]
    ),
    "key": st.sampled_from([None, None, "k"]),
}
LOSS = st.sampled_from([(), (), ("reply",), ("command",), ("reply", "reply")])


class Life(RuleBasedStateMachine):
    """Keeps a model of each job beside the ledger; any difference is a fault."""

    server = proxy = None  # set by the test

    def __init__(self) -> None:
        super().__init__()
        self.server.begin_anew()
        self.proxy.keep()
        self.direct = self.server.client()
        self.ledger = Ledger(self.server.client(self.proxy.port), CONFIG)
        self.model = Model()
        self.attempts = []
        self.holders = {}
        self.readers = {}
        self.seen = []
        self.copies = []
        self.skew = 0.0
        clock = time.time_ns
        self.patches = [
            mock.patch("workers.ledger.submit.time", SimpleNamespace(time_ns=lambda: clock() + int(self.skew * 1e9))),
            mock.patch.object(attempt, "secrets", SimpleNamespace(randbelow=lambda _: 500)),
        ]
        for patch in self.patches:
            patch.start()

    @initialize(first=st.fixed_dictionaries(SUBMITTED), second=st.fixed_dictionaries(SUBMITTED))
    def begin(self, first, second):
        self.heartbeat("v")
        self.heartbeat("w")
        self.submit(**first)
        self.submit(**second)

    # The wire and the clocks

    @rule(what=LOSS)
    def lose(self, what):
        """The next script's reply, or the script itself; for most steps that write there is a draw of their own."""
        self.proxy.keep()
        self.proxy.lose(*what)

    @rule(step=st.sampled_from([*STEPS, *STEPS, -1100.0, -6000.0]))
    def time_goes_by(self, step):
        grow_older(self.direct, step)
        self.model.older(step)

    @rule(jump=st.sampled_from([-90000.0, -2000.0, 0.0, 90000.0]))
    def this_machines_clock_jumps(self, jump):
        self.skew = jump

    # For those who submit

    @precondition(lambda self: len(self.model.jobs) < 3)
    @rule(**SUBMITTED)
    def submit(self, tenant, limit, given, key):
        job = parse_job(
            {
                "kind": "complete",
                "input": {"prompt": "x"},
                "tenant": tenant,
                "max_attempts": limit,
                **({"webhook": "told"} if tenant in TOLD else {}),
                **({"delay": DELAY} if "delayed" in given else {}),
                **({"expires_in": EXPIRES} if "expires" in given else {}),
                **({"deadline": DEADLINE} if "deadline" in given else {}),
                **({"idempotency_key": key} if key else {}),
            }
        )
        request = (tenant, limit, tuple(given), key)
        earlier = self.model.keyed(tenant, key)

        def take():
            return self.ledger.submit(job, model="m", capability=Capability.GENERATE)

        if earlier and earlier.request != request:
            with pytest.raises(IdempotencyConflict):
                take()
            return
        if not earlier and self.model.full(tenant):
            with pytest.raises(QuotaExceeded):
                take()
            return
        record = take()
        if earlier:
            assert record.id == earlier.id
            return
        assert record.id not in self.model.jobs
        assert record.id not in self.model.gone
        self.model.submit(record.id, tenant, limit, request, key=key, **given)

    @rule(pick=PICK)
    def cancel(self, pick):
        if job := self._job(pick):
            self.model.cancel(job)
            assert self.ledger.cancel(job.id, job.tenant).state is job.state

    @rule(pick=PICK)
    def a_stranger_tries_every_door(self, pick):
        if job := self._job(pick):
            for door in (
                self.ledger.get,
                self.ledger.cancel,
                self.ledger.waiting,
                lambda *who: list(self.ledger.events(*who, follow=False)),
            ):
                with pytest.raises(JobNotFound):
                    door(job.id, "stranger")

    # For those who read

    @rule(pick=PICK)
    def read_on(self, pick):
        """A client that comes back with the last id it has."""
        if job := self._job(pick):
            cursor, text = self.readers.get(job.id, ("0-0", ""))
            self.readers[job.id] = self._read(job, cursor, text)

    @rule(pick=PICK)
    def read_from_anywhere(self, pick):
        """From an id seen at any time: trimmed since, rolled back, of another job, or not there yet."""
        if job := self._job(pick):
            of, cursor, text = [(None, "99999999999999-0", "?"), (None, "1-1", "?"), *self.seen][
                -1 - pick % (len(self.seen) + 2)
            ]
            if of != job.id and self.direct.xrange(f"phiq:events:{job.id}", cursor, cursor):
                return  # of the same millisecond: nobody could tell
            self._read(job, cursor, text if of == job.id else "not a text of this job")

    def _read(self, job, cursor, text):
        ended = False
        for event in self.ledger.events(job.id, job.tenant, after=cursor, follow=False):
            assert not ended, "nothing follows the end"
            if event.type == "restarted":
                text = ""
            elif event.type == "snapshot":
                text = event.text
            elif event.type == "delta":
                assert event.offset == len(text), "missed, or seen twice"
                text += event.text
            elif event.type == "end":
                assert event.state is job.state
                ended = True
            cursor = event.id
            self.seen = [*self.seen[-20:], (job.id, cursor, text)]
        assert text == job.text
        return cursor, text

    # For workers

    @rule()
    def dispatch(self):
        for queue, job_id in self._dispatched():
            assert queue == QUEUE
            assert self.model.jobs[job_id].state is State.QUEUED

    @rule()
    def dispatch_and_leave_a_plan(self):
        """By which submit, claim and settle hand out at once what there is room for."""
        self.ledger.dispatch()

    def _dispatched(self):
        sent = []
        self.ledger.dispatch(lambda queue, job_id: sent.append((queue, job_id)))
        return sent

    @rule(worker=WORKERS)
    def heartbeat(self, worker):
        self.ledger.heartbeat(WorkerInfo(name=worker, serves=[Capability.GENERATE], slots=1))
        self.model.heartbeat(worker)

    @rule(worker=WORKERS)
    def leave(self, worker):
        """In good order, though its jobs may still be on its hands."""
        self.ledger.leave(worker)
        self.model.leave(worker)

    @rule(pick=PICK, worker=WORKERS, alone=st.booleans(), loss=LOSS)
    def claim(self, pick, worker, alone, loss):
        """By a message: the broker may hold several for a job, old ones, and those of jobs that are gone."""
        known = [*self.model.jobs, *(one.id for one in self.attempts), "0" * 32]
        self.lose(loss)
        self._claim(known[pick % len(known)], worker, alone)

    def _claim(self, job_id, worker, alone):
        job = self.model.claim(job_id, QUEUE, worker, alone)
        if job is not None and job.state is State.QUEUED:
            with pytest.raises(MustRunAlone):
                self.ledger.claim(job_id, worker)
            return
        attempt = self.ledger.claim(job_id, worker, alone)
        assert (attempt is None) == (job is None)
        if attempt is None:
            return
        assert attempt._token not in self.model.said, "a token of its own"
        assert (attempt.number, dict(attempt.checkpoints)) == (job.number, job.points)
        job.token = attempt._token
        self.model.said[attempt._token] = ""
        self.holders[attempt._token] = Holder(job.text)
        self.attempts = [*self.attempts[-4:], attempt]

    @rule(pick=PICK, text=TEXTS, again=st.booleans())
    def stream(self, pick, text, again):
        if found := self._attempt(pick):
            attempt, standing = found
            holder, told = self.holders[attempt._token], self._told(attempt, standing)
            heard = attempt.stop.is_set()  # before Redis was set back to when nobody had said it
            if again:  # what earlier attempts said next
                text = holder.text[holder.said :][: len(text)] or text
            if not holder.say(text):
                attempt.delta(text)
                return
            with self._expected(told):
                attempt.delta(text)
                self.model.jobs[attempt.id].text = holder.text
            assert attempt.stop.is_set() == (heard or bool(told))

    @rule(pick=PICK)
    def progress(self, pick):
        if found := self._attempt(pick):
            attempt, standing = found
            with self._expected(self._told(attempt, standing)):
                attempt.progress(Progress(done=1, total=2))

    def _told(self, attempt, standing):
        """What a write of text is told: also 'lost' when Redis was set back under its holder."""
        if standing == "lost" or len(self.holders[attempt._token].text) == len(self.model.jobs[attempt.id].text):
            return standing
        return "lost"

    @rule(pick=PICK, name=st.sampled_from("pq"), value=st.integers(0, 9))
    def checkpoint(self, pick, name, value):
        if found := self._attempt(pick):
            attempt, standing = found
            with self._expected(standing):
                attempt.checkpoints[name] = value
                self.model.jobs[attempt.id].points[name] = value

    @rule(pick=PICK)
    def renew(self, pick):
        if (found := self._attempt(pick, strict=False)) and found[0].stop_reason != "lost":
            attempt, standing = found
            attempt.renew()
            assert attempt.stop_reason == standing or (attempt.stop_reason and standing)
            if standing != "lost":
                self.model.jobs[attempt.id].lease = self.model.now + LEASE

    @rule(pick=PICK, how=HOW)
    def settle(self, pick, how):
        if found := self._attempt(pick):
            attempt, standing = found
            job, holder = self.model.jobs.get(attempt.id), self.holders[attempt._token]
            told = self._told(attempt, standing)
            text = holder.text[: holder.said]
            end = {
                "succeed": lambda: attempt.succeed(CompletionResult(text=text)),
                "fail": lambda: attempt.fail(EngineDown("Down.")),
                "refuse": lambda: attempt.fail(UserError("No.")),
                "release": attempt.release,
            }[how]
            if how == "succeed":
                holder.finish()
            with self._expected(told):
                if told != "lost":
                    job.text = holder.text
                expected = self.model.settle(job, how) if told != "lost" else None
                assert end() is expected

    @rule()
    def reap(self):
        lost = len(self.proxy.lost)
        done = self.ledger.reap()
        expected = self.model.reap()
        # When a reply was lost, the second round found nothing left to do, as it should; the audit sees the rest.
        if len(self.proxy.lost) == lost:
            assert (done.due, done.expired, done.lost) == expected

    @rule(pick=PICK, step=st.sampled_from(STEPS[:2]), worker=WORKERS)
    def somebody_runs_it(self, pick, step, worker):
        """Whatever it waits for comes about; when it runs, its holder is lost first."""
        if job := self._job(pick):
            if job.state in (State.RUNNING, State.DELAYED):
                self.reap()
                self.time_goes_by(step)
                self.reap()
            self._claim(job.id, worker, job.suspect)

    @rule(pick=PICK, text=TEXTS, how=HOW, taken_over=st.booleans())
    def a_late_writer(self, pick, text, how, taken_over):
        """Its lease is over, or another has the job by now, and then it comes back."""
        if (job := self._job(pick)) and job.state is State.QUEUED:
            self._claim(job.id, "w", job.suspect)
            if job.state is not State.RUNNING:
                return
            self.reap()
            self.time_goes_by(STEPS[1])
            if taken_over:
                self.reap()
                self._claim(job.id, "v", job.suspect)
            late = 0 if not taken_over or job.state is not State.RUNNING else 1
            self.progress(late)
            self.checkpoint(late, "p", 1)
            self.stream(late, text, False)
            self.settle(late, how)

    @rule(pick=PICK, texts=st.lists(TEXTS, max_size=2), how=HOW, steps=RENEWALS, losses=st.tuples(LOSS, LOSS, LOSS))
    def a_good_run(self, pick, texts, how, steps, losses):
        """Claimed, renewed in time, streamed and ended in one go."""
        if (job := self._job(pick)) and job.state is State.QUEUED:
            self.lose(losses[0])
            self._claim(job.id, "w", job.suspect)
            if job.state is State.RUNNING:
                for step in steps:
                    self.time_goes_by(step)
                    self.renew(0)
                for text in texts:
                    self.lose(losses[1])
                    self.stream(0, text, False)
                self.lose(losses[2])
                self.settle(0, how)

    @rule(pick=PICK, worker=WORKERS)
    def unreserve(self, pick, worker):
        if job := self._job(pick):
            self.ledger.unreserve(job.id, worker)
            if job.reserved == worker:
                job.reserved = ""

    # For operators

    @rule(what=st.sampled_from([{"queue": QUEUE}, {"tenant": "a"}, {"tenant": "b"}]))
    def pause(self, what):
        self.ledger.pause(**what)
        self.model.paused |= {what.get("queue", f"tenant:{what.get('tenant')}")}

    @precondition(lambda self: self.model.paused)
    @rule()
    def resume(self):
        for name in sorted(self.model.paused):
            self.ledger.resume(**({"tenant": name[-1]} if name.startswith("tenant:") else {"queue": name}))
        self.model.paused.clear()

    @rule(tenant=st.sampled_from("ab"), queued=st.sampled_from([None, None, 1]))
    def set_limits(self, tenant, queued):
        self.ledger.set_limits(tenant, Limits(queued=queued))
        self.model.quotas[tenant] = queued or 1000

    @rule(pick=PICK, loss=LOSS)
    def replay(self, pick, loss):
        self.lose(loss)
        if job := self._job(pick):
            if self.model.replay(job):
                assert self.ledger.replay(job.id, job.tenant).state is State.QUEUED
            else:
                with pytest.raises(NotReplayable):
                    self.ledger.replay(job.id, job.tenant)

    @precondition(lambda self: len(self.model.jobs) > 1)
    @rule(pick=PICK, only_dead=st.sampled_from([True, True, False]), loss=LOSS)
    def forget(self, pick, only_dead, loss):
        self.lose(loss)
        if job := self._job(pick):
            if not only_dead:
                assert self.ledger.forget(job.id, job.tenant)
            elif job.state is State.DEAD:
                self.ledger.drop(job.id, job.tenant)
            else:
                with pytest.raises(JobNotFound):
                    self.ledger.drop(job.id, job.tenant)
                return
            del self.model.jobs[job.id]

    @rule()
    def overview(self):
        """What operators are shown is what there is."""
        for info in self.ledger.tenants():
            jobs = [job for job in self.model.jobs.values() if job.tenant == info.name]
            assert info.queued == sum(job.state in (State.QUEUED, State.DELAYED) for job in jobs)
            assert info.running == sum(job.state is State.RUNNING for job in jobs)
            assert info.paused == (f"tenant:{info.name}" in self.model.paused)
        dead = {job.id for job in self.model.jobs.values() if job.state is State.DEAD}
        assert {record.id for record in self.ledger.dead(None)} == dead
        for info in self.ledger.queues():
            waiting = [job for job in self.model.jobs.values() if job.state is State.QUEUED]
            assert info.waiting == (len(waiting) if info.name == QUEUE else 0)

    # Redis dies and comes back as it was

    @rule()
    def remember(self):
        self.copies = [*self.copies[-1:], (self.server.remember(), copy.deepcopy(self.model))]

    @precondition(lambda self: self.copies)
    @rule(pick=PICK)
    def roll_back(self, pick):
        files, model = self.copies[pick % len(self.copies)]
        self.server.roll_back(files)
        self.model = copy.deepcopy(model)
        self.model.restarted = True

    @invariant()
    def all_agrees(self):
        audit(self.direct, self.model)

    def teardown(self):
        for patch in self.patches:
            patch.stop()
        self.direct.close()
        self.ledger.scripts.client.close()

    def _job(self, pick):
        jobs = list(self.model.jobs.values())
        return jobs[pick % len(jobs)] if jobs else None

    def _attempt(self, pick, strict=True):
        """One of the latest attempts that has not ended, and what its next write must be told."""
        open_ones = [one for one in self.attempts if not one.settled]
        if not open_ones:
            return None
        attempt = open_ones[-1 - pick % len(open_ones)]
        return attempt, self.model.standing(attempt.id, attempt._token, strict)

    def _expected(self, standing):
        import contextlib

        return pytest.raises(LeaseLost) if standing == "lost" else contextlib.nullcontext()


@pytest.mark.timeout(400)
def test_lives(rewindable, proxy):
    Life.server = rewindable
    Life.proxy = proxy(rewindable.port)
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=max(EXAMPLES, settings.default.max_examples - 100),
            stateful_step_count=50,
            deadline=None,
            database=None,
            # Explaining a failure traces every line of redis-py and takes longer than finding it.
            phases=[phase for phase in settings.default.phases if phase is not Phase.explain],
            suppress_health_check=list(HealthCheck),
        ),
    )
