"""How an agent, written as a plain generator, becomes a LangChain runnable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from agents.contract import Chunk

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

In = TypeVar("In")


def as_runnable(steps: Callable[[In], Iterator[Chunk]], name: str) -> Runnable[In, Chunk]:
    """A runnable whose ``stream`` yields what ``steps`` yields, as it comes, and whose ``invoke`` adds it up.

    Closing the stream closes ``steps``: its ``finally`` blocks run, and with them those of the model call it is
    waiting on. Chat models called inside inherit the runnable's callbacks and configuration.

    Args:
        steps: A generator function from one input to chunks; the last chunk carries the result.
        name: What traces call the runnable.
    """
    from langchain_core.runnables import RunnableGenerator

    def transform(inputs: Iterator[In]) -> Iterator[Chunk]:
        for value in inputs:
            yield from steps(value)

    return RunnableGenerator(transform, name=name)
