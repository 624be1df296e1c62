"""Runs a set against a model: as jobs of the batch lane, a few at a time, each answer kept as it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from agents.contract import Attachment
from knowledge.errors import PhiqError
from workers.evals.answers import Answer, Answers, digest_of
from workers.evals.ask import Question, question
from workers.evals.corpus import Corpus
from workers.evals.errors import SetInvalid
from workers.evals.load import EvalSet

AT_ONCE = 12
"""Jobs that wait or run at a time: enough to keep a worker's slots busy, few enough to be cancelled at once."""

_FILES_A_JOB = 500
_SOON = 1.0


class Handle(Protocol):
    """A submitted job."""

    @property
    def record(self) -> Any:
        """As the ledger knows it, with ``started_at`` and ``finished_at``."""
        ...

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its result; raises its error, or TimeoutError."""
        ...

    def cancel(self) -> Any:
        """Ask that it ends."""
        ...


class Door(Protocol):
    """Who takes jobs: ``gateway.client.Client`` does."""

    def submit(self, kind: Any, content: Any, **fields: Any) -> Any:
        """Submit a job; gives a `Handle`."""
        ...

    def attach(self, item: Path | tuple[str, bytes]) -> Attachment:
        """Put a file into the content store."""
        ...


def load_corpus(door: Door, corpus: Corpus, tell: Callable[[int, int], None]) -> None:
    """Ingest a set's passages; what an earlier run has loaded is found unchanged.

    Args:
        door: Who takes jobs.
        corpus: What to load.
        tell: Called with how many files are done and how many there are.

    Raises:
        SetInvalid: when one can't be read.
        PhiqError: what else keeps the job from being done.
    """
    for first in range(0, len(corpus.files), _FILES_A_JOB):
        part = corpus.files[first : first + _FILES_A_JOB]
        files = [{**door.attach((file.name, file.data)).model_dump(), "source": file.source} for file in part]
        handle = door.submit("ingest", {"files": files, "collection": corpus.collection}, lane="batch")
        while True:
            try:
                result = handle.result(_SOON)
                break
            except TimeoutError:
                progress = handle.record.progress
                tell(first + (progress.done if progress else 0), len(corpus.files))
        for report in result.files:
            if report.status == "failed":
                why = (report.error or {}).get("message", "")
                raise SetInvalid(f"A document of the set can't be read: {why}", subject=report.source)
    tell(len(corpus.files), len(corpus.files))


def ask_all(door: Door, chosen: EvalSet, collection: str, model: str, answers: Answers) -> Iterator[Answer]:
    """Each record's answer, in order: from an earlier run, or from a job.

    Args:
        door: Who takes jobs.
        chosen: What to ask.
        collection: Where, for records that name no collection.
        model: The engine's URI.
        answers: What is known, and where what comes is kept.

    Raises:
        PhiqError: when jobs can't be submitted at all; those that are under way are cancelled.
    """
    waiting: deque[tuple[Answer, Handle | None]] = deque()
    try:
        for record in chosen.records:
            asked = question(record, collection, chosen.folder)
            digest = digest_of(asked, model)
            known = answers.get(record.id, digest)
            waiting.append(
                (known, None) if known else (Answer(id=record.id, asked=digest), _submit(door, asked, model))
            )
            if len(waiting) >= AT_ONCE:
                yield _settled(*waiting.popleft(), answers)
        while waiting:
            yield _settled(*waiting.popleft(), answers)
    finally:
        for _, handle in waiting:
            if handle is not None:
                handle.cancel()


def _submit(door: Door, asked: Question, model: str) -> Handle:
    body = dict(asked.input)
    if asked.paths:
        body["images"] = [door.attach(path).model_dump() for path in asked.paths]
    # `top_k` alone would be taken for the number of passages.
    options = {"sample_top_k" if name == "top_k" else name: value for name, value in asked.options.items()}
    handle: Handle = door.submit(asked.kind, body, model=model, lane="batch", **options)
    return handle


def _settled(answer: Answer, handle: Handle | None, answers: Answers) -> Answer:
    if handle is None:
        return answer
    try:
        result = handle.result()
    except PhiqError as error:
        made = answer.model_copy(update={"error": error.to_dict()})
    except BaseException:
        handle.cancel()
        raise
    else:
        made = answer.model_copy(update={"result": result.model_dump(mode="json")})
    record = handle.record
    if record.started_at and record.finished_at:
        made = made.model_copy(update={"seconds": (record.finished_at - record.started_at).total_seconds()})
    answers.add(made)
    return made
