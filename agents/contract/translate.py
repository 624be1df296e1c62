"""Translations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agents.contract.base import Input, Result, Since, Text, unused
from knowledge.types import Frozen

Format = Literal["auto", "plain", "markdown", "html", "srt", "vtt", "json", "po"]
Term = Annotated[str, Field(min_length=1, max_length=200)]


def _is_auto(value: object) -> bool:
    return value == "auto"


class TranslateInput(Input):
    """Translate a text, keeping its structure."""

    text: Text
    target: Text = Field(description="BCP 47 code or English name")
    source: str | None = None
    format: Annotated[Format, Since(4)] = Field(
        default="auto", exclude_if=_is_auto, description="what the text is; auto: as it looks"
    )
    glossary: Annotated[dict[Term, Term], Since(4)] = Field(
        default_factory=dict, max_length=2000, exclude_if=unused, description="terms and how each is translated"
    )
    keep: Annotated[list[Term], Since(4)] = Field(
        default_factory=list, max_length=2000, exclude_if=unused, description="words that are not translated"
    )
    formality: Annotated[Literal["formal", "informal"] | None, Since(4)] = Field(
        default=None, exclude_if=unused, description="how the reader is addressed, where the language tells"
    )


class SegmentIssue(Frozen):
    """A segment whose translation failed a check and was kept with a warning; ``place`` is its line, key or cue."""

    segment: int
    problem: Literal[
        "placeholder", "number", "url", "code", "markup", "length", "empty", "cut_off", "language", "term", "formality"
    ]
    detail: str
    place: str = Field(default="", exclude_if=unused)


class TranslationReport(Frozen):
    """What was done with a document.

    Attributes:
        format: What it was read as.
        source: Language it was translated from, as told or as detected; empty: not known.
        retried: Segments that were asked for once more.
        flagged: Segments that still did not pass.
        terms: How often each term of the glossary, and each word that is kept, stood in the text.
    """

    format: Format = "markdown"
    source: str = ""
    retried: int = 0
    flagged: int = 0
    terms: dict[str, int] = Field(default_factory=dict)


class TranslationResult(Result):
    """A translation with what its checks found."""

    target: str
    segments: int = 0
    issues: list[SegmentIssue] = Field(default_factory=list)
    report: TranslationReport | None = Field(default=None, exclude_if=unused)
