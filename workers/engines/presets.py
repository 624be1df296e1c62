"""Servers with OpenAI's chat protocol that are known by name: a table of data.

Each is an engine of its own (``vllm:NAME``), so that several can be used side by side; ``openai:`` is any other one.
Which models a server has is its own affair; ``models`` are names of the Phi family there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from workers.models.profiles import UNVERIFIED


@dataclass(frozen=True)
class Preset:
    """A kind of server.

    Attributes:
        title: What people call it.
        url: Base address, without ``/chat/completions``; None where each account has its own.
        needs_key: Whether it answers nobody without one.
        context: Tokens of prompt and answer that it takes at most, where it has a limit of its own; 0: none known.
        models: Names of the Phi family there.
        source: The page the address and the protocol were read on, or ``unverified``.
        models_source: The same of the names and of the limit.
        start: What to do when it does not answer.
    """

    title: str
    url: str | None
    needs_key: bool = False
    context: int = 0
    models: tuple[str, ...] = ()
    source: str = UNVERIFIED
    models_source: str = UNVERIFIED
    start: str = ""


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "github": Preset(
            title="GitHub Models",
            url="https://models.github.ai/inference",
            needs_key=True,
            context=8_000,
            models=("microsoft/Phi-4", "microsoft/Phi-4-mini-instruct", "microsoft/Phi-4-multimodal-instruct"),
            source="https://docs.github.com/en/rest/models/inference",
            start="See whether it has an outage; its key is a token with the permission models:read.",
        ),
        "azure": Preset(
            title="Azure AI Foundry",
            url=None,
            needs_key=True,
            models=("Phi-4", "Phi-4-mini-instruct", "Phi-4-multimodal-instruct", "Phi-3.5-vision-instruct"),
            source="https://learn.microsoft.com/en-us/azure/ai-services/openai/api-version-deprecation",
            start="Check the resource's name in PHIQ_AZURE_URL; a model is named as its deployment is.",
        ),
        "nvidia": Preset(
            title="NVIDIA NIM (cloud)",
            url="https://integrate.api.nvidia.com/v1",
            needs_key=True,
            models=("microsoft/phi-4-mini-instruct", "microsoft/phi-4-multimodal-instruct"),
            source="https://docs.api.nvidia.com/nim/reference/microsoft-phi-3_5-mini",
            start="See whether it has an outage.",
        ),
        "nim": Preset(
            title="NVIDIA NIM (your own)",
            url="http://127.0.0.1:8000/v1",
            models=("microsoft/phi-4-mini-instruct", "microsoft/phi-3.5-mini-instruct"),
            source="https://docs.nvidia.com/nim/large-language-models/2.0.8/get-started/quickstart.html",
            start="Start the container, and set PHIQ_NIM_URL when it listens elsewhere.",
        ),
        "vllm": Preset(
            title="vLLM",
            url="http://127.0.0.1:8000/v1",
            models=("microsoft/Phi-3.5-mini-instruct", "microsoft/Phi-4-mini-instruct", "microsoft/phi-4"),
            source="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
            start="vllm serve microsoft/Phi-4-mini-instruct",
        ),
        "llamacpp": Preset(
            title="llama.cpp server",
            url="http://127.0.0.1:8080/v1",
            models=("phi-3.5-mini", "phi-4-mini"),
            source="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
            start="llama-server -m MODEL.gguf -c 4096",
        ),
        "lmstudio": Preset(
            title="LM Studio",
            url="http://127.0.0.1:1234/v1",
            models=("phi-3.5-mini-instruct", "phi-4-mini-instruct", "phi-4"),
            source="https://lmstudio.ai/docs/app/api/endpoints/openai",
            start="lms server start",
        ),
        "foundry": Preset(
            title="Foundry Local",
            url="http://127.0.0.1:5272/v1",
            models=("phi-3.5-mini", "phi-4-mini", "phi-4"),
            source="https://learn.microsoft.com/en-us/azure/ai-foundry/foundry-local/reference/reference-rest",
            start="foundry service start; foundry service status says its port, PHIQ_FOUNDRY_URL takes it",
        ),
    }
)


def url_variable(scheme: str) -> str:
    """The environment variable of a server's address."""
    return "PHIQ_OPENAI_BASE_URL" if scheme == "openai" else f"PHIQ_{scheme.upper()}_URL"


def key_variable(scheme: str) -> str:
    """The environment variable of its key."""
    return f"PHIQ_{scheme.upper()}_API_KEY"
