"""The text that a job's readers have, and whether an attempt that runs again says the same."""

from __future__ import annotations


class Shown:
    """Follows what an attempt says along the text that earlier ones streamed.

    Args:
        text: That text.

    Attributes:
        resumed: Characters of it that were taken over; 0 until all of it was said again.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._said = 0
        self._void = False
        self.resumed = 0

    def feed(self, text: str) -> tuple[bool, str]:
        """Take what the attempt says next.

        Returns:
            Whether the text streamed before is void, and what is to be streamed now: what goes beyond it, or all that
            this attempt said when it differs.
        """
        left = len(self._text) - self._said
        if left == 0 or not text:
            return False, text
        same = min(left, len(text))
        if self._void or text[:same] != self._text[self._said : self._said + same]:
            whole = self._text[: self._said] + text
            self._text, self._said = "", 0
            return True, whole
        self._said += same
        if same == left:
            self.resumed = self._said
        return False, text[same:]

    def finish(self) -> tuple[bool, str]:
        """The attempt has said everything: as `feed`, when more than that was streamed."""
        if self._said == len(self._text):
            return False, ""
        whole, self._text, self._said = self._text[: self._said], "", 0
        return True, whole

    def start_over(self) -> None:
        """What comes now is made anew; where earlier attempts streamed more, it replaces that."""
        self._void = True
