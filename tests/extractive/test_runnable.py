"""A generator of chunks as a LangChain runnable."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agents.contract import Chunk, Result
from agents.runnable import as_runnable
from knowledge.errors import UserError


def _words(text: str) -> Iterator[Chunk]:
    for word in text.split():
        yield Chunk(delta=word + " ")
    yield Chunk(result=Result(text=text))


def test_stream_yields_each_chunk_and_invoke_their_sum() -> None:
    chain = as_runnable(_words, "words")

    chunks = list(chain.stream("one two three"))
    total = chain.invoke("one two three")

    assert [chunk.delta for chunk in chunks] == ["one ", "two ", "three ", ""]
    assert total.delta == "one two three "
    assert total.result is not None
    assert total.result.text == "one two three"


def test_chunks_arrive_before_the_generator_has_ended() -> None:
    seen: list[str] = []

    def steps(_: str) -> Iterator[Chunk]:
        for word in ("a", "b"):
            seen.append(word)
            yield Chunk(delta=word)

    stream = as_runnable(steps, "steps").stream("")
    assert next(iter(stream)).delta == "a"
    assert seen == ["a"]


def test_closing_the_stream_runs_the_generators_finally() -> None:
    closed: list[bool] = []

    def steps(_: str) -> Iterator[Chunk]:
        try:
            while True:
                yield Chunk(delta=".")
        finally:
            closed.append(True)

    stream = as_runnable(steps, "steps").stream("")
    assert next(iter(stream)).delta == "."
    stream.close()  # type: ignore[attr-defined]

    assert closed == [True]


def test_errors_pass_unchanged() -> None:
    def steps(_: str) -> Iterator[Chunk]:
        yield Chunk(delta="x")
        raise UserError("no", hint="do this")

    with pytest.raises(UserError, match="no"):
        as_runnable(steps, "steps").invoke("")
