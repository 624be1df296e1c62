"""Answers that came, kept in a file as they come, so that a run that was ended goes on where it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from workers.evals.ask import Question


class Answer(BaseModel):
    """What became of one record: a result or an error (``PhiqError.to_dict``).

    Attributes:
        id: The record's.
        asked: Digest of the job, so that a changed record is asked again.
        seconds: That the job ran, without its waiting.
        result: As the job gave it.
        error: Why there is none.
    """

    id: str
    asked: str
    seconds: float = 0.0
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class Answers:
    """The answers of one model, in a JSONL file that only grows; the last line about a record counts.

    Args:
        path: The file; made at the first answer.

    Attributes:
        reused: Answers of earlier runs that were asked for.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Answer] = {}
        self.reused = 0
        if path.is_file():
            text = path.read_text("utf-8", "replace")
            if text and not text.endswith("\n"):
                path.write_text(text + "\n", "utf-8")  # what comes next must not join half a line
            for line in text.split("\n"):
                try:
                    answer = Answer.model_validate_json(line)
                except ValidationError:
                    continue  # the end of a run that was killed while it wrote
                self._known[answer.id] = answer

    def get(self, record_id: str, asked: str) -> Answer | None:
        """The answer to just this job, unless it failed in a way that may pass."""
        answer = self._known.get(record_id)
        if answer is None or answer.asked != asked or (answer.error or {}).get("transient"):
            return None
        self.reused += 1
        return answer

    def add(self, answer: Answer) -> None:
        """Keep one."""
        self._known[answer.id] = answer
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(answer.model_dump_json(exclude_none=True) + "\n")

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._path.unlink(missing_ok=True)


def digest_of(asked: Question, model: str) -> str:
    """What tells one job from another: its contents, its pictures, its model, and the version that answers."""
    from importlib.metadata import version

    whole = hashlib.sha256(
        json.dumps(
            [version("phiq"), model, asked.kind, asked.input, asked.options], sort_keys=True, default=str
        ).encode()
    )
    for path in asked.paths:
        whole.update(path.read_bytes())
    return whole.hexdigest()[:32]
