"""Asking a set: a few jobs at a time, what may pass is asked again, and what is under way is cancelled at an end."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from agents.contract import Result
from knowledge.errors import ServiceError
from workers.evals.answers import Answers
from workers.evals.drive import AT_ONCE, ask_all
from workers.evals.load import About, EvalSet
from workers.evals.records import RECORD


class Busy(ServiceError):
    code = "busy"
    transient = True


class Handle:
    def __init__(self, door, body):
        self.door, self.body, self.cancelled = door, body, False

    @property
    def record(self):
        began = datetime(2026, 1, 1, tzinfo=UTC)
        return SimpleNamespace(started_at=began, finished_at=began + timedelta(seconds=2))

    def result(self, timeout=None):
        self.door.running -= 1
        if error := self.door.errors.pop(self.body["text"], None):
            raise error
        return Result(text=self.body["text"].upper())

    def cancel(self):
        self.cancelled = True


class Door:
    def __init__(self, **errors):
        self.errors, self.handles, self.running, self.most, self.fields = errors, [], 0, 0, []

    def submit(self, kind, content, **fields):
        self.running += 1
        self.most = max(self.most, self.running)
        self.handles.append(Handle(self, content))
        self.fields.append((kind, fields))
        return self.handles[-1]


def eval_set(folder, count, **more):
    rows = [{"task": "translate", "id": f"r{at}", "source": f"r{at}", "target": "de", **more} for at in range(count)]
    return EvalSet("s", folder, About(), tuple(map(RECORD.validate_python, rows)), "")


def test_jobs_go_in_order_a_few_at_a_time_with_their_options(tmp_path):
    door = Door()
    chosen = eval_set(tmp_path, 3 * AT_ONCE, options={"top_k": 4}, input={"source": "en"})
    answers = list(ask_all(door, chosen, "c", "m", Answers(tmp_path / "a.jsonl")))
    assert [answer.result["text"] for answer in answers] == [f"R{at}" for at in range(3 * AT_ONCE)]
    assert door.most == AT_ONCE
    assert answers[0].seconds == 2
    assert door.fields[0] == ("translate", {"model": "m", "lane": "batch", "sample_top_k": 4})
    assert door.handles[0].body == {"text": "r0", "target": "de", "source": "en"}


def test_what_failed_for_now_is_asked_again_and_other_failures_are_kept(tmp_path):
    door = Door(r0=Busy("later"), r1=ServiceError("broken"))
    chosen, path = eval_set(tmp_path, 3), tmp_path / "a.jsonl"
    first = list(ask_all(door, chosen, "c", "m", Answers(path)))
    assert [(answer.error or {}).get("code") for answer in first] == ["busy", "internal", None]
    kept = Answers(path)
    second = list(ask_all(door, chosen, "c", "m", kept))
    assert [answer.result is None for answer in second] == [False, True, False]
    assert (len(door.handles), kept.reused) == (4, 2)
    assert len(list(ask_all(door, chosen, "other", "m2", Answers(path)))) == 3
    assert len(door.handles) == 7


def test_an_interrupt_cancels_what_is_under_way_and_keeps_what_came(tmp_path):
    door = Door(r1=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        list(ask_all(door, eval_set(tmp_path, 4), "c", "m", Answers(tmp_path / "a.jsonl")))
    assert [handle.cancelled for handle in door.handles] == [False, True, True, True]
    assert (tmp_path / "a.jsonl").read_text().count("\n") == 1
