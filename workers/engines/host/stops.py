"""Stop strings in a stream: found across the borders of pieces, and never let out."""

from __future__ import annotations


class StopFinder:
    """Feeds on pieces of text and gives back what is surely in front of any stop string.

    Args:
        stops: The stop strings; empty ones are ignored.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """Take the next piece; returns what may be shown now. After ``found`` nothing comes any more."""
        if self.found:
            return ""
        held = self._held + text
        places = [place for stop in self._stops if (place := held.find(stop)) >= 0]
        if places:
            self.found = True
            self._held = ""
            return held[: min(places)]
        keep = self._partial(held)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def flush(self) -> str:
        """What was held back for a stop string that did not come."""
        held, self._held = self._held, ""
        return held

    def _partial(self, text: str) -> int:
        """Length of the longest end of the text that a stop string may go on from."""
        longest = min(len(text), max((len(stop) for stop in self._stops), default=1) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
