"""The machine that is to be broken: Redis, Chroma, workers and the scheduler as processes of their own."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from benchmarks.chaos.options import Options
from workers.app import beat_argv, worker_argv
from workers.settings import Settings, child_environment
from workers.stack import binaries, health, redis_server
from workers.stack.child import Child, tail
from workers.stack.ports import free_port

_PROJECT = Path(__file__).resolve().parents[2]
_START_SECONDS = 90.0


@dataclass
class Part:
    """A process that can be killed and started again; it is ended by its own id only."""

    name: str
    log: Path
    argv: Callable[[], list[str]]
    environment: Callable[[], dict[str, str]]
    problem: Callable[[int], str]
    child: Child | None = None
    starts: int = 0
    started: float = 0.0
    wanted: bool = False
    frozen: bool = False

    @property
    def running(self) -> bool:
        """Whether its process lives, frozen or not."""
        return self.child is not None and self.child.running

    def start(self) -> None:
        """Start it; `problem` tells when it is healthy."""
        self.wanted, self.frozen = True, False
        self.starts += 1
        self.started = time.monotonic()
        self.child = Child(self.argv(), self.log, self.log.parent, self.environment())

    def kill(self) -> None:
        """SIGKILL to the process alone: its own children must notice by themselves."""
        assert self.child is not None
        self.wanted = False
        os.kill(self.child.pid, signal.SIGKILL)

    def bury(self) -> None:
        """Collect a process that ended, and what is left of its group."""
        if self.child is not None:
            self.child.stop(0.0)
            self.child = None

    def freeze(self) -> None:
        """SIGSTOP: it keeps its connections and its memory and does nothing."""
        assert self.child is not None
        os.kill(self.child.pid, signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        """SIGCONT; fine when it has ended meanwhile."""
        self.frozen = False
        if self.running:
            assert self.child is not None
            os.kill(self.child.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it in good order, or else with force."""
        self.thaw()
        self.wanted = False
        if self.child is not None:
            self.child.stop(15.0)
            self.child = None

    def health(self) -> str:
        """Why it is not healthy; empty when it is."""
        if not self.running or self.child is None:
            return f"{self.name} has ended; {self.log}\n{tail(self.log)}"
        return self.problem(self.child.pid)


def worker_name(part: Part) -> str:
    """What a worker is called now: one keeps its name over restarts, as in compose.yaml, the others get a new one."""
    return part.name if part.name == "w1" else f"{part.name}.{part.starts}"


@dataclass
class Machine:
    """All parts, in a folder that nobody else uses."""

    options: Options
    folder: Path
    parts: dict[str, Part] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._password = secrets.token_hex(16)
        self._redis_port, self._chroma_port, self._proxy_port = free_port(), free_port(), free_port()
        for name in ("redis", "chroma", "logs", "content"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.settings = Settings(
            data_dir=self.folder / "client",
            redis_url=redis_server.url(self._redis_port, self._password),
            chroma_url=f"http://127.0.0.1:{self._chroma_port}",
            content_url=f"file://{self.folder / 'content'}",
            allow_fake_engine=True,
            slots=self.options.slots,
            lease_seconds=self.options.lease,
            drain_seconds=5.0,
            onnx_threads=1,
        )
        self._add("redis", self._redis_argv, dict, lambda _: health.redis(self.redis_url))
        if self.options.documents:
            argv = binaries.chroma_argv(self.folder / "chroma", self._chroma_port)
            environment = {**binaries.CHROMA_ENVIRONMENT, "ANONYMIZED_TELEMETRY": "False"}
            url = self.settings.chroma_url or ""
            self._add("chroma", lambda: argv, lambda: environment, lambda _: health.chroma(url))
        if "replies" in self.options.faults:
            proxy = [sys.executable, "-m", "benchmarks.chaos.proxy", str(self._proxy_port), str(self._redis_port)]
            self._add(
                "proxy", lambda: proxy, lambda: self._environment("proxy"), lambda _: health.redis(self.proxy_url)
            )
        for number in range(1, self.options.workers + 1):
            self._add_worker(f"w{number}")
        self._add(
            "scheduler",
            lambda: self._celery(beat_argv(self.settings)),
            lambda: self._environment("scheduler"),
            lambda _: "",
        )

    @property
    def redis_url(self) -> str:
        """Redis itself, past the proxy."""
        return redis_server.url(self._redis_port, self._password)

    @property
    def proxy_url(self) -> str:
        """Redis through the proxy that drops replies, where there is one."""
        port = self._proxy_port if "replies" in self.options.faults else self._redis_port
        return redis_server.url(port, self._password)

    @property
    def settings_by_proxy(self) -> Settings:
        """The settings, with the proxy for Redis."""
        return self.settings.model_copy(update={"redis_url": SecretStr(self.proxy_url)})

    def drop_replies(self) -> None:
        """Have the proxy lose the next reply on each of its connections."""
        proxy = self.parts["proxy"]
        if proxy.running and proxy.child is not None:
            os.kill(proxy.child.pid, signal.SIGUSR1)

    @property
    def workers(self) -> list[Part]:
        """The worker processes."""
        return [part for name, part in self.parts.items() if name.startswith("w")]

    def start(self) -> None:
        """Start everything and wait until it is healthy.

        Raises:
            SystemExit: a part did not come up, with the end of its log.
        """
        for part in self.parts.values():
            part.start()
            if part.name in ("redis", "chroma", "proxy"):
                self.wait_healthy(part)
        for part in self.parts.values():
            self.wait_healthy(part)

    def wait_healthy(self, part: Part, seconds: float = _START_SECONDS) -> None:
        """Wait until a part is healthy.

        Raises:
            SystemExit: it is not in time, with the reason.
        """
        until = time.monotonic() + seconds
        while problem := part.health():
            if time.monotonic() > until or not part.running:
                raise SystemExit(f"{part.name} did not come up: {problem}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End every process that was started, and the servers when those who need them are gone."""
        servers = ("redis", "chroma", "proxy")
        for part in self.parts.values():
            part.thaw()
            part.wanted = False
            if part.name not in servers and part.running and part.child is not None:
                os.kill(part.child.pid, signal.SIGTERM)  # all at once; each is waited for below
        for part in reversed(self.parts.values()):
            part.stop()

    def _add(
        self,
        name: str,
        argv: Callable[[], list[str]],
        environment: Callable[[], dict[str, str]],
        problem: Callable[[int], str],
    ) -> None:
        inherited = child_environment(self.settings)
        self.parts[name] = Part(
            name, self.folder / "logs" / f"{name}.log", argv, lambda: inherited | environment(), problem
        )

    def _add_worker(self, name: str) -> None:
        def environment() -> dict[str, str]:
            given = {"PHIQ_WORKER_NAME": worker_name(self.parts[name])}
            if name == f"w{self.options.workers}":
                given["PHIQ_REDIS_URL"] = self.proxy_url
            return self._environment(name) | given

        self._add(
            name,
            lambda: self._celery(worker_argv(self.settings)),
            environment,
            lambda pid: health.worker(self.settings, self.redis_url, pid),
        )

    def _environment(self, name: str) -> dict[str, str]:
        environment = child_environment(self.settings, data_dir=str(self.folder / name))
        others = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = f"{_PROJECT}:{others}" if others else str(_PROJECT)
        return environment

    def _celery(self, arguments: list[str]) -> list[str]:
        return [sys.executable, "-m", "celery", *arguments]

    def _redis_argv(self) -> list[str]:
        config = self.folder / "redis.conf"
        redis_server.write_config(config, self.folder / "redis", self._redis_port, self._password)
        with config.open("a", encoding="utf-8") as out:
            out.write(f"appendfsync {self.options.aof}\n")  # the last one counts
        return [binaries.find_redis().path, str(config)]
