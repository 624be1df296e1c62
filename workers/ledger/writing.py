"""What an attempt has to write next, put together so that one script call takes all of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

_PIECE = 16_384
"""Characters in one delta event at most, so that a stream can be trimmed evenly."""

Write = tuple[str | int, ...]


class Writing:
    """Collects text, progress and token ids, and hands them out as the arguments of stream.lua.

    A write that was handed out is handed out again, the same, until it is `written`: its nonce makes that harmless.

    Args:
        number: The attempt's.
        began: The attempt that began the text which is in the stream.
        offset: Characters in the stream.
        logged: Characters in the log of token ids.

    Attributes:
        offset: As above; once nothing waits to be written, that of the stream in Redis.
        began: As above.
        progress: The latest progress that is to be written, as JSON; empty: none.
    """

    def __init__(self, number: int, began: int, offset: int, logged: int) -> None:
        self.progress = ""
        self._number = number
        self.began = began
        self.offset = offset
        self._logged = logged
        self._text: list[str] = []
        self._restart = False
        self._resumed = 0
        self._log: list[str] = []
        self._log_length = 0
        self._log_anew = False
        self._out: Write | None = None

    @property
    def waits(self) -> bool:
        """Whether anything is left to write."""
        return self.urgent or bool(self._log) or self._resumed < 0

    @property
    def urgent(self) -> bool:
        """Whether any of it is for people."""
        return bool(self._out or self._text or self._restart or self.progress)

    def text(self, restart: bool, text: str, *, resumed: int = 0) -> None:
        """Stream text; with ``restart`` what was streamed before is void."""
        if restart:
            self._text, self._restart = [], True
        if text:
            self._text.append(text)
        if resumed and not self._resumed:
            self._resumed = -resumed  # negative until it is written

    def log(self, words: Sequence[object], *, anew: bool) -> int:
        """Add words to the log, or begin it anew; returns how long it will be."""
        said = " ".join(map(str, words))
        if anew:
            self._log, self._log_length, self._log_anew = [said], len(said), True
        elif said:
            self._log.append(f" {said}")
            self._log_length += len(said) + 1
        return self._log_length + (0 if self._log_anew else self._logged)

    def no_log(self) -> None:
        """The log is gone, and so is what waits for it."""
        self._log, self._log_length, self._log_anew, self._logged = [], 0, False, 0
        if self._out is not None:
            self._out = (*self._out[:-3], "", "", 0)

    def next(self) -> Write | None:
        """The next write, from the nonce on; None when there is none."""
        if self._out is None and self.waits:
            self._out = self._take()
        return self._out

    def written(self) -> None:
        """The last write has been answered."""
        self._out = None

    def _take(self) -> Write:
        text = "".join(self._text)
        piece, rest = text[:_PIECE], text[_PIECE:]
        offset, restart = self.offset, self._restart
        if restart or not offset:
            self.began = self._number
        how, log, before = "", "".join(self._log), self._logged
        if log:
            how, self._logged = ("set", len(log)) if self._log_anew else ("add", before + len(log))
        resumed = -self._resumed if self._resumed < 0 else 0
        self._resumed = abs(self._resumed)
        self.offset = (0 if restart else offset) + len(piece)
        progress, self.progress = self.progress, ""
        self._text, self._restart = [rest] if rest else [], False
        self._log, self._log_length, self._log_anew = [], 0, False
        return (
            *(uuid.uuid4().hex, offset, piece, len(piece), progress, int(restart), self.began),
            *(resumed or "", how, log, before),
        )
