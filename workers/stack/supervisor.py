"""The one-machine stack: start its parts, keep them running, stop them."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from workers.doctor import redis_look
from workers.errors import AlreadyRunning, StackFailed
from workers.settings import Settings
from workers.stack import folders, health, stale, state
from workers.stack.interrupts import Interrupts
from workers.stack.keeper import Keeper
from workers.stack.members import (
    Addresses,
    BeatMember,
    ChromaMember,
    GatewayMember,
    Member,
    RedisMember,
    WordsMember,
    WorkerMember,
)
from workers.stack.report import OnEvent, Part, StackEvent
from workers.stack.room import Room

log = logging.getLogger(__name__)

PARTS = ("redis", "chroma", "words", "worker", "beat", "gateway")
_TICK_SECONDS = 0.2


class Stack:
    """Redis, Chroma, a worker, the scheduler and the HTTP API on this machine, as child processes.

    Where the settings name a Redis or a Chroma, that one is used and none is started. The data folder is locked
    while the stack runs; what a crashed run left behind is stopped and cleared first. A part that dies is started
    again, after half a second and then with doubling pauses.

    Args:
        settings: Given on to worker, scheduler and gateway as they are.
        on_event: Called with what happens, also from the supervising thread; must return soon.
        parts: Only these of `PARTS`.

    Use it as a context manager, or call `start` and `stop`.
    """

    def __init__(self, settings: Settings, on_event: OnEvent | None = None, *, parts: Collection[str] = PARTS) -> None:
        self._data_dir = settings.data_dir.expanduser().absolute()
        self._settings = settings.model_copy(update={"data_dir": self._data_dir})
        self._on_event = on_event or (lambda _event: None)
        self._wanted = frozenset(parts)
        self._external: list[Part] = []
        self._keepers: list[Keeper] = []
        self._redis_url = ""
        self._chroma_url = ""
        self._words_url = ""
        self._gateway: GatewayMember | None = None
        self._interrupts = Interrupts()
        self._lock = FileLock(state.run_dir(self._data_dir) / "stack.lock", timeout=0, thread_local=False)
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._room: Room | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start every part and wait until each is healthy; when one fails, all are stopped again.

        In the main thread, SIGTERM and SIGHUP raise KeyboardInterrupt from here until `stop`, so that a ``with``
        or ``finally`` around it stops the parts.

        Raises:
            AlreadyRunning: a stack runs in this data folder.
            StackFailed: a part did not start; with the end of its log.
            StorageFull: the disk is full.
        """
        folders.prepare(self._data_dir)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise self._already_running() from error
        self._stopping.clear()
        self._interrupts.hold()
        try:
            for name in stale.stop_recorded(self._data_dir):
                self._tell("cleaned", name, f"Stopped the {name} that an earlier run left behind.")
            self._start_servers()
            self._start_workers()
            self._watcher = threading.Thread(target=self._watch, name="phiq-stack", daemon=True)
            self._watcher.start()
            self._interrupts.release()
        except BaseException:
            self.stop()
            raise

    def wait(self) -> None:
        """Return when Ctrl-C or SIGTERM arrives, or another thread calls `stop`."""
        try:
            self._stopping.wait()
        except KeyboardInterrupt:
            return

    def stop(self) -> None:
        """Stop the parts in reverse order, each with its grace (a second Ctrl-C cuts that short). Safe to repeat."""
        self._interrupts.hold()
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        for keeper in reversed(self._keepers):
            name = keeper.member.name
            self._tell("stopping", name, f"Stopping {name}.")
            willing = keeper.stop(interrupts=self._interrupts)
            self._tell("stopped", name, f"{name} ended." if willing else f"{name} did not end in time and was killed.")
        if self._lock.is_locked:
            stale.forget(self._data_dir)
            self._lock.release()
        self._keepers, self._external = [], []
        self._interrupts.restore()

    def parts(self) -> list[Part]:
        """What runs where, in the order of starting."""
        return [*self._external, *(keeper.part() for keeper in self._keepers)]

    @property
    def http_url(self) -> str:
        """The address of the HTTP API; empty when it is not one of the parts."""
        return self._gateway.url if self._gateway else ""

    def _start_servers(self) -> None:
        servers: list[Keeper] = []
        redis = chroma = words = None
        if self._settings.redis_url is not None:
            self._redis_url = self._settings.redis_url.get_secret_value()
            # Shown by the variable's name: the address may hold a password.
            self._external.append(_external("redis", "PHIQ_REDIS_URL", health.redis(self._redis_url, self._settings)))
        elif "redis" in self._wanted:
            redis = RedisMember(self._settings)
            servers.append(self._launch(redis))
        if self._settings.chroma_url:
            self._chroma_url = self._settings.chroma_url
            self._external.append(_external("chroma", self._chroma_url, health.chroma(self._chroma_url)))
        elif "chroma" in self._wanted:
            chroma = ChromaMember(self._settings)
            servers.append(self._launch(chroma))
        if self._settings.words_url is not None:
            self._words_url = self._settings.words_url.get_secret_value()
            self._external.append(_external("words", "PHIQ_WORDS_URL", health.words(self._words_url)))
        elif "words" in self._wanted:
            words = WordsMember(self._settings)
            servers.append(self._launch(words))
        for keeper in servers:
            keeper.await_health(self._interrupts)
        # Only now are the ports certain.
        self._redis_url = redis.url if redis else self._redis_url
        if redis is not None:
            self._room = Room(self._data_dir, self._settings.redis_maxmemory.lower())
        elif self._redis_url:
            # One that others set up; ours is as it should be.
            for finding in redis_look.redis(self._settings):
                if finding.status != "ok":
                    self._tell("warned", "redis", f"Redis: {finding.message} What to do: {finding.fix}")
        self._chroma_url = chroma.url if chroma else self._chroma_url
        self._words_url = words.url if words else self._words_url
        self._record()

    def _start_workers(self) -> None:
        workers: list[Keeper] = []
        ours = self._settings.redis_url is None
        at = Addresses(self._redis_url, self._chroma_url, self._words_url)
        if "worker" in self._wanted:
            workers.append(self._launch(WorkerMember(self._settings, at)))
        if "beat" in self._wanted:
            beat = BeatMember(self._settings, at, alone=ours)
            workers.append(self._launch(beat))
        if "gateway" in self._wanted:
            self._gateway = GatewayMember(self._settings, at)
            workers.append(self._launch(self._gateway))
        for keeper in workers:
            keeper.await_health(self._interrupts)
        self._record()

    def _launch(self, member: Member) -> Keeper:
        self._interrupts.check()
        self._tell("starting", member.name, f"Starting {member.name}.")
        member.choose()
        keeper = Keeper(member, self._data_dir, self._on_event)
        keeper.launch()
        self._keepers.append(keeper)
        self._record()
        return keeper

    def _watch(self) -> None:
        while not self._stopping.wait(_TICK_SECONDS):
            try:
                changed = [keeper.tick() for keeper in self._keepers]
                if any(changed):
                    self._record()
                if self._room is not None and (said := self._room.look(self._redis_url)):
                    self._tell("warned", "redis", said)
            except Exception:
                # One odd look (a full disk, a callback that fails) must not end the watch over all parts.
                log.exception("the stack could not be looked after")

    def _record(self) -> None:
        records = [record for keeper in self._keepers if (record := keeper.record())]
        try:
            state.write(
                self._data_dir,
                state.StackState(
                    supervisor=state.current_process(),
                    redis_url=self._redis_url,
                    chroma_url=self._chroma_url,
                    words_url=self._words_url,
                    http_url=self.http_url,
                    model=self._settings.model,
                    parts=records,
                ),
            )
        except OSError as error:
            raise folders.storage_error(error, self._data_dir) from error

    def _already_running(self) -> AlreadyRunning:
        found = state.read(self._data_dir)
        pid = found.supervisor.pid if found else None
        return AlreadyRunning(
            f"phiq already runs in {self._data_dir}" + (f" (process {pid})." if pid and pid != os.getpid() else "."),
            hint="Use it as it is, stop it with Ctrl-C where it runs, or set PHIQ_DATA_DIR to another folder.",
            subject=str(self._data_dir),
            pid=pid,
        )

    def _tell(self, kind: str, part: str, message: str) -> None:
        self._on_event(StackEvent(kind, part, message))  # type: ignore[arg-type]


def _external(name: str, address: str, problem: str) -> Part:
    if problem:
        variable = f"PHIQ_{name.upper()}_URL"
        raise StackFailed(
            f"The {name} that {variable} names can't be used: {problem}.",
            hint=f"Start it, mend {variable}, or unset it: phiq then starts its own.",
            subject=name,
        )
    return Part(name, address, None, None, "external")
