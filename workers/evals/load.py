"""Find a set by its name or folder, and read it: every line is checked before anything runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from agents.contract.base import Input
from workers.evals.errors import SetInvalid
from workers.evals.records import RECORD, TASKS, Asked, DescribeRecord, Record

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "eval"
"""The set called ``example``; it is in a clone of the repository, not in what pip installs."""

_FILES = {**{task: task for task in TASKS}, "answers": "chat"}
"""Names of files whose lines need not say their task."""


class About(Input):
    """What a set says of itself in ``set.json``; all of it may be left out."""

    title: str = ""
    about: str = ""
    licence: str = ""
    collection: str = Field(default="", description="ask this one, which is there already")
    documents: list[str] = Field(default_factory=list, description="files and folders, from the set's folder, to ask")


@dataclass(frozen=True)
class EvalSet:
    """A set that has been read. ``digest`` changes with any of its lines."""

    name: str
    folder: Path
    about: About
    records: tuple[Record, ...]
    digest: str

    def tasks(self) -> list[str]:
        """Which kinds of work are in it, in the usual order."""
        return [task for task in TASKS if any(record.task == task for record in self.records)]


def find_set(name: str, shelf: Path) -> Path:
    """The folder of a set.

    Args:
        name: A folder, the name of one on the shelf, or ``example``.
        shelf: Where named sets lie.

    Raises:
        SetInvalid: when there is none.
    """
    for folder in (Path(name), shelf / name, *([EXAMPLE] if name == "example" else [])):
        if folder.is_dir():
            return folder
    known = sorted(
        {path.name for path in shelf.glob("*") if path.is_dir()} | ({"example"} if EXAMPLE.is_dir() else set())
    )
    raise SetInvalid(
        f"There is no set '{name}'.",
        hint=f"Name a folder with JSONL files, or one of: {', '.join(known) or 'nothing is in ' + str(shelf)}. "
        "docs/quality.md says what the files hold.",
        subject=name,
    )


def load_set(folder: Path, name: str = "", limit: int = 0, tasks: Sequence[str] = ()) -> EvalSet:
    """Read a set.

    Args:
        folder: With ``*.jsonl`` and perhaps ``set.json``.
        name: What the set is called; empty: as its folder.
        limit: So many records of each task at most; 0 takes all.
        tasks: Only these; empty takes all.

    Raises:
        SetInvalid: naming the file and the line that can't be used.
    """
    records: list[Record] = []
    seen: dict[str, str] = {}
    taken: dict[str, int] = {}
    for place, task, body in _lines(folder):
        record = _record(place, task, body, folder)
        record = record.model_copy(update={"id": record.id or place})
        if before := seen.get(record.id):
            raise SetInvalid(f"{place} has the id of {before}: {record.id}.", hint="Give each its own.", subject=place)
        seen[record.id] = place
        taken[record.task] = taken.get(record.task, 0) + 1
        if (not tasks or record.task in tasks) and (not limit or taken[record.task] <= limit):
            records.append(record)
    if not records:
        raise SetInvalid(
            f"There is nothing to ask in {folder}.",
            hint='Put a file such as chat.jsonl there, with lines like {"question": "…", "answer": "…"}.',
            subject=str(folder),
        )
    about = _about(folder)
    text = "\n".join(record.model_dump_json() for record in records)
    return EvalSet(
        name=name or folder.resolve().name,
        folder=folder,
        about=about,
        records=tuple(records),
        digest=hashlib.sha256(f"{about.model_dump_json()}\n{text}".encode()).hexdigest(),
    )


def _lines(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file in sorted(folder.glob("*.jsonl")):
        try:
            lines = file.read_text("utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SetInvalid(
                f"{file.name} can't be read: {error}", hint="It must be a text file in UTF-8.", subject=str(file)
            ) from error
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            place = f"{file.name}:{number}"
            try:
                body = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise SetInvalid(
                    f"{place} is not JSON: {error}", hint="Put one object on each line.", subject=place
                ) from error
            if not isinstance(body, dict):
                raise SetInvalid(f"{place} is no object.", hint='Write {"question": "…"}, for example.', subject=place)
            yield place, _FILES.get(file.name.split(".")[0], ""), body


def _record(place: str, task: str, body: dict[str, Any], folder: Path) -> Record:
    body = {**({"task": task} if task else {}), **body}
    if body.get("task") not in TASKS:
        raise SetInvalid(
            f"{place} does not say what is asked.",
            hint=f'Add "task": one of {", ".join(TASKS)}; or name the file after its task, such as chat.jsonl.',
            subject=place,
        )
    try:
        record = RECORD.validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        raise SetInvalid(
            f"{place} can't be used: {where + ': ' if where else ''}{first['msg']}.",
            hint="docs/quality.md lists the fields of each task.",
            subject=place,
        ) from error
    if isinstance(record, DescribeRecord):
        for name in record.image:
            _inside(folder, name, place)
    if isinstance(record, Asked):
        named = [one if one.id else one.model_copy(update={"id": _id(one.title, one.text)}) for one in record.passages]
        record = record.model_copy(update={"passages": named})
    return record


def _inside(folder: Path, name: str, place: str) -> None:
    """A picture lies in the set's folder: a set from elsewhere must not read other files of whoever runs it."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise SetInvalid(
            f"{place} names a picture that is not in the set's folder: {name}.", hint="Put it there.", subject=place
        )


def _id(title: str, text: str) -> str:
    return f"passage-{hashlib.sha256(f'{title}|{text}'.encode()).hexdigest()[:16]}"


def _about(folder: Path) -> About:
    file = folder / "set.json"
    if not file.is_file():
        return About()
    try:
        return About.model_validate_json(file.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        said = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise SetInvalid(
            f"set.json can't be used: {said}.",
            hint="It may hold title, about, licence, collection and documents.",
            subject=str(file),
        ) from error
