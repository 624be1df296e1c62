"""A job's text as a reader has it so far."""

from __future__ import annotations

from workers.jobs import Event


class Text:
    """Takes events and says what is new.

    When the job had to start over, the text begins again; the events tell.
    """

    def __init__(self) -> None:
        self._shown = ""

    def take(self, event: Event) -> str:
        """The text that an event adds; empty for most events that are not text."""
        if event.type == "delta":
            self._shown += event.text
            return event.text
        if event.type == "restarted":
            self._shown = ""
        elif event.type == "snapshot":
            fresh = event.text.removeprefix(self._shown)
            self._shown = event.text
            return fresh
        return ""
