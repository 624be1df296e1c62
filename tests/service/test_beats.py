"""Several schedulers on one Redis, with and without RedBeat's lock: what is due happens once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import redis
from celery import Celery
from celery.schedules import schedule
from redbeat import RedBeatSchedulerEntry

from workers.app import beat_argv
from workers.celery_config import configuration
from workers.jobs import State
from workers.lifecycle.beat import Scheduler
from workers.settings import child_environment

pytestmark = pytest.mark.service

JOB = {"kind": "complete", "model": "fake:echo", "input": {"prompt": "on time"}}
# A scheduler that asks for no lock, as if it were deleted at every tick, and is slow between reading and sending.
LOCKLESS = """
import sys, time
from redbeat import RedBeatScheduler
from workers.app import app
app.conf.redbeat_lock_key = None
proper = RedBeatScheduler.maybe_due
def slowly(self, entry, **kwargs):
    time.sleep(0.4)
    return proper(self, entry, **kwargs)
RedBeatScheduler.maybe_due = slowly
from celery.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def app(service):
    made = Celery("test", set_as_current=False)
    made.conf.update(configuration(service.settings))
    yield made
    made.close()


@pytest.fixture
def every(app):
    """Put an entry that is due every so many seconds."""

    def put(seconds: float) -> RedBeatSchedulerEntry:
        return RedBeatSchedulerEntry(
            "nightly", "phiq.submit", schedule(seconds), args=[JOB], options={"queue": "phiq.submit"}, app=app
        ).save()

    return put


def messages(redis_url: str) -> list[str]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return [json.loads(text)["headers"]["id"] for text in client.lrange("phiq:broker:phiq.submit", 0, -1)]


def test_two_schedulers_that_saw_the_same_entry_make_one_job(service, app, every, start_worker, redis_url, wait_until):
    every(0.2)
    schedulers = [Scheduler(app=app, lazy=True) for _ in range(2)]
    seen = [next(iter(scheduler.schedule.values())) for scheduler in schedulers]
    for scheduler, entry in zip(schedulers, seen, strict=True):
        scheduler.apply_async(entry)
    assert [count for _, count in Counter(messages(redis_url)).items()] == [2]
    # The next run is another firing.
    schedulers[0].apply_async(next(iter(schedulers[0].schedule.values())))
    assert len(set(messages(redis_url))) == 2
    start_worker()
    wait_until(lambda: [r.state for r in service.list()] == [State.SUCCEEDED] * 2, 20, "two jobs of three messages")
    wait_until(lambda: messages(redis_url) == [], 10, "all read")
    assert len(service.list()) == 2


def test_two_processes_without_the_lock_fire_each_run_once(
    service, every, start_worker, tmp_path: Path, wait_until, redis_url
):
    logs = [tmp_path / f"beat{number}.log" for number in range(2)]
    start_worker()
    began = time.time()
    every(1.0)
    beats = []
    try:
        for log in logs:
            with log.open("wb") as out:
                command = [sys.executable, "-c", LOCKLESS, *beat_argv(service.settings)]
                beats.append(subprocess.Popen(command, env=child_environment(service.settings), stdout=out, stderr=out))
        wait_until(lambda: all("Starting" in log.read_text() for log in logs), 60, "both tick")
        before = len(service.list())
        wait_until(lambda: len(service.list()) >= before + 4, 30, "four firings of both")
    finally:
        for beat in beats:
            beat.terminate()
            beat.wait(20)
    wait_until(lambda: messages(redis_url) == [], 10, "all read")
    wait_until(lambda: all(r.state.final for r in service.list()), 10, "all ended")
    sent = sum(len(re.findall("Sending due task nightly", log.read_text())) for log in logs)
    submitted = sorted(record.submitted_at for record in service.list())
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(submitted)]
    assert sent > len(submitted), "both have fired the same run at least once"
    assert min(gaps) > 0.5, (gaps, sent)
    assert len(submitted) <= time.time() - began + 1
