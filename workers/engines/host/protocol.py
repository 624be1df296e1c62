"""What goes over the pipe between a worker and its model's process: token ids in, text out.

Both ends import this and little else, so the child starts fast. Nothing here is meant for a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length"]
Trouble = Literal["broken", "memory", "refused"]


@dataclass(frozen=True)
class LoadSpec:
    """Which model to load and how.

    ``threads`` is always explicit: left to itself the library takes one on some machines. ``max_length`` bounds a
    session in tokens (prompt and answer); left to itself the library allocates for the model's whole context.
    ``bos`` is any valid token id, for the warm-up.
    """

    folder: str
    threads: int
    max_length: int
    provider: str = "cpu"
    bos: int = 1


@dataclass(frozen=True)
class Request:
    """One run. ``temperature`` 0 is greedy; ``top_k`` 0 and ``top_p`` 1 are off; ``seed`` is below 2**31.

    ``made`` are tokens of the answer that an earlier run made: this one goes on behind them. They count as its own.
    """

    tokens: tuple[int, ...]
    max_tokens: int
    made: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    id: int = 0


@dataclass(frozen=True)
class Cancel:
    """Asks the child to end a run at its next step; unknown ids are ignored."""

    id: int


@dataclass(frozen=True)
class Ready:
    """The model is loaded and warm."""


@dataclass(frozen=True)
class LoadFailed:
    """The model can't be loaded; the child ends after this."""

    trouble: Trouble
    message: str


@dataclass(frozen=True)
class Prefilled:
    """A sign of life: ``done`` of ``total`` tokens are read, those of the prompt and those that were made before."""

    id: int
    done: int
    total: int


@dataclass(frozen=True)
class Delta:
    """A piece of the answer. Never empty, never part of a stop string.

    ``ids`` are the tokens made since the piece before, so that all ids so far give all text so far and what is held
    back. A run that goes on first gives the pieces made before again, without their ids.
    """

    id: int
    text: str
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Done:
    """The run's end. ``completion_tokens`` counts every token the model made, its end marker included."""

    id: int
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Cancelled:
    """The run ended because it was asked to."""

    id: int


@dataclass(frozen=True)
class Failed:
    """The run failed; the child goes on with the next."""

    id: int
    trouble: Trouble
    message: str


RunEvent = Prefilled | Delta | Done | Cancelled | Failed
