"""One run's answer on its way from tokens to text: whole characters, end markers, stop strings, the limit."""

from __future__ import annotations

from workers.engines.host.backend import TextStream
from workers.engines.host.protocol import Delta, Done, FinishReason, Request
from workers.engines.host.stops import StopFinder


class Writer:
    """Takes tokens and gives events.

    Args:
        request: The run; what it had made before is said again by `again`.
        text: Makes text of its tokens.
        ends: Tokens that end an answer.
    """

    def __init__(self, request: Request, text: TextStream, ends: frozenset[int]) -> None:
        self._request = request
        self._text = text
        self._ends = ends
        self._shown = dict(request.shown)
        self._stops = StopFinder(request.stop)
        self._unsaid: list[int] = []
        self.made: list[int] = list(request.made)
        self.kept = 0
        """Tokens of the prompt that were known from an earlier run."""
        self.ended: FinishReason | None = None

    def again(self) -> list[Delta]:
        """The pieces of text made before, as they came: what is made of them may depend on the cuts."""
        pieces = [self._stops.feed(self._decode(token)) for token in self._request.made]
        self._judge()
        return [Delta(self._request.id, text) for text in pieces if text]

    def add(self, token: int) -> list[Delta]:
        """Take the next token; nothing comes of it once ``ended`` is set."""
        if self.ended is not None:
            return []
        self.made.append(token)
        if token in self._ends:
            self.ended = "stop"
            return []
        self._unsaid.append(token)
        deltas = []
        if text := self._stops.feed(self._decode(token)):
            deltas.append(self._say(text))
        self._judge()
        return deltas

    def end(self, reason: FinishReason | None = None) -> list[Delta | Done]:
        """What was held back, and the end.

        Args:
            reason: Why the run ended, when it is not this object that knows.
        """
        tail = self._stops.flush()
        last: list[Delta | Done] = [self._say(tail)] if tail else []
        why = self.ended or reason or "length"
        return [*last, Done(self._request.id, why, len(self._request.tokens), len(self.made), self.kept)]

    def _decode(self, token: int) -> str:
        return self._text.decode(token) + self._shown.get(token, "")

    def _judge(self) -> None:
        if self._stops.found:
            self.ended = "stop"
        elif len(self.made) >= self._request.max_tokens:
            self.ended = "length"

    def _say(self, text: str) -> Delta:
        ids, self._unsaid = tuple(self._unsaid), []
        return Delta(self._request.id, text, ids)
