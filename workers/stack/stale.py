"""Stop a stack from outside: one that runs, or what a crashed one left behind."""

from __future__ import annotations

import contextlib
from pathlib import Path

from filelock import FileLock, Timeout

from workers.errors import StackFailed
from workers.settings import Settings
from workers.stack import child, state
from workers.stack.state import ProcessRef

_GRACE = 15.0
_FORGOTTEN = ("redis.conf",)


def stop_recorded(data_dir: Path, grace: float = _GRACE) -> list[str]:
    """Stop the recorded processes that still live and are still ours, and forget the record.

    Only for a stack whose supervisor is gone: a living one would start them again.

    Returns:
        The names of the parts that were stopped.
    """
    found = state.read(data_dir)
    stopped = [part.name for part in reversed(found.parts if found else []) if _end(part.process, grace)]
    forget(data_dir)
    return stopped


def down(settings: Settings) -> list[str]:
    """Stop the stack that runs in the data folder, by the ids it recorded.

    Returns:
        The names of the parts that ran; empty when none did.

    Raises:
        StackFailed: the supervisor neither ended nor could be ended.
    """
    data_dir = settings.data_dir.expanduser().absolute()
    found = state.read(data_dir)
    if found is None:
        return []
    names = [part.name for part in found.parts if part.process.alive()]
    # The supervisor stops its parts in order; the worker may use its whole drain.
    _end(found.supervisor, settings.drain_seconds + 4 * _GRACE, group=False)
    try:
        with FileLock(state.run_dir(data_dir) / "stack.lock", timeout=_GRACE):
            stop_recorded(data_dir)
    except Timeout as error:
        raise StackFailed(
            f"The stack in {data_dir} did not stop.",
            hint=f"End process {found.supervisor.pid} yourself, then run `phiq up` again: it clears what is left.",
            subject=str(data_dir),
        ) from error
    return names


def forget(data_dir: Path) -> None:
    """Remove what only a running stack needs."""
    state.remove(data_dir)
    for name in _FORGOTTEN:
        with contextlib.suppress(OSError):
            (state.run_dir(data_dir) / name).unlink(missing_ok=True)


def _end(reference: ProcessRef, grace: float, *, group: bool = True) -> bool:
    """End a process if it is still the one recorded; returns whether it was."""
    import psutil

    process = reference.find()
    if process is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(grace)
        except psutil.TimeoutExpired:
            if group:
                child.kill_group(process.pid)
            process.kill()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(grace)
    return True
