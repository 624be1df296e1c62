"""What the chaos run plans, measures and prints."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.chaos import faults, mix, timing
from benchmarks.chaos.faults import Struck
from benchmarks.chaos.options import FAULTS, Options
from benchmarks.chaos.report import Outcome, last_line, save
from benchmarks.chaos.transcript import Answer, Held, Planned, Seen, Transcript
from benchmarks.chaos.witness import Violation
from workers.jobs import parse_job


def test_a_seed_is_a_plan_and_another_is_another(tmp_path):
    options = Options(jobs=200)
    jobs = mix.plan(options, tmp_path / "w.witness")
    assert jobs == mix.plan(options, tmp_path / "w.witness")
    assert jobs != mix.plan(replace(options, seed=2), tmp_path / "w.witness")
    assert faults.plan(options) == faults.plan(options)
    assert faults.plan(options) != faults.plan(replace(options, seed=2))


def test_the_jobs_are_a_mixture_that_fits_the_contract(tmp_path):
    jobs = mix.plan(Options(jobs=1000), tmp_path / "w.witness")
    assert {job.sort for job in jobs} == {"echo", "words", "chat", "onnx", "search", "ingest"}
    assert {parse_job(job.job).lane.value for job in jobs} == {"interactive", "batch"}
    assert len({job.tenant for job in jobs}) == 5
    assert len({job.marker for job in jobs}) == 1000
    assert sum(job.cancel_after is not None for job in jobs) > 10
    assert sum(job.resubmit_after is not None for job in jobs) > 10
    assert sum(bool(job.cuts) for job in jobs) > 100
    assert max(job.arrives for job in jobs) < 300
    # The marker is the first word of what the engine reads, and the witness file is asked for.
    for job in jobs:
        assert not job.witnessed or ("witness=" in job.job["model"] and job.marker in json.dumps(job.job["input"]))


@pytest.mark.parametrize("duration", [15.0, 60.0, 300.0])
def test_every_kind_of_fault_happens_and_is_mended_in_time(duration):
    plan = faults.plan(Options(duration=duration))
    assert {fault.kind for fault in plan} == set(FAULTS) - {"streams"}
    assert [fault.at for fault in plan] == sorted(fault.at for fault in plan)
    for kind, times in Counter(fault.kind for fault in plan).items():
        if times > 1:
            assert all(fault.at + fault.length <= duration for fault in plan if fault.kind == kind)
    assert all(fault.length > 9.0 for fault in plan if fault.kind == "freeze"), "a freeze outlasts the lease"


def test_a_fault_alone_is_the_only_one_and_comes_more_often():
    alone = faults.plan(Options(duration=300.0, faults=("redis",)))
    storm = [fault for fault in faults.plan(Options(duration=300.0)) if fault.kind == "redis"]
    assert {fault.kind for fault in alone} == {"redis"}
    assert len(alone) > 2 * len(storm)
    assert faults.plan(Options(faults=())) == []


def interrupted(job_id: str, worker: str, started: float, lost: float, again: float) -> Transcript:
    held = [Held(1, worker, started, lost, "lost"), Held(2, "w9", again, again + 5, "succeeded")]
    entries = [
        Seen(started, f"{int(started * 1000)}-0", "state", 1, state="running"),
        Seen(lost, f"{int(lost * 1000)}-0", "state", 1, state="queued"),
        Seen(again, f"{int(again * 1000)}-0", "state", 2, state="running"),
    ]
    planned = Planned(1, "m1", "echo", {"lane": "batch"})
    return Transcript(planned, ids=[job_id], entries=entries, held=held, answers=[Answer("succeeded", "x", 2)])


def test_the_time_runs_from_the_kill_of_the_worker_that_held_the_job_to_its_next_attempt():
    struck = [
        Struck("worker", "w1", 100.0, "w1"),
        Struck("worker", "w2", 103.0, "w2.1"),
        Struck("redis", "redis", 300.0),
    ]
    jobs = [
        interrupted("a", "w2.1", 99.0, 112.0, 113.5),  # killed at 103
        interrupted("b", "w2.2", 99.0, 112.0, 113.5),  # the worker that came after it: nobody killed that one
        interrupted("c", "w1", 101.0, 112.0, 113.5),  # began after the kill
        interrupted("d", "w1", 99.0, 109.0, 108.0),
    ]
    found = timing.recoveries(struck, jobs, lease=9.0)
    assert [(one.job_id, one.seconds, one.redis) for one in found] == [("a", 10.5, False), ("d", 8.0, False)]
    late = timing.recoveries([*struck, Struck("redis", "redis", 95.0)], jobs, lease=9.0)
    assert [one.redis for one in late] == [True, True]


def test_the_spread_and_the_histogram():
    assert timing.spread([]) == (0.0, 0.0, 0.0)
    assert timing.spread([3.0]) == (3.0, 3.0, 3.0)
    assert timing.spread([float(n) for n in range(1, 12)]) == (6.0, 10.0, 11.0)
    lines = timing.histogram([1.2, 1.8, 3.5, 99.0])
    assert [line.split()[-1] for line in lines[:3]] == ["2", "0", "1"]
    assert lines[-1].strip().startswith("20 s+")
    assert lines[-1].split()[-1] == "1"


@pytest.fixture
def outcome() -> Outcome:
    job = interrupted("a", "w1", 99.0, 109.0, 110.0)
    return Outcome(Options(faults=("worker",)), [job], Counter({"m1": 1}), [], [], [])


def test_the_last_line_adds_up_the_runs(outcome):
    worse = replace(outcome, violations=[Violation("gaps", "a", "x"), Violation("gaps", "a", "y")])
    assert last_line([outcome]) == "chaos: jobs 1, lost 0, twice 0, stale 0, gaps 0"
    assert last_line([outcome, worse]) == "chaos: jobs 2, lost 0, twice 0, stale 0, gaps 1"
    assert (outcome.good, worse.good) == (True, False)


def test_what_else_makes_a_run_fail(outcome):
    assert outcome.failings() == []
    outcome.jobs[0].answers = [Answer("dead", None, 2)]
    assert "is dead" in outcome.failings()[0]
    outcome.jobs[0].answers = [Answer("cancelled", None, 2)]
    assert "cancelled by nobody" in outcome.failings()[0]
    outcome.jobs[0].answers = [Answer("failed", None, 2)]
    assert "failed" in outcome.failings()[0]
    outcome.jobs[0].ids = []
    assert outcome.failings() == ["1 jobs were never accepted"]


def test_a_storm_that_interrupts_too_few_has_shown_nothing(outcome):
    storm = replace(outcome, options=Options())
    assert storm.failings() == []
    storm.jobs[0].entries = storm.jobs[0].entries[:1]
    assert storm.failings() == ["only 0% of the jobs were interrupted, 25% are due"]


def test_the_file_keeps_the_transcripts_of_what_went_wrong(outcome, tmp_path):
    file = tmp_path / "new" / "run.json"
    save([outcome, replace(outcome, violations=[Violation("lost", "a", "x")])], file)
    good, bad = json.loads(file.read_text())
    assert (good["lost"], good["transcripts"]) == (0, {})
    assert (bad["lost"], list(bad["transcripts"])) == (1, ["a"])
    assert good["jobs"][0]["attempts"][0]["worker"] == "w1"
