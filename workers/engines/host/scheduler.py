"""Which run has a slot and which waits: people's runs before batch ones, at the next step even when all slots are full.

Knows no library and no pipe. A batch run that has to give way keeps its tokens and goes on from them later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from workers.engines.host.backend import Backend, Ended, Made, Paused, Read, Refused, Step
from workers.engines.host.failures import brief, trouble_of
from workers.engines.host.protocol import Cancelled, Failed, FinishReason, Prefilled, Request, RunEvent, Waiting
from workers.engines.host.writer import Writer

_TELL = 0.5
"""Seconds between two words to each run that waits."""


@dataclass
class _Run:
    request: Request
    writer: Writer
    since: float = 0.0
    """When it got its slot."""
    spent: float = 0.0
    """Seconds in slots it had before."""


class Scheduler:
    """Shares a backend's slots out.

    Args:
        backend: The loaded model.
        send: Takes every event.
        clock: Seconds that only grow.
    """

    def __init__(
        self, backend: Backend, send: Callable[[RunEvent], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._backend = backend
        self._send = send
        self._clock = clock
        self._lines: tuple[deque[_Run], deque[_Run]] = (deque(), deque())
        self._rows: dict[int, _Run] = {}
        self._typical: float | None = None
        self._told = 0.0

    @property
    def idle(self) -> bool:
        """Whether no run is here."""
        return not self._rows and not any(self._lines)

    def submit(self, request: Request) -> None:
        """Take a run; it starts at the next step if it may."""
        run = _Run(request, Writer(request, self._backend.text(), self._backend.ends))
        for delta in run.writer.again():
            self._send(delta)
        if run.writer.ended is not None:  # it was told everything
            self._finish(run)
            return
        self._lines[request.batch].append(run)
        self._tell()

    def cancel(self, number: int) -> None:
        """End a run now; unknown ids are ignored."""
        row = self._rows.pop(number, None)
        if row is not None:
            self._backend.cancel(number)
        else:
            for line in self._lines:
                for run in line:
                    if run.request.id == number:
                        line.remove(run)
                        break
                else:
                    continue
                break
            else:
                return
        self._send(Cancelled(number))

    def step(self) -> None:
        """Admit who may come, and bring all rows one step forward."""
        self._admit()
        if self._rows:
            try:
                steps = self._backend.step()
            except Exception as error:  # noqa: BLE001 - the next runs may go well; a crash ends the process anyway
                self._lose(error)
                return
            for step in steps:
                self._take(step)
        if self._clock() - self._told >= _TELL:
            self._tell()

    def _admit(self) -> None:
        people, batch = self._lines
        while people:
            if not self._fits(people[0]):
                loser = self._youngest_batch()
                if loser is None:
                    break
                self._put_back(loser)
                continue
            self._start(people.popleft())
        # A batch run never takes what somebody waits for.
        while batch and not people and self._fits(batch[0]):
            self._start(batch.popleft())

    def _fits(self, run: _Run) -> bool:
        return len(self._rows) < self._backend.slots and self._backend.room(run.request)

    def _youngest_batch(self) -> _Run | None:
        """The row that loses least by giving way."""
        rows = [run for run in self._rows.values() if run.request.batch and self._backend.pausable(run.request)]
        return max(rows, key=lambda run: run.since, default=None)

    def _put_back(self, run: _Run) -> None:
        self._backend.cancel(run.request.id)
        self._wait_again(run)

    def _wait_again(self, run: _Run) -> None:
        del self._rows[run.request.id]
        run.spent += self._clock() - run.since
        run.request = replace(run.request, made=tuple(run.writer.made))
        self._lines[run.request.batch].appendleft(run)

    def _start(self, run: _Run) -> None:
        try:
            self._backend.admit(run.request)
        except Exception as error:  # noqa: BLE001 - one bad run must not cost the others the loaded model
            self._send(Failed(run.request.id, trouble_of(error, "refused"), brief(error)))
            return
        run.since = self._clock()
        self._rows[run.request.id] = run

    def _take(self, step: Step) -> None:
        run = self._rows.get(step.id)
        if run is None:  # it ended within this step
            return
        if isinstance(step, Read):
            # Of its first time in a slot; later ones find what it read itself.
            if not run.spent:
                run.writer.kept += min(step.kept, len(run.request.tokens))
            total = len(run.request.tokens) + len(run.request.made)
            self._send(Prefilled(step.id, step.done, total))
        elif isinstance(step, Made):
            for token in step.tokens:
                for delta in run.writer.add(token):
                    self._send(delta)
            if run.writer.ended is not None:
                self._backend.cancel(step.id)
                self._leave(run)
        elif isinstance(step, Ended):
            self._leave(run, step.reason)
        elif isinstance(step, Paused):
            self._wait_again(run)
        elif isinstance(step, Refused):
            del self._rows[step.id]
            self._send(Failed(step.id, step.trouble, step.message))

    def _leave(self, run: _Run, reason: FinishReason | None = None) -> None:
        del self._rows[run.request.id]
        took = run.spent + self._clock() - run.since
        self._typical = took if self._typical is None else 0.8 * self._typical + 0.2 * took
        self._finish(run, reason)

    def _finish(self, run: _Run, reason: FinishReason | None = None) -> None:
        for event in run.writer.end(reason):
            self._send(event)

    def _lose(self, error: Exception) -> None:
        rows, self._rows = self._rows, {}
        for number in rows:
            self._backend.cancel(number)
            self._send(Failed(number, trouble_of(error, "refused"), brief(error)))

    def _tell(self) -> None:
        """Say to those who wait where they stand; their parent takes silence for a hung process."""
        self._told = self._clock()
        place = 0
        for line in self._lines:
            for run in line:
                place += 1
                self._send(Waiting(run.request.id, place, self._wait(place)))

    def _wait(self, place: int) -> float | None:
        if self._typical is None:
            return None
        return self._typical * place / self._backend.slots
