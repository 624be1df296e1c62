"""The script that breaks things: planned from the seed, carried out by one thread."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.chaos.machine import Machine, Part, worker_name
from benchmarks.chaos.options import Options

_EVERY = {
    "worker": (5.0, 10.0),
    "freeze": (30.0, 60.0),
    "redis": (30.0, 60.0),
    "scheduler": (30.0, 60.0),
    "chroma": (30.0, 60.0),
    "connections": (20.0, 40.0),
    "replies": (3.0, 8.0),
}
"""Seconds from one fault of a kind to the next, in the storm; three times as often when it is alone."""
_AWAY = {"worker": (0.5, 2.0), "redis": (0.3, 3.0), "scheduler": (0.5, 2.0), "chroma": (0.5, 4.0)}
"""Seconds until what was killed is started again."""
_RIPE = 4.0
"""Seconds a worker has been there before it is killed, so that it holds some jobs."""


@dataclass(frozen=True)
class Fault:
    """Something to break ``at`` seconds after the start, for ``length`` seconds; ``pick`` in [0, 1) chooses whom."""

    at: float
    kind: str
    length: float
    pick: float


@dataclass
class Struck:
    """A fault that happened ``at`` seconds since 1970; ``worker`` is what a worker was called then."""

    kind: str
    target: str
    at: float
    worker: str = ""


def plan(options: Options) -> list[Fault]:
    """The faults in order; each kind happens at least once, and all is mended when the duration is over."""
    rng = random.Random(options.seed + 1)
    found: list[Fault] = []
    kinds = [kind for kind in options.faults if kind in _EVERY]
    for kind in kinds:
        low, high = _EVERY[kind]
        scale = 1.0 if len(kinds) > 1 or kind == "worker" else 1 / 3
        scale = min(scale, options.duration / 1.5 / high)
        at = 0.0
        while True:
            length = _length(kind, options.lease, rng)
            step = rng.uniform(low, high) * scale
            at += max(step, 0.5 * length) if at else max(2.0, step * rng.uniform(0.5, 1.0))
            if at + length > options.duration and any(fault.kind == kind for fault in found):
                break
            found.append(Fault(at, kind, length, rng.random()))
    return sorted(found, key=lambda fault: fault.at)


def _length(kind: str, lease: float, rng: random.Random) -> float:
    if kind == "freeze":
        return lease * rng.uniform(1.3, 1.8)
    return rng.uniform(*_AWAY.get(kind, (0.0, 0.0)))


@dataclass
class Script:
    """Carries out the plan, starts again what ended by itself, and keeps the list of what happened."""

    machine: Machine
    faults: list[Fault]
    struck: list[Struck] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    fell: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._calm = threading.Event()
        self._count = itertools.count()
        self._began = 0.0
        self._left: list[Fault] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._thread = threading.Thread(target=self._loop, name="chaos-script", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin now."""
        self._began = time.monotonic()
        self._left = list(self.faults)
        self._thread.start()

    def drop_the_rest(self) -> None:
        """No further faults; what is begun is mended all the same."""
        self._calm.set()

    def finish(self) -> None:
        """Carry out what is begun, then leave every part running."""
        while (self._due or (self._left and not self._calm.is_set())) and self._thread.is_alive():
            time.sleep(0.05)
        self.stop()

    def stop(self) -> None:
        """End the thread; parts stay as they are."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _at(self, instant: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (instant, next(self._count), act))

    def _loop(self) -> None:
        try:
            while not self._stop.wait(0.05):
                while self._left and not self._calm.is_set() and self._began + self._left[0].at <= time.monotonic():
                    self._strike(self._left.pop(0))
                while self._due and self._due[0][0] <= time.monotonic():
                    heapq.heappop(self._due)[2]()
                self._lift_the_fallen()
        except BaseException as error:  # noqa: BLE001 - a script that died must fail the run
            self.error = error

    def _lift_the_fallen(self) -> None:
        """As a supervisor does: what ended without our doing is started again, and counted."""
        for part in self.machine.parts.values():
            if part.wanted and not part.running:
                self.fell[part.name] += 1
                part.bury()
                part.start()

    def _strike(self, fault: Fault) -> None:
        if fault.kind == "connections":
            self._cut_connections()
            self.struck.append(Struck(fault.kind, "redis", time.time()))
            return
        if fault.kind == "replies":
            self.machine.drop_replies()
            self.struck.append(Struck(fault.kind, "proxy", time.time()))
            return
        part = self._victim(fault)
        if part is None:
            self.skipped[fault.kind] += 1
            return
        worker = worker_name(part) if part in self.machine.workers else ""
        self.struck.append(Struck(fault.kind, part.name, time.time(), worker))
        if fault.kind == "freeze":
            part.freeze()
            self._at(time.monotonic() + fault.length, part.thaw)
        else:
            part.kill()
            self._at(time.monotonic() + fault.length, lambda: self._again(part))

    def _victim(self, fault: Fault) -> Part | None:
        if fault.kind not in ("worker", "freeze"):
            part = self.machine.parts.get(fault.kind)
            return part if part is not None and part.running and part.wanted else None
        fit = [
            part
            for part in self.machine.workers
            if part.running and part.wanted and not part.frozen and time.monotonic() - part.started > _RIPE
        ]
        return fit[int(fault.pick * len(fit))] if fit else None

    def _again(self, part: Part) -> None:
        part.bury()
        part.start()

    def _cut_connections(self) -> None:
        import redis

        try:
            with redis.Redis.from_url(self.machine.redis_url, socket_timeout=5) as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        except redis.RedisError:
            self.skipped["connections"] += 1
