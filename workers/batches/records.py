"""What a batch and a file are, as the command line, HTTP and schedules see them. Times are UTC."""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.contract import Usage


class BatchState(StrEnum):
    """Where a batch is in its life; the words are OpenAI's."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the batch."""
        return self in (BatchState.COMPLETED, BatchState.FAILED, BatchState.EXPIRED, BatchState.CANCELLED)


class LineProblem(BaseModel):
    """What is wrong with a line of the input; ``line`` counts from 1, and is None for the file as a whole."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class BatchRecord(BaseModel):
    """A batch as it is now. ``completed`` and ``failed`` count lines that have ended, written or about to be."""

    model_config = ConfigDict(extra="ignore")
    id: str
    tenant: str
    state: BatchState
    name: str = ""
    endpoint: str | None = Field(default=None, description="the path of OpenAI's lines; None: lines of phiq's own")
    model: str | None = Field(default=None, description="for lines that name none")
    input_file: str
    output_file: str | None = None
    error_file: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finalizing_at: datetime | None = None
    cancelling_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime
    total: int = 0
    completed: int = 0
    failed: int = 0
    usage: Usage = Usage()
    seconds: float = Field(default=0.0, description="time its jobs ran, all attempts")
    errors: list[LineProblem] = Field(default_factory=list, description="why it failed")
    metadata: dict[str, str] = Field(default_factory=dict)
    origin: str | None = None
    key: str | None = Field(default=None, description="id of the API key that started it")
    webhook: str | None = Field(default=None, description="who is told of its end")
    task: dict[str, Any] | None = Field(default=None, description="of a batch over documents")

    @property
    def left(self) -> int:
        """Lines that have not ended."""
        return max(0, self.total - self.completed - self.failed)


class FileRecord(BaseModel):
    """A file of a tenant's; its bytes lie in the content store."""

    model_config = ConfigDict(extra="ignore")
    id: str
    tenant: str
    name: str
    size: int
    ref: str
    purpose: Literal["batch", "batch_output"]
    created_at: datetime
    expires_at: datetime | None = None


_BATCH_ID = re.compile(r"batch_[0-9a-f]{32}")
_FILE_ID = re.compile(r"file-[0-9a-f]{32}")


def new_batch_id() -> str:
    """An id for a batch."""
    return f"batch_{uuid.uuid4().hex}"


def new_file_id() -> str:
    """An id for a file."""
    return f"file-{uuid.uuid4().hex}"


def is_batch_id(value: object) -> bool:
    """Whether a value has the form of a batch's id."""
    return isinstance(value, str) and bool(_BATCH_ID.fullmatch(value))


def is_file_id(value: object) -> bool:
    """Whether a value has the form of a file's id."""
    return isinstance(value, str) and bool(_FILE_ID.fullmatch(value))
