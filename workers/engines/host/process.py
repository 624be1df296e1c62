"""One child process as its parent sees it: start, ready, send, next message, end."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
import weakref
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from agents.errors import Interrupted
from workers.engines.host.backends import BACKENDS
from workers.engines.host.claim import Claim
from workers.engines.host.protocol import Cancel, Event, LoadFailed, LoadSpec, Ready, Request, Retire
from workers.engines.host.run import StopFlag
from workers.errors import (
    EngineLost,
    EngineNotInstalled,
    EngineOutOfMemory,
    EngineTimeout,
    ModelBroken,
    OptionUnsupported,
)

_ROOT = Path(__file__).resolve().parents[3]
# Neither fork (the libraries don't survive it) nor multiprocessing's spawn (it imports the worker's main module again).
_MAIN = (
    "import sys; sys.path.insert(0, sys.argv[1]); from workers.engines.host.child import main; "
    "main(*map(int, sys.argv[2:]))"
)
_LOOK = 0.02
"""Seconds between looks at a caller's stop flag while waiting for the child."""


class HostProcess:
    """A started child. ``send`` is called by one thread at a time, so are ``wait_ready`` and ``poll``.

    Args:
        spec: The model it loads.
        claim: The lock that it holds while it lives, and the socket where others join; None: it is this worker's alone.
            It is used up.
        patience: Seconds that its owner waits for a sign of life.
    """

    owned = True
    owner = None

    def __init__(self, spec: LoadSpec, claim: Claim | None = None, patience: float = 0.0) -> None:
        ours, theirs = socket.socketpair()
        line, lifeline = socket.socketpair()
        ends = [theirs.fileno(), line.fileno(), *([claim.listener.fileno()] if claim is not None else [])]
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-c", _MAIN, str(_ROOT), *map(str, ends)],
                pass_fds=[*ends, *([claim.lock] if claim is not None else [])],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            if claim is not None:
                claim.started(self._popen.pid)
        except BaseException:
            ours.close()
            lifeline.close()
            raise
        finally:
            theirs.close()
            line.close()
            if claim is not None:
                claim.close()
        self._lifeline = lifeline  # held open, never written to
        self._pipe: Connection[Any, Any] = Connection(ours.detach())
        self._spec = spec
        self.shared = claim is not None
        """Whether others may join it."""
        self.patience = patience
        self.ready: Ready | None = None
        # Also at the interpreter's end; a child that nobody refers to has nothing to do.
        self._finalizer = weakref.finalize(self, _end, self._popen, lifeline)
        with contextlib.suppress(OSError):  # already dead: the first wait says so
            self._pipe.send(spec)

    @property
    def folder(self) -> str:
        """The model's."""
        return self._spec.folder

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self._popen.poll() is None

    def wait_ready(self, stop: StopFlag, timeout: float) -> Ready:
        """Wait until the model is loaded and warm; may be called again after Interrupted.

        Raises:
            ModelBroken: the folder can't be loaded, or loading it crashed the child.
            EngineOutOfMemory: loading took more memory than there is.
            EngineTimeout: it took longer than ``timeout`` seconds.
            Interrupted: ``stop`` was set; loading goes on.
        """
        if self.ready is not None:
            return self.ready
        folder = self._spec.folder
        try:
            message = self._next(stop, timeout)
        except EngineLost as error:
            if error.details.get("signal") == "SIGKILL":
                raise EngineOutOfMemory(
                    f"The process that loaded {folder} was killed, most likely because memory ran out.",
                    hint=f"Close other programs, lower {self._spec.length_setting}, or take a smaller model.",
                    subject=folder,
                    **error.details,
                ) from error
            raise broken(folder, "loading it crashed the process that tried", **error.details) from error
        if isinstance(message, LoadFailed):
            self.kill()
            raise load_error(self._spec, message)
        assert isinstance(message, Ready)
        self.ready = message
        return message

    def send(self, message: Request | Cancel | Retire) -> None:
        """Hand a message to the child.

        Raises:
            EngineLost: the child is gone.
        """
        try:
            self._pipe.send(message)
        except OSError as error:
            raise self._lost() from error

    def poll(self, timeout: float) -> Event | None:
        """The next event; None when there is none for ``timeout`` seconds.

        Raises:
            EngineLost: the child ended.
        """
        try:
            if not self._pipe.poll(timeout):
                return None
            event: Event = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        return event

    def kill(self) -> None:
        """End the child and wait for it; safe to call twice, and while another thread waits for an event."""
        self._finalizer()

    def give_up(self) -> None:
        """End a child that gives no sign of life."""
        self.kill()

    def _next(self, stop: StopFlag, timeout: float) -> Any:
        limit = time.monotonic() + timeout
        try:
            while True:
                if stop.is_set():
                    raise Interrupted
                if self._pipe.poll(_LOOK):
                    return self._pipe.recv()
                if time.monotonic() > limit:
                    self.kill()
                    raise EngineTimeout(
                        f"The model's process gave nothing for {timeout:.0f} s and was ended.",
                        hint="The job is tried again; set PHIQ_ENGINE_TIMEOUT higher for slow machines.",
                        subject=self._spec.folder,
                        seconds=timeout,
                    )
        except (EOFError, OSError) as error:
            raise self._lost() from error

    def _lost(self) -> EngineLost:
        try:
            code = self._popen.wait(5)
        except subprocess.TimeoutExpired:  # it closed the pipe and hangs
            self.kill()
            code = self._popen.returncode
        name = _signal_name(code)
        return EngineLost(
            f"The process that hosts {Path(self._spec.folder).name} ended ({name or f'exit code {code}'}).",
            hint="The job is tried again on a new process; if it comes again: phiq doctor",
            subject=self._spec.folder,
            exit_code=code,
            signal=name,
        )


def broken(folder: str, what: str, **details: Any) -> ModelBroken:
    """The error for a folder that can't be loaded."""
    return ModelBroken(
        f"The model in {folder} can't be used: {what}.",
        hint="Fetch it again (phiq models pull NAME), or give the folder that holds genai_config.json.",
        subject=folder,
        **details,
    )


def load_error(spec: LoadSpec, failed: LoadFailed) -> Exception:
    """The error for a model that its process could not load."""
    if failed.trouble == "memory":
        return EngineOutOfMemory(
            f"There is not enough memory to load {spec.folder}: {failed.message}",
            hint=f"Close other programs, lower {spec.length_setting}, or take a smaller model.",
            subject=spec.folder,
        )
    if failed.trouble == "option":
        return OptionUnsupported(
            f"The model in {spec.folder} can't be run as configured: {failed.message}.",
            hint="PHIQ_ONNX_PROVIDER=cpu runs everywhere.",
            subject=spec.folder,
            option="provider",
        )
    if failed.trouble == "refused":
        backend = BACKENDS[spec.backend]
        return EngineNotInstalled(
            f"{backend.library} can't be imported: {failed.message}", hint=backend.install, subject=spec.folder
        )
    return broken(spec.folder, failed.message)


def _signal_name(code: int | None) -> str:
    if code is None or code >= 0:
        return ""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _end(popen: subprocess.Popen[bytes], lifeline: socket.socket) -> None:
    # It holds nothing that could be lost, so it needs no polite end.
    popen.kill()
    popen.wait()
    lifeline.close()
