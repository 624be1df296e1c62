"""Clocks that jump while jobs run: that of a worker's machine means nothing, and that of Redis loses no job.

The clocks are moved for one process at a time by a small library (clock.c) that is preloaded; where there is no
compiler these tests are skipped, and the state machine's moved times are what is left.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from proofs_servers import Rewindable, Worker

from workers.jobs import State, parse_job
from workers.service import Service

pytestmark = pytest.mark.service


class Clock:
    """The wall clock of processes started with ``environment``."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "moved"
        self.environment = {"LD_PRELOAD": str(library), "MOVED_CLOCK": str(self._file)}

    def move(self, seconds: int) -> None:
        """So far from the true time."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self._file)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a clock that can be moved")
    made = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"], check=True)
    return made


@pytest.fixture
def clock(library, tmp_path):
    return Clock(tmp_path, library)


def begin(service, wait_until, seconds=2):
    """A job that streams for some seconds and has begun to."""
    job = parse_job({"kind": "complete", "input": {"prompt": "x"}, "model": f"fake:words?count={seconds * 20}&rate=20"})
    job_id = service.submit(job).id
    wait_until(lambda: any(event.type == "delta" for event in service.events(job_id, follow=False)), 30, "it streams")
    return job_id


def whole(service, job_id):
    """The job's record once it has ended well, with a stream that is its result."""
    record = service.wait(job_id, 40)
    assert record.state is State.SUCCEEDED
    text = ""
    for event in service.events(job_id, follow=False):
        text = "" if event.type == "restarted" else text + event.text
    assert text == record.result["text"]
    return record


def test_a_workers_wall_clock_means_nothing(service, clock, tmp_path, wait_until):
    worker = Worker(service.settings, "w1", tmp_path / "worker.log", **clock.environment)
    try:
        wait_until(lambda: worker.lives() and service.workers(), 60, "worker up")
        for jump in (86_400, -86_400):
            job_id = begin(service, wait_until)
            clock.move(jump)
            record = whole(service, job_id)
            assert [one.outcome for one in record.attempts] == ["succeeded"], (jump, worker.log[-3000:])
            assert abs((record.finished_at - record.submitted_at).total_seconds()) < 30, "times are Redis'"
            (info,) = service.workers()
            assert info.seen_ago < 5
        assert worker.lives()
    finally:
        worker.kill()


def test_the_clock_of_redis_may_jump(redis_binary, settings, clock, tmp_path, wait_until):
    server = Rewindable(redis_binary, tmp_path / "redis", clock.environment)
    service = Service.connect(
        settings(redis_url=f"redis://127.0.0.1:{server.port}/0", allow_fake_engine=True, lease_seconds=2.0, slots=2)
    )
    worker = Worker(service.settings, "w1", tmp_path / "worker.log")
    try:
        wait_until(lambda: worker.lives() and service.workers(), 60, "worker up")
        for jump in (86_400, 0):
            job_id = begin(service, wait_until)
            clock.move(jump)
            record = whole(service, job_id)
            # Forward, all leases are over at once: a holder that renews first keeps its job, else it runs again.
            assert {one.outcome for one in record.attempts} <= {"lost", "succeeded"}
            assert worker.lives()
        # Set back, a lease must not last until the old time comes round again.
        job_id = begin(service, wait_until, 60)
        clock.move(-86_400)
        worker.kill()
        worker = Worker(service.settings, "w2", tmp_path / "worker2.log")
        wait_until(lambda: worker.lives() and service.get(job_id).attempt == 2, 30, "taken up again")
    finally:
        worker.kill()
        service.close()
        server.kill()
