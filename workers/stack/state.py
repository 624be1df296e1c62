"""The file in which a running one-machine stack says what runs where.

``<data_dir>/run/stack.json`` holds the addresses (Redis' with its password, hence mode 0600) and the processes,
each with its start time and arguments: a process id alone may belong to somebody else by now.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    import psutil

_CLOCK_SLACK = 5.0
"""Seconds two readings of one process's start time may differ: it is computed from a clock that is adjusted."""


class ProcessRef(BaseModel):
    """A process, recognisable after its id may have been given to another."""

    model_config = ConfigDict(extra="ignore")
    pid: int
    started: float
    argv: list[str]

    @classmethod
    def of(cls, pid: int, argv: Sequence[str] = ()) -> ProcessRef:
        """Note a process that was just started, or (without arguments) one by its id alone."""
        import psutil

        try:
            started = psutil.Process(pid).create_time()
        except psutil.Error:
            started = time.time()  # it ended already: nothing will be found under this reference
        return cls(pid=pid, started=started, argv=list(argv))

    def find(self) -> psutil.Process | None:
        """The process itself while it lives and is still the one recorded, else None."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _CLOCK_SLACK
            # Scripts are started by an interpreter that puts itself before them, so only the end must agree.
            tail = self.argv[1:]
            ours = same and process.cmdline()[-len(tail) :] == tail if tail else same
            return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def alive(self) -> bool:
        """Whether the recorded process still runs."""
        return self.find() is not None


class PartRecord(BaseModel):
    """One process of the stack."""

    model_config = ConfigDict(extra="ignore")
    name: str
    address: str
    log: str
    process: ProcessRef


class StackState(BaseModel):
    """What a supervisor wrote about its stack. Order of ``parts`` is the order of starting."""

    model_config = ConfigDict(extra="ignore")
    supervisor: ProcessRef
    redis_url: str = ""
    chroma_url: str = ""
    words_url: str = ""
    http_url: str = ""
    model: str = ""
    parts: list[PartRecord] = []

    def part(self, name: str) -> PartRecord | None:
        """The record of one part, None when it is not (yet) started."""
        return next((part for part in self.parts if part.name == name), None)

    def alive(self, name: str) -> bool:
        """Whether a part runs or is looked after: while its supervisor lives, a part that died comes back."""
        part = self.part(name)
        return self.supervisor.alive() or (part is not None and part.process.alive())


def current_process() -> ProcessRef:
    """A reference to this process."""
    return ProcessRef.of(os.getpid())


def run_dir(data_dir: Path) -> Path:
    """The folder of what only matters while a stack runs."""
    return data_dir / "run"


def path(data_dir: Path) -> Path:
    """Where the state of the stack with this data folder lies."""
    return run_dir(data_dir) / "stack.json"


def read(data_dir: Path) -> StackState | None:
    """The recorded state, None when there is none or it can't be used (a crash of long ago, another version)."""
    try:
        return StackState.model_validate_json(path(data_dir).read_bytes())
    except (OSError, ValidationError):
        return None


def write(data_dir: Path, state: StackState) -> None:
    """Replace the state in one step, readable by this user only.

    Raises:
        OSError: when the folder can't be written.
    """
    folder = run_dir(data_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes its file with mode 0600, so the password is never readable by others, not for a moment.
    handle, temporary = tempfile.mkstemp(dir=folder, prefix="stack.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(state.model_dump_json(indent=1))
        Path(temporary).replace(path(data_dir))
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def remove(data_dir: Path) -> None:
    """Forget the state; fine when there is none."""
    with contextlib.suppress(OSError):
        path(data_dir).unlink(missing_ok=True)
