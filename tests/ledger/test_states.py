"""The state machine of docs/jobs.md against a real Redis: random lives, with commands repeated at random."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from agents.contract import CompletionResult
from knowledge.errors import UserError
from workers.errors import EngineDown, LeaseLost
from workers.jobs import Capability, State, parse_job
from workers.ledger import Ledger, LedgerConfig, WorkerInfo

pytestmark = pytest.mark.service

LEASE = 3600.0
OUTCOMES = {
    State.SUCCEEDED: "succeeded",
    State.FAILED: "failed",
    State.DEAD: "failed",
    State.CANCELLED: "cancelled",
}


class Life(RuleBasedStateMachine):
    """Keeps a model of each job beside the ledger; any difference is a fault."""

    client = None  # set by the test
    jobs = Bundle("jobs")
    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        assert self.client is not None
        self.client.flushdb()
        self.ledger = Ledger(self.client, LedgerConfig(lease=LEASE, retry_base=3600, retry_cap=3600, flush=0.0))
        self.ledger.reap()
        self.client.delete("phiq:pause")
        self.ledger.heartbeat(WorkerInfo(name="w", serves=[Capability.GENERATE], slots=2))
        self.model: dict[str, dict] = {}
        self.repeat = False
        run = self.ledger.scripts.run

        def flaky(name, *args):
            if self.repeat and name != "submit":
                self.repeat = False
                lost = run(name, *args)
                again = run(name, *args)
                if name not in ("workers", "waiting", "reap", "heartbeat"):
                    assert again == lost, name
                # The second round of the reaper finds nothing left to do, as it should.
                return lost if name == "reap" else again
            return run(name, *args)

        self.ledger.scripts.run = flaky

    @rule()
    def lose_the_next_reply(self):
        self.repeat = True

    @rule(
        target=jobs,
        tenant=st.sampled_from("abc"),
        limit=st.sampled_from([1, 3, 9]),
        delayed=st.sampled_from([False, False, True]),
    )
    def submit(self, tenant, limit, delayed):
        if len(self.model) == 2:
            return multiple()  # few jobs, so that much happens to each
        job = parse_job(
            {
                "kind": "complete",
                "input": {"prompt": "x"},
                "tenant": tenant,
                "max_attempts": limit,
                "delay": 3600 if delayed else 0,
            }
        )
        record = self.ledger.submit(job, model="m", capability=Capability.GENERATE)
        state = State.DELAYED if delayed else State.QUEUED
        self.model[record.id] = {
            "state": state, "tenant": tenant, "limit": limit, "tries": 0, "number": 0, "cancel": False, "text": "",
        }  # fmt: skip
        return record.id

    @rule(job_id=jobs)
    def becomes_due(self, job_id):
        """Stands for time going by: the instant is moved instead."""
        if self.model[job_id]["state"] is State.DELAYED:
            self.client.zadd("phiq:delayed", {job_id: 0})
            assert self.ledger.reap().due == 1
            self.model[job_id]["state"] = State.QUEUED

    @rule()
    def dispatch(self):
        self.ledger.dispatch(lambda queue, job_id: None)

    @rule(target=attempts, job_id=jobs)
    def claim(self, job_id):
        at = self.model[job_id]
        attempt = self.ledger.claim(job_id, "w")
        assert (attempt is not None) == (at["state"] is State.QUEUED)
        if attempt is None:
            return multiple()
        at.update(state=State.RUNNING, tries=at["tries"] + 1, number=at["number"] + 1, text="")
        assert attempt.number == at["number"]
        return attempt

    @rule(attempt=attempts, text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9))
    def stream(self, attempt, text):
        at = self.model[attempt.id]
        if self._holds(attempt):
            attempt.delta(text)
            at["text"] += text
            assert attempt.stop.is_set() == at["cancel"]
        else:
            with pytest.raises(LeaseLost):
                attempt.delta(text)

    @rule(attempt=attempts)
    def renew(self, attempt):
        holds = self._holds(attempt)
        attempt.renew()
        if not holds:
            assert attempt.stop_reason == "lost" or attempt.settled

    @rule(attempt=consumes(attempts), how=st.sampled_from(["succeed", "fail", "fail_for_good", "release"]))
    def settle(self, attempt, how):
        at = self.model[attempt.id]
        calls = {
            "succeed": lambda: attempt.succeed(CompletionResult(text=at["text"])),
            "fail": lambda: attempt.fail(EngineDown("Down.")),
            "fail_for_good": lambda: attempt.fail(UserError("No.")),
            "release": attempt.release,
        }
        if not self._holds(attempt):
            with pytest.raises(LeaseLost):
                calls[how]()
            return
        expected = {
            "succeed": State.SUCCEEDED,
            "fail": State.DELAYED if at["tries"] < at["limit"] else State.DEAD,
            "fail_for_good": State.FAILED,
            "release": State.QUEUED,
        }[how]
        if at["cancel"]:
            expected = State.CANCELLED
        elif how == "release":
            at["tries"] -= 1
        assert calls[how]() is expected
        at["state"] = expected

    @rule(job_id=jobs)
    def lease_runs_out(self, job_id):
        """Stands for a worker that died: the instant is moved instead."""
        at = self.model[job_id]
        if at["state"] is not State.RUNNING:
            return
        self.client.zadd("phiq:leases", {job_id: 0})
        if at["cancel"]:
            at["state"] = State.CANCELLED
        else:
            at["state"] = State.QUEUED if at["tries"] < at["limit"] else State.DEAD
        assert self.ledger.reap().lost == {job_id: at["state"].value}

    @rule(target=attempts, job_id=jobs)
    def another_takes_over(self, job_id):
        """What a late writer meets: the job runs, but not for it."""
        if self.model[job_id]["state"] is not State.RUNNING:
            return multiple()
        self.lease_runs_out(job_id)
        return self.claim(job_id) if self.model[job_id]["state"] is State.QUEUED else multiple()

    @rule(job_id=jobs)
    def cancel(self, job_id):
        at = self.model[job_id]
        if at["state"] in (State.QUEUED, State.DELAYED):
            at["state"] = State.CANCELLED
        elif at["state"] is State.RUNNING:
            at["cancel"] = True
        assert self.ledger.cancel(job_id, at["tenant"]).state is at["state"]

    def _holds(self, attempt):
        at = self.model[attempt.id]
        return at["state"] is State.RUNNING and attempt.number == at["number"]

    @invariant()
    def records_agree(self):
        for job_id, at in self.model.items():
            record = self.ledger.get(job_id, at["tenant"])
            assert (record.state, record.attempt) == (at["state"], at["number"])
            assert (record.result is not None) == (record.state is State.SUCCEEDED)
            open_attempts = [one for one in record.attempts if not one.outcome]
            assert len(open_attempts) == (1 if record.state is State.RUNNING else 0)
            if record.state in OUTCOMES and record.attempts and record.started_at:
                assert record.finished_at - record.submitted_at >= timedelta(0)

    @invariant()
    def each_job_is_in_one_place(self):
        places = {}
        for key in self.client.keys("phiq:*"):
            kind = key.split(":")[1]
            if kind in ("waiting", "sent", "delayed", "leases"):
                for job_id in self.client.zrange(key, 0, -1):
                    places.setdefault(job_id, []).append(kind)
        for job_id, at in self.model.items():
            expected = {
                State.QUEUED: (["waiting"], ["sent"]),
                State.DELAYED: (["delayed"],),
                State.RUNNING: (["leases"],),
            }.get(at["state"], ([],))
            assert places.get(job_id, []) in expected, (at["state"], places.get(job_id))

    def teardown(self):
        """Every stream is whole: text without gaps, one end for what has ended."""
        for job_id, at in self.model.items():
            text, ends = "", 0
            for event in self.ledger.events(job_id, at["tenant"], follow=False):
                if event.type == "restarted":
                    text = ""
                elif event.type == "delta":
                    assert event.offset == len(text)
                    text += event.text
                elif event.type == "end":
                    ends += 1
                    assert event.state is at["state"]
            assert text == at["text"] or at["text"] == ""
            assert ends == at["state"].final


def test_lives(client):
    Life.client = client
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
