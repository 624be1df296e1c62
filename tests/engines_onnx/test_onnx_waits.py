"""What a run is told of its place in line."""

from __future__ import annotations

from agents.contract import Chunk, Progress
from workers.engines.base import EngineURI
from workers.engines.host.protocol import Waiting
from workers.engines.hosted.waits import Waits
from workers.standing import Standing


def test_places_are_told_when_they_change_and_once_a_second_at_most():
    said: list[str] = []
    now = [0.0]
    waits = Waits(said.append, clock=lambda: now[0])
    waits.waiting(Waiting(1, 3))
    assert said == [], "a run that starts at once has not waited"
    for second, event in (
        (1.0, Waiting(1, 3)),
        (1.4, Waiting(1, 2, 8.2)),
        (2.0, Waiting(1, 2, 8.2)),
        (9.0, Waiting(1, 2, 8.2)),
    ):
        now[0] = second
        waits.waiting(event)
    assert said == ["3 in line", "2 in line, about 8 s"]
    waits.begun()
    waits.begun()
    assert said[2:] == [""]


def test_a_wait_hides_nothing_of_how_far_the_job_was():
    told: list[Progress] = []
    standing = Standing(EngineURI("onnx", "tiny"), told.append)
    standing.see(Chunk(progress=Progress(done=3, total=9, note="part 4")))
    standing.told("1 in line")
    standing.told("")
    assert told == [
        Progress(done=3, total=9, note="waiting for onnx:tiny: 1 in line"),
        Progress(done=3, total=9, note="part 4"),
    ]
