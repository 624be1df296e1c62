"""What the engines have in common whose model runs in the host's process."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from workers.engines.base import Engine, EngineStatus, EngineURI
from workers.engines.host.host import Host
from workers.engines.hosted.chat import HostedChatModel, Runtime
from workers.engines.hosted.files import quick_digest
from workers.engines.offers import check_biased, refuse_logit_bias
from workers.jobs import GenerationOptions


class HostedEngine(Engine):
    """A model folder, its host, and a chat model for each job. Nothing is loaded before the first run.

    Args:
        uri: Its name.
        runtime: The model, ready to be run.
    """

    loads_here = True

    def __init__(self, uri: EngineURI, runtime: Runtime) -> None:
        self.uri = uri
        self._runtime = runtime
        self._digest = quick_digest(Path(runtime.host.spec.folder))

    @property
    def host(self) -> Host:
        """The process that its model runs in."""
        return self._runtime.host

    def chat_model(self, options: GenerationOptions, stop: threading.Event, *, batch: bool = False) -> HostedChatModel:
        """A chat model for one job; cheap.

        Raises:
            OptionUnsupported: for ``logit_bias`` where the library has none, or of tokens that the model has not.
        """
        if not self._runtime.biases:
            refuse_logit_bias(options, self.uri)
        check_biased(options, self.uri, self._runtime.vocabulary)
        return HostedChatModel(
            runtime=self._runtime, digest=self._digest, interrupt=stop, behind=batch, **options.model_dump()
        )

    def status(self) -> EngineStatus:
        """Where the host stands: idle (not loaded yet), loading, ready, or down with the reason."""
        status = self._runtime.host.status()
        return EngineStatus(status.state, status.words(), status.owner is not None)

    def line(self, *, batch: bool = False) -> str:
        """Its place among the runs that wait for a slot, and about how long that takes."""
        return self._runtime.host.line(batch=batch)

    def close(self) -> None:
        """End the host."""
        self._runtime.host.close()


def cores() -> int:
    """Cores this process may use: hyper-threads bring nothing here, and slow the others."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))
