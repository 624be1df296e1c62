"""Following one job: its text as it comes, why it waits, and Ctrl-C as a wish to cancel it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gateway.cli import show
from gateway.cli.cancelling import cancelling
from gateway.cli.io import Io
from gateway.cli.why import why
from knowledge.errors import PhiqError

if TYPE_CHECKING:
    from agents.contract import Progress
    from gateway.client import ClientJob
    from workers.jobs import Event, JobRecord

WAIT_BEFORE_SAYING = 1.0
"""Seconds a job may wait before the reason is shown: most start sooner and nobody wants to read it."""


class Status:
    """A line on stderr that says what is going on; on a terminal it moves, elsewhere each change is a line."""

    def __init__(self, io: Io) -> None:
        self._io = io
        self._shown = ""
        self._spinner: Any = None
        self._closed = False
        self._lock = threading.Lock()

    def say(self, message: str, *, passing: bool = False) -> None:
        """Replace the line; what is ``passing`` is not worth a line of its own where nothing can be replaced."""
        with self._lock:
            if self._closed or self._io.json or message == self._shown or (passing and not self._io.lively):
                return
            self._shown = message
            if not self._io.lively:
                self._io.note(message)
                return
            from rich.text import Text

            if self._spinner is None:
                self._spinner = self._io.err.status("", spinner_style="dim")
                self._spinner.start()
            self._spinner.update(Text(message, style="dim"))

    def close(self) -> None:
        """Take the line away for good: once text has begun, a moving line would wipe out the text's last one."""
        with self._lock:
            self._closed = True
            if self._spinner is not None:
                self._spinner.stop()
                self._spinner = None


class _Text:
    """Prints text events so that what stands on stdout is the text, whatever happens on the way."""

    def __init__(self, io: Io) -> None:
        self._io = io
        self._shown = ""
        self._out = io.wrapper()

    def feed(self, event: Event) -> None:
        if event.type == "delta":
            self._print(event.text)
        elif event.type == "restarted" and self._shown:
            self._again("The text above is void: the job started over.")
        elif event.type == "snapshot":
            if not event.text.startswith(self._shown):
                self._again("The text above is void: the stream was cut; here it is whole.")
            self._print(event.text.removeprefix(self._shown))

    def finish(self, text: str, *, whole: bool) -> None:
        """Complete what the stream may have lost, if all of it was asked for, and end the line."""
        if not whole:
            self._out.finish()
            self._io.text("")
            return
        if not text.startswith(self._shown):
            self._again("The text above is void; the result is:")
        rest = text.removeprefix(self._shown)
        if rest:
            self._print(rest)
        self._out.finish()
        if self._shown and not self._shown.endswith("\n"):
            self._io.text("")

    def _print(self, text: str) -> None:
        self._shown += text
        self._out.feed(text)

    def _again(self, why: str) -> None:
        self._out.finish()
        self._out = self._io.wrapper()
        self._io.text("")
        self._io.note(why, style="yellow")
        self._shown = ""


def follow(io: Io, job: ClientJob[Any], *, after: str = "0-0", text: bool = True, cancel: bool = True) -> JobRecord:
    """Print a job's text as it comes and return its record at the end.

    Args:
        io: Where the words go.
        job: The job.
        after: The event to go on from.
        text: Whether the text is to be printed.
        cancel: Whether leaving means that nobody wants the result.

    Raises:
        KeyboardInterrupt: after asking that the job be cancelled, with ``cancel``.
    """
    printer = _Text(io)
    stream = text and not io.json and io.streams
    with cancelling(io, [job] if cancel else []), _explaining(io, job) as status:
        for event in job.events(after=after):
            if event.type == "progress" and event.progress is not None:
                status.say(_how_far(event.progress), passing=True)
            elif stream and event.type in ("delta", "snapshot", "restarted"):
                status.close()
                printer.feed(event)
    record = job.record
    made = record.parsed_result()
    if stream and made is not None:
        printer.finish(made.text, whole=after == "0-0")
    return record


def _how_far(progress: Progress) -> str:
    """What a job says of itself, with figures where it has some (loading a model has none)."""
    words = progress.note or "working"
    if not (progress.done or progress.total):
        return words
    return f"{words} ({progress.done}{f' of {progress.total}' if progress.total else ''})"


@contextmanager
def _explaining(io: Io, job: ClientJob[Any]) -> Iterator[Status]:
    """While the job waits, say why: a thread asks, since the stream is silent then."""
    status = Status(io)
    done = threading.Event()

    def explain() -> None:
        while not done.wait(WAIT_BEFORE_SAYING):
            try:
                waiting = job.waiting
            except PhiqError:
                continue
            if waiting.reason == "not_waiting":
                return
            if not done.is_set():
                status.say(f"Waiting: {why(waiting)}")

    thread = threading.Thread(target=explain, name="explain", daemon=True)
    if not io.json:
        thread.start()
    try:
        yield status
    finally:
        done.set()
        if thread.is_alive():
            thread.join(timeout=WAIT_BEFORE_SAYING)
        status.close()


def conclude(io: Io, record: JobRecord, *, with_text: bool) -> None:
    """Show a finished job: JSON, or what follows its text.

    Raises:
        PhiqError: the job's error.
    """
    from gateway.client import raise_for_state

    if io.json:
        raise_for_state(record)
        io.document(show.finished(record))
        return
    raise_for_state(record)
    made = record.parsed_result()
    if made is not None:
        show.result(io, made, with_text=with_text)
