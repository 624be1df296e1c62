"""Ctrl-C as a wish to cancel what a command has started, whenever it comes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gateway.cli.io import Io
from knowledge.errors import PhiqError

if TYPE_CHECKING:
    from types import FrameType

    from gateway.client import ClientJob


@contextmanager
def cancelling(io: Io, jobs: Sequence[ClientJob[Any]]) -> Iterator[None]:
    """Ctrl-C, or a reader that left, cancels the jobs: nobody wants what they would still make.

    Args:
        io: Where the words go.
        jobs: Looked at when it happens, so a list may still grow meanwhile.
    """
    try:
        yield
    except (KeyboardInterrupt, BrokenPipeError):
        for job in jobs:
            try:
                job.cancel()
            except PhiqError:
                io.note(f"Job {job.id} could not be cancelled.", style="yellow")
        raise


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold a Ctrl-C back until the block is done, so that a job just submitted is known before it is cancelled.

    The second one is not held back: the service may hang, and then nobody can be made to wait for it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted, and only it may say how
        return
    came: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
