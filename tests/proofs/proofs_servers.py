"""A Redis that can be rolled back and grow older, and a proxy before it that swallows replies."""

from __future__ import annotations

import os
import selectors
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from workers.app import worker_argv
from workers.settings import Settings, child_environment

_OLDER = """
-- Moves every instant of the ledger into the past, which is what a clock that runs on does to them. An instant is
-- known by its size: milliseconds since 1970, between the years 2017 and 2049.
local by = tonumber(ARGV[1])
local function instant(text)
  local number = tonumber(text)
  return number and number > 1.5e12 and number < 2.5e12 and number or nil
end
for _, key in ipairs(redis.call('KEYS', ARGV[2])) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'zset' then
    local all = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 1, #all, 2 do
      local at = instant(all[i + 1])
      if at then redis.call('ZADD', key, at - by, all[i]) end
    end
  elseif kind == 'hash' then
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      local at = instant(all[i + 1])
      if at then redis.call('HSET', key, all[i], at - by) end
    end
  elseif kind == 'string' and instant(redis.call('GET', key)) then
    redis.call('SET', key, redis.call('GET', key) - by, 'KEEPTTL')
  end
  local left = redis.call('PTTL', key)
  if left > 0 and left <= by then redis.call('DEL', key) end
  if left > 0 and left > by then redis.call('PEXPIRE', key, left - by) end
end
"""


_SCRIPT = b"EVALSHA\r\n$40\r\n"
"""How the call of a script begins on the wire; its sha1 follows."""


def grow_older(client: redis.Redis, seconds: float, pattern: str = "phiq:*") -> None:
    """As if Redis' clock had run on; a negative number sets it back. Ids of stream entries stay, as they would."""
    client.eval(_OLDER, 0, round(seconds * 1000), pattern)


class Rewindable:
    """A Redis with an append-only file that can be killed and started again from an earlier copy of that file.

    Not ``appendfsync always``: a SIGKILL takes nothing from the kernel's cache, and a sync a write costs more here
    than the test does.
    """

    def __init__(self, binary: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._binary = binary
        self._folder = folder
        self._environment = environment
        self._copies = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.data = folder / "data"
        self.start()

    def start(self) -> None:
        """Start on what lies in the data folder; returns when it answers."""
        self.data.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [
                *(self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.data)),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0"),
                *("--maxmemory-policy", "noeviction"),
            ],
            stdout=subprocess.DEVNULL,
            env=None if self._environment is None else {**os.environ, **self._environment},
        )
        until = time.monotonic() + 20
        while True:
            assert self._process.poll() is None, "Redis does not start"
            try:
                with self.client() as client:
                    client.ping()
                    return
            except redis.RedisError:
                assert time.monotonic() < until, "Redis does not answer"
                time.sleep(0.005)

    def client(self, port: int | None = None) -> redis.Redis:
        """A client that repeats a command at once when its connection breaks."""
        return redis.Redis(
            port=port or self.port,
            decode_responses=True,
            socket_timeout=10,
            retry=Retry(NoBackoff(), 3),
            retry_on_error=[redis.ConnectionError, redis.TimeoutError],
        )

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def remember(self) -> Path:
        """Copy the append-only file as it is now."""
        self._copies += 1
        copy = self._folder / f"copy{self._copies}"
        shutil.copytree(self.data, copy)
        return copy

    def roll_back(self, copy: Path) -> None:
        """Kill Redis and start it from a copy."""
        self.kill()
        shutil.rmtree(self.data)
        shutil.copytree(copy, self.data)
        self.start()

    def begin_anew(self) -> None:
        """Empty it; and its file, when that grew large enough to make restarts slow."""
        with self.client() as client:
            client.flushall()
        if sum(file.stat().st_size for file in self.data.rglob("*") if file.is_file()) > 1_000_000:
            self.kill()
            for folder in (self.data, *self._folder.glob("copy*")):
                shutil.rmtree(folder)
            self.start()


class Proxy(threading.Thread):
    """Stands between a client and Redis and loses what it is told to lose.

    ``lose("reply")``: the next script runs, its reply is swallowed and the connection cut, so that redis-py sends
    the script again. ``lose("command")``: it is cut before the script came through. ``every``: the reply of each call
    is lost once. ``lost`` has the sha1 of each script whose reply was swallowed.
    """

    def __init__(self, target: int) -> None:
        super().__init__(name="proxy", daemon=True)
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._other: dict[socket.socket, socket.socket] = {}
        self._swallow: dict[socket.socket, bytes] = {}
        self._repeated: set[bytes] = set()
        self._plan: deque[str] = deque()
        self._closing = False
        self.every = False
        self.lost: list[str] = []

    def lose(self, *what: str) -> None:
        """Lose the next replies or commands, in this order."""
        self._plan.extend(what)

    def keep(self) -> None:
        """Lose nothing more."""
        self._plan.clear()
        self.every = False

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self.join()

    def run(self) -> None:
        """Carry bytes until closed."""
        self._selector.register(self._listener, selectors.EVENT_READ)
        while not self._closing:
            for key, _ in self._selector.select(timeout=0.2):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._other:
                    self._carry(key.fileobj, key.data)
        for one in (*self._other, self._listener):
            one.close()
        self._selector.close()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=10)
        except OSError:
            client.close()
            return
        for one, other, name in ((client, server, "client"), (server, client, "server")):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._other[one] = other
            self._selector.register(one, selectors.EVENT_READ, name)

    def _carry(self, source: socket.socket, side: str) -> None:
        try:
            data = source.recv(1 << 16)
            if not data:
                return self._cut(source)
            if side == "client" and _SCRIPT in data:
                if self._plan and self._plan[0] == "command":
                    self._plan.popleft()
                    return self._cut(source)
                if self._plan or (self.every and data not in self._repeated):
                    self._swallow[self._other[source]] = data
            # A script that Redis does not know yet did not run: its next try is the one to lose.
            elif (command := self._swallow.pop(source, None)) and not data.startswith(b"-NOSCRIPT"):
                if self._plan:
                    self._plan.popleft()
                self._repeated.add(command)
                at = command.index(_SCRIPT) + len(_SCRIPT)
                self.lost.append(command[at : at + 40].decode())
                return self._cut(source)
            self._other[source].sendall(data)
        except OSError:
            self._cut(source)
        return None

    def _cut(self, one: socket.socket) -> None:
        other = self._other.pop(one, None)
        for end in (one, other):
            if end is not None:
                self._other.pop(end, None)
                self._swallow.pop(end, None)
                self._selector.unregister(end)
                end.close()


class Worker:
    """A real worker: Celery's process with our lifecycle in it."""

    def __init__(self, settings: Settings, name: str, log: Path, **environment: str) -> None:
        self.name = name
        self._log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", *worker_argv(settings)],
                env=child_environment(settings, worker_name=name) | environment,
                stdout=out,
                stderr=out,
            )

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(errors="replace")

    def lives(self) -> bool:
        """Fails with the log when the process has ended."""
        assert self.process.poll() is None, self.log[-5000:]
        return True

    def kill(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
