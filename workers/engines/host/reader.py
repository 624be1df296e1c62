"""The thread that takes a child's events to the runs they belong to, and watches over both."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Protocol

from agents.errors import Interrupted
from knowledge.errors import PhiqError
from workers.engines.host.joined import JoinedProcess
from workers.engines.host.process import HostProcess
from workers.engines.host.protocol import (
    Cancel,
    Cancelled,
    Delta,
    Done,
    Event,
    Failed,
    Others,
    Prefilled,
    Request,
    Retire,
    Retiring,
    RunEvent,
    Waiting,
)
from workers.engines.host.run import Run
from workers.errors import EngineLost, EngineTimeout

_LOOK = 0.02
"""Seconds between looks at the runs' stop flags."""
_REST = 0.2
"""The same while there is no run."""
_TICK = 1.0
"""Seconds between looks at the process as a whole."""


class Owner(Protocol):
    """Whom a reader tells what concerns the process as a whole."""

    def failure(self, event: Failed) -> PhiqError:
        """The error of a run that failed."""
        ...

    def finished(self) -> None:
        """A run came to its end."""
        ...

    def tick(self, reader: Reader) -> bool:
        """A second went by; returns whether the process was let go."""
        ...

    def lost(self, reader: Reader, error: PhiqError, *, idle: bool) -> None:
        """The process is gone, or useless and killed; said before its runs are told. ``idle``: there were none."""
        ...


class Reader:
    """The runs of one ready child.

    Args:
        process: The child.
        owner: Is told of its end.
        silence: Seconds without a sign of life of a run before the child is given up.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        process: HostProcess | JoinedProcess,
        owner: Owner,
        silence: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.process = process
        self._owner = owner
        # One that joined must not end a process sooner than its owner would.
        self._silence = max(silence, process.patience)
        self._clock = clock
        self._lock = threading.Lock()
        self._runs: dict[int, Run] = {}
        self._gone: PhiqError | None = None
        self.retiring = False
        """Whether it takes no more runs; when those it has are done, the process is let go."""
        self.others = Others()
        """What other workers have in the process."""
        self._ticked = clock()
        self.idle_since = clock()
        threading.Thread(target=self._work, name="model-events", daemon=True).start()

    @property
    def runs(self) -> list[Run]:
        """Those that have not ended."""
        with self._lock:
            return list(self._runs.values())

    def add(self, request: Request, run: Run) -> bool:
        """Hand a run to the child; returns false when it takes none any more.

        Raises:
            EngineLost: the child is gone.
        """
        with self._lock:
            if self._gone is not None:
                raise self._gone
            if self.retiring:
                return False
            run.heard = self._clock()
            self._runs[request.id] = run
            try:
                # Under the lock: two threads must not write into each other's message.
                self.process.send(request)
            except EngineLost:
                del self._runs[request.id]
                raise
        return True

    def replace(self) -> None:
        """Take no more runs, neither ours nor those of others; ``retire`` says when those that are there have ended."""
        with self._lock:
            if self.retiring:
                return
            self.retiring = True
            with contextlib.suppress(EngineLost):  # the next poll says so
                self.process.send(Retire())

    def retire(self, idle: float) -> bool:
        """Take no more runs if there was none for ``idle`` seconds; returns whether none is left."""
        with self._lock:
            if self._runs or self._clock() - self.idle_since < idle:
                return False
            if self.process.owned and (self.others.people or self.others.batch):
                return False
            self.retiring = True
            return True

    def _work(self) -> None:
        try:
            while not self._let_go():
                event = self.process.poll(_LOOK if self._runs else _REST)
                # What is there already, for as long as one may be late at the stop flags.
                until = self._clock() + _LOOK
                while event is not None:
                    self._take(event)
                    event = self.process.poll(0) if self._clock() < until else None
                self._look()
        except (EngineLost, EngineTimeout) as error:
            self._end(error)

    def _take(self, event: Event) -> None:
        if isinstance(event, Others):
            with self._lock:
                if (self.others.people or self.others.batch) and not (event.people or event.batch):
                    self.idle_since = self._clock()
                self.others = event
        elif isinstance(event, Retiring):
            with self._lock:
                self.retiring = True
        else:
            self._route(event)

    def _route(self, event: RunEvent) -> None:
        with self._lock:
            run = self._runs.get(event.id)
            if run is None:  # of a run that was cancelled and left behind
                return
            run.heard = self._clock()
            run.waits = event if isinstance(event, Waiting) else None
            run.begun = run.begun or run.waits is None
            if isinstance(event, Done | Failed | Cancelled):
                self._drop(event.id)
        if isinstance(event, Done):
            self._owner.finished()
        if isinstance(event, Failed):
            run.put(self._owner.failure(event))
        elif isinstance(event, Cancelled):
            run.put(Interrupted())
        elif not isinstance(event, Prefilled):
            assert isinstance(event, Waiting | Delta | Done)
            run.put(event)

    def _look(self) -> None:
        now = self._clock()
        with self._lock:
            ended = [number for number, run in self._runs.items() if run.is_set()]
            silent = any(now - run.heard > self._silence for run in self._runs.values())
            for number in ended:
                self._runs[number].put(Interrupted())
                self._drop(number)
                with contextlib.suppress(EngineLost):  # the next poll says so
                    self.process.send(Cancel(number))
        if silent and not ended:
            self.process.give_up()
            raise EngineTimeout(
                f"The model's process gave nothing for {self._silence:.0f} s and was ended.",
                hint="The job is tried again; set PHIQ_ENGINE_TIMEOUT higher for slow machines.",
                subject=self.process.folder,
                seconds=self._silence,
            )

    def _let_go(self) -> bool:
        now = self._clock()
        if now - self._ticked < _TICK:
            return False
        self._ticked = now
        return self._owner.tick(self)

    def _drop(self, number: int) -> None:
        del self._runs[number]
        if not self._runs:
            self.idle_since = self._clock()

    def _end(self, error: PhiqError) -> None:
        with self._lock:
            self._gone = error
            runs, self._runs = list(self._runs.values()), {}
        self._owner.lost(self, error, idle=not runs)
        for run in runs:
            run.put(error)
