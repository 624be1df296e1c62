"""Keep one member running: first start, health, and starting again after it died."""

from __future__ import annotations

import time
from pathlib import Path

from workers.errors import StackFailed
from workers.stack.child import Child, tail
from workers.stack.folders import log_file, storage_error
from workers.stack.interrupts import Interrupts
from workers.stack.members import Member
from workers.stack.report import OnEvent, Part, PartState, StackEvent
from workers.stack.state import PartRecord

_LOOK_SECONDS = 0.05
_LISTEN_SECONDS = 5.0
"""Between looks at whether a healthy part is silent: they cost a round trip to Redis."""
_PORT_TRIES = 5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_STEADY_SECONDS = 60.0
"""A part that ran this long before it died starts over with the shortest pause."""


class Keeper:
    """One member and the process that runs it.

    `launch` and `await_health` start it; afterwards `tick`, called often from one thread, notices its death and
    starts it again with growing pauses.
    """

    def __init__(self, member: Member, data_dir: Path, on_event: OnEvent) -> None:
        self.member = member
        self._data_dir = data_dir
        self._on_event = on_event
        self._child: Child | None = None
        self._state: PartState = "stopped"
        self._detail = ""
        self._launched = 0.0
        self._pause = _FIRST_PAUSE
        self._again_at = 0.0
        self._listen_at = 0.0
        self._heard = 0.0

    @property
    def log(self) -> Path:
        """Where it logs."""
        return self._data_dir / "logs" / f"{self.member.name}.log"

    def part(self) -> Part:
        """What to tell people about it."""
        child = self._child
        pid = child.pid if child and self._state in ("starting", "ready") else None
        return Part(self.member.name, self.member.address, pid, self.log, self._state, self._detail)

    def record(self) -> PartRecord | None:
        """What to write down, so that a later run can find the process."""
        if self._child is None or self._state == "stopped":
            return None
        return PartRecord(
            name=self.member.name, address=self.member.address, log=str(self.log), process=self._child.ref
        )

    def launch(self) -> None:
        """Start the process; it is not healthy yet.

        Raises:
            StackFailed: the program or the log can't be opened.
            StorageFull: the log can't be opened for want of room.
        """
        self.member.clear()
        try:
            log = log_file(self._data_dir, self.member.name)
            self._child = Child(self.member.argv(), log, self._data_dir / "run", self.member.environment())
        except OSError as error:
            raise storage_error(error, self._data_dir) from error
        self._launched = time.monotonic()
        self._state, self._detail = "starting", ""

    def await_health(self, interrupts: Interrupts) -> None:
        """Wait until the launched process is healthy; launch it again on another port when its own was taken.

        Raises:
            StackFailed: it ended, or did not become healthy in its time; with the last lines of its log.
        """
        for _ in range(_PORT_TRIES):
            problem = self._settle(interrupts)
            if not problem:
                self._ready()
                return
            assert self._child is not None
            taken = not self._child.running and self.member.port_taken(tail(self.log))
            self.stop(0.0)
            if not taken:
                break
            self.member.choose()
            self.launch()
        raise StackFailed(
            f"{self.member.name} did not start: {problem}.\n{tail(self.log)}".rstrip(),
            hint=f"Its whole log: {self.log}; then `phiq doctor`.",
            subject=self.member.name,
        )

    def tick(self) -> bool:
        """Look at the process once, without waiting; returns whether its record changed."""
        child = self._child
        if self._state == "restarting":
            return time.monotonic() >= self._again_at and self._relaunch()
        if child is None or self._state == "stopped":
            return False
        if not child.running:
            self._died(child.ending)
            return False
        if self._state == "starting":
            if not self.member.problem(child.pid):
                self._ready()
            elif time.monotonic() - self._launched > self.member.start_seconds:
                child.stop(self.member.grace)
                self._died("did not become healthy in time")
        elif time.monotonic() >= self._listen_at:
            self._listen(child)
        return False

    def stop(self, grace: float | None = None, interrupts: Interrupts | None = None) -> bool:
        """End the process; returns whether it ended by itself in its time."""
        self._state = "stopped"
        if self._child is None:
            return True
        hurry = interrupts.impatient if interrupts else None
        return self._child.stop(self.member.grace if grace is None else grace, hurry)

    def _settle(self, interrupts: Interrupts) -> str:
        assert self._child is not None
        deadline = self._launched + self.member.start_seconds
        problem = ""
        while time.monotonic() < deadline:
            interrupts.check()
            # First whether it lives: a healthy answer of a stranger on its port must not count.
            if not self._child.running:
                return f"it {self._child.ending}"
            problem = self.member.problem(self._child.pid)
            if not problem:
                return ""
            time.sleep(_LOOK_SECONDS)
        return f"{problem} after {self.member.start_seconds:g} s"

    def _listen(self, child: Child) -> None:
        """End a part that has been silent for too long, though its process runs (frozen, or hung in some library)."""
        self._listen_at = time.monotonic() + _LISTEN_SECONDS
        if not self.member.silent(child.pid):
            self._heard = time.monotonic()
        elif time.monotonic() - self._heard > self.member.silence:
            # No long grace: what gives no sign of life does not hear that it should end either.
            child.stop(_LISTEN_SECONDS)
            self._died(f"gave no sign of life for {self.member.silence:g} s and was ended")

    def _ready(self) -> None:
        self._state, self._detail = "ready", ""
        self._heard = time.monotonic()
        took = time.monotonic() - self._launched
        self._on_event(StackEvent("ready", self.member.name, f"{self.member.name} is ready after {took:.1f} s."))

    def _died(self, how: str) -> None:
        if time.monotonic() - self._launched > _STEADY_SECONDS:
            self._pause = _FIRST_PAUSE
        self._state = "restarting"
        self._detail = how
        self._again_at = time.monotonic() + self._pause
        message = f"{self.member.name} {how}; it starts again in {self._pause:g} s. Its log: {self.log}"
        self._on_event(StackEvent("died", self.member.name, message))
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _relaunch(self) -> bool:
        try:
            self.launch()
        except Exception as error:  # noqa: BLE001 - whatever keeps it from starting, the other parts must live on
            self._launched = time.monotonic()
            self._died(f"can't be started ({error})")
            return False
        return True
