"""Sentence vectors as arrays, from any LangChain embedder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from langchain_core.embeddings import Embeddings
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


def embed(embeddings: Embeddings, texts: Sequence[str]) -> Vectors:
    """Unit-length vectors, float32 [texts, dimensions]: a dot product is the cosine similarity."""
    import numpy as np

    # phiq's own embedder hands out arrays; the way over lists of floats costs more than the model on long texts.
    direct = getattr(embeddings, "embed_array", None)
    raw = direct(texts) if direct is not None else embeddings.embed_documents(list(texts))
    vectors = np.asarray(raw, dtype=np.float32).reshape(len(texts), -1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
