"""A Ctrl-C that Python dropped, brought again."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_SECONDS = 0.02


def bring_again() -> None:
    """From here on, an interruption that came inside a ``__del__`` or the like comes again a moment later.

    Python can't raise anything from there: it prints the KeyboardInterrupt and goes on, and the command would run to
    its end. Brought through whatever handles Ctrl-C then, with SIGALRM as the signal's number, so that a handler can
    tell it from a second Ctrl-C.
    """
    before = sys.unraisablehook

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if not issubclass(what.exc_type, KeyboardInterrupt):
            before(what)
            return
        # By a timer: what is raised in this hook is dropped, too.
        signal.signal(signal.SIGALRM, _again)
        signal.setitimer(signal.ITIMER_REAL, _SECONDS)

    sys.unraisablehook = dropped


def _again(number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(number, frame)
