"""The engine: one model folder, one host, a chat model for each job."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from workers.engines.base import Engine, EngineStatus, EngineURI
from workers.engines.host.host import Host, HostLimits
from workers.engines.host.memory import available_memory
from workers.engines.host.protocol import LoadSpec
from workers.engines.hosted.chat import HostedChatModel, Runtime
from workers.engines.hosted.encode import PromptEncoder
from workers.engines.hosted.limits import host_limits
from workers.engines.offers import refuse_logit_bias
from workers.engines.onnx.folder import ModelFolder
from workers.engines.onnx.memory import Plan
from workers.errors import OptionUnsupported
from workers.jobs import GenerationOptions
from workers.models.profiles import Profile, Sampling, lookup
from workers.models.shelf import Shelf

if TYPE_CHECKING:
    from workers.settings import Settings


class OnnxEngine(Engine):
    """ONNX Runtime GenAI in a child process that all threads of the worker share.

    Nothing is loaded before the first run. Runs that share its slots go together, batch ones behind all others.

    Args:
        uri: ``onnx:NAME``, a name on the shelf or an absolute path of a folder.
        folder: The model.
        session: Longest session in tokens that is wanted; the model may bound it further.
        threads: Threads of a run.
        provider: Execution provider, ``cpu`` or one the installed library knows.
        slots: Runs that share the model at once, on the CPU.
        session_bytes: Memory for the sessions of all slots; 0: what they need, where there is so much.
        prefix_bytes: Memory for what was read before; None: as much as a session, where there is so much.
        limits: Of the host; the memory it needs is reckoned here.
        profile: What is known of the model: how to sample when a job does not say, whether it thinks first.

    Raises:
        ModelBroken: when the folder lacks its tokenizer or template.
        OptionUnsupported: when it is a model for pictures.
    """

    loads_here = True

    def __init__(
        self,
        uri: EngineURI,
        folder: ModelFolder,
        *,
        session: int = 4096,
        threads: int = 1,
        provider: str = "cpu",
        slots: int = 8,
        session_bytes: int = 0,
        prefix_bytes: int | None = None,
        limits: HostLimits | None = None,
        profile: Profile | None = None,
    ) -> None:
        if folder.sees:
            raise OptionUnsupported(
                f"{uri} is a model for pictures ({folder.kind}), which the onnx engine can't run yet.",
                hint="Take a text model, or one that sees on another engine: phiq models list",
                subject=str(uri),
            )
        self.uri = uri
        tokens = folder.session(session)
        # On other providers the weights lie in the device's memory, which nobody here can measure.
        here = provider == "cpu"
        plan = Plan.of(folder, tokens, slots, available_memory(), session_bytes, prefix_bytes)
        spec = LoadSpec(
            str(folder.path),
            threads=threads,
            max_length=tokens,
            provider=provider,
            bos=folder.bos,
            slots=slots,
            options={"kv_bytes": plan.sessions, "prefix_bytes": plan.prefixes},
        )
        limits = replace(limits or HostLimits(), memory=plan.total if here else 0, needs=plan.words() if here else "")
        if here and not limits.ceiling:
            # Twice what it should take is a leak.
            limits = replace(limits, ceiling=2 * plan.total)
        self._runtime = Runtime(
            name=str(uri),
            engine="onnx",
            length_setting="PHIQ_ONNX_MAX_LENGTH",
            host=Host(spec, limits),
            encoder=PromptEncoder(folder.path),
            session=tokens,
            vocabulary=folder.vocabulary,
            sampling=profile.sampling if profile is not None else Sampling(),
            thinks=profile is not None and profile.reasoning,
        )

    @classmethod
    def from_settings(cls, uri: EngineURI, settings: Settings) -> OnnxEngine:
        """The engine for a name on the shelf or a folder.

        Raises:
            ModelNotFound: with the command that gets the model.
            ModelBroken: when the folder is not whole.
        """
        return cls(
            uri,
            ModelFolder.read(Shelf(settings.data_dir).path(uri.name)),
            session=settings.onnx_max_length,
            threads=settings.onnx_threads or _cores(),
            provider=settings.onnx_provider,
            slots=settings.onnx_slots,
            session_bytes=settings.onnx_session_bytes,
            prefix_bytes=settings.onnx_prefix_bytes,
            limits=host_limits(settings),
            profile=lookup(uri.name),
        )

    def chat_model(self, options: GenerationOptions, stop: threading.Event, *, batch: bool = False) -> HostedChatModel:
        """A chat model for one job; cheap.

        Raises:
            OptionUnsupported: for ``logit_bias``.
        """
        refuse_logit_bias(options, self.uri)
        return HostedChatModel(runtime=self._runtime, interrupt=stop, behind=batch, **options.model_dump())

    def status(self) -> EngineStatus:
        """Where the host stands: idle (not loaded yet), loading, ready, or down with the reason."""
        status = self._runtime.host.status()
        return EngineStatus(status.state, status.words())

    def close(self) -> None:
        """End the host."""
        self._runtime.host.close()


def _cores() -> int:
    """Cores this process may use: hyper-threads bring nothing here, and slow the others."""
    import os

    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))
