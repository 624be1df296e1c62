"""Redis is killed while a job runs and comes back from its append-only file."""

from __future__ import annotations

import socket
import subprocess
import threading

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from workers.jobs import State, parse_job
from workers.service import Service

pytestmark = pytest.mark.service


@pytest.fixture
def own_redis(redis_binary, tmp_path, wait_until):
    """A Redis of this test's own that it may kill: (start, address)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = []

    def start():
        command = [redis_binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--save", ""]
        process = subprocess.Popen(
            [*command, "--appendonly", "yes", "--appendfsync", "always"], stdout=subprocess.DEVNULL
        )
        running.append(process)

        def up():
            assert process.poll() is None
            try:
                with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as client:
                    return client.ping()
            except redis.RedisError:
                return False

        wait_until(up, 20, "Redis up")
        return process

    yield start, f"redis://127.0.0.1:{port}/0"
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def service(own_redis, settings):
    start, url = own_redis
    made = Service.connect(settings(redis_url=url, allow_fake_engine=True, lease_seconds=9.0, slots=2))
    made.redis = start()
    made.restart = start
    yield made
    made.close()


def test_a_job_and_its_reader_live_through_a_restart_of_redis(service, start_worker, wait_until):
    worker = start_worker()
    job = parse_job({"kind": "complete", "input": {"prompt": "x"}, "model": "fake:words?count=90&rate=30"})
    job_id = service.submit(job).id
    events, done = [], threading.Event()

    def follow():
        events.extend(service.events(job_id, timeout=60))
        done.set()

    threading.Thread(target=follow, daemon=True).start()
    wait_until(lambda: any(e.type == "delta" for e in service.events(job_id, follow=False)))
    service.redis.kill()
    service.redis.wait()
    service.restart()
    record = service.wait(job_id, timeout=60)
    assert record.state is State.SUCCEEDED, worker.log.read_text()
    assert [a.outcome for a in record.attempts] == ["succeeded"]
    assert done.wait(10)
    assert "".join(e.text for e in events) == record.result["text"]
    # And the worker still takes work.
    after = service.submit(job.model_copy(update={"model": "fake:echo"}))
    assert service.wait(after.id, timeout=60).state is State.SUCCEEDED, worker.log.read_text()
