"""Ctrl-C and SIGTERM while children are started and stopped: noted, and acted on where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Takes over the signals that end a program, from `hold` to `restore`.

    While held, a signal only sets ``requested`` (or, when it already was, ``impatient``). After `release` it raises
    KeyboardInterrupt wherever the program is, SIGTERM and a closed terminal too, so that one ``finally`` stops
    everything. Outside the main thread nothing is taken over, since Python delivers no signals there.
    """

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.impatient = threading.Event()
        self._holding = False
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def hold(self) -> None:
        """From here on only take note."""
        self._holding = True
        if not self._before and threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._handle)

    def release(self) -> None:
        """From here on raise KeyboardInterrupt; at once if one came meanwhile."""
        self._holding = False
        self.check()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal came."""
        if self.requested.is_set():
            raise KeyboardInterrupt

    def restore(self) -> None:
        """Put the program's own handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        self.requested.clear()
        self.impatient.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the form signal asks for
        # By another number: the first one again, which Python dropped (gateway/cli/interruption.py).
        if self.requested.is_set() and number in _SIGNALS:
            self.impatient.set()
        self.requested.set()
        if not self._holding:
            raise KeyboardInterrupt
