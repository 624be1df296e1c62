"""The parts of the stack: how each is prepared, started and asked for its health."""

from __future__ import annotations

import secrets
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from workers.settings import Settings, child_environment
from workers.stack import binaries, health, redis_server
from workers.stack.ports import LOOPBACK, free_on, free_port, http_url

_PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Addresses:
    """Where the servers are; Redis' with its password, the word index's with its secret."""

    redis: str = ""
    chroma: str = ""
    words: str = ""


class Member(ABC):
    """A part: what the supervisor needs to run it, without knowing what it is.

    Attributes:
        name: Unique in the stack; also its log's name.
        address: Where it answers, without secrets.
        start_seconds: How long it may take to become healthy.
        grace: Seconds between asking it to end and ending it.
        silence: Seconds that it may be `silent`, once healthy, before it is ended and started anew.
    """

    name: str
    address: str = ""
    start_seconds: float = 60.0
    grace: float = 10.0
    silence: float = 60.0

    def choose(self) -> None:  # noqa: B027 - not all have something to choose
        """Choose program and port, before the first start; and another port when that one was taken.

        Raises:
            PhiqError: it can't be started on this machine.
        """

    def clear(self) -> None:  # noqa: B027 - not all leave something behind
        """Take away what an earlier process of it may have left, before every start."""

    @abstractmethod
    def argv(self) -> list[str]:
        """The command that starts it."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The environment it starts in."""

    @abstractmethod
    def problem(self, pid: int) -> str:
        """Why the process is not healthy yet; empty when it is."""

    def silent(self, pid: int) -> bool:  # noqa: ARG002 - not all can tell
        """Whether the process, which was healthy, gives no sign of life, and it is not another part's fault."""
        return False

    def port_taken(self, log_tail: str) -> bool:  # noqa: ARG002 - only servers look
        """Whether it ended because another process holds its port."""
        return False


class RedisMember(Member):
    """Our own Redis, on loopback, with a password nobody chose."""

    name = "redis"
    start_seconds = 120.0  # a long append-only file is read first

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.data_dir / "redis"
        self._config = settings.data_dir / "run" / "redis.conf"
        self._password = secrets.token_hex(24)
        self._port = 0
        self._binary = ""

    @property
    def url(self) -> str:
        """The address with the password."""
        return redis_server.url(self._port, self._password)

    def choose(self) -> None:
        """Find the program, choose a port and write the configuration."""
        binary = binaries.find_redis()
        redis_server.check_data(self._folder, binary)
        self._binary = binary.path
        self._port = free_port()
        self.address = f"{LOOPBACK}:{self._port} (Redis {binary.version_text} from {binary.source})"
        redis_server.write_config(
            self._config, self._folder, self._port, self._password, self._settings.redis_maxmemory
        )

    def argv(self) -> list[str]:
        """The server with its configuration file; nothing secret in the arguments."""
        return [self._binary, str(self._config)]

    def environment(self) -> dict[str, str]:
        """Nothing of ours."""
        return child_environment(self._settings)

    def problem(self, pid: int) -> str:  # noqa: ARG002 - nobody else knows the password
        """Whether it answers PING."""
        return health.redis(self.url)

    def port_taken(self, log_tail: str) -> bool:
        """By Redis' own words."""
        return "address already in use" in log_tail.lower()


class ChromaMember(Member):
    """Chroma's server on loopback."""

    name = "chroma"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.data_dir / "chroma"
        self._port = 0

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://{LOOPBACK}:{self._port}"

    def choose(self) -> None:
        """Choose a port."""
        self._port = free_port()
        self.address = self.url

    def argv(self) -> list[str]:
        """Chroma's own command."""
        return binaries.chroma_argv(self._folder, self._port)

    def environment(self) -> dict[str, str]:
        """With telemetry off (settings.py puts it there), and nothing of what it freed in its files."""
        return child_environment(self._settings) | binaries.CHROMA_ENVIRONMENT

    def problem(self, pid: int) -> str:
        """Whether it answers, and whether it is ours that does."""
        return health.chroma(self.url) or ("" if health.listens(pid, self._port) else "another process has its port")

    def port_taken(self, log_tail: str) -> bool:
        """By the words of its server."""
        words = log_tail.lower()
        return "address already in use" in words or "is not available" in words


class WordsMember(Member):
    """The word index's server on loopback, with a secret nobody chose."""

    name = "words"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secret = secrets.token_hex(24)
        self._port = 0

    @property
    def url(self) -> str:
        """The address with the secret."""
        return f"http://:{self._secret}@{LOOPBACK}:{self._port}"

    def choose(self) -> None:
        """Choose a port."""
        self._port = free_port()
        self.address = f"http://{LOOPBACK}:{self._port}"

    def argv(self) -> list[str]:
        """As on a machine of its own; the secret is in the environment."""
        return [sys.executable, "-m", "workers", "words"]

    def environment(self) -> dict[str, str]:
        """The same settings, with its own address."""
        own = self._settings.model_copy(update={"words_host": LOOPBACK})
        return _python_environment(own, Addresses(words=self.url))

    def problem(self, pid: int) -> str:
        """Whether it answers, and whether it is ours that does."""
        return health.words(self.url) or ("" if health.listens(pid, self._port) else "another process has its port")

    def port_taken(self, log_tail: str) -> bool:
        """By the words of the operating system."""
        return "address already in use" in log_tail.lower()


class WorkerMember(Member):
    """The Celery worker."""

    name = "worker"
    start_seconds = 180.0  # it may load and warm up a model first

    def __init__(self, settings: Settings, at: Addresses) -> None:
        self._settings = settings
        self._environment = _python_environment(settings, at)
        self._redis_url = at.redis
        self.address = f"{settings.slots} slots for {settings.queues}"
        # Beyond its own drain and what it takes to end after that, so that it gives back its jobs by itself.
        self.grace = settings.drain_seconds + 15.0

    def argv(self) -> list[str]:
        """As `workers.app` says."""
        from workers.app import worker_argv

        return _celery(worker_argv(self._settings))

    def environment(self) -> dict[str, str]:
        """The same settings, with the addresses of this stack."""
        return self._environment

    def problem(self, pid: int) -> str:
        """Whether its heartbeat is in the ledger."""
        return health.worker(self._settings, self._redis_url, pid)

    def silent(self, pid: int) -> bool:
        """Whether the ledger answers and has no heartbeat of it. One that is deaf to the broker ends by itself."""
        return health.worker_missing(self._settings, self._redis_url, pid)


class BeatMember(Member):
    """The scheduler that ticks."""

    name = "beat"
    address = "schedules"

    def __init__(self, settings: Settings, at: Addresses, *, alone: bool) -> None:
        self._environment = _python_environment(settings, at)
        self._redis_url = at.redis
        self._settings = settings
        self._alone = alone

    def clear(self) -> None:
        """Open RedBeat's lock, where no scheduler but ours can hold it: a killed one keeps it for minutes."""
        if self._alone:
            health.forget_beat(self._settings, self._redis_url)

    def argv(self) -> list[str]:
        """As `workers.app` says."""
        from workers.app import beat_argv

        return _celery(beat_argv(self._settings))

    def environment(self) -> dict[str, str]:
        """The same settings, with the addresses of this stack."""
        return self._environment

    def problem(self, pid: int) -> str:  # noqa: ARG002 - the lock carries no pid
        """Whether it holds RedBeat's lock."""
        return health.beat(self._settings, self._redis_url)


class GatewayMember(Member):
    """The HTTP API."""

    name = "gateway"
    grace = 25.0  # beyond its own, in which requests under way end

    def __init__(self, settings: Settings, at: Addresses) -> None:
        self._settings = settings
        self._environment = _python_environment(settings, at)
        self._port = 0

    @property
    def url(self) -> str:
        """The address at which this machine reaches it."""
        return http_url(self._settings.http_host, self._port)

    def choose(self) -> None:
        """The port of the settings, so that its address stays the same; a free one when another process has it."""
        host, port = self._settings.http_host, self._settings.http_port
        self._port = port if free_on(host, port) else free_port()
        self.address = self.url

    def argv(self) -> list[str]:
        """As `phiq serve` is started by hand."""
        where = ["--host", self._settings.http_host, "--port", str(self._port)]
        return [sys.executable, "-m", "gateway.cli", "serve", *where]

    def environment(self) -> dict[str, str]:
        """The same settings, with the addresses of this stack."""
        return self._environment

    def problem(self, pid: int) -> str:
        """Whether it takes jobs, and whether it is ours that does."""
        return health.gateway(self.url) or ("" if health.listens(pid, self._port) else "another process has its port")

    def port_taken(self, log_tail: str) -> bool:
        """By the words of the operating system."""
        return "address already in use" in log_tail.lower()


def _celery(arguments: list[str]) -> list[str]:
    # As a module: the bare script leaves the working directory out of the path.
    return [sys.executable, "-m", "celery", *arguments]


def _python_environment(settings: Settings, at: Addresses) -> dict[str, str]:
    given = {"redis_url": at.redis, "chroma_url": at.chroma, "words_url": at.words}
    environment = child_environment(
        settings,
        data_dir=str(settings.data_dir.absolute()),
        **{name: address for name, address in given.items() if address},
    )
    # The children must import the code that runs here, also from a source tree that is not installed.
    others = environment.get("PYTHONPATH", "")
    environment["PYTHONPATH"] = f"{_PROJECT}:{others}" if others else str(_PROJECT)
    return environment
