"""Redis and workers for a measurement: as `phiq up` starts them, in a temporary folder, ended by their ids."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import redis

from workers.app import worker_argv
from workers.connections import redis_url
from workers.service import Service
from workers.settings import Settings, child_environment
from workers.stack import Stack
from workers.stack.child import Child, tail

_START_SECONDS = 90.0


class Process:
    """A process of the measurement."""

    def __init__(self, child: Child, name: str) -> None:
        self.child = child
        self.name = name
        self._seen = psutil.Process(child.pid)

    @property
    def cpu(self) -> float:
        """CPU seconds so far, those of its living children (engine hosts) included."""
        return sum(_cpu(one) for one in (self._seen, *self._seen.children(recursive=True)))

    def freeze(self) -> None:
        """Stop it where it is."""
        os.kill(self.child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.child.pid, signal.SIGCONT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep it still while the block runs."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()


class Rig:
    """A Redis of its own (append-only file at ``always``) and whatever is started beside it.

    Args:
        values: Settings other than the defaults.
    """

    def __init__(self, **values: Any) -> None:
        self._exits = ExitStack()
        folder = self._exits.enter_context(tempfile.TemporaryDirectory(prefix="phiq-bench-"))
        self.folder = Path(folder)
        given = {"data_dir": self.folder / "data", "allow_fake_engine": True, "log_level": "warning", **values}
        self._settings = Settings(**given)

    def __enter__(self) -> Self:
        try:
            self._exits.enter_context(Stack(self._settings, parts=["redis"]))
            self.url = redis_url(self._settings)
            self.settings = self._settings.model_copy(update={"redis_url": _secret(self.url)})
            self.redis: redis.Redis = self._exits.enter_context(redis.Redis.from_url(self.url, decode_responses=True))
            self._server = psutil.Process(int(self.info("server")["process_id"]))
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    @property
    def redis_cpu(self) -> float:
        """CPU seconds of Redis so far."""
        return _cpu(self._server)

    def info(self, section: str) -> dict[str, Any]:
        """A section of Redis' INFO."""
        found: Any = self.redis.info(section)
        return dict(found)

    def service(self) -> Service:
        """A service over this Redis, closed with the rig."""
        made = Service.connect(self.settings)
        self._exits.callback(made.close)
        return made

    def worker(self, name: str = "bench") -> Process:
        """Start a worker of phiq and wait until it has reported."""
        environment = child_environment(self.settings, worker_name=name)
        started = self.start([sys.executable, "-m", "celery", *worker_argv(self.settings)], name, environment)
        service = self.service()
        self.wait(lambda: any(one.name == name for one in service.workers()), started)
        return started

    def start(self, argv: Sequence[str], name: str, environment: Mapping[str, str] | None = None) -> Process:
        """Start a process that ends with the rig."""
        folder = Path(__file__).resolve().parents[2]
        child = Child(argv, self.folder / f"{name}.log", folder, environment)
        process = Process(child, name)

        def stop() -> None:
            process.thaw()
            child.stop(grace=10)

        self._exits.callback(stop)
        return process

    def wait(self, condition: Any, process: Process) -> None:
        """Wait until a process has come up."""
        until = time.monotonic() + _START_SECONDS
        while not condition():
            if not process.child.running or time.monotonic() > until:
                raise SystemExit(f"{process.name} did not come up:\n{tail(process.child.log)}")
            time.sleep(0.05)


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _secret(url: str) -> Any:
    from pydantic import SecretStr

    return SecretStr(url)
