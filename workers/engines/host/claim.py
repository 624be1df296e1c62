"""Whose a model is on this machine: a lock file per model, and beside it the socket where other workers join.

The lock is the model's process's: it inherits the open file and closes it by ending, however it ends. So the lock is
held exactly while there is a copy of the weights, and nothing is left to clean up after a kill: a lock file or a socket
that lies there without such a process is simply taken over.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from workers.engines.host.protocol import LoadSpec

_ADJUSTABLE = ("kv_bytes", "prefix_bytes", "cache", "cache_per_token")
"""Options that say how much room there is: whoever joins takes what the owner has."""
_PATH = 100
"""Bytes of a socket's path that every system takes (Linux: 107, macOS: 103)."""


class NotShared(Exception):
    """Raised when no lock or socket can be had here; the text says why."""


@dataclass(frozen=True)
class Record:
    """What a lock file says of the process that holds it.

    ``owner`` and ``child`` are process ids on ``host`` (a machine or a container); ``silence`` is how many seconds the
    owner waits for a sign of life.
    """

    model: str
    folder: str
    backend: str
    host: str
    owner: int
    child: int
    socket: str
    silence: float
    version: str

    @property
    def worker(self) -> str:
        """Its owner, for people."""
        return f"{self.owner}" if self.host == socket.gethostname() else f"{self.owner} on {self.host}"


class Claim:
    """The right to load a model, to be handed to the process that loads it.

    Args:
        lock: Descriptor of the locked file.
        listener: The bound socket.
        record: What is said of the process; written down at once, for those who want to join while it loads.

    Raises:
        OSError: it can't be written down.
    """

    def __init__(self, lock: int, listener: socket.socket, record: Record) -> None:
        self.lock = lock
        self.listener = listener
        self._record = record
        self._write(record)

    def started(self, child: int) -> None:
        """Add the process to what is said of it."""
        with contextlib.suppress(OSError):  # people miss it; who joins does not need it
            self._write(replace(self._record, child=child))

    def close(self) -> None:
        """Let go of it here: the lock is free when no process has it."""
        self.listener.close()
        os.close(self.lock)

    def _write(self, record: Record) -> None:
        data = json.dumps(asdict(record)).encode()
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, data, 0)


def cannot_share() -> str:
    """Why this system can't share a model between workers; empty: it can."""
    if not hasattr(socket, "AF_UNIX"):
        return "this system has no Unix sockets"
    try:
        import fcntl  # noqa: F401
    except ImportError:
        return "this system has no flock"
    return ""


def unusable(folder: Path) -> str:
    """Why locks and sockets can't be in a folder; empty: they can."""
    import fcntl

    try:
        _private(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return _words(error, folder)
    return ""


def key_of(spec: LoadSpec) -> str:
    """A short name for what would be loaded: folder, files, library and the options that change the weights in memory.

    The machine is in it: the folder of locks may lie on a disk that several see. Containers on one machine are one.
    """
    folder = Path(os.path.realpath(spec.folder))
    options = {name: value for name, value in spec.options.items() if name not in _ADJUSTABLE}
    files: list[tuple[str, int, int]] = []
    with contextlib.suppress(OSError):  # loading says what is wrong with the folder
        looks = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
        files = [(name, look.st_size, look.st_mtime_ns) for name, look in looks if stat.S_ISREG(look.st_mode)]
    what = [str(folder), files, spec.backend, spec.provider, options, _machine()]
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:20]


def claim(folder: Path, key: str, spec: LoadSpec, silence: float) -> Claim | None:
    """Take a model's lock and bind its socket; None when another process has it.

    Args:
        folder: Of locks and sockets; made if need be.
        key: The model's.
        spec: The model.
        silence: Seconds for which its owner waits for a sign of life.

    Raises:
        NotShared: neither is possible in this folder.
    """
    if why := cannot_share():
        raise NotShared(why)
    import fcntl

    try:
        _private(folder)
        lock = os.open(folder / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise NotShared(_words(error, folder)) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise NotShared(_words(error, folder)) from error
    try:
        os.ftruncate(lock, 0)
        listener, path = _bind(folder, key)
    except OSError as error:
        os.close(lock)
        raise NotShared(_words(error, folder)) from error
    here = Record(
        model=Path(spec.folder).name,
        folder=spec.folder,
        backend=spec.backend,
        host=socket.gethostname(),
        owner=os.getpid(),
        child=0,
        socket=path,
        silence=silence,
        version=_version(),
    )
    try:
        return Claim(lock, listener, here)
    except OSError as error:
        listener.close()
        os.close(lock)
        raise NotShared(_words(error, folder)) from error


def read(folder: Path, key: str) -> Record | None:
    """What the process that holds a model says of itself; None when it has not said it yet."""
    try:
        return _parse((folder / f"{key}.lock").read_bytes())
    except OSError:
        return None


def held(folder: Path) -> Iterator[Record]:
    """The models that processes hold now, for people."""
    import fcntl

    with contextlib.suppress(OSError):
        for path in sorted(folder.glob("*.lock")):
            with contextlib.suppress(OSError), path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    record = _parse(file.read())
                    if record is not None:
                        yield record


def _version() -> str:
    try:
        return version("phiq")
    except PackageNotFoundError:
        return "uninstalled"


def _machine() -> str:
    """What all processes under this kernel have in common, and no others."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return socket.gethostname()


def _parse(data: bytes) -> Record | None:
    try:
        facts: Any = json.loads(data)
        return Record(**{part.name: facts[part.name] for part in fields(Record)})
    except (ValueError, KeyError, TypeError):
        return None  # half written, or of another version


def _bind(folder: Path, key: str) -> tuple[socket.socket, str]:
    path = folder.absolute() / f"{key}.sock"
    if len(os.fsencode(path)) > _PATH:
        # Systems bound the length of a socket's path; the record says where it is.
        short = Path(tempfile.gettempdir()) / f"phiq-{os.getuid()}"
        _private(short)
        path = short / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:20]}.sock"
    path.unlink(missing_ok=True)  # left by a process that is gone: the lock is ours
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fspath(path))
        path.chmod(0o600)
    except BaseException:
        listener.close()
        raise
    return listener, os.fspath(path)


def _private(folder: Path) -> None:
    """Make sure that a folder is there and this user's alone.

    Raises:
        OSError: it can't be.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    look = folder.lstat()
    if not stat.S_ISDIR(look.st_mode) or look.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it belongs to another user", os.fspath(folder))
    if look.st_mode & 0o077:
        folder.chmod(0o700)


def _words(error: OSError, folder: Path) -> str:
    return f"{error.filename or folder}: {error.strerror or error}"
