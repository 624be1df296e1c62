"""What the rest of phiq asks of an embedder: LangChain's interface, plus arrays and token counts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedder(Embeddings):
    """Unit-length sentence vectors, so that a dot product is the cosine similarity.

    Attributes:
        name: What a collection remembers: vectors of two names must never be mixed.
        version: Changes whenever vectors would differ (the name and how it is run); documents embedded by
            another version are embedded again at the next ingest.
        dimensions: Length of a vector.
        max_tokens: Longest text in the model's own tokens, markers included; more is not seen.
    """

    name: str
    version: str
    dimensions: int
    max_tokens: int

    @abstractmethod
    def embed_array(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, float32 [texts, dimensions], each of length 1, in the order of ``texts``."""

    @abstractmethod
    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without the two markers that the model adds and without any cutting."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts as lists of floats."""
        vectors: list[list[float]] = self.embed_array(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text as a list of floats."""
        return self.embed_documents([text])[0]
