"""A run of a set as it is saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, Field

from workers.evals.answers import Answer
from workers.evals.figures import Figure, Scores
from workers.evals.load import EvalSet
from workers.evals.records import TASKS, Record


class Failure(BaseModel):
    """Records of a task that gave no result for the same reason.

    Attributes:
        task: What was asked.
        code: The error's code.
        count: How many failed so.
        of: How many were asked.
        message: What happened, as the first of them says it.
        hint: What to do.
    """

    task: str
    code: str
    count: int
    of: int
    message: str = ""
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.count} of {self.of} failed: {self.code}. {self.message}".rstrip()


class ModelOutcome(BaseModel):
    """What one model came to.

    Attributes:
        model: The engine's URI.
        records: How many were asked.
        failures: What gave no result, by task and reason.
        reused: How many answers are from an earlier run.
        scores: The figures.
    """

    model: str
    records: int
    failures: list[Failure] = Field(default_factory=list)
    reused: int = 0
    scores: Scores


class Outcome(BaseModel):
    """A run.

    Attributes:
        set: The set's name.
        title: As the set calls itself.
        digest: Of all its lines: figures of other digests are of another set.
        at: When it ended (UTC).
        phiq: Version.
        machine: Processor, cores and system.
        models: In the order asked for.
    """

    set: str
    title: str
    licence: str
    digest: str
    at: datetime
    phiq: str
    machine: str
    models: list[ModelOutcome]

    def rows(self) -> list[tuple[str, str, list[Figure | None]]]:
        """Task, measure, and its figure for each model."""
        names = dict.fromkeys((one.task, one.name) for model in self.models for one in model.scores.figures)
        by_model = [{(one.task, one.name): one for one in model.scores.figures} for model in self.models]
        # One model may lack a task that another one does: the tasks stand together all the same.
        in_order = sorted(names, key=lambda pair: TASKS.index(pair[0]))
        return [(task, name, [own.get((task, name)) for own in by_model]) for task, name in in_order]


def failures(records: Sequence[Record], answers: Mapping[str, Answer]) -> list[Failure]:
    """What failed and why, each reason once for a task.

    Args:
        records: What was asked.
        answers: What came, by record.
    """
    asked = Counter(record.task for record in records if record.id in answers)
    found: dict[tuple[str, str], Failure] = {}
    for record in records:
        answer = answers.get(record.id)
        if answer is None or answer.result is not None:
            continue
        error = answer.error or {}
        code = str(error.get("code", "unknown"))
        said = {name: str(error.get(name) or "") for name in ("message", "hint")}
        own = Failure(task=record.task, code=code, count=0, of=asked[record.task], **said)
        found.setdefault((record.task, code), own).count += 1
    return sorted(found.values(), key=lambda one: (TASKS.index(one.task), -one.count))


def outcome(chosen: EvalSet, models: list[ModelOutcome]) -> Outcome:
    """A run that has just ended."""
    from importlib.metadata import version

    return Outcome(
        set=chosen.name,
        title=chosen.about.title or chosen.name,
        licence=chosen.about.licence,
        digest=chosen.digest,
        at=datetime.now(UTC).replace(microsecond=0),
        phiq=version("phiq"),
        machine=_machine(),
        models=models,
    )


def shown(value: float, name: str) -> str:
    """A figure as people read it: seconds and words as such, what counts to 100 with one digit, shares with three."""
    if name.startswith("seconds"):
        return f"{value:.2f} s"
    if name == "words" or name.startswith(("BLEU", "chrF")):
        return f"{value:.1f}"
    return f"{value:.3f}"


def is_share(name: str) -> bool:
    """Whether a figure lies between 0 and 1 and belongs into a plot; failures are said in words."""
    return name not in ("words", "failed") and not name.startswith(("seconds", "BLEU", "chrF"))


def _machine() -> str:
    import os
    import platform

    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8", "replace").splitlines() if info.is_file() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
