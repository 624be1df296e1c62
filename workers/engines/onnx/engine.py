"""The engine: one model folder, one host, a chat model for each job."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tools.pictures import PictureLimits
from workers.engines.base import EngineURI
from workers.engines.host.crops import CROPS
from workers.engines.host.host import Host, HostLimits
from workers.engines.host.memory import available_memory
from workers.engines.host.protocol import LoadSpec
from workers.engines.hosted.chat import Runtime
from workers.engines.hosted.encode import PromptEncoder
from workers.engines.hosted.engine import HostedEngine, cores
from workers.engines.hosted.limits import host_limits
from workers.engines.onnx.folder import ModelFolder
from workers.engines.onnx.memory import Plan
from workers.errors import OptionUnsupported
from workers.models.profiles import Profile, Sampling, lookup
from workers.models.shelf import Shelf

if TYPE_CHECKING:
    from workers.settings import Settings


_PATIENCE = 4
"""Times the usual silence for a model that sees: a prompt is read in one piece with its pictures, and the process can't
say anything meanwhile."""


class OnnxEngine(HostedEngine):
    """ONNX Runtime GenAI in a child process that all threads of the worker share.

    Nothing is loaded before the first run. Runs that share its slots go together, batch ones behind all others.

    Args:
        uri: ``onnx:NAME``, a name on the shelf or an absolute path of a folder.
        folder: The model.
        session: Longest session in tokens that is wanted; the model may bound it further.
        threads: Threads of a run.
        provider: Execution provider, ``cpu`` or one the installed library knows.
        provider_options: That provider's own, by the names the library has for them.
        slots: Runs that share the model at once, on the CPU.
        session_bytes: Memory for the sessions of all slots; 0: what they need, where there is so much.
        prefix_bytes: Memory for what was read before; None: as much as a session, where there is so much.
        limits: Of the host; the memory it needs is reckoned here.
        profile: What is known of the model: how to sample when a job does not say, whether it thinks first.
        pictures: How large a picture may be, for models that see.

    Raises:
        ModelBroken: when the folder lacks its tokenizer or template.
        OptionUnsupported: when it is a model for pictures of a kind that can't be run.
    """

    def __init__(
        self,
        uri: EngineURI,
        folder: ModelFolder,
        *,
        session: int = 4096,
        threads: int = 1,
        provider: str = "cpu",
        provider_options: dict[str, str] | None = None,
        slots: int = 8,
        session_bytes: int = 0,
        prefix_bytes: int | None = None,
        limits: HostLimits | None = None,
        profile: Profile | None = None,
        pictures: PictureLimits | None = None,
    ) -> None:
        if folder.sees and folder.kind not in CROPS:
            raise OptionUnsupported(
                f"{uri} is a model for pictures of a kind ({folder.kind}) that the onnx engine can't run.",
                hint="Take onnx:phi-3.5-vision or onnx:phi-3-vision, or a model that sees on another engine.",
                subject=str(uri),
            )
        tokens = folder.session(session)
        # On other providers the weights lie in the device's memory, which nobody here can measure.
        here = provider == "cpu"
        if folder.sees:  # GenAI itself runs these, one at a time
            slots, prefix_bytes = 1, 0
            limits = limits or HostLimits()
            limits = replace(limits, silence=limits.silence * _PATIENCE)
        plan = Plan.of(folder, tokens, slots, available_memory(), session_bytes, prefix_bytes)
        spec = LoadSpec(
            str(folder.path),
            threads=threads,
            max_length=tokens,
            provider=provider,
            bos=folder.bos,
            slots=slots,
            options={
                "kv_bytes": plan.sessions,
                "prefix_bytes": plan.prefixes,
                "provider_options": provider_options or {},
            },
        )
        limits = replace(limits or HostLimits(), memory=plan.total if here else 0, needs=plan.words() if here else "")
        if here and not limits.ceiling:
            # Twice what it should take is a leak.
            limits = replace(limits, ceiling=2 * plan.total)
        super().__init__(
            uri,
            Runtime(
                name=str(uri),
                engine="onnx",
                length_setting="PHIQ_ONNX_MAX_LENGTH",
                host=Host(spec, limits),
                encoder=PromptEncoder(folder.path),
                session=tokens,
                vocabulary=folder.vocabulary,
                sampling=profile.sampling if profile is not None else Sampling(),
                thinks=profile is not None and profile.reasoning,
                biases=here and not folder.sees,
                guides=not here or folder.sees or find_spec("llguidance") is not None,
                pictures=(pictures or PictureLimits()) if folder.sees else None,
                crops=CROPS.get(folder.kind),
                adapters=folder.adapters,
            ),
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
            threads=settings.onnx_threads or cores(),
            provider=settings.onnx_provider,
            provider_options=settings.onnx_provider_options,
            slots=settings.onnx_slots,
            session_bytes=settings.onnx_session_bytes,
            prefix_bytes=settings.onnx_prefix_bytes,
            limits=host_limits(settings),
            profile=lookup(uri.name),
            pictures=PictureLimits(settings.max_file_bytes, settings.max_image_pixels),
        )
