"""The parent's side of a hosted model: starts the child when needed, hands it runs, starts it again.

Knows nothing of LangChain: token ids go in, text comes out.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from agents.errors import Interrupted, ModelMisbehaved
from knowledge.errors import PhiqError, UserError
from workers.engines.host.backends import BACKENDS
from workers.engines.host.joined import JoinedProcess
from workers.engines.host.meeting import Meeting
from workers.engines.host.memory import available_memory, taken_memory
from workers.engines.host.process import HostProcess
from workers.engines.host.protocol import Delta, Done, Failed, LoadSpec, Request, Waiting
from workers.engines.host.reader import Reader
from workers.engines.host.run import Run, StopFlag
from workers.errors import (
    EngineDown,
    EngineLost,
    EngineNotShared,
    EngineOutOfMemory,
    EngineProtocolError,
    EngineTimeout,
    ModelTooLarge,
    OptionUnsupported,
)
from workers.sight.tally import TALLY

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
_LOOK = 0.05
"""Seconds between looks at a caller's stop flag while another one loads the model."""


@dataclass(frozen=True)
class HostLimits:
    """How long to wait, how many may wait, how much memory.

    ``silence`` and ``load`` are seconds; ``waiting`` is how many runs may wait; ``memory`` is bytes needed, and
    ``needs`` says what for.

    After ``idle`` seconds without a run the model is unloaded, and loaded again by the next one. A child that takes
    more than ``ceiling`` bytes gets no more runs, and a new one takes its place when those it has are done. 0: never.

    ``share`` is the folder where workers of this user find each other's models; None: a copy of its own. Without
    ``lend`` this one uses another's, and lets nobody use its own.
    """

    silence: float = 120.0
    load: float = 600.0
    waiting: int = 64
    memory: int = 0
    needs: str = ""
    idle: float = 0.0
    ceiling: int = 0
    share: Path | None = None
    lend: bool = True


@dataclass(frozen=True)
class HostStatus:
    """Where the host stands. ``pid`` is the child's, None without one.

    ``running`` runs have one of ``slots`` slots, ``waiting`` ones are in line; the last of them waits about
    ``seconds`` (None: nobody can tell yet). ``owner`` is the worker whose child it is, None: this one's. ``others`` are
    the runs of other workers there; ``alone`` is why no other worker can join, where it should.
    """

    state: Literal["idle", "loading", "ready", "down"]
    message: str = ""
    pid: int | None = None
    waiting: int = 0
    running: int = 0
    slots: int = 0
    seconds: float | None = None
    owner: int | None = None
    others: int = 0
    alone: str = ""

    def words(self) -> str:
        """All that is to be said, for people."""
        said = [self.message] if self.message else []
        if self.running:
            said.append(f"{self.running} of {self.slots} slots used")
        if self.owner is not None:
            said.append(f"joined: worker {self.owner} has it in memory")
        if self.alone:
            said.append(f"not shared with other workers: {self.alone}")
        if self.others:
            said.append(f"{self.others} runs of other workers there")
        if self.waiting:
            long = f", the last about {self.seconds:.0f} s" if self.seconds is not None else ""
            said.append(f"{self.waiting} waiting{long}")
        return "; ".join(said)


class Host:
    """One model in one child process, shared by all threads of a worker.

    The child runs requests together, batch ones behind all others; a slow reader of one does not hold up the next. The
    child is started by the first run (or ``load``), and started again by the next run after it died, after a pause
    that doubles with each death in a row.

    Args:
        spec: The model.
        limits: Of time, line and memory.
    """

    def __init__(self, spec: LoadSpec, limits: HostLimits | None = None) -> None:
        self._spec = spec
        self._limits = limits or HostLimits()
        self._guard = threading.Lock()
        self._loading = threading.Lock()
        self._meeting = Meeting(spec, self._limits.share, self._limits.silence, lend=self._limits.lend)
        self._process: HostProcess | JoinedProcess | None = None
        self._reader: Reader | None = None
        self._coming = 0
        self._deaths = 0
        self._not_before = 0.0
        self._problem = ""
        self._ids = itertools.count(1)
        self._closed = threading.Event()

    @property
    def spec(self) -> LoadSpec:
        """The model."""
        return self._spec

    def generate(
        self,
        request: Request,
        stop: threading.Event,
        *,
        batch: bool = False,
        told: Callable[[Waiting], None] | None = None,
    ) -> Iterator[Delta | Done]:
        """Run a request, a batch one behind all others; nothing happens before the first item is asked for.

        Closing the iterator ends the run in the child at its next step, as setting ``stop`` does.

        Args:
            request: The run; its id is given here.
            stop: Ends it.
            batch: Whether it lets others go first.
            told: Called with its place while it waits for a slot.

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
        run = self._send(request, stop, batch, told)
        try:
            yield from run.read()
        except EngineLost:
            if run.begun or self._closed.is_set():
                raise
            # It only stood in line. Once: if the child dies again, it may be this one that kills it.
            yield from self._send(request, stop, batch, told).read()

    def load(self, stop: threading.Event) -> None:
        """Load the model now and wait for it; raises what ``generate`` does."""
        self._ready(stop)

    def status(self) -> HostStatus:
        """Where the host stands, without waiting."""
        process, reader, coming = self._process, self._reader, self._coming
        if self._closed.is_set():
            return HostStatus("down", "closed")
        if process is None or not process.alive:
            if self._loading.locked():
                return HostStatus("loading", "the model is about to be loaded", None, coming)
            return HostStatus("down" if self._problem else "idle", self._problem, None, coming)
        ready = process.ready
        if ready is None or reader is None:
            return HostStatus("loading", "the model is being loaded", process.pid, coming)
        runs = reader.runs
        waits = [run.waits for run in runs if run.waits is not None]
        seconds = max((wait.seconds for wait in waits if wait.seconds is not None), default=None)
        others = reader.others.people + reader.others.batch
        return HostStatus(
            "ready",
            ready.note,
            process.pid,
            len(waits),
            len(runs) - len(waits),
            ready.slots,
            seconds,
            process.owner,
            others,
            self._meeting.alone,
        )

    def line(self, *, batch: bool) -> str:
        """What a run that came now would wait for, for people; empty: it would start at once."""
        reader = self._reader
        if reader is None or (ready := reader.process.ready) is None:
            return ""
        # Batch runs are no hindrance to others: they give way.
        before = [run for run in reader.runs if batch or not run.batch]
        others = reader.others.people + (reader.others.batch if batch else 0)
        place = len(before) + others - ready.slots + 1
        if place <= 0:
            return ""
        waits = [run.waits.seconds for run in before if run.waits is not None and run.waits.seconds is not None]
        about = f", about {max(waits):.0f} s" if waits else ""
        return f"{place} in line{about}"

    def close(self) -> None:
        """End the child; runs that go on get EngineLost. Safe to call twice."""
        self._closed.set()
        process = self._process
        if process is not None:
            process.kill()

    # What the reader tells, in its own thread.

    def failure(self, event: Failed) -> PhiqError:
        """The error of a run that failed."""
        if event.trouble == "memory":
            return EngineOutOfMemory(
                f"The model ran out of memory: {event.message}",
                hint=f"Lower {self._spec.length_setting} or the job's max_tokens, or take a smaller model.",
                subject=self._spec.folder,
            )
        if event.trouble == "nonsense":
            return ModelMisbehaved(
                f"The model broke down: {event.message}.",
                hint="If it comes again, the files are damaged: phiq models pull NAME fetches them anew.",
                subject=self._spec.folder,
            )
        if event.trouble == "option":
            return OptionUnsupported(
                f"The model {Path(self._spec.folder).name} can't do what was asked: {event.message}.",
                hint="Change the job's options or the form of its answer, or use another engine.",
                subject=self._spec.folder,
            )
        library = BACKENDS[self._spec.backend].library
        return EngineProtocolError(
            f"{library} refused the run: {event.message}", hint="phiq doctor", subject=self._spec.folder
        )

    def finished(self) -> None:
        """A run came to its end: the child is well."""
        self._deaths = 0

    def tick(self, reader: Reader) -> bool:
        """Unload a model that nobody needs, or whose process has grown too large."""
        limits, what = self._limits, ""
        # How long a process stays, and how large it may be, is its owner's to say.
        owned = reader.process.owned
        if owned and limits.ceiling and taken_memory(reader.process.pid) > limits.ceiling:
            reader.replace()
        if reader.retiring and reader.retire(0):
            what = "replaced" if owned else "left"
        elif owned and limits.idle and reader.retire(limits.idle):
            what = "unloaded"
        if not what:
            return False
        self._forget(reader.process)
        TALLY.add("hosts", what, Path(self._spec.folder).name.replace(" ", "_"))
        return True

    def lost(self, reader: Reader, error: PhiqError, *, idle: bool) -> None:
        """The child is gone."""
        if reader is not self._reader or self._closed.is_set():
            return
        if idle and not reader.process.owned:
            self._forget(reader.process)  # its owner ended it, and nobody here needed it
        else:
            self._buried(error.message, reader.process)

    # What the callers' threads do.

    def _send(self, request: Request, stop: StopFlag, batch: bool, told: Callable[[Waiting], None] | None) -> Run:
        run = Run(stop, told, batch=batch)
        with self._place():
            while not self._ready(run).add(replace(request, id=next(self._ids), batch=batch), run):
                run.wait(_LOOK)  # for those that the old process still has
        return run

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Hold a place in the bounded line until the child has the run."""
        with self._guard:
            reader = self._reader
            present = self._coming + (len(reader.runs) if reader is not None else 0)
            slots = reader.process.ready.slots if reader is not None and reader.process.ready else self._spec.slots
            if present >= slots + self._limits.waiting:
                name = Path(self._spec.folder).name
                raise EngineDown(
                    f"{present} runs share {name} or wait for it: there is no room for another.",
                    hint="Try again later, or set PHIQ_SLOTS lower so that jobs wait in the queue.",
                    subject=name,
                    waiting=present,
                )
            self._coming += 1
        try:
            yield
        finally:
            with self._guard:
                self._coming -= 1

    def _ready(self, stop: StopFlag) -> Reader:
        while not self._loading.acquire(timeout=_LOOK):
            if stop.is_set():
                raise Interrupted
        try:
            self._check_open()
            if stop.is_set():
                raise Interrupted
            reader = self._reader
            if reader is not None and reader.process.alive:
                return reader  # one that retires says so itself
            return self._load(stop)
        finally:
            self._loading.release()

    def _load(self, stop: StopFlag) -> Reader:
        while True:
            process = self._process
            try:
                if process is None or not process.alive:
                    process = self._start(stop, process)
                ready = process.wait_ready(stop, self._limits.load)
                break
            except EngineLost:  # joined, and gone before it was ready: load it here
                self._forget(process)
                if self._closed.is_set():
                    raise
            except (EngineOutOfMemory, EngineTimeout) as error:
                self._buried(error.message, process)
                raise
            except (UserError, EngineNotShared) as error:
                # Waiting mends nothing there: the next run finds out at once.
                self._problem = error.message
                self._forget(process)
                raise
        self._problem = ""
        if ready.note:
            _LOG.info("%s: %s", Path(self._spec.folder).name, ready.note)
        self._reader = Reader(process, self, self._limits.silence)
        return self._reader

    def _start(self, stop: StopFlag, gone: HostProcess | JoinedProcess | None) -> HostProcess | JoinedProcess:
        if gone is not None and gone.owned and gone.ready is not None:
            self._buried("the model's process ended between two runs", gone)
        self._forget(gone)
        self._pause(stop)
        process = self._process = self._meeting.enter(
            stop, self._limits.load, check=self._check_memory, closed=self._check_open
        )
        TALLY.add("hosts", "started" if process.owned else "joined", Path(self._spec.folder).name.replace(" ", "_"))
        if self._closed.is_set():  # closed meanwhile: close() has not seen this one
            process.kill()
        return process

    def _pause(self, stop: StopFlag) -> None:
        while (left := self._not_before - time.monotonic()) > 0:
            if stop.wait(min(left, 0.1)):
                raise Interrupted
            if self._closed.is_set():
                return

    def _buried(self, problem: str, process: HostProcess | JoinedProcess | None) -> None:
        """The child is dead or useless: forget it, and let the next one wait longer each time."""
        if not self._forget(process):
            return  # another thread was first
        if process is None or process.owned:  # else its owner counts it
            TALLY.add("hosts", "lost", Path(self._spec.folder).name.replace(" ", "_"))
        pause = min(_FIRST_PAUSE * 2**self._deaths, _LONGEST_PAUSE)
        self._deaths += 1
        self._not_before = time.monotonic() + pause
        self._problem = problem

    def _forget(self, process: HostProcess | JoinedProcess | None) -> bool:
        """Returns whether it was this one that the host held."""
        if process is None:
            return False
        process.kill()
        with self._guard:
            if self._process is not process:
                return False
            self._process = self._reader = None
        return True

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise EngineDown("The engine is closed.", hint="The worker is stopping.", subject=self._spec.folder)

    def _check_memory(self) -> None:
        free = available_memory()
        if self._limits.memory > free:
            raise ModelTooLarge(
                f"The model needs about {_gigabytes(self._limits.memory)} of memory"
                f"{f' ({self._limits.needs})' if self._limits.needs else ''}, {_gigabytes(free)} are free.",
                hint="Close other programs, ask for shorter sessions or fewer slots (docs/engines.md), or take a "
                "smaller model: phiq models list",
                subject=self._spec.folder,
                needed=self._limits.memory,
                available=free,
            )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
