"""Fields are told apart by their names; where two share one, each has its own way in."""

from __future__ import annotations

from typing import Any

from gateway.shorthand import build_job


def attach(_: Any) -> Any:
    raise AssertionError("nothing is attached here")


def test_chats_top_k_is_passages_and_the_generation_option_has_a_name_of_its_own() -> None:
    job = build_job("chat", "why?", attach, top_k=3, sample_top_k=40)
    assert job.kind == "chat"
    assert (job.input.top_k, job.options.top_k) == (3, 40)


def test_elsewhere_top_k_is_the_generation_option() -> None:
    assert build_job("complete", "once", attach, top_k=40).options.top_k == 40
