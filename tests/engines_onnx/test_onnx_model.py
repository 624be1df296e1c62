"""What the child runs, here in the test's own process: cancel in the prompt, decoding, limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.engines.host.backends.genai import CHUNK, GenAI
from workers.engines.host.protocol import Cancelled, Delta, Done, LoadSpec, Prefilled, Request
from workers.engines.host.writer import Writer
from workers.engines.hosted.encode import PromptEncoder


@pytest.fixture(scope="module")
def model(tiny: Path) -> GenAI:
    return GenAI(LoadSpec(str(tiny), threads=1, max_length=4096))


def _say(model: GenAI, ids: list[int], **options: object) -> list[Delta | Done]:
    writer = Writer(Request(tokens=(1,), max_tokens=100, **options), model.text(), model.ends)
    return [event for token in ids for event in writer.add(token)] + writer.end()


def test_a_cancel_while_the_prompt_is_read_ends_it_after_one_chunk(model, drive):
    asked = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 3

    events = list(drive(model, Request(tokens=(300,) * 2000, max_tokens=100, id=7), cancelled))
    assert events == [*(Prefilled(7, CHUNK * part, 2000) for part in (1, 2, 3)), Cancelled(7)]


def test_a_cancel_between_tokens_ends_the_run_at_the_next(model, drive):
    seen = []
    for event in drive(model, Request(tokens=(300, 301), max_tokens=3000), lambda: len(seen) >= 4):
        seen.append(event)
    assert isinstance(seen[-1], Cancelled)
    assert len(seen) == 5


def test_reading_in_chunks_changes_nothing(model, drive, monkeypatch):
    request = Request(tokens=tuple(range(300, 700)), max_tokens=30)
    chunked = [event for event in drive(model, request) if not isinstance(event, Prefilled)]
    monkeypatch.setattr("workers.engines.host.backends.genai.CHUNK", 4096)
    assert [event for event in drive(model, request) if not isinstance(event, Prefilled)] == chunked


def test_reading_in_chunks_changes_nothing_up_to_the_turning_point_of_scaled_positions(longrope, drive, monkeypatch):
    model = GenAI(LoadSpec(str(longrope), threads=1, max_length=4096))
    request = Request(tokens=tuple(300 + place % 350 for place in range(3999)), max_tokens=97)
    chunked = [event for event in drive(model, request) if not isinstance(event, Prefilled)]
    assert chunked[-1] == Done(0, "length", 3999, 97)
    monkeypatch.setattr("workers.engines.host.backends.genai.CHUNK", 4096)
    assert [event for event in drive(model, request) if not isinstance(event, Prefilled)] == chunked


@pytest.mark.parametrize("text", ["你好 🙂", "𝄞𝄢 a𝄞", "ñandú — ж", "x"])
def test_characters_of_several_tokens_come_out_whole(model, tiny, text):
    ids = PromptEncoder(tiny).encode_text(text)
    events = _say(model, ids)
    deltas = [event.text for event in events if isinstance(event, Delta)]
    assert "".join(deltas).strip() == text
    assert not any("\ufffd" in delta for delta in deltas)
    assert all(deltas)


@pytest.mark.parametrize("marker", ["<|end|>", "<|endoftext|>"])
def test_every_end_marker_of_the_model_ends_the_run_unseen(model, tiny, marker):
    encoder = PromptEncoder(tiny)
    ids = [*encoder.encode_text("done"), encoder._controls[marker]["id"], *encoder.encode_text("more")]
    events = _say(model, ids, stop=("donex",))
    assert "".join(event.text for event in events if isinstance(event, Delta)).strip() == "done"
    assert events[-1] == Done(0, "stop", 1, len(ids) - len(encoder.encode_text("more")))
