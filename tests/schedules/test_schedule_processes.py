"""Schedules in real processes: two schedulers, one that is killed between advance and send, a batch every night."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workers.app import beat_argv, worker_argv
from workers.jobs import State
from workers.schedules import Ticker
from workers.settings import child_environment

pytestmark = pytest.mark.service

# Schedulers that ask for no lock of RedBeat's, as if it were deleted at every tick; `dies` kills itself when it has
# gone on to the next instant, and before it has sent anything.
LOCKLESS = """
import os, signal, sys
from workers.app import app
from workers.schedules import Ticker
app.conf.redbeat_lock_key = None
if "dies" in sys.argv:
    sys.argv.remove("dies")
    Ticker._step = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from celery.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def beat(service, tmp_path: Path):
    """Start schedulers; each is ended by its id."""
    started = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"beat{len(started)}.log").open("wb") as out:
            command = [sys.executable, "-c", LOCKLESS, *options, *beat_argv(service.settings)]
            started.append(
                subprocess.Popen(command, env=child_environment(service.settings), stdout=out, stderr=subprocess.STDOUT)
            )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def worker(service, tmp_path: Path):
    """A real worker."""
    with (tmp_path / "worker.log").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", *worker_argv(service.settings)],
            env=child_environment(service.settings, worker_name="w1", drain_seconds="1"),
            stdout=out,
            stderr=out,
        )
    yield process
    process.kill()
    process.wait()


def test_two_schedulers_fire_once_and_one_that_dies_behind_the_advance_loses_nothing(service, beat, wait_until):
    job = {"kind": "complete", "model": "fake:echo", "input": {"prompt": "on time"}}
    schedules = service.schedules
    schedules.add("second", {"every": "1s", "overlap": "queue", "job": job})
    dying = beat("dies")
    assert dying.wait(60) == -signal.SIGKILL
    # It has gone on, and sent nothing.
    lost = schedules.history("second")
    assert {str(one.state) for one in lost} == {"due"}
    assert service.list() == []
    beat(), beat()

    def fired() -> bool:
        for record in service.list(states=[State.QUEUED]):
            service.cancel(record.id)  # no worker runs, and the next one waits for its end
        return sum(one.state.final for one in schedules.history("second")) >= 4

    wait_until(fired, 90, "four firings")
    schedules.pause("second")
    history = schedules.history("second")
    assert [one.key for one in history[-len(lost) :]] == [one.key for one in lost]
    assert history[-1].run is not None
    jobs = service.list(limit=100)
    origins = Counter(service.get(job.id).job["origin"] for job in jobs)
    assert set(origins.values()) == {1}
    assert {f"schedule/second/{one.key}" for one in history if one.run} >= set(origins)


def test_a_folder_is_summarised_every_night(service, clock, add, worker, tmp_path: Path, wait_until):
    """From Friday over the night of the clocks' change to Monday, on a clock that leaps from night to night."""
    folder, out = tmp_path / "tickets", tmp_path / "out" / "summary.jsonl"
    folder.mkdir()
    out.parent.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"Ticket {number}. The printer is on fire. It was put out with tea.\n")
    clock.to("2026-03-26 12:00:00")
    task = {"kind": "summarize", "input": {"sentences": 1}}
    batch = {"paths": [str(folder)], "task": task, "to": str(out)}
    add("tickets", cron="0 6 * * 1-5", tz="Europe/Zagreb", batch=batch)
    ticker = Ticker(service, clock, background=True)

    def night(due: str) -> None:
        clock.to(due)
        clock.on(seconds=-1)
        before = len(service.schedules.history("tickets"))
        ticker.tick()
        assert len(service.schedules.history("tickets")) == before, "fired too early"

        def done() -> bool:
            clock.on(seconds=1)
            ticker.tick()
            history = service.schedules.history("tickets")
            return len(history) == before + 1 and history[0].state.final

        wait_until(done, 90, f"the batch of {due}")
        [latest, *_] = service.schedules.history("tickets")
        assert (latest.state, latest.due) == ("succeeded", datetime.fromisoformat(due).replace(tzinfo=UTC))
        assert service.batches.get(latest.run, "default").origin == f"schedule/tickets/{latest.key}"

    def lines() -> int:
        return len(out.read_text().splitlines()) if out.exists() else 0

    night("2026-03-27 05:00:00")
    wait_until(lambda: lines() == 3, 30, "three summaries")
    (folder / "3.txt").write_text("Ticket 3. The kettle is empty. Nobody knows why.\n")
    night("2026-03-30 04:00:00")  # an hour earlier: summer time, and no firing at the weekend
    wait_until(lambda: lines() == 4, 30, "four summaries")
    batches = [service.batches.get(one.run, "default") for one in service.schedules.history("tickets")]
    assert [one.total for one in batches] == [1, 3]
