"""Whose turn it is at a model: those that people wait for before batch ones."""

from __future__ import annotations

import threading

import pytest

from agents.errors import Interrupted
from workers.engines.host.protocol import Done, Request
from workers.engines.host.turns import Turns
from workers.errors import EngineDown


@pytest.fixture
def line():
    """Let runs stand in line and note the order in which they get their turn."""
    turns, order, threads = Turns("m", 64), [], []

    def enter(name: str, *, batch: bool) -> None:
        ticket = turns.join(batch=batch)

        def run() -> None:
            with turns.hold(ticket, threading.Event()):
                order.append(name)

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    def end() -> list[str]:
        for thread in threads:
            thread.join(10)
        assert not turns.busy
        return order

    return turns, enter, end


def test_batch_runs_wait_for_the_others_and_nobody_is_sent_away(line):
    turns, enter, end = line
    with turns.hold(turns.join(batch=True), threading.Event()):
        for name in ("b1", "i1", "b2", "i2"):
            enter(name, batch=name[0] == "b")
        assert turns.waiting == 4
    assert end() == ["i1", "i2", "b1", "b2"]


def test_who_gives_up_in_line_or_never_comes_blocks_nobody(line):
    turns, enter, end = line
    stop = threading.Event()
    with turns.hold(turns.join(), threading.Event()):
        never, given_up = turns.join(), turns.join()
        enter("b", batch=True)
        turns.leave(never)
        stop.set()
        with pytest.raises(Interrupted), turns.hold(given_up, stop):
            pass
    assert end() == ["b"]


def test_the_line_is_bounded_whoever_stands_in_it():
    turns = Turns("m", 1)
    turns.join()
    turns.join(batch=True)
    with pytest.raises(EngineDown):
        turns.join()


def test_in_the_engine_a_job_overtakes_batch_jobs_but_not_the_one_that_runs(host, stop, wait_until):
    prompt = tuple(range(300, 330))
    running = host.generate(Request(tokens=prompt, max_tokens=1500), stop, batch=True)
    next(running)
    order, threads = [], []

    def read(name: str) -> None:
        for event in host.generate(Request(tokens=prompt, max_tokens=20), stop, batch=name == "batch"):
            if isinstance(event, Done):
                order.append(name)

    for waiting, name in enumerate(("batch", "chat"), 1):
        threads.append(threading.Thread(target=read, args=(name,)))
        threads[-1].start()
        wait_until(lambda waiting=waiting: host.status().waiting == waiting, 10)
    *_, last = running
    assert last.completion_tokens == 1500, "it ran to its end"
    for thread in threads:
        thread.join(20)
    assert order == ["chat", "batch"]
