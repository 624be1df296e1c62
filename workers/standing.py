"""How far a job is, with its place in an engine's line while a call of it waits there."""

from __future__ import annotations

from collections.abc import Callable

from agents.contract import Chunk, Progress
from workers.engines.base import EngineURI


class Standing:
    """Mixes what an agent says of its progress with what an engine says of a call's place in line.

    A chunk can't carry that: while a call waits, the agent that yields chunks waits too.

    Args:
        uri: The engine.
        tell: Takes the progress; None: nobody wants it.
    """

    def __init__(self, uri: EngineURI, tell: Callable[[Progress], None] | None) -> None:
        self._uri = uri
        self._tell = tell
        self._progress = Progress(done=0)

    def see(self, chunk: Chunk) -> None:
        """A chunk of the agent."""
        self._progress = chunk.progress or self._progress

    def told(self, words: str) -> None:
        """A call's place in line; empty: the wait is over, and what the agent said last holds again."""
        if self._tell is not None:
            note = f"waiting for {self._uri}: {words}"
            self._tell(self._progress.model_copy(update={"note": note}) if words else self._progress)
