"""Documents as lines of a batch: found, read, and turned into one job each."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agents.contract import Attachment
from agents.formats import FILES, format_of
from knowledge.errors import PhiqError
from knowledge.files import expand
from workers.batches.answer import dump
from workers.batches.errors import BatchInvalid
from workers.batches.lines import MAX_CUSTOM_ID
from workers.batches.spec import TaskSpec
from workers.errors import JobInvalid
from workers.jobs import parse_job

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
_AS_IT_STANDS = frozenset({".txt", ".text", ".log", ".md", ".markdown", ".csv", ".tsv", ".json", ".jsonl", ""})
"""Endings of files whose characters are the text; others go through their loader."""
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Document:
    """A file that a batch works on: where it is, what it is called in the results, and the hash of its bytes.

    ``sha256`` is empty where it could not be read.
    """

    path: Path
    name: str
    sha256: str


def gather(paths: Iterable[str], task: TaskSpec) -> list[Document]:
    """The documents that paths, folders and patterns stand for, by name.

    Raises:
        DocumentUnreadable: a path stands for nothing.
        BatchInvalid: there is no document among them.
    """
    from knowledge.load import SUFFIXES

    paths = list(paths)
    suffixes = frozenset(SUFFIXES)
    if task.kind == "describe":
        suffixes = PICTURES
    elif task.kind == "translate":
        suffixes |= FILES.keys()
    files, _ = expand(paths, suffixes)
    if not files:
        raise BatchInvalid(
            f"There is no document in {', '.join(paths)[:200]}.",
            hint=f"These kinds are taken: {', '.join(sorted(suffixes))}.",
        )
    base = os.path.commonpath([file.parent for file in files])
    found: list[Document] = []
    taken: set[str] = set()
    for file in files:
        name = _called(file, base, taken)
        taken.add(name)
        found.append(Document(file, name, _hash(file)))
    return sorted(found, key=lambda one: one.name)


def lines(
    documents: Iterable[Document], task: TaskSpec, attach: Callable[[Path], Attachment], max_bytes: int
) -> Iterator[bytes]:
    """The batch file for them, line by line; a document that can't be read is a line with its error.

    Args:
        documents: Which.
        task: What is done to each.
        attach: Puts a picture into the content store.
        max_bytes: The largest document.
    """
    for one in documents:
        try:
            read = partial(read_text, one.path, max_bytes, markup=task.kind == "translate")
            job = job_for(task, read, partial(attach, one.path), one.name)
            line: dict[str, Any] = {"custom_id": one.name, "job": job}
        except PhiqError as error:
            line = {"custom_id": one.name, "error": error.to_dict()}
        yield dump(line) + b"\n"


def job_for(
    task: TaskSpec, text: Callable[[], str], picture: Callable[[], Attachment], name: str = ""
) -> dict[str, Any]:
    """The job of a task for one document, whose ``name`` may tell its format.

    Raises:
        JobInvalid: the task's fields don't fit its kind.
        PhiqError: what is wrong with the document.
    """
    given = dict(task.input)
    match task.kind:
        case "summarize":
            given["texts"] = [{"text": text()}]
        case "translate":
            given["text"] = text()
            if (form := format_of(name)) is not None:
                given.setdefault("format", form)
        case "embed":
            given["texts"] = [text()]
        case "complete":
            before, placed, after = str(given.get("prompt", "")).partition("{text}")
            given["prompt"] = before + text() + after if placed or not before else f"{before}\n\n{text()}"
        case "chat":
            question = given.pop("question", None)
            if not isinstance(question, str) or not question.strip():
                raise JobInvalid("A chat over documents needs a question.", hint="Give --question.", field="question")
            given["messages"] = [{"role": "user", "content": f"{text()}\n\n{question}"}]
            given.setdefault("collection", None)
        case "describe":
            given["images"] = [picture().model_dump()]
    job: dict[str, Any] = {"kind": task.kind, "input": given, "max_attempts": task.max_attempts}
    if task.model:
        job["model"] = task.model
    options = task.options.model_dump(exclude_unset=True)
    if options:
        job["options"] = options
    parse_job(job)
    return job


def check(task: TaskSpec) -> None:
    """See that a task fits its kind, before any document is read.

    Raises:
        JobInvalid: naming what does not.
    """
    job_for(task, lambda: "text", lambda: Attachment(ref=f"sha256:{'0' * 64}", name="picture", size=1))


def read_text(path: Path, max_bytes: int, *, markup: bool = False) -> str:
    """A document's text: of formats that are text the characters as they stand, of others what the loader finds.

    With ``markup`` web pages and others that can be translated in their own format are text as they stand too.

    Raises:
        PhiqError: it is missing, empty, too large, protected or of no known kind.
    """
    from knowledge.errors import DocumentEmpty
    from knowledge.load import Helpers, LoadLimits, load, plain_text, read_file
    from knowledge.load.encoding import decode, looks_like_text
    from workers.reading import read_page

    limits = LoadLimits(max_bytes=max_bytes)
    data = read_file(path, limits)
    suffixes = _AS_IT_STANDS | FILES.keys() if markup else _AS_IT_STANDS
    if path.suffix.lower() not in suffixes or not looks_like_text(data):
        return plain_text(load(data, path.name, str(path), limits, Helpers(read_page=read_page)))
    text = decode(data, path.name)
    if not text.strip():
        raise DocumentEmpty(f"{path} holds no text.", hint="Leave it out, or fill it.", subject=str(path))
    return text


def fingerprint(task: TaskSpec) -> str:
    """What two tasks have in common when they ask for the same."""
    return hashlib.sha256(json.dumps(task.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:32]


def _called(file: Path, base: str, taken: set[str]) -> str:
    """What a file is called: its place below ``base``, printable and unlike any other's."""
    plain = _ODD.sub("\ufffd", os.fsencode(file.relative_to(base)).decode(errors="replace").replace(os.sep, "/"))
    plain = plain if len(plain) <= MAX_CUSTOM_ID - 8 else "…" + plain[-(MAX_CUSTOM_ID - 8) :]
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain} ({number})", number + 1
    return name


def _hash(file: Path) -> str:
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()
