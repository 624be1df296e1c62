"""The libraries that run models in the host's process, by the name that a `LoadSpec` gives."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.engines.host.backend import Backend
    from workers.engines.host.protocol import LoadSpec


@dataclass(frozen=True)
class BackendSpec:
    """Where the function is that loads a model, the library's name, and the command that installs it."""

    target: str
    library: str
    install: str


BACKENDS: Mapping[str, BackendSpec] = MappingProxyType(
    {
        "onnx": BackendSpec(
            "workers.engines.host.backends.onnx.load:load", "ONNX Runtime GenAI", "pip install onnxruntime-genai"
        ),
        # One run at a time, whatever the graph: what `make bench-engines` compares with.
        "genai": BackendSpec(
            "workers.engines.host.backends.genai:load", "ONNX Runtime GenAI", "pip install onnxruntime-genai"
        ),
        # Its own engine, where a folder was built for it.
        "genai-engine": BackendSpec(
            "workers.engines.host.backends.genai_engine:load", "ONNX Runtime GenAI", "pip install onnxruntime-genai"
        ),
        "openvino": BackendSpec(
            "workers.engines.host.backends.openvino:load", "OpenVINO GenAI", "pip install 'phiq[openvino]'"
        ),
        "transformers": BackendSpec(
            "workers.engines.host.backends.transformers_torch:load",
            "transformers",
            "pip install 'phiq[transformers]'",
        ),
        "mlx": BackendSpec("workers.engines.host.backends.mlx_lm:load", "MLX", "pip install 'phiq[mlx]'"),
    }
)


def load(spec: LoadSpec) -> Backend:
    """Load a model and warm it up; only ever in the child.

    Raises:
        ImportError: the library is not installed.
        Exception: the library's own, when the folder can't be loaded.
    """
    module, _, name = BACKENDS[spec.backend].target.partition(":")
    backend: Backend = getattr(importlib.import_module(module), name)(spec)
    return backend
