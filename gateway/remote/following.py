"""A place in a job's event stream: what to ask for next, and what a server-sent event means. Nothing is read here."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gateway.remote import answers, patience
from knowledge.errors import PhiqError
from workers.jobs import Event

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

SILENCE = 45.0
"""Seconds without a sign of life, three heartbeats, after which a stream is taken for dead."""


class Place:
    """Where a reader is.

    Args:
        after: The last event it has seen.
        base: The gateway's address, for errors.
        given: After so long without contact it gives up.
    """

    def __init__(self, after: str, base: str, given: patience.Patience) -> None:
        self._ended = False
        self._last = after
        self._base = base
        self._patience = given
        self._tries = 0
        self._contact = time.monotonic()

    def ended(self) -> bool:
        """Whether the job's last event was seen."""
        return self._ended

    @property
    def headers(self) -> dict[str, str]:
        """For the next request."""
        return {"Accept": "text/event-stream", "Last-Event-ID": self._last, "Cache-Control": "no-store"}

    def opened(self, status: int, headers: dict[str, str]) -> bool:
        """A stream was opened; False: there is nothing more to read.

        Raises:
            NotPhiq: it is no event stream.
        """
        self._patience.met()
        if status == 204:
            self._ended = True
            return False
        if not headers.get("content-type", "").startswith("text/event-stream"):
            raise answers.not_phiq(self._base, "its answer is no event stream")
        self._contact = time.monotonic()
        return True

    def take(self, sent: ServerSentEvent) -> Event | None:
        """The event; None for what is none of the job's.

        Raises:
            PhiqError: the problem that it says.
            NotPhiq: it can't be read.
        """
        self._contact, self._tries = time.monotonic(), 0
        if not sent.data:
            return None
        try:
            if sent.event == "problem":
                raise answers.from_problem(json.loads(sent.data))
            event = Event.model_validate_json(sent.data)
        except (ValueError, ValidationError, KeyError) as wrong:
            raise answers.not_phiq(self._base, "an event can't be read") from wrong
        self._last = event.id or sent.id or self._last
        self._ended = event.type == "end"
        return event

    def lost(self, error: PhiqError | None) -> float:
        """The stream broke, or ended before the job; seconds after which to open it again.

        Args:
            error: What opening it came to; None: it was simply cut.

        Raises:
            PhiqError: there is no use in trying again.
        """
        self._tries += 1
        if error is None:
            error = answers.away(self._base, "its streams break", sent=True)
        # Reading is always repeatable.
        if not patience.worth(error, repeatable=True):
            raise error
        seconds = patience.pause(error, self._tries)
        if time.monotonic() + seconds - self._contact > self._patience.seconds:
            raise error
        return seconds
