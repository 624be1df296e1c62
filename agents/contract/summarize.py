"""Summaries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agents.contract.base import Input, Result, Since, Text, unused
from knowledge.types import Frozen

SummaryForm = Literal["paragraph", "line", "bullets", "minutes", "handover"]
Length = Literal["short", "medium", "long"]
_LENGTHS: dict[Length, int] = {"short": 2, "medium": 5, "long": 12}


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
    form: Annotated[SummaryForm, Since(4)] = Field(
        default="paragraph",
        exclude_if=lambda form: form == "paragraph",
        description="paragraph, line (one sentence), bullets, minutes of a meeting, or hand-over of a support ticket",
    )
    length: Annotated[Length | None, Since(4)] = Field(
        default=None, exclude_if=unused, description="short (2 sentences), medium (5), long (12); goes before sentences"
    )

    @property
    def about(self) -> int:
        """About how many sentences are wanted."""
        if self.form == "line":
            return 1
        return _LENGTHS[self.length] if self.length else self.sentences


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


class SummaryPoint(Frozen):
    """A point under a heading: ``text[start:end]`` of the result. ``who`` and ``when`` are empty where not said."""

    text: str
    start: int
    end: int
    who: str = ""
    when: str = ""


class SummarySection(Frozen):
    """What stands under a heading of minutes or of a hand-over."""

    heading: Literal["summary", "decisions", "actions", "problem", "tried", "state", "next_step"]
    points: list[SummaryPoint] = Field(default_factory=list)


class SummarySource(Frozen):
    """A text's share: its sentences, and how many of the summary rest on it more than on any other text."""

    name: str
    sentences: int
    kept: int


class SummaryResult(Result):
    """A summary. ``style`` is honest about what it is: abstractive, key_sentences or key_turns.

    ``issues`` are what its checks found; it is shown all the same. ``sections`` are those of minutes and hand-overs,
    ``sources`` the shares of several texts.
    """

    style: Literal["abstractive", "key_sentences", "key_turns"] = "key_sentences"
    coverage: Coverage
    issues: list[SummaryIssue] = Field(default_factory=list, exclude_if=unused)
    sections: list[SummarySection] = Field(default_factory=list, exclude_if=unused)
    sources: list[SummarySource] = Field(default_factory=list, exclude_if=unused)
