"""What of this machine can run a model beside the shelf: a running Ollama, folders of weights, installed libraries."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from workers.settings import Settings

LIBRARIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "onnx": ("onnxruntime_genai",),
        "openvino": ("openvino_genai",),
        "transformers": ("torch", "transformers"),
        "mlx": ("mlx", "mlx_lm"),
    }
)
"""What must be importable for the engines that run a model themselves."""
WEIGHTS = "-weights"
"""Ends the names of folders with published weights."""


def installed(scheme: str) -> bool:
    """Whether an engine that runs models itself has its libraries; nothing is imported."""
    return all(importlib.util.find_spec(name) is not None for name in LIBRARIES[scheme])


def weights_here(data_dir: Path) -> list[str]:
    """The names of the models whose published weights lie in the data folder."""
    found = (data_dir.expanduser() / "models").glob(f"*{WEIGHTS}")
    return sorted(
        folder.name.removesuffix(WEIGHTS)
        for folder in found
        if (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))
    )


def ollama_names(settings: Settings, timeout: float = 2.0) -> list[str] | None:
    """The models that a running Ollama has; None when none answers within ``timeout`` seconds."""
    import httpx

    try:
        url = settings.ollama_url.rstrip("/")
        # Reading the certificates of a TLS that is not spoken takes longer than the answer.
        verify = not url.startswith("http://")
        # As the engine does it: a proxy that the environment names knows nothing of this machine's Ollama.
        answer = httpx.get(f"{url}/api/tags", timeout=timeout, trust_env=False, verify=verify)
        answer.raise_for_status()
        return [str(model["name"]) for model in answer.json()["models"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return None
