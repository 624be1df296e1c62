"""One copy of the weights for several workers on a machine: who loads, who joins, and what each one's end costs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from workers.engines.host import claim
from workers.engines.host.frames import greeting, pack
from workers.engines.host.host import Host, HostLimits
from workers.engines.host.protocol import Cancel, Delta, Done, LoadSpec, Request
from workers.errors import EngineDown, EngineLost, EngineNotShared, ModelBroken

ROOT = Path(__file__).resolve().parents[2]
SHORT = Request(tokens=tuple(range(300, 330)), max_tokens=4)
LONG = Request(tokens=tuple(range(300, 330)), max_tokens=4000)

_WORKER = """
import os, sys, threading
from pathlib import Path
from workers.engines.host.host import Host, HostLimits
from workers.engines.host.protocol import Delta, Done, LoadSpec, Request
host = Host(LoadSpec(sys.argv[1], threads=1, max_length=4096), HostLimits(share=Path(sys.argv[2])))
stop = threading.Event()
for line in sys.stdin:
    word = line.split()
    if word[0] == "load":
        host.load(stop)
    elif word[0] == "run":
        stream = host.generate(Request(tokens=tuple(range(300, 330)), max_tokens=int(word[1])), stop)
        next(stream)
    elif word[0] == "rest":
        ids = [number for event in stream if isinstance(event, Delta) for number in event.ids]
        print(len(ids), flush=True)
        continue
    print(host.status().pid, flush=True)
os._exit(0)
"""


class Worker:
    """Another process with a host of its own."""

    def __init__(self, model: Path, share: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(model), str(share)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, *words: object) -> None:
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def heard(self) -> int:
        return int(self.process.stdout.readline())

    def do(self, *words: object) -> int:
        self.tell(*words)
        return self.heard()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def share() -> Iterator[Path]:
    """Short, whatever pytest calls its folders: sockets have their place beside the locks only then."""
    with tempfile.TemporaryDirectory(prefix="phiq-") as folder:
        yield Path(folder, "run", "models")


@pytest.fixture
def worker(tiny: Path, share: Path) -> Iterator[Worker]:
    worker = Worker(tiny, share)
    yield worker
    worker.end()


@pytest.fixture
def hosts(tiny: Path, share: Path) -> Iterator[Callable[..., Host]]:
    """Makes hosts as workers of their own have them: a lock's holder is a process, whoever asks."""
    made: list[Host] = []

    def make(limits: HostLimits | None = None, **changes: object) -> Host:
        spec = replace(LoadSpec(str(tiny), threads=1, max_length=4096), **changes)
        made.append(Host(spec, replace(limits or HostLimits(), share=share)))
        return made[-1]

    yield make
    for host in made:
        host.close()


def _gone(pid: int, seconds: float = 10.0) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        process.wait(seconds)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def _ids(events) -> list[int]:
    return [number for event in events if isinstance(event, Delta) for number in event.ids]


def test_a_second_worker_joins_and_their_runs_share_the_steps(worker, hosts, stop, wait_until):
    pid = worker.do("run", 1500)
    host = hosts()
    stream = host.generate(replace(LONG, max_tokens=2000), stop)
    made = _ids([next(stream)])
    status = host.status()
    assert (status.pid, status.owner) == (pid, worker.process.pid)
    wait_until(lambda: host.status().others == 1, 10, "the other worker's run is seen")
    assert f"joined: worker {worker.process.pid} has it" in host.status().words()
    assert len(made) + len(_ids(stream)) == 2000
    assert worker.do("rest") > 1400
    wait_until(lambda: host.status().others == 0, 10, "its end is seen")
    alone = hosts(HostLimits())
    assert _ids(alone.generate(SHORT, stop)) == _ids(host.generate(SHORT, stop))


def test_a_killed_owner_costs_the_joined_one_an_attempt_and_leaves_nothing_behind(worker, hosts, stop):
    first = worker.do("load")
    host = hosts()
    whole = _ids(host.generate(replace(LONG, max_tokens=1500), stop))
    stream = host.generate(replace(LONG, max_tokens=1500), stop)
    made = _ids([next(stream)])
    assert host.status().pid == first
    os.kill(worker.process.pid, signal.SIGKILL)
    with pytest.raises(EngineLost) as lost:  # noqa: PT012 - it is raised by the loop
        for event in stream:
            made += _ids([event])
    assert lost.value.details["owner"] == worker.process.pid
    assert _gone(first)
    rest = _ids(host.generate(replace(LONG, max_tokens=1500, made=tuple(made)), stop))
    assert 0 < len(made) < 1500
    assert made + rest == whole
    assert host.status().owner is None, "it has the model itself now"
    assert host.status().pid != first


def test_a_joined_worker_that_is_killed_costs_the_owner_nothing(worker, hosts, stop, wait_until):
    host = hosts()
    stream = host.generate(LONG, stop)
    made = _ids([next(stream)])
    assert worker.do("run", 4000) == host.status().pid
    wait_until(lambda: host.status().others == 1, 10, "the other worker's run is seen")
    os.kill(worker.process.pid, signal.SIGKILL)
    wait_until(lambda: host.status().others == 0, 10, "its run was ended")
    assert host.status().running == 1, "at once: ours began before it and goes on"
    assert len(made) + len(_ids(stream)) == 4000
    assert isinstance(list(host.generate(SHORT, stop))[-1], Done)


def test_workers_that_start_at_once_load_one_copy(tiny, share, worker):
    other = Worker(tiny, share)
    try:
        for one in (worker, other):
            one.tell("load")
        assert worker.heard() == other.heard()
    finally:
        other.end()


def test_those_that_joined_meet_again_when_the_owner_is_killed(tiny, share, worker, hosts, stop, wait_until):
    first = worker.do("load")
    other, host = Worker(tiny, share), hosts()
    try:
        assert other.do("run", 4000) == first
        stream = host.generate(LONG, stop)
        next(stream)
        os.kill(worker.process.pid, signal.SIGKILL)
        with pytest.raises(EngineLost):
            list(stream)
        host.load(stop)
        # A process's last thread can keep its sockets open for a moment longer.
        wait_until(lambda: other.do("load") != first, 10, "the other one has noticed too")
        assert other.do("load") == host.status().pid != first
    finally:
        other.end()


def test_an_owner_that_stands_still_holds_up_nobody(worker, hosts, stop, wait_until):
    worker.do("run", 2000)
    host = hosts()
    host.load(stop)
    wait_until(lambda: host.status().others == 1, 10, "the owner's run is seen")
    os.kill(worker.process.pid, signal.SIGSTOP)
    assert (
        sum(
            one.completion_tokens
            for one in host.generate(replace(LONG, max_tokens=2000), stop)
            if isinstance(one, Done)
        )
        == 2000
    )
    os.kill(worker.process.pid, signal.SIGCONT)
    assert worker.do("rest") > 1900


def test_the_lane_and_the_line_are_the_same_for_all_workers(hosts, stop, wait_until):
    first, second = hosts(slots=1), hosts(slots=1)
    stream = first.generate(LONG, stop, batch=True)
    next(stream)
    second.load(stop)
    wait_until(lambda: second.line(batch=True) == "1 in line", 10, "the other worker's run counts")
    assert second.line(batch=False) == "", "batch runs give way, whoever's they are"
    assert isinstance(list(second.generate(SHORT, stop))[-1], Done)
    *_, last = stream
    assert last.completion_tokens == 4000
    assert second.status().pid == first.status().pid


def test_a_model_that_others_use_is_not_unloaded(hosts, stop, wait_until):
    owner = hosts(HostLimits(idle=0.5))
    owner.load(stop)
    joined = hosts(HostLimits(idle=0.5))
    stream = joined.generate(LONG, stop)
    next(stream)
    pid = joined.status().pid
    assert isinstance(list(stream)[-1], Done), "for more than the idle time"
    assert owner.status().pid == pid
    wait_until(lambda: owner.status().state == "idle", 10, "the model is unloaded")
    assert _gone(pid)
    wait_until(lambda: joined.status().state == "idle", 10, "the joined worker has let go of it")
    assert joined.status().message == ""
    assert isinstance(list(joined.generate(SHORT, stop))[-1], Done)
    assert joined.status().owner is None


def test_a_process_that_grew_too_large_sends_the_joined_ones_away_when_their_runs_are_done(hosts, stop, wait_until):
    owner = hosts(HostLimits(ceiling=10**12))
    owner.load(stop)
    joined = hosts()
    long = joined.generate(LONG, stop)
    next(long)
    first = joined.status().pid
    owner._limits = replace(owner._limits, ceiling=1)
    wait_until(lambda: joined._reader.retiring, 10, "the joined worker is told")
    owner._limits = replace(owner._limits, ceiling=0)
    assert isinstance(list(joined.generate(SHORT, stop))[-1], Done)
    assert joined.status().pid != first
    assert sum(event.completion_tokens for event in long if isinstance(event, Done)) == 4000
    assert _gone(first)


def test_who_lends_nothing_joins_what_is_there_and_else_loads_for_itself(hosts, stop):
    alone, owner = hosts(HostLimits(lend=False)), hosts()
    alone.load(stop)
    owner.load(stop)
    assert owner.status().owner is None
    assert owner.status().pid != alone.status().pid
    borrower = hosts(HostLimits(lend=False))
    borrower.load(stop)
    assert borrower.status().pid == owner.status().pid


def test_what_a_killed_process_left_is_taken_over(worker, share, hosts, stop):
    child = worker.do("load")
    os.kill(child, signal.SIGKILL)
    assert _gone(child)
    assert {path.suffix for path in share.iterdir()} == {".lock", ".sock"}
    host = hosts()
    assert isinstance(list(host.generate(SHORT, stop))[-1], Done)
    assert host.status().owner is None
    assert worker.do("run", 3000) == host.status().pid, "the one that lost it joins"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (share, *share.iterdir())] == [0o700, 0o600, 0o600]


def test_a_folder_that_cant_be_written_means_a_copy_of_its_own(tiny, tmp_path, stop, caplog):
    (tmp_path / "run").write_text("a file where the folder should be")
    host = Host(LoadSpec(str(tiny), threads=1, max_length=4096), HostLimits(share=tmp_path / "run"))
    try:
        assert isinstance(list(host.generate(SHORT, stop))[-1], Done)
        assert "for this worker alone" in caplog.text
        assert "not shared" in host.status().words()
    finally:
        host.close()


def test_a_folder_of_another_users_is_not_used(tmp_path, monkeypatch):
    spec = LoadSpec("/models/tiny", threads=1, max_length=64)
    (tmp_path / "models").mkdir(mode=0o755)
    mine = claim.claim(tmp_path / "models", "a", spec, 1.0)
    mine.close()
    assert stat.S_IMODE((tmp_path / "models").stat().st_mode) == 0o700
    monkeypatch.setattr(claim.os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(claim.NotShared, match="belongs to another user"):
        claim.claim(tmp_path / "models", "a", spec, 1.0)


def test_a_path_too_long_for_a_socket_is_no_hindrance(tiny, tmp_path, stop):
    share = tmp_path / ("long" * 30) / "models"
    first, second = (Host(LoadSpec(str(tiny), threads=1, max_length=4096), HostLimits(share=share)) for _ in "12")
    try:
        for host in (first, second):
            host.load(stop)
        assert first.status().pid == second.status().pid
        (record,) = claim.held(share)
        assert len(record.socket) < 100
        assert stat.S_IMODE(Path(record.socket).parent.stat().st_mode) == 0o700
    finally:
        first.close()
        second.close()


def test_other_slots_and_threads_are_taken_as_they_are_and_said(hosts, stop, caplog):
    hosts(slots=3).load(stop)
    host = hosts(slots=5, threads=2, options={"kv_bytes": 10**8})
    host.load(stop)
    assert host.status().slots == 3
    assert "(3 slots, 1 threads), not as set here" in caplog.text


def test_longer_sessions_than_the_copy_has_are_refused_with_the_way_out(hosts, stop):
    hosts(max_length=2048).load(stop)
    host = hosts()
    with pytest.raises(EngineNotShared) as refused:
        host.load(stop)
    assert refused.value.code == "engine_not_shared"
    assert "sessions of 2048 tokens, this one is set to 4096" in refused.value.message
    assert "PHIQ_ONNX_MAX_LENGTH" in refused.value.hint
    assert isinstance(refused.value, EngineDown)
    assert refused.value.transient
    assert host.status().state == "down"


def test_another_version_is_refused_with_the_way_out(hosts, stop, monkeypatch):
    hosts().load(stop)
    monkeypatch.setattr("workers.engines.host.joined.greeting", lambda: b'{"protocol": "of 2031"}')
    monkeypatch.setattr("workers.engines.host.joined.protocol_id", lambda: "of 2031")
    with pytest.raises(EngineNotShared, match="another version of phiq") as refused:
        hosts().load(stop)
    assert str(os.getpid()) in refused.value.hint


def test_another_users_process_is_not_joined(hosts, stop, monkeypatch):
    hosts().load(stop)
    monkeypatch.setattr("workers.engines.host.joined.peer", lambda line: (7, os.getuid() + 1))
    with pytest.raises(EngineNotShared, match="process 7 belongs to another user"):
        hosts().load(stop)


def _connect(share: Path) -> tuple[Connection, socket.socket]:
    (record,) = claim.held(share)
    line = socket.socket(socket.AF_UNIX)
    line.connect(record.socket)
    return Connection(os.dup(line.fileno())), line


class _Harmful:
    def __reduce__(self):
        return (os._exit, (3,))


BAD = [
    [b"no greeting"],
    [json.dumps([1, 2]).encode()],
    [greeting(), b"garbage"],
    [greeting(), pack(_Harmful())],
    [greeting(), pack(["no message"])],
    [greeting(), pack(replace(SHORT, tokens=("a", "b")))],
    [greeting(), pack(replace(SHORT, max_tokens=2**70))],
    [greeting(), pack(replace(SHORT, tokens=None))],
    [greeting(), pack(Cancel("all"))],
]


def test_what_is_no_message_costs_its_sender_the_connection_and_nobody_else_anything(hosts, share, stop):
    host = hosts()
    stream = host.generate(replace(LONG, max_tokens=1000), stop)
    next(stream)
    for frames in BAD:
        pipe, line = _connect(share)
        try:
            for frame in frames:
                pipe.send_bytes(frame)
            with contextlib.suppress(EOFError, OSError):
                while pipe.poll(10):
                    pipe.recv_bytes()
                pytest.fail(f"the connection was not closed: {frames}")
        finally:
            line.close()
            pipe.close()
    assert sum(event.completion_tokens for event in stream if isinstance(event, Done)) == 1000


def test_half_a_frame_holds_up_nobody(hosts, share, stop):
    host = hosts()
    stream = host.generate(replace(LONG, max_tokens=1000), stop)
    next(stream)
    for part in (b"", b"\x00\x00", b"\x00\x00\x10\x00half a frame", b"\x7f\xff\xff\xff"):
        pipe, line = _connect(share)
        pipe.send_bytes(greeting())
        line.sendall(part)
        assert isinstance(list(host.generate(SHORT, stop))[-1], Done)
        line.close()
        pipe.close()
    assert sum(event.completion_tokens for event in stream if isinstance(event, Done)) == 1000


def test_a_worker_that_reads_nothing_holds_up_nobody(hosts, share, stop):
    host = hosts()
    host.load(stop)
    pipe, line = _connect(share)
    pipe.send_bytes(greeting())
    pipe.send_bytes(pack(replace(LONG, max_tokens=1500)))  # more pieces than the socket's buffer takes
    assert isinstance(list(host.generate(replace(LONG, max_tokens=2000), stop))[-1], Done)
    line.close()
    pipe.close()


def test_a_process_that_hangs_is_ended_by_a_joined_worker_too(worker, hosts, stop):
    worker.do("load")
    host = hosts(HostLimits(silence=0.5))
    stream = host.generate(LONG, stop)
    next(stream)
    host._reader._silence = 0.5  # not the owner's two minutes
    first = host.status().pid
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(Exception, match="gave nothing"):
        list(stream)
    assert _gone(first)
    assert isinstance(list(host.generate(SHORT, stop))[-1], Done)


def test_a_broken_model_is_told_to_all_and_locks_nobody_out(broken_copy, hosts, stop, capfd):
    (broken_copy / "model.onnx").write_bytes(b"not a graph")
    problems: list[object] = []

    def load(host: Host) -> None:
        try:
            host.load(stop)
        except ModelBroken as error:
            problems.append(error)

    threads = [threading.Thread(target=load, args=(hosts(folder=str(broken_copy)),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(problems) == 3


def test_a_worker_that_closes_while_it_waits_for_another_ones_model_comes_back(tiny, share, hosts, stop, wait_until):
    spec = LoadSpec(str(tiny), threads=1, max_length=4096)
    mine = claim.claim(share, claim.key_of(spec), spec, 1.0)
    host = hosts()
    caught: list[BaseException] = []

    def load() -> None:
        try:
            host.load(stop)
        except EngineDown as error:
            caught.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    wait_until(lambda: host.status().state == "loading", 10, "it waits")
    host.close()
    thread.join(10)
    mine.close()
    assert len(caught) == 1


def test_other_files_in_the_folder_are_another_model(broken_copy):
    spec = LoadSpec(str(broken_copy), threads=1, max_length=4096)
    before = claim.key_of(spec)
    assert claim.key_of(replace(spec, slots=9, threads=9, options={"kv_bytes": 5})) == before
    assert claim.key_of(replace(spec, provider="cuda")) != before
    (broken_copy / "tokenizer.json").write_text("{}")
    assert claim.key_of(spec) != before
