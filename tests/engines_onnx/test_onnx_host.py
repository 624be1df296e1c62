"""The child process: its life and its deaths, and what a broken folder does to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from agents.errors import Interrupted
from workers.engines.host import memory
from workers.engines.host.failures import trouble_of
from workers.engines.host.host import Host, HostLimits
from workers.engines.host.protocol import Delta, Done, LoadSpec, Request, Waiting
from workers.engines.onnx.folder import ModelFolder
from workers.errors import EngineDown, EngineLost, EngineTimeout, ModelBroken, ModelTooLarge

ROOT = Path(__file__).resolve().parents[2]
SHORT = Request(tokens=tuple(range(300, 330)), max_tokens=4)
LONG = Request(tokens=tuple(range(300, 330)), max_tokens=4000)


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


def test_its_life_is_told(host, stop):
    assert host.status().state == "idle"
    seen = set()
    watching = threading.Event()

    def watch() -> None:
        while not watching.is_set():
            seen.add(host.status().state)

    watcher = threading.Thread(target=watch)
    watcher.start()
    host.load(stop)
    watching.set()
    watcher.join(5)
    assert "loading" in seen
    assert host.status().state == "ready"
    pid = host.status().pid
    host.close()
    host.close()
    assert host.status().state == "down"
    assert _gone(pid)
    with pytest.raises(EngineDown):
        next(host.generate(SHORT, stop))


def test_a_killed_child_costs_one_run_and_the_next_gets_a_new_one(host, stop):
    stream = host.generate(LONG, stop)
    next(stream)
    first = host.status().pid
    os.kill(first, signal.SIGKILL)
    with pytest.raises(EngineLost) as lost:
        list(stream)
    assert lost.value.details["signal"] == "SIGKILL"
    assert lost.value.transient
    assert host.status().state == "down"
    events = list(host.generate(SHORT, stop))
    assert isinstance(events[-1], Done)
    assert host.status().pid != first


def test_a_child_killed_between_runs_costs_none(host, stop, wait_until):
    host.load(stop)
    pid = host.status().pid
    os.kill(pid, signal.SIGKILL)
    # Dead to its parent only when its last thread has ended, which can be later than it is seen as a zombie.
    wait_until(lambda: host.status().state != "ready", 10, "the host knows that its child is gone")
    assert isinstance(list(host.generate(SHORT, stop))[-1], Done)


def test_runs_in_line_survive_the_death_of_those_before(single, stop, wait_until):
    stream = single.generate(LONG, stop)
    next(stream)
    assert single.line(batch=True) == "1 in line"
    results: list[object] = []
    places: list[Waiting] = []
    waiter = threading.Thread(target=lambda: results.extend(single.generate(SHORT, stop, told=places.append)))
    waiter.start()
    wait_until(lambda: single.status().waiting, 10, "a run in line")
    assert single.status().words() == "sessions of 4096 tokens together; 1 of 1 slots used; 1 waiting"
    assert single.line(batch=True) == "2 in line"
    os.kill(single.status().pid, signal.SIGKILL)
    with pytest.raises(EngineLost):
        list(stream)
    waiter.join(20)
    assert isinstance(results[-1], Done)
    assert {wait.place for wait in places} == {1}


def test_batch_runs_hold_up_nobody_else(single, stop):
    assert single.line(batch=True) == ""
    stream = single.generate(LONG, stop, batch=True)
    next(stream)
    assert single.line(batch=True) == "1 in line"
    assert single.line(batch=False) == ""
    assert isinstance(list(single.generate(SHORT, stop))[-1], Done)
    *_, last = stream
    assert last.completion_tokens == 4000, "it gave way and went on"


def test_a_dead_child_costs_all_its_runs_and_each_goes_on_from_its_tokens(host, stop):
    requests = [Request(tokens=tuple(range(300, 330 + part)), max_tokens=1500) for part in range(3)]
    whole = [_ids(host.generate(request, stop)) for request in requests]
    streams = [host.generate(request, stop) for request in requests]
    made: list[list[int]] = [list(next(stream).ids) for stream in streams]
    assert host.status().running == 3
    os.kill(host.status().pid, signal.SIGKILL)
    for stream, ids in zip(streams, made, strict=True):
        with pytest.raises(EngineLost):  # noqa: PT012 - it is raised by the loop
            for event in stream:
                ids += event.ids
    for request, ids, expected in zip(requests, made, whole, strict=True):
        assert 0 < len(ids) < 1500
        assert ids + _ids(host.generate(replace(request, made=tuple(ids)), stop)) == expected


def _ids(events) -> list[int]:
    return [number for event in events if isinstance(event, Delta) for number in event.ids]


def test_each_death_in_a_row_makes_the_next_start_wait_longer(host, stop):
    pauses = []
    for _ in range(3):
        host.load(stop)
        stream = host.generate(LONG, stop)
        next(stream)
        os.kill(host.status().pid, signal.SIGKILL)
        with pytest.raises(EngineLost):
            list(stream)
        pauses.append(host._not_before - time.monotonic())
    assert pauses[0] < pauses[1] < pauses[2]
    list(host.generate(SHORT, stop))
    assert host._deaths == 0


def test_signals_to_the_whole_group_leave_the_child_alone(host, stop):
    host.load(stop)
    pid = host.status().pid
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert isinstance(list(host.generate(SHORT, stop))[-1], Done)
    assert host.status().pid == pid


_PARENT = """
import sys, threading
from workers.engines.host.host import Host
from workers.engines.host.protocol import LoadSpec, Request
host = Host(LoadSpec(sys.argv[1], threads=1, max_length=4096))
host.load(threading.Event())
stream = host.generate(Request(tokens=(300,) * 30, max_tokens=4000), threading.Event())
if sys.argv[2] == "running":
    next(stream)
print(host.status().pid, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("state", ["idle", "running"])
@pytest.mark.parametrize("end", ["SIGKILL", "exit"])
def test_the_child_ends_with_its_parent(tiny, state, end):
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tiny), state],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        hosted = psutil.Process(int(parent.stdout.readline()))
        assert hosted.ppid() == parent.pid
        if end == "SIGKILL":
            os.kill(parent.pid, signal.SIGKILL)
        else:
            parent.stdin.write("\n")
            parent.stdin.flush()
        parent.wait(20)
        assert _gone(hosted.pid)
    finally:
        if parent.poll() is None:
            parent.kill()
        parent.wait(10)
        parent.stdin.close()
        parent.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere SIGIO ends no process; the inbox's thread does")
def test_a_dead_parent_ends_a_child_whose_library_holds_the_gil():
    ours, theirs = socket.socketpair()
    # A match that never ends holds the GIL as a library that loads gigabytes does.
    code = "import re, sys; from workers.engines.host.child import end_with; end_with(int(sys.argv[1]))\n"
    code += "print('busy', flush=True); re.match('(a+)+$', 'a' * 60 + 'b')"
    busy = subprocess.Popen(
        [sys.executable, "-c", code, str(theirs.fileno())],
        cwd=ROOT,
        pass_fds=[theirs.fileno()],
        stdout=subprocess.PIPE,
    )
    theirs.close()
    try:
        assert busy.stdout.readline() == b"busy\n"
        assert busy.poll() is None
        ours.close()
        assert busy.wait(10) == -signal.SIGIO
    finally:
        if busy.poll() is None:
            busy.kill()
            busy.wait(10)
        busy.stdout.close()


def test_a_reader_that_stands_still_holds_up_nobody(host, stop):
    forgotten = host.generate(Request(tokens=SHORT.tokens, max_tokens=200), stop)
    next(forgotten)
    assert isinstance(list(host.generate(SHORT, stop))[-1], Done)
    assert sum(isinstance(event, Done) for event in forgotten) == 1


def test_a_child_that_gives_nothing_is_ended(tiny, stop):
    host = Host(LoadSpec(str(tiny), threads=1, max_length=4096), HostLimits(silence=0.5))
    try:
        stream = host.generate(LONG, stop)
        next(stream)
        pid = host.status().pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(EngineTimeout):
            list(stream)
        assert _gone(pid)
        assert isinstance(list(host.generate(SHORT, stop))[-1], Done)
    finally:
        host.close()


def test_stop_while_the_prompt_is_read(host, stop):
    host.load(stop)
    prompt = Request(tokens=(300,) * 4000, max_tokens=4)
    caught: list[BaseException] = []

    def run() -> None:
        try:
            list(host.generate(prompt, stop))
        except Interrupted as signal_:
            caught.append(signal_)

    thread = threading.Thread(target=run)
    thread.start()
    stop.set()
    thread.join(10)
    assert len(caught) == 1
    assert isinstance(list(host.generate(SHORT, threading.Event()))[-1], Done)


def test_stop_while_waiting_in_line_and_while_loading(single, stop):
    other = threading.Event()
    threading.Timer(0.02, other.set).start()
    with pytest.raises(Interrupted):
        single.load(other)
    first = single.generate(LONG, stop)
    next(first)
    impatient = threading.Event()
    impatient.set()
    with pytest.raises(Interrupted):
        next(single.generate(SHORT, impatient))
    first.close()
    assert isinstance(list(single.generate(SHORT, stop))[-1], Done)


def test_a_full_line_refuses(tiny, stop, wait_until):
    host = Host(LoadSpec(str(tiny), threads=1, max_length=4096, slots=1), HostLimits(waiting=0))
    try:
        first = host.generate(LONG, stop)
        next(first)
        with pytest.raises(EngineDown, match="no room"):
            next(host.generate(SHORT, stop))
        first.close()
        wait_until(lambda: not host.status().running, 10, "the closed run gives its slot back")
        assert isinstance(list(host.generate(SHORT, stop))[-1], Done)
    finally:
        host.close()


def test_a_run_the_library_refuses_costs_only_itself(host, stop, capfd):
    with pytest.raises(Exception, match="refused the run") as failed:
        list(host.generate(Request(tokens=(10**6,), max_tokens=2), stop))
    assert failed.value.code == "engine_protocol"
    pid = host.status().pid
    assert isinstance(next(host.generate(SHORT, stop)), Delta)
    assert host.status().pid == pid


def _truncate(folder: Path) -> None:
    weights = folder / "model.onnx.data"
    os.truncate(weights, weights.stat().st_size // 2)


@pytest.mark.parametrize(
    "harm",
    [
        _truncate,
        lambda folder: (folder / "model.onnx.data").unlink(),
        lambda folder: (folder / "model.onnx").write_bytes(b"not a graph"),
        lambda folder: (folder / "model.onnx").unlink(),
        lambda folder: (folder / "tokenizer.json").unlink(),
        lambda folder: (folder / "genai_config.json").write_text("{", "utf-8"),
    ],
    ids=["truncated", "no weights", "garbage graph", "no graph", "no tokenizer", "bad config"],
)
def test_a_broken_folder_is_said_with_its_reason(broken_copy, harm, stop, capfd):
    harm(broken_copy)
    host = Host(LoadSpec(str(broken_copy), threads=1, max_length=4096))
    try:
        with pytest.raises(ModelBroken) as broken:
            host.load(stop)
        assert str(broken_copy) in broken.value.message
        assert broken.value.hint
        assert host.status().state == "down"
    finally:
        host.close()


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("std::bad_alloc"), "memory"),
        (RuntimeError("BFCArena: Failed to allocate memory for requested buffer of size 99"), "memory"),
        (RuntimeError("no such operator"), "broken"),
    ],
)
def test_the_librarys_words_for_no_memory_are_understood(error, trouble):
    assert trouble_of(error, "broken") == trouble


def test_what_is_no_model_folder_is_said_before_a_process_starts(tmp_path):
    with pytest.raises(ModelBroken, match=r"genai_config\.json is missing"):
        ModelFolder.read(tmp_path)
    (tmp_path / "genai_config.json").write_text('{"model": {}}', "utf-8")
    with pytest.raises(ModelBroken, match="lacks what a text model needs"):
        ModelFolder.read(tmp_path)


def test_a_model_above_the_free_memory_is_not_loaded(tiny, stop):
    host = Host(LoadSpec(str(tiny), threads=1, max_length=4096), HostLimits(memory=10**15))
    with pytest.raises(ModelTooLarge) as large:
        host.load(stop)
    assert large.value.details["needed"] == 10**15
    assert host.status().pid is None
    host.close()


def test_a_model_that_nobody_needs_is_unloaded_and_loaded_again(tiny, stop, wait_until):
    host = Host(LoadSpec(str(tiny), threads=1, max_length=4096), HostLimits(idle=0.5))
    try:
        first = _ids(host.generate(SHORT, stop))
        pid = host.status().pid
        wait_until(lambda: host.status().state == "idle", 10, "the model is unloaded")
        assert _gone(pid)
        assert _ids(host.generate(SHORT, stop)) == first
        assert host._deaths == 0
        busy = host.generate(replace(LONG, max_tokens=3000), stop)
        pid = host.status().pid
        *_, last = busy
        assert last.completion_tokens == 3000, "however long a run takes"
    finally:
        host.close()


def test_a_child_that_grew_too_large_is_replaced_when_its_runs_are_done(tiny, stop, wait_until):
    host = Host(LoadSpec(str(tiny), threads=1, max_length=4096), HostLimits(ceiling=1))
    try:
        long = host.generate(LONG, stop)
        next(long)
        first = host.status().pid
        wait_until(lambda: host._reader.retiring, 10, "the ceiling is seen")
        assert isinstance(list(host.generate(SHORT, stop))[-1], Done)
        assert host.status().pid != first
        assert sum(event.completion_tokens for event in long if isinstance(event, Done)) == 4000
    finally:
        host.close()


def test_a_containers_limit_counts(tmp_path):
    (tmp_path / "memory.max").write_text("3000000\n", "ascii")
    (tmp_path / "memory.current").write_text("1000000\n", "ascii")
    assert memory.available_memory(tmp_path) == 2_000_000
    (tmp_path / "memory.max").write_text("max\n", "ascii")
    assert memory.available_memory(tmp_path) > 2_000_000


def test_the_child_imports_little():
    names = "workers.engines.host.child, workers.engines.host.scheduler, workers.engines.host.backends.genai"
    code = f"import sys, {names}; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "workers.engines.host.child" in loaded
    assert not loaded & {"langchain_core", "pydantic", "celery", "redis", "onnxruntime", "numpy", "httpx", "tokenizers"}
