"""A child process with a log file and a process group of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from workers.stack.state import ProcessRef

_TAIL_BYTES = 8192
_KILL_SECONDS = 10.0
_LOOK_SECONDS = 0.02


class Child:
    """A running child.

    It gets a session of its own, so that Ctrl-C in the terminal reaches only us and we stop the parts in order;
    its own children share its group and are ended with it.

    Raises:
        OSError: when the program or its log can't be opened.
    """

    def __init__(self, argv: Sequence[str], log: Path, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - argv is built by us, no shell
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(env) if env is not None else None,
                start_new_session=True,
                umask=0o077,
            )
        self.pid = self._process.pid
        self.ref = ProcessRef.of(self.pid, argv)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        # Not Popen.poll: that would collect the ended child and free its number while its group may still live.
        return self._process.returncode is None and not _is_zombie(self.pid)

    @property
    def ending(self) -> str:
        """How it ended, in words; empty while it runs."""
        if self.running:
            return ""
        code = self._collect()
        if code >= 0:
            return f"ended with exit code {code}"
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"

    def stop(self, grace: float, hurry: threading.Event | None = None) -> bool:
        """Ask it to end, and end its whole group when it has not after ``grace`` seconds or once ``hurry`` is set.

        Returns:
            Whether it ended by itself.
        """
        if self.running:
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while self.running and time.monotonic() < deadline and not (hurry and hurry.is_set()):
            time.sleep(_LOOK_SECONDS)
        willing = not self.running
        self._collect()
        return willing

    def _collect(self) -> int:
        if self._process.returncode is None:
            kill_group(self.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                # The kernel may hold it (a stuck disk); that must not keep us from stopping the others.
                self._process.wait(_KILL_SECONDS)
        return self._process.returncode if self._process.returncode is not None else -signal.SIGKILL


def kill_group(pid: int) -> None:
    """End what lives of the group that a child leads; fine when nothing does.

    Only while the child is known to hold its number: running, or ended and not yet collected.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log; empty when there are none."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-lines:])


def _is_zombie(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
