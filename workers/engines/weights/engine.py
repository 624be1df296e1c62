"""What ``transformers`` and ``mlx`` have in common: one folder of weights, one host, one run at a time."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from workers.engines.base import EngineURI
from workers.engines.host.backends import BACKENDS
from workers.engines.host.host import Host, HostLimits
from workers.engines.host.protocol import LoadSpec
from workers.engines.hosted.chat import Runtime
from workers.engines.hosted.encode import PromptEncoder
from workers.engines.hosted.engine import HostedEngine, cores
from workers.engines.hosted.limits import host_limits
from workers.engines.weights.folder import WeightsFolder, locate
from workers.errors import EngineNotInstalled
from workers.models.profiles import Profile, Sampling, lookup

if TYPE_CHECKING:
    from workers.settings import Settings


class WeightsEngine(HostedEngine):
    """A model's own weights in a child process that all threads of the worker share.

    Args:
        uri: ``transformers:NAME`` or ``mlx:NAME``; an absolute path of a folder for NAME is fine as well.
        folder: The model.
        session: Longest session in tokens that is wanted; the model may bound it further.
        threads: Threads of a run.
        limits: Of the host; the memory it needs is reckoned here.
        profile: What is known of the model: how to sample when a job does not say, whether it thinks first.

    Raises:
        ModelBroken: when the folder lacks its tokenizer or template.
    """

    scheme: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    """What must be importable; it is imported by the host's process only."""

    def __init__(
        self,
        uri: EngineURI,
        folder: WeightsFolder,
        *,
        session: int = 4096,
        threads: int = 1,
        limits: HostLimits | None = None,
        profile: Profile | None = None,
    ) -> None:
        tokens = min(session, folder.session_limit)
        spec = LoadSpec(
            str(folder.path), threads=threads, max_length=tokens, bos=folder.bos, backend=self.scheme, slots=1
        )
        super().__init__(
            uri,
            Runtime(
                name=str(uri),
                engine=self.scheme,
                length_setting="PHIQ_WEIGHTS_MAX_LENGTH",
                host=Host(spec, replace(limits or HostLimits(), memory=folder.memory(tokens))),
                encoder=PromptEncoder(folder.path),
                session=tokens,
                vocabulary=folder.vocabulary,
                sampling=profile.sampling if profile is not None else Sampling(),
                thinks=profile is not None and profile.reasoning,
                biases=True,
                guides=importlib.util.find_spec("llguidance") is not None,
            ),
        )

    @classmethod
    def from_settings(cls, uri: EngineURI, settings: Settings) -> WeightsEngine:
        """The engine for a folder of weights.

        Raises:
            EngineNotInstalled: naming the command.
            ModelNotFound: with the command that gets the model.
            ModelBroken: when the folder is not whole.
        """
        missing = cls.missing()
        if missing:
            raise EngineNotInstalled(
                f"The engine '{cls.scheme}' needs {', '.join(missing)}, which is not installed.",
                hint=BACKENDS[cls.scheme].install,
                subject=str(uri),
            )
        return cls(
            uri,
            WeightsFolder.read(locate(cls.scheme, uri.name, settings.data_dir)),
            session=settings.weights_max_length,
            threads=settings.weights_threads or cores(),
            limits=host_limits(settings),
            profile=lookup(uri.name),
        )

    @classmethod
    def missing(cls) -> list[str]:
        """The packages that are not here."""
        return [name for name in cls.packages if importlib.util.find_spec(name) is None]
