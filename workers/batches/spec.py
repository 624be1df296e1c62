"""What starts a batch: a file of lines, or documents with one task."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from agents.contract import Input
from workers.jobs import GenerationOptions, Label, Name, Origin

TaskKind = Literal["summarize", "translate", "describe", "chat", "complete", "embed"]
"""Kinds of work that are done to each document by itself."""

Window = Annotated[float, Field(gt=0, le=30 * 86400)]


class TaskSpec(Input):
    """What is done to each document.

    ``input`` holds the fields of the kind's input besides the document itself: ``target`` of translate, ``focus``,
    ``sentences`` and ``language`` of summarize, ``question`` of describe and of chat (asked of each document).
    """

    kind: TaskKind
    input: dict[str, Any] = Field(default_factory=dict)
    model: str | None = None
    options: GenerationOptions = GenerationOptions()
    max_attempts: int = Field(default=3, ge=1, le=20)


class BatchSpec(Input):
    """A batch over documents.

    Attributes:
        paths: Files, folders and patterns on this machine.
        task: What is done to each.
        to: The file the results go to (.csv, .jsonl, .md). With one, only documents are taken that are new or changed
            since the last batch with the same task and the same file.
        format: Of that file; None: by its ending.
        expires_in: Seconds until the batch ends with what it has.
    """

    tenant: Name = "default"
    name: str = Field(default="", max_length=256)
    paths: list[str] = Field(min_length=1, max_length=10_000)
    task: TaskSpec
    to: str | None = None
    format: Literal["csv", "jsonl", "markdown"] | None = None
    expires_in: Window = 86400.0
    metadata: dict[Label, Label] = Field(default_factory=dict, max_length=32)
    origin: Origin | None = None
    key: str | None = Field(default=None, max_length=64)
    webhook: str | None = Field(default=None, max_length=2048)
