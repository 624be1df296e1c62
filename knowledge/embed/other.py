"""Any other model, run by sentence-transformers (an extra, since it brings torch)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from knowledge.embed.base import Embedder
from knowledge.embed.config import EmbedderConfig
from knowledge.errors import EmbedderUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

INSTALL = (
    "pip install torch==2.13.0 (first: that chooses the CPU or GPU build), "
    "then pip install 'phiq[sentence-transformers]'"
)


class SentenceTransformersEmbedder(Embedder):
    """A model of the sentence-transformers family, by name or folder.

    Raises:
        EmbedderUnavailable: when the extra or the model is missing.
    """

    def __init__(self, config: EmbedderConfig) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise EmbedderUnavailable(
                f"The embedding model '{config.name}' needs sentence-transformers, which is not installed.",
                hint=f"{INSTALL}; or unset PHIQ_EMBEDDER to use all-MiniLM-L6-v2.",
                subject=config.name,
            ) from error
        try:
            # Code that comes with a model is never run.
            self._model = SentenceTransformer(config.name, device="cpu", trust_remote_code=False)
        # The hub's, the files' and torch's errors have no common base.
        except Exception as error:
            raise EmbedderUnavailable(
                f"The embedding model '{config.name}' can't be loaded: {error}.",
                hint="Check PHIQ_EMBEDDER: a model's name on the hub or a local folder.",
                subject=config.name,
            ) from error
        self._lock = threading.Lock()
        # A folder's place may change; what it is called stays.
        self.name = Path(config.name).name if Path(config.name).is_dir() else config.name
        self.version = f"{self.name}/sentence-transformers/1"
        self.dimensions = int(self._model.get_embedding_dimension() or 0)
        self.max_tokens = int(self._model.max_seq_length or 256)

    def embed_array(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, float32 [texts, dimensions], each of length 1."""
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        with self._lock:
            vectors = self._model.encode(
                list(texts), normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without markers."""
        with self._lock:
            return [
                len(self._model.tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"])
                for text in texts
            ]
