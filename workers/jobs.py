"""The typed contract of a job: what people submit, the record the ledger keeps, the events it streams.

Nothing here talks to Redis, Celery or an engine.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from agents.contract import (
    ChatInput,
    ChatResult,
    CompleteInput,
    CompletionResult,
    DescribeInput,
    DescriptionResult,
    EmbedInput,
    EmbedResult,
    IngestInput,
    IngestResult,
    Input,
    Progress,
    Result,
    SearchInput,
    SearchResult,
    Since,
    SummarizeInput,
    SummaryResult,
    TranslateInput,
    TranslationResult,
)
from workers.errors import ContentMissing, JobInvalid

RECORD_VERSION = 4
"""Of the record's layout: a worker leaves alone what is newer than itself. 2: job or result may lie elsewhere.

3: a job may say where it came from. 4: inputs have fields marked `agents.contract.Since`."""

SINCE = {"subject": 2, "origin": 3, "webhook": 3, "key": 3}
"""Fields of a job that came later, with the version of a record that uses them. Left out while they are not used, so
that older workers, which refuse what they don't know, can read the job."""


class Lane(StrEnum):
    """Interactive work goes before batch work, at the queue and in the engine."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class State(StrEnum):
    """Where a job is in its life; docs/jobs.md has the diagram."""

    DELAYED = "delayed"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEAD = "dead"

    @property
    def final(self) -> bool:
        """Whether nothing more happens to the job by itself."""
        return self not in (State.DELAYED, State.QUEUED, State.RUNNING)


class Capability(StrEnum):
    """What a job needs of a worker; each is a queue (a lane apart) that a worker may serve or not."""

    CORE = "core"
    GENERATE = "generate"
    VISION = "vision"


class GenerationOptions(Input):
    """How to generate. None leaves it to the model's profile. Refused by name where an engine can't."""

    max_tokens: int | None = Field(default=None, ge=1, le=131072)
    temperature: float | None = Field(default=None, ge=0.0, le=5.0, description="0 is greedy")
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    top_k: int | None = Field(default=None, ge=1, le=100_000)
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1)
    stop: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field(default_factory=list, max_length=16)
    min_p: Annotated[float, Since(4)] = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        exclude_if=lambda least: not least,
        description="leaves out tokens less likely than this share of the likeliest one's; 0: none",
    )
    repetition_penalty: Annotated[float, Since(4)] = Field(
        default=1.0,
        ge=0.5,
        le=2.0,
        exclude_if=lambda penalty: penalty == 1.0,
        description="above 1 makes tokens less likely that stand in the prompt or the answer already",
    )
    adapter: Annotated[str, Since(4)] = Field(
        default="",
        pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,63})?$",
        exclude_if=lambda name: not name,
        description="the fine-tuning (LoRA) to put on the model, by its name in the model's folder",
    )
    logit_bias: dict[Annotated[str, Field(pattern=r"^[0-9]{1,7}$")], Annotated[float, Field(ge=-100, le=100)]] = Field(
        default_factory=dict,
        max_length=1024,
        exclude_if=lambda bias: not bias,
        description="what is added to tokens' logits, by their numbers",
    )


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
Label = Annotated[str, Field(max_length=10_000)]
Subject = Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,126}[!-~])?$")]
Origin = Annotated[str, Field(pattern=r"^[a-z]{1,16}/[A-Za-z0-9._@:+-]{1,64}(/[A-Za-z0-9._@:+-]{1,64})?$")]

Trace = Annotated[str, Field(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]


def _joined(model: object) -> object:
    """A list of engines in the form that records have."""
    if isinstance(model, list) and model and all(isinstance(one, str) for one in model):
        return ",".join(model)
    return model


class JobBase(Input):
    """What every kind of job has in common."""

    model: Annotated[str | None, BeforeValidator(_joined)] = Field(
        default=None,
        description="engine URI such as extractive, onnx:phi-3.5-mini, ollama:phi3.5; several, as a list or with "
        "commas between: the next takes over when one is down; None: the worker's default",
    )
    options: GenerationOptions = GenerationOptions()
    lane: Lane = Lane.INTERACTIVE
    tenant: Name = "default"
    delay: float = Field(default=0.0, ge=0.0, le=366 * 86400, description="seconds before it may start")
    expires_in: float | None = Field(
        default=None, gt=0, le=366 * 86400, description="seconds it may wait before it expires"
    )
    deadline: float | None = Field(
        default=None, gt=0, le=366 * 86400, description="seconds from submission until it must have ended"
    )
    max_attempts: int = Field(default=3, ge=1, le=20)
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=255)
    metadata: dict[Label, Label] = Field(default_factory=dict, max_length=32)
    subject: Subject | None = Field(
        default=None, description="whose words these are, as your own systems call them; `phiq erase` goes by it"
    )
    origin: Origin | None = Field(
        default=None, description="what submitted it: batch/ID/LINE or schedule/NAME/INSTANT; set by phiq itself"
    )
    webhook: Name | None = Field(
        default=None, description="the endpoint of the tenant's (`phiq webhook list`) that is told when it has ended"
    )
    trace: Trace | None = Field(
        default=None, description="W3C traceparent of the request it belongs to; not part of what makes two jobs alike"
    )
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = Field(
        default=None, description="id of the API key that submitted it; set by phiq itself"
    )


class ChatJob(JobBase):
    """Answer a conversation, from documents when a collection is named."""

    kind: Literal["chat"] = "chat"
    input: ChatInput


class SummarizeJob(JobBase):
    """Summarise texts."""

    kind: Literal["summarize"] = "summarize"
    input: SummarizeInput


class TranslateJob(JobBase):
    """Translate a text."""

    kind: Literal["translate"] = "translate"
    input: TranslateInput


class DescribeJob(JobBase):
    """Describe pictures."""

    kind: Literal["describe"] = "describe"
    input: DescribeInput


class CompleteJob(JobBase):
    """Continue a prompt."""

    kind: Literal["complete"] = "complete"
    input: CompleteInput


class EmbedJob(JobBase):
    """Embed texts."""

    kind: Literal["embed"] = "embed"
    input: EmbedInput


class SearchJob(JobBase):
    """Search a collection."""

    kind: Literal["search"] = "search"
    input: SearchInput


class IngestJob(JobBase):
    """Load files into a collection."""

    kind: Literal["ingest"] = "ingest"
    input: IngestInput


Job = Annotated[
    ChatJob | SummarizeJob | TranslateJob | DescribeJob | CompleteJob | EmbedJob | SearchJob | IngestJob,
    Field(discriminator="kind"),
]
JOB: TypeAdapter[Job] = TypeAdapter(Job)
KINDS = ("chat", "summarize", "translate", "describe", "complete", "embed", "search", "ingest")

RESULTS: dict[str, type[Result]] = {
    "chat": ChatResult,
    "summarize": SummaryResult,
    "translate": TranslationResult,
    "describe": DescriptionResult,
    "complete": CompletionResult,
    "embed": EmbedResult,
    "search": SearchResult,
    "ingest": IngestResult,
}


def parse_job(value: Any) -> Job:
    """A job from JSON text or a mapping.

    Raises:
        JobInvalid: naming each field that does not fit and why.
    """
    try:
        if isinstance(value, str | bytes):
            value = json.loads(value)
        return JOB.validate_python(value)
    except ValidationError as error:
        reasons = [{"field": _path(item["loc"]), "reason": item["msg"]} for item in error.errors()]
        first = reasons[0]
        raise JobInvalid(
            f"The job does not fit its contract: {first['field'] or 'job'}: {first['reason']}.",
            hint="See docs/jobs.md for the fields of each kind.",
            errors=reasons[:20],
        ) from error
    except ValueError as error:
        raise JobInvalid(f"The job is not JSON: {error}.", hint="Send one JSON object.") from error
    except RecursionError as error:
        raise JobInvalid("The job is nested too deeply to be read.", hint="Send one flat JSON object.") from error


def _path(parts: tuple[int | str, ...]) -> str:
    """Where in the job; its last parts may be a stranger's, so it is kept short and printable."""
    return ".".join(str(part) for part in parts)[:200].encode(errors="replace").decode()


def version_of(job: Job) -> int:
    """The record's version that a job needs: 1 where every version of phiq can read it."""
    used = [since for name, since in SINCE.items() if getattr(job, name) != type(job).model_fields[name].default]
    late = [since for name, since, unused in _late_fields(type(job.input)) if getattr(job.input, name) != unused]
    late += [since for name, since, unused in _late_fields(GenerationOptions) if getattr(job.options, name) != unused]
    verbatim = isinstance(job, ChatJob) and job.input.verbatim
    several = "," in (job.model or "")
    return max([1, *used, *late, *([3] if verbatim or job.options.logit_bias else []), *([4] if several else [])])


@cache
def _late_fields(kind: type[Input]) -> tuple[tuple[str, int, Any], ...]:
    """Fields of an input that came later: name, version, and what stands there while it is not used."""
    return tuple(
        (name, mark.version, field.get_default(call_default_factory=True))
        for name, field in kind.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Since)
    )


def capability(job: Job, model: str) -> Capability:
    """The queue a job belongs to, given the engine URI it will run on."""
    if job.kind in ("embed", "search", "ingest") or model == "extractive":
        return Capability.CORE
    sees = job.kind == "describe" or (isinstance(job, ChatJob) and any(turn.images for turn in job.input.messages))
    return Capability.VISION if sees else Capability.GENERATE


class AttemptRecord(BaseModel):
    """One try: who, when, and how it ended (``outcome`` empty while it runs)."""

    model_config = ConfigDict(extra="ignore")
    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: Literal["", "succeeded", "failed", "cancelled", "expired", "lost", "released"] = ""
    error: dict[str, Any] | None = None
    alone: bool = Field(default=False, description="it ran in a process of its own, with no other job")
    death: bool = Field(default=False, description="its worker died (not merely lost touch) while it ran")
    resumed: int = Field(default=0, description="characters of text taken over from the attempt before")


class JobRecord(BaseModel):
    """A job as the ledger knows it. Times are UTC."""

    model_config = ConfigDict(extra="ignore")
    version: int = RECORD_VERSION
    id: str
    kind: str
    state: State
    lane: Lane
    tenant: str
    capability: Capability
    model: str
    submitted_at: datetime
    available_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    deadline_at: datetime | None = None
    attempt: int = 0
    max_attempts: int = 3
    attempts: list[AttemptRecord] = Field(default_factory=list)
    progress: Progress | None = None
    cancel_requested: bool = False
    deaths: int = Field(default=0, description="workers that died while they ran it")
    suspect: bool = Field(default=False, description="two workers died of it, perhaps: it runs alone from now on")
    subject: str | None = None
    trace: str | None = None
    key: str | None = Field(default=None, description="id of the API key that submitted it")
    error: dict[str, Any] | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    job: dict[str, Any] = Field(default_factory=dict, description="the job as submitted")
    result: dict[str, Any] | None = None
    missing: dict[str, Any] | None = Field(
        default=None, description="the error of a job or result that can't be read from the content store"
    )

    def parsed_result(self) -> Result | None:
        """The result in its typed form; None while there is none.

        Raises:
            ContentMissing: there is one, and it is gone from the content store or damaged there.
        """
        if self.result is None and self.state is State.SUCCEEDED and self.missing is not None:
            raise ContentMissing(
                str(self.missing.get("message", "")), hint=str(self.missing.get("hint", "")), subject=self.id
            )
        return None if self.result is None else RESULTS[self.kind].model_validate(self.result)


class Event(BaseModel):
    """One entry of a job's stream.

    ``id`` is the stream's own (``milliseconds-sequence``): give the last one seen to go on from there.
    ``offset`` is the length, in characters, of the text before this event's; a reader that sees a gap or a
    smaller offset knows. ``restarted`` says that text streamed before is void; ``snapshot`` replaces it whole.
    """

    model_config = ConfigDict(extra="ignore")
    id: str = ""
    type: Literal["state", "delta", "progress", "restarted", "snapshot", "end"]
    attempt: int = 0
    offset: int = 0
    text: str = ""
    state: State | None = None
    progress: Progress | None = None
    message: str = ""


class Waiting(BaseModel):
    """Why a job has not started: its place and a reason people understand.

    ``reason``: not_waiting, delayed, retry, paused, no_worker, broker_unreachable, quota (its tenant runs as many as
    it may), alone (a suspect waits for a process of its own), model_loading, slots_full.
    """

    reason: str
    message: str
    position: int = 0
    ahead: int = 0
    oldest_age: float = Field(default=0.0, description="seconds the oldest job of this queue has waited")
    workers: int = 0
    expected_start: float | None = Field(
        default=None, description="seconds until it may start, from the pace of this queue lately; None: unknown"
    )


_ID = re.compile(r"[0-9a-f]{32}")


def is_job_id(value: object) -> bool:
    """Whether a value has the form of a job's id (32 lower-case hex digits; a UUIDv7, so ids sort by time)."""
    return isinstance(value, str) and bool(_ID.fullmatch(value))
