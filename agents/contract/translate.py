"""Translations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agents.contract.base import Input, Result, Text
from knowledge.types import Frozen


class TranslateInput(Input):
    """Translate a text, keeping its structure."""

    text: Text
    target: Text = Field(description="BCP 47 code or English name")
    source: str | None = None


class SegmentIssue(Frozen):
    """A segment whose translation failed a check and was kept with a warning."""

    segment: int
    problem: Literal["placeholder", "number", "url", "code", "markup", "length", "empty", "cut_off", "language"]
    detail: str


class TranslationResult(Result):
    """A translation with what its checks found."""

    target: str
    segments: int = 0
    issues: list[SegmentIssue] = Field(default_factory=list)
