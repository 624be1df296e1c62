"""Summaries."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agents.contract.base import Input, Result, Text, unused
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


class SummaryIssue(Frozen):
    """Something in a summary that its texts do not bear out, or that is wrong with it as a whole.

    ``text[start:end]`` of the result is what is meant; for ``language`` and ``cut_off`` it is all of it.
    """

    problem: Literal["number", "name", "date", "unsupported", "language", "cut_off"]
    detail: str
    start: int
    end: int


class SummaryResult(Result):
    """A summary. ``style`` is honest about what it is: abstractive, key_sentences or key_turns.

    ``issues`` are what its checks found; it is shown all the same.
    """

    style: Literal["abstractive", "key_sentences", "key_turns"] = "key_sentences"
    coverage: Coverage
    issues: list[SummaryIssue] = Field(default_factory=list, exclude_if=unused)
