"""What runs a model inside the host's process: the contract between the scheduler and a library.

A backend knows tokens and rows; text, stop strings, lanes, the line of those that wait and the pipe are the
scheduler's. A row is a request that was admitted and has not ended. All calls come from one thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from workers.engines.host.protocol import FinishReason, Request, Trouble


@dataclass(frozen=True)
class Read:
    """``done`` tokens of a row's prompt, and of what it had made before, are read; ``kept`` were known already."""

    id: int
    done: int
    kept: int = 0


@dataclass(frozen=True)
class Made:
    """Tokens a row made, without those it was admitted with; an end marker may be the last."""

    id: int
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Ended:
    """A row ended by the library's own decision and is gone. Not said for rows that were cancelled."""

    id: int
    reason: FinishReason


@dataclass(frozen=True)
class Paused:
    """A row had to give way to others for lack of memory and is gone: it is admitted again later."""

    id: int


@dataclass(frozen=True)
class Refused:
    """A row failed and is gone; the others live."""

    id: int
    trouble: Trouble
    message: str


Step = Read | Made | Ended | Paused | Refused


class TextStream(Protocol):
    """Makes text of one run's tokens."""

    def decode(self, token: int) -> str:
        """The text that is whole with this token; empty in the middle of a character."""
        ...


class Backend(Protocol):
    """A loaded model.

    Attributes:
        slots: Most rows at once.
        ends: Tokens that end an answer; they are never shown.
        note: What people should know of how it runs, a sentence or nothing.
    """

    slots: int
    ends: frozenset[int]
    note: str

    def admit(self, request: Request) -> None:
        """Make a row of a request: it reads ``tokens`` and ``made`` and goes on behind them.

        Returns at once: reading is done by steps.

        Raises:
            Exception: the request can't be run (a guide that can't be compiled, a token the model has not).
        """
        ...

    def step(self) -> list[Step]:
        """Do the least that brings rows forward: a token for each that decodes, a chunk of a prompt.

        A row makes ``max_tokens`` tokens at most, those it was admitted with included; whether it ends there by
        itself (`Ended`) or waits to be cancelled is the backend's choice.

        Raises:
            Exception: nothing is known of any row any more; all are gone.
        """
        ...

    def cancel(self, number: int) -> None:
        """Drop a row and free its slot now; unknown ids are ignored."""
        ...

    def room(self, request: Request) -> bool:
        """Whether there is memory for another row beside those there are; always so with no row."""
        ...

    def pausable(self, request: Request) -> bool:
        """Whether a row may be dropped and admitted again with what it made, and goes on as if nothing had been."""
        ...

    def text(self) -> TextStream:
        """A stream of text for one run."""
        ...
