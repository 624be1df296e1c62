"""What all inputs, results and streams have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from knowledge.types import Frozen

Text = Annotated[str, Field(min_length=1)]


class Input(BaseModel):
    """Base of what people send: unknown fields are refused, never ignored."""

    model_config = ConfigDict(extra="forbid")


class Attachment(Input):
    """A file that lies in the content store; jobs carry the reference, not the bytes."""

    ref: str = Field(description="sha256:<hex> in the content store")
    name: str
    size: int = Field(ge=0, description="bytes")


@dataclass(frozen=True)
class Since:
    """Marks an input's field that came later: ``Annotated[str, Since(4)]``; see ``workers.jobs.version_of``.

    Attributes:
        version: Of the records that use it; workers of an older version leave such jobs to newer ones.
    """

    version: int


def unused(value: object) -> bool:
    """For fields that came later: left out of JSON while unused, so that older versions can read the rest."""
    return not value


class Usage(Frozen):
    """Tokens as the engine counted them; zero for the extractive engine.

    ``cached_tokens`` of the prompt's had been read for an earlier run and were kept.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = Field(default=0, exclude_if=unused)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
        )


class Moved(Frozen):
    """An engine that should have done a job and could not: its URI, and the error's code and words."""

    model: str
    code: str
    message: str


class Result(BaseModel):
    """What every result says: who made it, at what cost, and what a reader must know.

    ``engine`` is the scheme (``extractive``, ``onnx``, ``ollama``…), ``model`` the name behind it.
    ``notes`` are sentences for people: what was left out, broken or could not be checked. ``digest`` says which
    weights: see docs/engines.md; ``moved`` are engines of the job's list that could not do it.
    """

    model_config = ConfigDict(extra="forbid")
    text: str = ""
    engine: str = "extractive"
    model: str = ""
    usage: Usage = Usage()
    finish_reason: Literal["stop", "length", "abstained", "tool_calls"] = "stop"
    notes: list[str] = Field(default_factory=list)
    digest: str = Field(default="", exclude_if=unused)
    moved: list[Moved] = Field(default_factory=list, exclude_if=unused)

    def attached(self) -> list[Attachment]:
        """What the result needs in the content store."""
        return []

    def kept(self) -> list[str]:
        """References to these files."""
        return list(dict.fromkeys(file.ref for file in self.attached()))


class Progress(Frozen):
    """How far a job is; ``total`` 0 means unknown. ``note`` is for people."""

    done: int
    total: int = 0
    note: str = ""


class Chunk(BaseModel):
    """One step of an agent's stream; chunks add up (text joins, the later progress and result win)."""

    model_config = ConfigDict(extra="forbid")
    delta: str = ""
    progress: Progress | None = None
    result: Result | None = None

    def __add__(self, other: Chunk) -> Chunk:
        return Chunk.model_construct(
            delta=self.delta + other.delta,
            progress=other.progress or self.progress,
            result=other.result or self.result,
        )
