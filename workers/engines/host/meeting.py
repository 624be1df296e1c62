"""How a worker comes to a model: it joins the one that another worker here has, or loads it itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from agents.errors import Interrupted
from workers.engines.host import claim
from workers.engines.host.joined import JoinedProcess
from workers.engines.host.process import HostProcess
from workers.engines.host.protocol import LoadSpec
from workers.engines.host.run import StopFlag
from workers.errors import EngineTimeout

_LOG = logging.getLogger(__name__)
_LOOK = 0.05
"""Seconds between looks at a lock whose holder takes nobody: it is ending, or only just beginning."""


class Meeting:
    """One model's lock and socket.

    Args:
        spec: The model.
        folder: Of locks and sockets; None: nothing is shared.
        silence: Seconds for which this worker would wait for a sign of life.
        lend: Whether others may join what this worker loads.
    """

    def __init__(self, spec: LoadSpec, folder: Path | None, silence: float, *, lend: bool = True) -> None:
        self._spec = spec
        self._folder = folder
        self._silence = silence
        self._lend = lend
        self.alone = ""
        """Why this worker has a copy of its own; empty: it has not, or was told to."""

    def enter(
        self, stop: StopFlag, timeout: float, *, check: Callable[[], None], closed: Callable[[], None]
    ) -> HostProcess | JoinedProcess:
        """Join, or start a process once ``check`` found that there is memory; ``closed`` raises when none is wanted.

        Raises:
            EngineNotShared: another worker has the model, and it can't be joined.
            EngineTimeout: for ``timeout`` seconds another one had it and took nobody.
            Interrupted: ``stop`` was set.
            Exception: what ``check`` and ``closed`` raise.
        """
        folder = self._folder
        limit = time.monotonic() + timeout
        self.alone = ""
        while folder is not None:
            try:
                key = claim.key_of(self._spec)
                mine = claim.claim(folder, key, self._spec, self._silence)
            except claim.NotShared as error:
                self._say(str(error))
                break
            if mine is not None and self._lend:
                return self._load(mine, check)
            if mine is not None:
                mine.close()
                break
            record = claim.read(folder, key)
            if record is not None:
                try:
                    return JoinedProcess(self._spec, record)
                except OSError:
                    pass
            if stop.wait(_LOOK):
                raise Interrupted
            closed()
            if time.monotonic() > limit:
                who = f"Worker {record.worker}" if record is not None else "Another worker"
                raise EngineTimeout(
                    f"{who} has {Path(self._spec.folder).name} in memory and let nobody join for {timeout:.0f} s.",
                    hint="The job is tried again; if it comes again, restart that worker (phiq doctor names it).",
                    subject=self._spec.folder,
                    seconds=timeout,
                )
        check()
        return HostProcess(self._spec)

    def _load(self, mine: claim.Claim, check: Callable[[], None]) -> HostProcess:
        try:
            check()
        except BaseException:
            mine.close()
            raise
        return HostProcess(self._spec, mine, self._silence)

    def _say(self, why: str) -> None:
        self.alone = why
        name = Path(self._spec.folder).name
        _LOG.warning("%s is loaded for this worker alone, others here can't join it: %s", name, why)
