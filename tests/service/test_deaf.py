"""A worker that lives but gets no messages notices it, and ends so that its supervisor starts it anew."""

from __future__ import annotations

import pytest

from workers.errors import RedisUnavailable
from workers.jobs import State
from workers.lifecycle import canary


@pytest.mark.service
@pytest.mark.parametrize("fault", ["hung_loop", "silent_consumer"])
def test_a_deaf_worker_ends_with_its_own_code_and_gives_its_jobs_back(
    service, start_worker, complete, streaming, outcomes, fault
):
    worker = start_worker("w1", odd=fault, canary_seconds=0.5, drain_seconds=0.2)
    job_id = streaming(complete(model="fake:words?count=60&rate=20"))
    worker.misbehave()
    assert worker.process.wait(30) == canary.EXIT_DEAF, worker.log.read_text()
    assert "no message" in worker.log.read_text() or "Messages do not reach" in worker.log.read_text()
    assert outcomes(job_id) == [("w1", "released")]
    start_worker("w2")
    assert service.wait(job_id, 30).state is State.SUCCEEDED


@pytest.mark.service
def test_a_worker_without_a_free_slot_is_not_taken_for_deaf(service, start_worker, complete, outcomes, wait_until):
    start_worker(slots=1, canary_seconds=0.4)
    wait_until(lambda: service.workers()[0].heard_ago is not None, 10, "its own message heard")
    job_id = service.submit(complete(model="fake:words?count=60&rate=20")).id
    assert service.wait(job_id, 30).state is State.SUCCEEDED
    assert outcomes(job_id) == [("w1", "succeeded")]
    info = wait_until(lambda: next((i for i in service.workers() if i.heard_ago < 1.0), None), 10, "heard again")
    assert (info.draining, info.broker_error) == (False, "")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def ear(monkeypatch):
    """A canary with a clock that stands still: (canary, the messages it sent, look after so many seconds)."""
    clock, sent = Clock(), []
    monkeypatch.setattr(canary, "time", clock)
    made = canary.Canary(10.0, lambda: sent.append(clock.now))

    def look(after: float, free: bool = True) -> bool:
        clock.now += after
        return made.look(free)

    return made, sent, look


def test_silence_is_broken_by_a_message_to_itself_and_an_answer_is_enough(ear):
    made, sent, look = ear
    answered = 0
    for _ in range(30):
        assert not look(5)
        if len(sent) > answered:
            answered += 1
            made.heard()
    assert answered == 15
    assert not any(look(5) for _ in range(8)), "and then 40 s without"
    assert look(5)


def test_time_without_a_free_slot_does_not_count(ear):
    _, sent, look = ear
    assert not any(look(5, free=False) for _ in range(100))
    assert sent == []
    assert not any(look(5) for _ in range(8))


def test_a_frozen_process_is_given_time_to_hear_what_waits(ear):
    _, _, look = ear
    assert not any(look(5) for _ in range(8))
    assert not look(3600)
    assert not any(look(5) for _ in range(8))
    assert look(5)


def test_an_outage_of_the_broker_is_no_deafness(ear, monkeypatch):
    made, _, look = ear

    def refuse() -> None:
        raise RedisUnavailable("Away.")

    monkeypatch.setattr(made, "_send", refuse)
    for _ in range(50):
        try:
            assert not look(5)
        except RedisUnavailable:
            continue
