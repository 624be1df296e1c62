"""A master that becomes a replica under our hands, and other Redis servers that jobs should not be given to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workers.access.key import KeySpec
from workers.doctor import Check, redis_look
from workers.doctor.redis_facts import Facts
from workers.doctor.redis_promises import check
from workers.errors import RedisUnavailable
from workers.jobs import State
from workers.redis_address import parse
from workers.stack import Stack, StackEvent

pytestmark = pytest.mark.service


def findings(settings: Any) -> list[Check]:
    return [finding for finding in redis_look.redis(settings) if finding.status != "ok"]


def test_when_an_address_leads_to_another_master_then_workers_and_clients_go_there(
    serve: Callable[..., Any],
    connect: Callable[..., Any],
    start_worker: Callable[..., Any],
    words: Callable[..., Any],
    wait_until: Callable[..., Any],
    tmp_path: Any,
) -> None:
    # A link to a socket is what a name is to a machine: it can be turned while connections stay where they are.
    first, second = (serve(name, unixsocket=f"{tmp_path}/{name}.sock", maxmemory="100mb") for name in ("a", "b"))
    link = tmp_path / "redis.sock"
    link.symlink_to(f"{tmp_path}/a.sock")
    service = connect(f"unix://{link}?db=0")
    worker = start_worker(service)
    assert service.wait(service.submit(words()).id, 30).state is State.SUCCEEDED, worker.log.read_text()
    # Its connections are its own: nobody but the scripts of keys can notice for it.
    apart, spec = connect(f"unix://{link}?db=0"), KeySpec(scopes={"jobs:read"})
    apart.access.create(spec)

    with first.client() as old, second.client() as new:
        new.replicaof("127.0.0.1", first.port)
        wait_until(lambda: new.info("replication").get("master_link_status") == "up", 20, "the replica in step")
        new.replicaof("NO", "ONE")
        old.replicaof("127.0.0.1", second.port)
        link.unlink()
        link.symlink_to(f"{tmp_path}/b.sock")
        with pytest.raises(RedisUnavailable, match="READONLY"):
            service.submit(words())
        with pytest.raises(RedisUnavailable, match="READONLY"):
            apart.access.create(spec)
        apart.access.create(spec)
        assert not any("It is a replica" in finding.message for finding in findings(service.settings))
        record = service.wait(service.submit(words()).id, 40)
        assert record.state is State.SUCCEEDED, worker.log.read_text()
        assert worker.running
        found = findings(connect(first.url).settings)[0]
        assert found.status == "fail"
        assert f"127.0.0.1:{second.port}" in found.fix


def test_a_worker_and_the_stack_say_at_their_start_what_of_redis_would_lose_jobs(
    serve: Callable[..., Any], connect: Callable[..., Any], start_worker: Callable[..., Any], wait_until: Any
) -> None:
    server = serve(appendonly="no", maxmemory_policy="allkeys-lru")
    service = connect(server.url)
    worker = start_worker(service)
    for words in ("maxmemory-policy is allkeys-lru", "append-only file is off", "has no maxmemory"):
        wait_until(lambda words=words: worker.said(words), 20, f"the worker says that {words}")
    events: list[StackEvent] = []
    with Stack(service.settings, events.append, parts=["redis"]):
        pass
    told = [event.message for event in events if event.kind == "warned"]
    assert any("noeviction" in message for message in told), events
    assert len(told) == 3


def test_a_cluster_is_refused(serve: Callable[..., Any], connect: Callable[..., Any]) -> None:
    server = serve(started=False, cluster_enabled="yes", maxmemory="100mb")
    # Members of a cluster speak to each other 10,000 ports higher.
    server.port = server.port - 20_000 if server.port > 50_000 else server.port
    server.start()
    found = [finding for finding in findings(connect(server.url).settings) if "Cluster" in finding.message]
    assert [finding.status for finding in found] == ["fail"]


def test_too_few_replicas_are_no_answer_for_now(
    serve: Callable[..., Any], connect: Callable[..., Any], words: Callable[..., Any]
) -> None:
    server = serve(min_replicas_to_write=1, maxmemory="100mb")
    with pytest.raises(RedisUnavailable, match="NOREPLICAS"):
        connect(server.url).submit(words())


@pytest.mark.parametrize(
    ("info", "config", "skew", "status", "words"),
    [
        ({"redis_version": "6.0.9"}, {}, 0.0, "fail", "too old"),
        ({"redis_version": "7.2.4"}, {}, 40.0, "warn", "40 s ahead"),
        ({"redis_version": "7.2.4"}, {}, -40.0, "warn", "40 s behind"),
        ({"used_memory": 90, "maxmemory": 100}, {}, 0.0, "warn", "nearly full"),
        ({"connected_slaves": 1}, {"min-replicas-to-write": "0"}, 0.0, "warn", "min-replicas-to-write"),
        ({"rdb_last_bgsave_status": "err"}, {"stop-writes-on-bgsave-error": "no"}, 0.0, "warn", "snapshot failed"),
        ({"aof_last_bgrewrite_status": "err"}, {}, 0.0, "warn", "rewrite"),
    ],
)
def test_what_no_server_here_can_show_is_told_from_its_facts(
    info: dict[str, Any], config: dict[str, str], skew: float, status: str, words: str
) -> None:
    good = {"redis_version": "7.2.4", "maxmemory": 10**9, "used_memory": 1, "aof_enabled": 1, "role": "master"}
    found = [
        finding
        for finding in check(Facts(good | info, config, skew=skew), parse("redis://127.0.0.1"))
        if finding.status != "ok"
    ]
    assert [(finding.status, words in finding.message) for finding in found] == [(status, True)], found
    assert found[0].fix
