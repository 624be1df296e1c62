"""What each model of the Phi family can do: a table of data, and how to find a row by any of its names.

A profile says nothing about how a model is run (that is an engine) or what is asked of it (that is a chain).
``sources`` names the page where a figure was read; ``unverified`` marks those for which none was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from workers.errors import ModelNotFound

UNVERIFIED = "unverified"

FIGURES = (
    *("parameters", "context", "languages", "vision", "vision_languages", "tool_calls", "reasoning"),
    *("ollama", "onnx", "openvino", "licence", "sampling"),
)
"""What a profile says of its model that somebody must have read somewhere."""

_EN = ("en",)
_MANY = (
    *("ar", "zh", "cs", "da", "nl", "en", "fi", "fr", "de", "he", "hu"),
    *("it", "ja", "ko", "no", "pl", "pt", "ru", "es", "sv", "th", "tr", "uk"),
)
_CPU_INT4 = "cpu-int4-rtn-block-32-acc-level-4"

_GENAI_PHI3 = "https://onnxruntime.ai/docs/genai/tutorials/phi3-python.html"
_GENAI_PHI3V = "https://onnxruntime.ai/docs/genai/tutorials/phi3-v.html"
_GENAI_CS = "https://github.com/microsoft/onnxruntime-genai/tree/main/examples/csharp"
_NIM_35_MINI = "https://docs.api.nvidia.com/nim/reference/microsoft-phi-3_5-mini"
_TF_PHI4_MM = "https://huggingface.co/docs/transformers/model_doc/phi4_multimodal"
_HUB = "https://huggingface.co/microsoft/"
_MEDIUM_128K = _HUB + "Phi-3-medium-128K-instruct"
_VISION_128K = _HUB + "Phi-3-Vision-128K-Instruct"
_AZURE_4_MINI = "https://ai.azure.com/catalog/models/Phi-4-mini-instruct"
_OLLAMA_PHI3 = "https://ollama.com/library/phi3:3.8b-mini-4k-instruct-q6_K"
_ROUTER_4_MM = "https://openrouter.ai/microsoft/phi-4-multimodal-instruct/api"
_OLLAMA_14B = "https://ollama.com/search?q=Phi+4+14B"
_OPENVINO = "https://huggingface.co/OpenVINO/"


@dataclass(frozen=True)
class Sampling:
    """How to sample when a job does not say; temperature 0 is greedy, None leaves it to the server."""

    temperature: float | None = 0.0
    top_p: float | None = None
    top_k: int | None = None


@dataclass(frozen=True)
class Profile:
    """One model.

    ``context`` is in tokens, prompt and answer together; ``languages`` are BCP 47 codes of text input;
    ``vision_languages`` those the model reads and writes about pictures. ``onnx_folder`` is the folder of
    ``onnx_repo`` that runs on ``onnx_provider``, ``openvino_repo`` a repository that is an OpenVINO folder. ``ollama``
    is the library's name, None where it has none.
    ``sources`` maps a field's name to the page it was read on, or to ``unverified``.
    """

    name: str
    title: str
    parameters: str
    context: int
    hub: str
    languages: tuple[str, ...] = _EN
    vision: bool = False
    vision_languages: tuple[str, ...] = ()
    tool_calls: bool = False
    reasoning: bool = False
    ollama: str | None = None
    onnx_repo: str | None = None
    onnx_folder: str | None = None
    onnx_provider: str = "cpu"
    openvino_repo: str | None = None
    licence: str = "MIT"
    sampling: Sampling = Sampling()
    aliases: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))

    @property
    def figures(self) -> tuple[str, ...]:
        """Those of ``FIGURES`` that it claims; what it does not have needs no source."""
        has = {
            "vision": self.vision,
            "vision_languages": self.vision_languages,
            "tool_calls": self.tool_calls,
            "reasoning": self.reasoning,
            "ollama": self.ollama,
            "onnx": self.onnx_repo,
            "openvino": self.openvino_repo,
            "sampling": self.sampling != Sampling(),
        }
        return tuple(figure for figure in FIGURES if has.get(figure, True))

    def source(self, figure: str) -> str:
        """The page a figure was read on, or ``unverified``."""
        return self.sources.get(figure, UNVERIFIED)


PROFILES: tuple[Profile, ...] = (
    Profile(
        name="phi-3-mini-4k",
        title="Phi-3-mini (4k)",
        parameters="3.8B",
        context=4096,
        hub="microsoft/Phi-3-mini-4k-instruct",
        ollama="phi3:mini",
        onnx_repo="microsoft/Phi-3-mini-4k-instruct-onnx",
        onnx_folder=f"cpu_and_mobile/{_CPU_INT4}",
        openvino_repo="OpenVINO/Phi-3-mini-4k-instruct-int4-ov",
        aliases=("phi-3", "phi-3-mini"),
        sources={
            "parameters": _HUB + "Phi-3-mini-4k-instruct",
            "context": _HUB + "Phi-3-mini-4k-instruct",
            "languages": _HUB + "Phi-3-mini-4k-instruct",
            "ollama": _OLLAMA_PHI3,
            "onnx": _GENAI_PHI3,
            "openvino": _OPENVINO + "Phi-3-mini-4k-instruct-int4-ov/tree/main",
        },
    ),
    Profile(
        name="phi-3-mini-128k",
        title="Phi-3-mini (128k)",
        parameters="3.8B",
        context=131072,
        hub="microsoft/Phi-3-mini-128k-instruct",
        ollama="phi3:mini-128k",
        onnx_repo="microsoft/Phi-3-mini-128k-instruct-onnx",
        onnx_folder=f"cpu_and_mobile/{_CPU_INT4}",
        openvino_repo="OpenVINO/Phi-3-mini-128k-instruct-int4-ov",
        sources={
            "context": _GENAI_PHI3,
            "onnx": _GENAI_PHI3,
            "openvino": _OPENVINO + "Phi-3-mini-128k-instruct-int4-ov/tree/07228349370437a545c9d665de7411661e93a571",
        },
    ),
    Profile(
        name="phi-3-small-8k",
        title="Phi-3-small (8k)",
        parameters="7B",
        context=8192,
        hub="microsoft/Phi-3-small-8k-instruct",
        onnx_repo="microsoft/Phi-3-small-8k-instruct-onnx-cuda",
        onnx_folder="cuda-int4-rtn-block-32",
        onnx_provider="cuda",
        aliases=("phi-3-small",),
        sources={
            "context": _HUB + "Phi-3-small-8k-instruct-onnx-cuda",
            "onnx": _HUB + "Phi-3-small-8k-instruct-onnx-cuda/tree/main",
            "licence": _HUB + "Phi-3-small-8k-instruct-onnx-cuda",
        },
    ),
    Profile(
        name="phi-3-small-128k",
        title="Phi-3-small (128k)",
        parameters="7B",
        context=131072,
        hub="microsoft/Phi-3-small-128k-instruct",
        onnx_repo="microsoft/Phi-3-small-128k-instruct-onnx-cuda",
        onnx_folder="cuda-int4-rtn-block-32",
        onnx_provider="cuda",
        sources={
            "context": _MEDIUM_128K,
            "onnx": _HUB + "Phi-3-small-128k-instruct-onnx-cuda/tree/main",
            "licence": _HUB + "Phi-3-small-128k-instruct-onnx-cuda",
        },
    ),
    Profile(
        name="phi-3-medium-4k",
        title="Phi-3-medium (4k)",
        parameters="14B",
        context=4096,
        hub="microsoft/Phi-3-medium-4k-instruct",
        ollama="phi3:medium",
        onnx_repo="microsoft/Phi-3-medium-4k-instruct-onnx-cpu",
        onnx_folder=_CPU_INT4,
        openvino_repo="OpenVINO/Phi-3-medium-4k-instruct-int4-ov",
        aliases=("phi-3-medium",),
        sources={
            "context": _GENAI_PHI3,
            "ollama": _OLLAMA_PHI3,
            "onnx": _HUB + "Phi-3-medium-4k-instruct-onnx-cpu/tree/main",
            "openvino": _OPENVINO + "Phi-3-medium-4k-instruct-int4-ov/tree/refs%2Fpr%2F2",
        },
    ),
    Profile(
        name="phi-3-medium-128k",
        title="Phi-3-medium (128k)",
        parameters="14B",
        context=131072,
        hub="microsoft/Phi-3-medium-128k-instruct",
        ollama="phi3:medium-128k",
        onnx_repo="microsoft/Phi-3-medium-128k-instruct-onnx-cpu",
        onnx_folder=_CPU_INT4,
        sources={
            "parameters": _MEDIUM_128K,
            "context": _MEDIUM_128K,
            "languages": _MEDIUM_128K,
            "ollama": _OLLAMA_PHI3,
        },
    ),
    Profile(
        name="phi-3-vision",
        title="Phi-3-vision (128k)",
        parameters="4.2B",
        context=131072,
        hub="microsoft/Phi-3-vision-128k-instruct",
        vision=True,
        vision_languages=_EN,
        onnx_repo="microsoft/Phi-3-vision-128k-instruct-onnx-cpu",
        onnx_folder=_CPU_INT4,
        aliases=("phi-3-vision-128k",),
        sources={
            "context": _VISION_128K,
            "languages": _VISION_128K,
            "vision_languages": _VISION_128K,
            "vision": _GENAI_PHI3V,
            "onnx": _GENAI_PHI3V,
        },
    ),
    Profile(
        name="phi-3.5-mini",
        title="Phi-3.5-mini",
        parameters="3.8B",
        context=131072,
        hub="microsoft/Phi-3.5-mini-instruct",
        languages=_MANY,
        ollama="phi3.5",
        onnx_repo="microsoft/Phi-3.5-mini-instruct-onnx",
        onnx_folder="cpu_and_mobile/cpu-int4-awq-block-128-acc-level-4",
        openvino_repo="OpenVINO/Phi-3.5-mini-instruct-int4-ov",
        aliases=("phi-3.5",),
        sources={
            "context": _NIM_35_MINI,
            "languages": _NIM_35_MINI,
            "licence": _NIM_35_MINI,
            "onnx": _HUB + "Phi-3.5-mini-instruct-onnx",
            "openvino": _OPENVINO + "Phi-3.5-mini-instruct-int4-ov/commits/main",
        },
    ),
    Profile(
        name="phi-3.5-moe",
        title="Phi-3.5-MoE",
        parameters="16x3.8B (6.6B active)",
        context=131072,
        hub="microsoft/Phi-3.5-MoE-instruct",
        languages=_MANY,
        sources={"context": _HUB + "Phi-3.5-MoE-instruct", "licence": _HUB + "Phi-3.5-MoE-instruct"},
    ),
    Profile(
        name="phi-3.5-vision",
        title="Phi-3.5-vision",
        parameters="4.2B",
        context=131072,
        hub="microsoft/Phi-3.5-vision-instruct",
        vision=True,
        vision_languages=_EN,
        onnx_repo="microsoft/Phi-3.5-vision-instruct-onnx",
        onnx_folder=f"cpu_and_mobile/{_CPU_INT4}",
        sources={"vision": _GENAI_PHI3V, "onnx": _GENAI_PHI3V},
    ),
    Profile(
        name="phi-4",
        title="Phi-4",
        parameters="14B",
        context=16384,
        hub="microsoft/phi-4",
        ollama="phi4",
        onnx_repo="microsoft/phi-4-onnx",
        onnx_folder=f"cpu_and_mobile/{_CPU_INT4}",
        openvino_repo="OpenVINO/phi-4-int4-ov",
        sources={
            "parameters": _OLLAMA_14B,
            "context": "https://openrouter.ai/microsoft/phi-4",
            "ollama": "https://ollama.com/library/phi4",
        },
    ),
    Profile(
        name="phi-4-mini",
        title="Phi-4-mini",
        parameters="3.8B",
        context=131072,
        hub="microsoft/Phi-4-mini-instruct",
        languages=_MANY,
        tool_calls=True,
        ollama="phi4-mini",
        onnx_repo="microsoft/Phi-4-mini-instruct-onnx",
        onnx_folder=f"cpu_and_mobile/{_CPU_INT4}",
        openvino_repo="OpenVINO/Phi-4-mini-instruct-int4-ov",
        sources={
            "parameters": _AZURE_4_MINI,
            "context": _AZURE_4_MINI,
            "languages": _AZURE_4_MINI,
            "tool_calls": "https://ollama.com/library/phi4-mini",
            "ollama": "https://ollama.com/library/phi4-mini",
            "licence": "https://ollama.com/library/phi4-mini",
            "onnx": _GENAI_CS,
            "openvino": _OPENVINO + "Phi-4-mini-instruct-int4-ov/tree/main",
        },
    ),
    Profile(
        name="phi-4-multimodal",
        title="Phi-4-multimodal",
        parameters="5.6B",
        context=131072,
        hub="microsoft/Phi-4-multimodal-instruct",
        languages=_MANY,
        vision=True,
        vision_languages=_EN,
        tool_calls=True,
        onnx_repo="microsoft/Phi-4-multimodal-instruct-onnx",
        onnx_folder="gpu/gpu-int4-rtn-block-32",
        onnx_provider="cuda",
        sources={
            "parameters": _ROUTER_4_MM,
            "context": _TF_PHI4_MM,
            "languages": _TF_PHI4_MM,
            "vision": _TF_PHI4_MM,
            "vision_languages": _ROUTER_4_MM,
            "licence": _HUB + "Phi-4-multimodal-instruct",
        },
    ),
    Profile(
        name="phi-4-reasoning",
        title="Phi-4-reasoning",
        parameters="14B",
        context=32768,
        hub="microsoft/Phi-4-reasoning",
        reasoning=True,
        ollama="phi4-reasoning",
        onnx_repo="microsoft/Phi-4-reasoning-onnx",
        onnx_folder=f"cpu_and_mobile/{_CPU_INT4}",
        openvino_repo="OpenVINO/Phi-4-reasoning-int4-ov",
        sampling=Sampling(temperature=0.8, top_p=0.95, top_k=50),
        sources={
            "parameters": _OLLAMA_14B,
            "context": "https://openrouter.ai/microsoft/phi-4-reasoning:free",
            "ollama": _OLLAMA_14B,
            "languages": "https://openrouter.ai/microsoft/phi-4-reasoning:free",
            "reasoning": "https://openrouter.ai/microsoft/phi-4-reasoning:free",
            "licence": "https://openrouter.ai/microsoft/phi-4-reasoning:free",
            "onnx": _HUB + "Phi-4-reasoning-onnx",
            "openvino": _OPENVINO + "Phi-4-reasoning-int4-ov/tree/main",
        },
    ),
    Profile(
        name="phi-4-mini-reasoning",
        title="Phi-4-mini-reasoning",
        parameters="3.8B",
        context=131072,
        hub="microsoft/Phi-4-mini-reasoning",
        reasoning=True,
        ollama="phi4-mini-reasoning",
        onnx_repo="microsoft/Phi-4-mini-reasoning-onnx",
        onnx_folder=f"cpu_and_mobile/{_CPU_INT4}",
        sampling=Sampling(temperature=0.8, top_p=0.95),
        sources={
            "context": "https://ollama.com/library/phi4-mini-reasoning",
            "ollama": "https://ollama.com/library/phi4-mini-reasoning",
            "onnx": _HUB + "Phi-4-mini-reasoning-onnx",
        },
    ),
)

_BY_NAME: Mapping[str, Profile] = {name: row for row in PROFILES for name in (row.name, *row.aliases)}
_SUFFIX = re.compile(r"-(instruct|onnx|gguf|cpu|cuda|directml|ov|int4|int8|fp16)$")


def _normalise(name: str) -> str:
    """One spelling for the many of one name: ``microsoft/Phi-3.5-mini-instruct-onnx`` → ``phi-3.5-mini``."""
    base, _, tag = name.strip().lower().rstrip("/").rsplit("/", 1)[-1].replace("_", "-").partition(":")
    base = re.sub(r"^phi-?(\d)", r"phi-\1", base)
    while (shorter := _SUFFIX.sub("", base)) != base:
        base = shorter
    if base == "phi-3" and tag not in ("", "latest"):
        # Ollama keeps all of Phi-3 under one name and tells them apart by tag.
        size = "medium" if tag.startswith(("medium", "14b")) else "mini"
        base = f"phi-3-{size}-{'128k' if '128k' in tag else '4k'}"
    return base


def lookup(name: str) -> Profile | None:
    """The profile behind a name, or None when it is none of the Phi family's."""
    return _BY_NAME.get(_normalise(name))


def find(name: str) -> Profile:
    """The profile behind any name people use for it.

    Args:
        name: phiq's own (``phi-3.5-mini``), Ollama's (``phi3.5:latest``) or the hub's
            (``microsoft/Phi-3.5-mini-instruct``), with or without ``-onnx``; case does not matter.

    Raises:
        ModelNotFound: when it is none of the Phi family's.
    """
    profile = lookup(name)
    if profile is None:
        raise ModelNotFound(
            f"'{name[:80]}' is no model of the Phi family that phiq knows.",
            hint="phiq models list",
            subject=name[:80],
        )
    return profile
