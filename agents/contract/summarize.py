"""Summaries."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agents.contract.base import Input, Result, Text
from knowledge.types import Frozen


class SourceText(Input):
    """A named text to work on."""

    text: Text
    name: str = "text"


class SummarizeInput(Input):
    """Summarise one or several texts into one summary."""

    texts: list[SourceText] = Field(min_length=1)
    focus: str | None = Field(default=None, description="a question the summary should answer")
    sentences: int = Field(default=5, ge=1, le=50, description="about how long the summary is")
    language: str | None = Field(default=None, description="output language (BCP 47); None: that of the text")


class Coverage(Frozen):
    """How much of the input the result rests on: ``parts_read`` of ``parts``, ``rounds`` of merging."""

    parts: int
    parts_read: int
    rounds: int = 1
    sentences: int = 0


class SummaryResult(Result):
    """A summary. ``style`` is honest about what it is: abstractive, key_sentences or key_turns."""

    style: Literal["abstractive", "key_sentences", "key_turns"] = "key_sentences"
    coverage: Coverage
