"""A master, a replica and three Sentinels; the master is killed in the middle of the work."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from knowledge.errors import PhiqError
from workers.jobs import State
from workers.ledger.submit import new_id

pytestmark = pytest.mark.service

SECRETS = {"requirepass": "secret", "masterauth": "secret"}


class Watched:
    """The set; ``url`` is what PHIQ_REDIS_URL says."""

    def __init__(self, serve: Callable[..., Any], wait_until: Callable[..., Any]) -> None:
        self.master = serve("master", **SECRETS)
        self.replica = serve("replica", **SECRETS, replicaof=f"127.0.0.1 {self.master.port}")
        self.sentinels = []
        for number in range(3):
            sentinel = serve(f"sentinel{number}", started=False)
            config = sentinel.folder / "sentinel.conf"
            config.write_text(
                f"port {sentinel.port}\nbind 127.0.0.1\ndir {sentinel.folder}\nrequirepass guard\n"
                "sentinel sentinel-pass guard\n"
                f"sentinel monitor queue 127.0.0.1 {self.master.port} 2\n"
                "sentinel auth-pass queue secret\n"
                "sentinel down-after-milliseconds queue 1000\n"
                "sentinel failover-timeout queue 5000\n"
            )
            sentinel.command = [sentinel.binary, str(config), "--sentinel"]
            self.sentinels.append(sentinel.start())
        with self.sentinels[0].client(password="guard") as guard, self.master.client(password="secret") as master:
            wait_until(lambda: guard.sentinel_master("queue")["num-other-sentinels"] == 2, 20, "Sentinels met")
            wait_until(lambda: guard.sentinel_master("queue")["num-slaves"] == 1, 20, "the replica known")
            wait_until(lambda: master.info("replication")["connected_slaves"] == 1, 20, "the replica in step")
            master.config_set("min-replicas-to-write", 1)
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        self.url = f"sentinel://:secret@{hosts}/queue/0?sentinel_password=guard"

    def in_step(self) -> None:
        """Return when the replica has all that the master has."""
        with self.master.client(password="secret") as master:
            assert master.execute_command("WAIT", 1, 5000) == 1


@pytest.fixture
def watched(serve: Callable[..., Any], wait_until: Callable[..., Any]) -> Watched:
    return Watched(serve, wait_until)


def test_given_a_failover_then_no_job_is_lost_and_nobody_is_started_anew(
    watched: Watched,
    connect: Callable[..., Any],
    start_worker: Callable[..., Any],
    start_beat: Callable[..., Any],
    words: Callable[..., Any],
    wait_until: Callable[..., Any],
) -> None:
    service = connect(watched.url, lease_seconds=15.0)
    worker, beat = start_worker(service), start_beat(service)
    long = service.submit(words(count=120, rate=10)).id  # 12 s: it runs while the master dies
    waiting = [service.submit(words(count=5, rate=10)).id for _ in range(10)]
    wait_until(lambda: any(event.type == "delta" for event in service.events(long, follow=False)), 30, "it streams")

    watched.in_step()
    watched.master.stop()
    killed = time.monotonic()
    meanwhile = new_id()

    def accepted() -> bool:
        try:
            return bool(service.submit(words(), job_id=meanwhile))
        except PhiqError as error:
            return pytest.fail(str(error)) if not error.transient else False

    wait_until(accepted, 40, "the new master takes jobs")
    assert time.monotonic() - killed > 1, "the master was not yet known to be gone"
    # The replica that became master has none of its own yet.
    with watched.replica.client(password="secret") as master:
        assert master.info("replication")["role"] == "master"
    for job_id in (*waiting, meanwhile, long):
        record = service.wait(job_id, 60)
        assert record.state is State.SUCCEEDED, (record, worker.log.read_text())
    # One attempt: the lease was long enough to outlive the failover.
    assert [attempt.outcome for attempt in service.get(long).attempts] == ["succeeded"]
    text = "".join(event.text for event in service.events(long, follow=False))
    assert text == service.get(long).result["text"]
    assert worker.running
    assert beat.running
    with watched.replica.client(password="secret") as master:
        held = f"{service.settings.key_prefix}:beat:lock"
        wait_until(lambda: master.pttl(held) > 25_000, 40, "the scheduler renews its lock at the new master")
