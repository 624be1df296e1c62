"""Apple's MLX through mlx-lm: on the GPU of a Mac, on the CPU of Linux."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workers.engines.host.backends.alone import Alone
from workers.engines.host.backends.onnx.graph import Floats
from workers.engines.host.protocol import LoadSpec


class MLXReader:
    """A model with a cache of keys and values.

    Args:
        spec: Which; MLX decides on its threads itself.

    Raises:
        ValueError, FileNotFoundError: the library's, when the folder can't be loaded.
    """

    def __init__(self, spec: LoadSpec) -> None:
        import mlx.core
        from mlx_lm.models.cache import make_prompt_cache
        from mlx_lm.utils import load_model

        self._mx = mlx.core
        self._cache_of = make_prompt_cache
        model, config = load_model(Path(spec.folder))
        self._model: Any = model
        self.vocabulary = int(config["vocab_size"])
        self._cache: Any = None

    def begin(self) -> None:
        """Forget the text."""
        self._cache = self._cache_of(self._model)

    def read(self, tokens: Sequence[int]) -> Floats:
        """Read on."""
        out = self._model(self._mx.array([list(tokens)]), cache=self._cache)
        last = out[0, -1, : self.vocabulary].astype(self._mx.float32)
        self._mx.eval(last)
        logits: Floats = np.array(last, dtype=np.float32)
        return logits


def load(spec: LoadSpec) -> Alone:
    """Load a folder."""
    reader = MLXReader(spec)
    return Alone(spec.folder, reader, reader.vocabulary)
