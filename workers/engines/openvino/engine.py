"""The engine: one OpenVINO folder, one host, a chat model for each job."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workers.engines.base import EngineURI
from workers.engines.host.host import Host, HostLimits
from workers.engines.host.protocol import LoadSpec
from workers.engines.hosted.chat import Runtime
from workers.engines.hosted.encode import PromptEncoder
from workers.engines.hosted.engine import HostedEngine, cores
from workers.engines.hosted.limits import host_limits
from workers.engines.openvino.folder import OpenVINOFolder
from workers.errors import EngineNotInstalled, OptionUnsupported
from workers.models.profiles import Profile, Sampling, lookup
from workers.models.shelf import Shelf

if TYPE_CHECKING:
    from workers.settings import Settings

INSTALL = "pip install 'phiq[openvino]'"


class OpenVINOEngine(HostedEngine):
    """OpenVINO GenAI's continuous batching in a child process that all threads of the worker share.

    Args:
        uri: ``openvino:NAME``, a name on the shelf or an absolute path of a folder.
        folder: The model.
        session: Longest session in tokens that is wanted; the model may bound it further.
        threads: Threads of a step.
        device: ``cpu``, ``gpu`` or ``gpu.1``.
        slots: Most runs in a step.
        cache: GiB for sessions and kept prefixes; 0 takes what the slots need.
        limits: Of the host; its memory is reckoned here.
        profile: What is known of the model: how to sample when a job does not say, whether it thinks first.
        options: More options of the backend, for measuring and tests.

    Raises:
        ModelBroken: when the folder lacks its tokenizer or template.
        OptionUnsupported: when it is a model for pictures, or the device can't run many at once.
    """

    def __init__(
        self,
        uri: EngineURI,
        folder: OpenVINOFolder,
        *,
        session: int = 4096,
        threads: int = 1,
        device: str = "cpu",
        slots: int = 16,
        cache: int = 0,
        limits: HostLimits | None = None,
        profile: Profile | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        if folder.sees:
            raise OptionUnsupported(
                f"{uri} is a model for pictures, which the openvino engine can't run yet.",
                hint="Take a text model, or one that sees on another engine: phiq models list",
                subject=str(uri),
            )
        if device.lower().split(".")[0] not in ("cpu", "gpu"):
            raise OptionUnsupported(
                f"PHIQ_OPENVINO_DEVICE is {device}: continuous batching runs on CPUs and GPUs only.",
                hint="Set PHIQ_OPENVINO_DEVICE=cpu or gpu.",
                subject=str(uri),
            )
        cache = cache or folder.cache(folder.session(session), slots)
        tokens = min(folder.session(session), cache * 2**30 // folder.cache_per_token)
        spec = LoadSpec(
            str(folder.path),
            threads=threads,
            max_length=tokens,
            provider=device,
            bos=folder.bos,
            backend="openvino",
            slots=slots,
            options={
                "cache": cache,
                "cache_per_token": folder.cache_per_token,
                "vocabulary": folder.vocabulary,
                **(options or {}),
            },
        )
        # On other devices the weights lie in the device's memory, which nobody here can measure.
        here = device.lower() == "cpu"
        memory = folder.memory(cache) if here else 0
        limits = replace(limits or HostLimits(), memory=memory, needs=_words(folder, cache) if here else "")
        if here and not limits.ceiling:
            # Twice what it should take is a leak.
            limits = replace(limits, ceiling=2 * memory)
        super().__init__(
            uri,
            Runtime(
                name=str(uri),
                engine="openvino",
                length_setting="PHIQ_OPENVINO_MAX_LENGTH",
                host=Host(spec, limits),
                encoder=PromptEncoder(folder.path),
                session=tokens,
                vocabulary=folder.vocabulary,
                sampling=profile.sampling if profile is not None else Sampling(),
                thinks=profile is not None and profile.reasoning,
                guides=True,
                guides_go_on=False,
            ),
        )

    @classmethod
    def from_settings(cls, uri: EngineURI, settings: Settings) -> OpenVINOEngine:
        """The engine for a name on the shelf or a folder.

        Raises:
            EngineNotInstalled: OpenVINO GenAI is not here.
            ModelNotFound: with the command that gets the model.
            ModelBroken: when the folder is not whole.
        """
        if not installed():
            raise EngineNotInstalled(
                "The engine 'openvino' needs OpenVINO GenAI, which is not installed.", hint=INSTALL, subject=str(uri)
            )
        return cls(
            uri,
            OpenVINOFolder.read(Shelf(settings.data_dir).path(uri.name, "openvino")),
            session=settings.openvino_max_length,
            threads=settings.openvino_threads or cores(),
            device=settings.openvino_device,
            slots=settings.openvino_slots,
            cache=settings.openvino_cache,
            limits=host_limits(settings),
            profile=lookup(uri.name),
        )


def _words(folder: OpenVINOFolder, cache: int) -> str:
    return f"weights {folder.weights / 1e9:.1f} GB, sessions and kept prefixes {cache * 2**30 / 1e9:.1f} GB"


def installed() -> bool:
    """Whether the library is here; it is imported by the host's process only."""
    return importlib.util.find_spec("openvino_genai") is not None
