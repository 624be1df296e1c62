"""The gate of a worker: any jobs together, or one alone."""

from __future__ import annotations

import threading

import pytest

from workers.lifecycle.gate import Gate


@pytest.fixture
def inside():
    """Start threads that go in and stay until told: (begin, leave); all have ended in the end."""
    leave = threading.Event()
    threads = []

    def begin(entrance):
        entered, answer = threading.Event(), []

        def work():
            with entrance as let_in:
                answer.append(let_in)
                entered.set()
                leave.wait(20)

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return entered, answer

    yield begin, leave
    leave.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def never() -> bool:
    return False


def test_any_number_share_and_one_goes_in_alone_when_they_have_left(inside):
    begin, leave = inside
    gate = Gate()
    for _ in range(3):
        entered, answer = begin(gate.shared(20, never))
        assert entered.wait(5)
        assert answer == [True]
    alone, _ = begin(gate.apart("s", 20, never))
    assert not alone.wait(0.2)
    assert gate.alone == "s"
    newcomer, _ = begin(gate.shared(20, never))
    assert not newcomer.wait(0.2), "who wants to be alone keeps newcomers out while it waits"
    leave.set()
    assert alone.wait(5)
    assert newcomer.wait(5)
    assert gate.alone == ""


def test_while_one_is_alone_nobody_comes_in_and_a_second_is_refused(inside):
    begin, _ = inside
    gate = Gate()
    entered, answer = begin(gate.apart("s", 20, never))
    assert entered.wait(5)
    assert answer == [True]
    for entrance in (gate.shared(0.1, never), gate.shared(20, lambda: True), gate.apart("t", 20, never)):
        with entrance as let_in:
            assert not let_in
    assert gate.alone == "s"


def test_waiting_to_be_alone_ends_in_time_and_when_it_is_told_to(inside):
    begin, _ = inside
    gate = Gate()
    entered, _ = begin(gate.shared(20, never))
    assert entered.wait(5)
    for entrance in (gate.apart("s", 0.1, never), gate.apart("s", 20, lambda: True)):
        with entrance as let_in:
            assert not let_in
        assert gate.alone == ""
    with gate.shared(0, never) as let_in:
        assert let_in, "open again"
