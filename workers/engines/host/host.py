"""The parent's side of a hosted model: starts the child when needed, gives it one run at a time, starts it again.

Knows nothing of LangChain: token ids go in, text comes out.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from agents.errors import Interrupted
from knowledge.errors import UserError
from workers.engines.host.memory import available_memory
from workers.engines.host.process import HostProcess
from workers.engines.host.protocol import Cancel, Cancelled, Delta, Done, Failed, LoadSpec, Request, RunEvent
from workers.engines.host.run import Run
from workers.engines.host.turns import StopFlag, Turns
from workers.errors import (
    EngineDown,
    EngineLost,
    EngineOutOfMemory,
    EngineProtocolError,
    EngineTimeout,
    ModelTooLarge,
)
from workers.sight.tally import TALLY

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0


@dataclass(frozen=True)
class HostLimits:
    """``silence`` and ``load`` are seconds; ``waiting`` is how many runs may wait; ``memory`` is bytes needed."""

    silence: float = 120.0
    load: float = 600.0
    waiting: int = 64
    memory: int = 0


@dataclass(frozen=True)
class HostStatus:
    """Where the host stands. ``pid`` is the child's, None without one; ``waiting`` counts runs in line."""

    state: Literal["idle", "loading", "ready", "down"]
    message: str = ""
    pid: int | None = None
    waiting: int = 0


class Host:
    """One model in one child process, shared by all threads of a worker.

    Runs take turns, batch ones after all others; a slow reader of one does not hold up the next. The child is started
    by the first run (or ``load``), and started again by the next run after it died, after a pause that doubles with
    each death in a row.

    Args:
        spec: The model.
        limits: Of time, line and memory.
    """

    def __init__(self, spec: LoadSpec, limits: HostLimits | None = None) -> None:
        self._spec = spec
        self._limits = limits or HostLimits()
        self._turns = Turns(Path(spec.folder).name, self._limits.waiting)
        self._process: HostProcess | None = None
        self._starting = False
        self._deaths = 0
        self._not_before = 0.0
        self._problem = ""
        self._last_id = 0
        self._closed = threading.Event()

    def generate(self, request: Request, stop: threading.Event, *, batch: bool = False) -> Iterator[Delta | Done]:
        """Run a request, a batch one after all others; nothing happens before the first item is asked for.

        Closing the iterator ends the run in the child at its next step, as setting ``stop`` does.

        Yields:
            Deltas, then one Done.

        Raises:
            Interrupted: ``stop`` was set.
            EngineLost: the child ended in the middle; the next run gets a new one.
            EngineTimeout: the child gave nothing for too long.
            EngineOutOfMemory: memory ran out.
            EngineDown: the line is full or the host is closed.
            ModelBroken: the model can't be loaded.
            ModelTooLarge: the model does not fit this machine's memory.
        """
        run = Run(stop)
        ticket = self._turns.join(batch=batch)
        driver = threading.Thread(
            target=run.drive, args=(lambda: self._drive(ticket, request, run),), name="model-run", daemon=True
        )
        try:
            driver.start()
        except RuntimeError as error:  # the system gives no more threads
            self._turns.leave(ticket)
            raise EngineDown("No thread could be started for a run.", hint="Lower PHIQ_SLOTS.") from error
        yield from run.read()

    def load(self, stop: threading.Event) -> None:
        """Load the model now and wait for it; raises what ``generate`` does."""
        with self._turns.hold(self._turns.join(), stop):
            self._ready_process(stop)

    def status(self) -> HostStatus:
        """Where the host stands, without waiting."""
        process, waiting = self._process, self._turns.waiting
        if self._closed.is_set():
            return HostStatus("down", "closed")
        if process is None or not process.alive:
            if self._starting:
                return HostStatus("loading", "the model is about to be loaded", None, waiting)
            return HostStatus("down" if self._problem else "idle", self._problem, None, waiting)
        if process.ready is None:
            return HostStatus("loading", "the model is being loaded", process.pid, waiting)
        return HostStatus("ready", "", process.pid, waiting)

    def close(self) -> None:
        """End the child; runs that go on get EngineLost. Safe to call twice."""
        self._closed.set()
        process = self._process
        if process is not None:
            process.kill()

    def _drive(self, ticket: object, request: Request, stop: StopFlag) -> Iterator[Delta | Done]:
        with self._turns.hold(ticket, stop):
            process = self._ready_process(stop)
            self._last_id += 1
            try:
                yield from self._run(process, replace(request, id=self._last_id), stop)
            except (EngineLost, EngineTimeout) as error:
                self._buried(error.message)
                raise
            self._deaths = 0

    def _run(self, process: HostProcess, request: Request, stop: StopFlag) -> Iterator[Delta | Done]:
        ended = False
        process.send(request)
        try:
            while not ended:
                event = process.next_event(stop, self._limits.silence)
                # Of a run that was cancelled and left behind.
                if event.id != request.id:
                    continue
                ended = not isinstance(event, Delta) and _is_last(event)
                if isinstance(event, Failed):
                    raise self._failure(event)
                if isinstance(event, Delta | Done):
                    yield event
        finally:
            if not ended:
                with contextlib.suppress(EngineLost):
                    process.send(Cancel(request.id))

    def _failure(self, event: Failed) -> Exception:
        if event.trouble == "memory":
            return EngineOutOfMemory(
                f"The model ran out of memory: {event.message}",
                hint="Lower PHIQ_ONNX_MAX_LENGTH or the job's max_tokens, or take a smaller model.",
                subject=self._spec.folder,
            )
        return EngineProtocolError(
            f"ONNX Runtime GenAI refused the run: {event.message}", hint="phiq doctor", subject=self._spec.folder
        )

    def _ready_process(self, stop: StopFlag) -> HostProcess:
        self._starting = True
        try:
            process = self._process
            if process is not None and not process.alive and not self._closed.is_set():
                if process.ready is not None:
                    self._buried("the model's process ended between two runs")
                process = self._process = None
            if process is None:
                self._pause(stop)
                self._check_memory()
                process = self._process = HostProcess(self._spec)
                TALLY.add("hosts", "started", Path(self._spec.folder).name.replace(" ", "_"))
                if self._closed.is_set():  # closed meanwhile: close() has not seen this one
                    process.kill()
            if self._closed.is_set():
                raise EngineDown("The engine is closed.", hint="The worker is stopping.", subject=self._spec.folder)
            process.wait_ready(stop, self._limits.load)
        except (EngineOutOfMemory, EngineTimeout) as error:
            self._buried(error.message)
            raise
        except UserError as error:
            # Waiting mends nothing there: the next run finds out at once.
            self._problem = error.message
            self._forget()
            raise
        finally:
            self._starting = False
        self._problem = ""
        return process

    def _pause(self, stop: StopFlag) -> None:
        while (left := self._not_before - time.monotonic()) > 0:
            if stop.wait(min(left, 0.1)):
                raise Interrupted
            if self._closed.is_set():
                return

    def _buried(self, problem: str) -> None:
        """The child is dead or useless: forget it, and let the next one wait longer each time."""
        self._forget()
        TALLY.add("hosts", "lost", Path(self._spec.folder).name.replace(" ", "_"))
        pause = min(_FIRST_PAUSE * 2**self._deaths, _LONGEST_PAUSE)
        self._deaths += 1
        self._not_before = time.monotonic() + pause
        self._problem = problem

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def _check_memory(self) -> None:
        free = available_memory()
        if self._limits.memory > free:
            raise ModelTooLarge(
                f"The model needs about {_gigabytes(self._limits.memory)} of memory, {_gigabytes(free)} are free.",
                hint="Close other programs, lower PHIQ_ONNX_MAX_LENGTH, or take a smaller model: phiq models list",
                subject=self._spec.folder,
                needed=self._limits.memory,
                available=free,
            )


def _is_last(event: RunEvent) -> bool:
    return isinstance(event, Done | Failed | Cancelled)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
