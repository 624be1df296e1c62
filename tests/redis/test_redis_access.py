"""The access list that docs/operations.md gives, and two installations on one Redis."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import redis

from workers.doctor import redis_look
from workers.errors import JobNotFound, RedisUnavailable
from workers.jobs import State

pytestmark = pytest.mark.service

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def the_rule() -> list[str]:
    """The rule as the page gives it, for the user and prefix `phiq`."""
    found = re.search(r"^ACL SETUSER phiq ([^\n]+)$", PAGE.read_text(), re.MULTILINE)
    assert found is not None, "docs/operations.md has no rule"
    return found[1].replace("LONG-RANDOM-WORDS", "secret").split()


@pytest.fixture
def guarded(serve: Callable[..., Any]) -> Any:
    """A Redis whose default user is off, and that knows the user of the page."""
    server = serve(maxmemory="100mb")
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "admin", "on", ">admin", "~*", "&*", "+@all")
        client.execute_command("ACL", "SETUSER", "phiq", *the_rule())
    server.client_options = {"username": "admin", "password": "admin"}
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "off")
        client.execute_command("ACL", "LOG", "RESET")
    return server


def test_with_the_rule_of_the_page_everything_works_and_nothing_is_denied(
    guarded: Any,
    connect: Callable[..., Any],
    start_worker: Callable[..., Any],
    start_beat: Callable[..., Any],
    words: Callable[..., Any],
    wait_until: Callable[..., Any],
) -> None:
    service = connect(f"redis://phiq:secret@127.0.0.1:{guarded.port}/0")
    start_beat(service)
    worker = start_worker(service)
    job = service.submit(words(count=30, rate=30, idempotency_key="once", metadata={"a": "b"})).id
    text = "".join(event.text for event in service.events(job, timeout=30))
    assert service.get(job).result["text"] == text, worker.log.read_text()
    stopped = service.submit(words(count=1000, rate=20)).id
    wait_until(lambda: service.get(stopped).state is State.RUNNING, 20, "it runs")
    service.cancel(stopped)
    assert service.wait(stopped, 20).state is State.CANCELLED
    late = service.submit(words(delay=0.5, expires_in=30)).id
    service.waiting(late)
    assert service.wait(late, 20).state is State.SUCCEEDED
    assert [check.message for check in redis_look.redis(service.settings) if check.status != "ok"] == []
    with guarded.client() as admin:
        assert admin.execute_command("ACL", "LOG") == []


def allowed(admin: redis.Redis, command: str) -> bool:
    for count in range(7):
        try:
            answer = admin.execute_command("ACL", "DRYRUN", "phiq", command, *["phiq:x"] * count)
        except redis.ResponseError:  # it wants as many arguments as the command takes
            continue
        return str(answer) == "OK"
    return pytest.fail(f"no number of arguments fits {command}")


def test_the_rule_allows_every_command_in_our_scripts_and_nothing_that_touches_others(
    guarded: Any, connect: Callable[..., Any]
) -> None:
    lua = resources.files("workers.ledger") / "lua"
    used = {
        command
        for file in lua.iterdir()
        if file.name.endswith(".lua")
        for command in re.findall(r"redis\.p?call\('(\w+)'", file.read_text("utf-8"))
    }
    assert len(used) > 20
    with guarded.client() as admin, guarded.client(username="phiq", password="secret") as ours:
        if "dryrun" in str(admin.execute_command("ACL", "HELP")).lower():
            for command in sorted(used):
                assert allowed(admin, command), command
        admin.set("other:key", "theirs")
        for denied in (
            ("GET", "other:key"),
            ("SET", "other:key", "ours"),
            ("FLUSHALL",),
            ("FLUSHDB",),
            ("KEYS", "*"),
            ("CONFIG", "SET", "maxmemory", "1"),
            ("ACL", "LIST"),
            ("SHUTDOWN", "NOSAVE"),
            ("SUBSCRIBE", "other"),
            ("EVAL", "return redis.call('GET', 'other:key')", "0"),
        ):
            with pytest.raises(redis.ResponseError):
                ours.execute_command(*denied)
        assert admin.get("other:key") == "theirs"


def test_a_wrong_password_and_a_forbidden_command_are_told_apart(
    guarded: Any, connect: Callable[..., Any], words: Callable[..., Any]
) -> None:
    with pytest.raises(RedisUnavailable, match="user or password"):
        connect(f"redis://phiq:wrong@127.0.0.1:{guarded.port}/0").submit(words())
    with guarded.client() as admin:
        admin.execute_command("ACL", "SETUSER", "phiq", "-config", "-info")
    service = connect(f"redis://phiq:secret@127.0.0.1:{guarded.port}/0")
    (check,) = redis_look.redis(service.settings)
    assert (check.status, "info" in check.message.lower()) == ("fail", True)
    assert "operations.md" in check.fix
    with guarded.client() as admin:
        admin.execute_command("ACL", "SETUSER", "phiq", "+info")
    (unknown,) = [check for check in redis_look.redis(service.settings) if check.status != "ok"]
    assert "nknown" in unknown.message


def test_two_prefixes_on_one_redis_do_not_meet(
    serve: Callable[..., Any],
    connect: Callable[..., Any],
    start_worker: Callable[..., Any],
    start_beat: Callable[..., Any],
    words: Callable[..., Any],
) -> None:
    server = serve()
    # One prefix begins like the other.
    ours, theirs = (connect(server.url, key_prefix=prefix) for prefix in ("phiq", "phiq.b"))
    start_beat(ours)
    worker = start_worker(ours, "ours")
    waits = theirs.submit(words(idempotency_key="k")).id
    done = ours.submit(words(idempotency_key="k")).id
    assert ours.wait(done, 30).state is State.SUCCEEDED, worker.log.read_text()
    with pytest.raises(JobNotFound):
        theirs.get(done)
    assert theirs.workers() == []
    assert theirs.waiting(waits).reason == "no_worker"
    assert theirs.get(waits).state is State.QUEUED
    start_worker(theirs, "theirs")
    assert [attempt.worker for attempt in theirs.wait(waits, 30).attempts] == ["theirs"]
    with server.client() as client:
        strange = [key for key in client.scan_iter() if not key.startswith(("phiq:", "phiq.b:"))]
    assert strange == []
