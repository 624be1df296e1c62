"""Real sentence embeddings, and a collection held in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from agents.extractive.vectors import embed
from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.search import ask
from knowledge.types import Passage


class InMemory:
    """What a store does, without a server: passages scored by their cosine, title and text read together."""

    def __init__(self, embeddings: Any, passages: Sequence[Passage]) -> None:
        self._embeddings = embeddings
        self._passages = list(passages)
        texts = [f"{passage.title}\n{passage.text}" for passage in self._passages]
        self._vectors = embed(embeddings, texts) if texts else None
        self.asked: list[str] = []
        self.before: list[str] = []

    def retrieve(self, query: str, top_k: int = 5, before: Sequence[str] = ()) -> list[Passage]:
        self.asked.append(query)
        self.before = list(before)
        if self._vectors is None:
            return []
        mixed = ask(self._embeddings, query, before)
        scores = np.maximum(self._vectors @ mixed.vector, self._vectors @ mixed.alone)
        order = np.argsort(-scores)[:top_k]
        return [self._passages[at].model_copy(update={"score": float(scores[at])}) for at in order]


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """MiniLM as jobs use it."""
    return load_embedder(EmbedderConfig(cache_dir=tmp_path_factory.mktemp("minilm")))


@pytest.fixture(scope="session")
def collection(embeddings: Any) -> Callable[..., InMemory]:
    """``collection(("Title", "Text."), …)``: a retriever over passages."""

    def make(*passages: tuple[str, str]) -> InMemory:
        return InMemory(
            embeddings,
            [
                Passage(id=f"p{at}", text=text, title=title, source=f"{title}.md", page=at + 1)
                for at, (title, text) in enumerate(passages)
            ],
        )

    return make
