"""Hugging Face's transformers on torch, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workers.engines.host.backends.alone import Alone
from workers.engines.host.backends.onnx.graph import Floats
from workers.engines.host.protocol import LoadSpec


class TorchReader:
    """A model with a cache of keys and values.

    Args:
        spec: Which and how.

    Raises:
        OSError, ValueError: the library's, when the folder can't be loaded.
    """

    def __init__(self, spec: LoadSpec) -> None:
        import torch
        from transformers import AutoModelForCausalLM, DynamicCache

        torch.set_num_threads(spec.threads)
        self._torch = torch
        self._cache_of = DynamicCache
        # Nothing is fetched, and no code that came with the weights is run.
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            spec.folder, dtype="auto", local_files_only=True, trust_remote_code=False, use_safetensors=True
        ).eval()
        self.vocabulary = int(self._model.config.vocab_size)
        self._cache: Any = None

    def begin(self) -> None:
        """Forget the text."""
        self._cache = self._cache_of()

    def read(self, tokens: Sequence[int]) -> Floats:
        """Read on."""
        with self._torch.inference_mode():
            ids = self._torch.tensor([list(tokens)])
            out = self._model(input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._cache = out.past_key_values
        logits: Floats = out.logits[0, -1, : self.vocabulary].float().numpy().astype(np.float32)
        return logits


def load(spec: LoadSpec) -> Alone:
    """Load a folder."""
    reader = TorchReader(spec)
    return Alone(spec.folder, reader, reader.vocabulary)
