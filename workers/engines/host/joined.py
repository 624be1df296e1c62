"""A model's process that another worker started, as one that joined it sees it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import time
import weakref
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from agents.errors import Interrupted
from workers.engines.host.claim import Record
from workers.engines.host.frames import HELLO, BadFrame, greeting, pack, protocol_id, read_greeting, unpack_event
from workers.engines.host.guests import peer
from workers.engines.host.process import load_error
from workers.engines.host.protocol import Cancel, Event, LoadFailed, LoadSpec, Ready, Request, Retire
from workers.engines.host.run import StopFlag
from workers.errors import EngineLost, EngineNotShared, EngineTimeout

_LOG = logging.getLogger(__name__)
_LOOK = 0.02
_CONNECT = 1.0


class JoinedProcess:
    """What `HostProcess` is to the worker that started it, over a Unix socket.

    Args:
        spec: The model as it is wanted here.
        record: Of the process that has it.

    Raises:
        OSError: it takes nobody: it is ending, or only just beginning.
    """

    owned = False

    def __init__(self, spec: LoadSpec, record: Record) -> None:
        self._spec = spec
        self._record = record
        self.ready: Ready | None = None
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.settimeout(_CONNECT)
            line.connect(record.socket)
            line.settimeout(None)
            self._peer, user = peer(line)
            if user not in (None, os.getuid()):
                raise self._refusal(
                    f"its process {self._peer or record.child} belongs to another user",
                    "Give each user a PHIQ_DATA_DIR of its own, or set PHIQ_ENGINE_SHARE=off here.",
                )
            self._pipe: Connection[Any, Any] = Connection(os.dup(line.fileno()))
            self._pipe.send_bytes(greeting())
        except BaseException:
            line.close()
            raise
        self._line = line
        weakref.finalize(self, line.close)  # not before: another thread may be in it
        self._greeted = False

    @property
    def folder(self) -> str:
        """The model's."""
        return self._spec.folder

    @property
    def pid(self) -> int:
        """The model's process."""
        return self._peer or self._record.child

    @property
    def owner(self) -> int:
        """The worker that started it."""
        return self._record.owner

    @property
    def patience(self) -> float:
        """Seconds that its owner waits for a sign of life: whoever joined must not end it sooner."""
        return self._record.silence

    @property
    def alive(self) -> bool:
        """Whether it is still there, and we with it."""
        try:
            return bool(self._line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def wait_ready(self, stop: StopFlag, timeout: float) -> Ready:
        """Wait until the model is loaded; may be called again after Interrupted.

        Raises:
            EngineNotShared: it can't be joined, with the reason.
            EngineLost: it ended before it was ready.
            EngineTimeout: it took longer than ``timeout`` seconds.
            ModelBroken: the folder can't be loaded.
            Interrupted: ``stop`` was set.
        """
        if self.ready is not None:
            return self.ready
        if not self._greeted:
            self._read_welcome(self._next(stop, timeout, HELLO))
            self._greeted = True
        message = self._read(self._next(stop, timeout))
        if isinstance(message, LoadFailed):
            self.kill()
            raise load_error(self._spec, message)
        if not isinstance(message, Ready):
            raise self._lost()
        self.ready = message
        return message

    def send(self, message: Request | Cancel | Retire) -> None:
        """Hand a message over.

        Raises:
            EngineLost: the process is gone.
        """
        try:
            self._pipe.send_bytes(pack(message))
        except OSError as error:
            raise self._lost() from error

    def poll(self, timeout: float) -> Event | None:
        """The next event; None when there is none for ``timeout`` seconds.

        Raises:
            EngineLost: the process ended.
        """
        try:
            if not self._pipe.poll(timeout):
                return None
            event = self._read(self._pipe.recv_bytes())
        except (EOFError, OSError) as error:
            raise self._lost() from error
        assert not isinstance(event, Ready | LoadFailed)
        return event

    def kill(self) -> None:
        """Leave: the process ends the runs we have there. Safe to call twice."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def give_up(self) -> None:
        """End a process that gives no sign of life: its owner may have no run there to notice."""
        if self._peer and self.alive:  # it is still the one we joined, then
            with contextlib.suppress(OSError):
                os.kill(self._peer, signal.SIGKILL)
        self.kill()

    def _read_welcome(self, data: bytes) -> None:
        try:
            facts = read_greeting(data)
        except BadFrame:
            facts = {}
        if facts.get("protocol") != protocol_id():
            raise self._refusal(
                f"worker {self._record.worker}, which has it, is another version of phiq ({self._record.version})",
                f"Restart worker {self._record.worker} with this version, or set PHIQ_ENGINE_SHARE=off here.",
            )
        if facts.get("refused"):
            raise self._refusal(
                f"worker {self._record.worker}, which has it, refused ({facts['refused']})",
                "Run both workers as the same user, or set PHIQ_ENGINE_SHARE=off here.",
            )
        length = facts.get("max_length")
        if isinstance(length, int) and length < self._spec.max_length:
            setting = self._spec.length_setting
            raise self._refusal(
                f"worker {self._record.worker} loaded it for sessions of {length} tokens, this one is set to "
                f"{self._spec.max_length}",
                f"Give both workers the same {setting} and restart them, or set PHIQ_ENGINE_SHARE=off here.",
            )
        other = {name: facts.get(name) for name in ("slots", "threads") if facts.get(name) != getattr(self._spec, name)}
        if other:
            said = ", ".join(f"{value} {name}" for name, value in other.items())
            name = Path(self.folder).name
            _LOG.warning("%s runs as worker %s has it set (%s), not as set here", name, self._record.worker, said)

    def _read(self, data: bytes) -> Event | Ready | LoadFailed:
        try:
            return unpack_event(data)
        except BadFrame as error:
            self.kill()
            raise self._lost() from error

    def _next(self, stop: StopFlag, timeout: float, longest: int | None = None) -> bytes:
        limit = time.monotonic() + timeout
        try:
            while True:
                if stop.is_set():
                    raise Interrupted
                if self._pipe.poll(_LOOK):
                    return self._pipe.recv_bytes(longest)
                if time.monotonic() > limit:
                    self.kill()
                    name = Path(self.folder).name
                    raise EngineTimeout(
                        f"Worker {self._record.worker} loads {name} and was not done in {timeout:.0f} s.",
                        hint=f"The job is tried again; if it comes again, restart worker {self._record.worker}.",
                        subject=self.folder,
                        seconds=timeout,
                    )
        except (EOFError, OSError) as error:
            raise self._lost() from error

    def _refusal(self, why: str, hint: str) -> EngineNotShared:
        name = Path(self._spec.folder).name
        return EngineNotShared(
            f"{name} is in this machine's memory already and can't be shared: {why}.", hint=hint, subject=name
        )

    def _lost(self) -> EngineLost:
        return EngineLost(
            f"The process that hosts {Path(self.folder).name} for worker {self._record.worker} ended.",
            hint="The job is tried again on a new process; if it comes again: phiq doctor",
            subject=self.folder,
            owner=self.owner,
        )
