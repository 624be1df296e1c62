"""What a worker says of itself with each heartbeat."""

from __future__ import annotations

import os
import socket
from functools import cache
from typing import TYPE_CHECKING

from workers.jobs import RECORD_VERSION
from workers.ledger import WorkerInfo

if TYPE_CHECKING:
    from workers.lifecycle.process import WorkerProcess


def describe(worker: WorkerProcess) -> WorkerInfo:
    """A worker as others see it in `phiq workers`."""
    doing = worker.keeper.doing()
    return WorkerInfo(
        name=worker.name,
        version=_version(),
        records=RECORD_VERSION,
        machine=socket.gethostname(),
        pid=os.getpid(),
        serves=worker.serves,
        slots=worker.settings.slots,
        running=[one.id for one in doing],
        hosts=worker.runner.hosts(),
        joined=worker.runner.joined(),
        loading=worker.runner.loading(),
        draining=worker.draining.is_set(),
        started_at=worker.started,
        progress_ago=max((one.progress_ago for one in doing), default=None),
        doing=doing,
        heard_ago=worker.canary.heard_ago,
        broker_error=worker.trouble or worker.broker.error,
    )


@cache
def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("phiq")
    except PackageNotFoundError:
        return "uninstalled"
