"""Work without checks (completions) and without a model (embeddings, searches)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agents.contract.base import Input, Result, Since, Text, unused
from knowledge.types import Filters, Passage


class CompleteInput(Input):
    """Continue a prompt with the model, no documents and no checks."""

    prompt: Text


class CompletionResult(Result):
    """The model's own words, and the thoughts that it wrote before them."""

    reasoning: str = Field(default="", exclude_if=unused)


class EmbedInput(Input):
    """Sentence embeddings of texts."""

    texts: list[Text] = Field(min_length=1, max_length=2048)


class EmbedResult(Result):
    """``vectors[i]`` is the unit-length embedding of ``texts[i]``; ``dimensions`` floats each."""

    vectors: list[list[float]] = Field(default_factory=list)
    dimensions: int = 0


class SearchInput(Input):
    """Find passages."""

    query: Text
    collection: str = "default"
    top_k: int = Field(default=5, ge=1, le=100)
    filters: Annotated[Filters | None, Since(4)] = Field(
        default=None, exclude_if=unused, description="which passages may be found"
    )


class SearchResult(Result):
    """Passages, best first."""

    passages: list[Passage] = Field(default_factory=list)
