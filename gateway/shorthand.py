"""Jobs from what people have at hand: a question, a text, some paths, and options by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from agents.contract import Attachment
from workers.errors import JobInvalid
from workers.jobs import KINDS, GenerationOptions, Job, JobBase, parse_job

Kind = Literal["chat", "summarize", "translate", "describe", "complete", "embed", "search", "ingest"]
Attach = Callable[[Path | tuple[str, bytes]], Attachment]

_OPTIONS = frozenset(GenerationOptions.model_fields)
_COMMON = frozenset(JobBase.model_fields) - {"options"}


def build_job(kind: Kind, content: Any, attach: Attach, **fields: Any) -> Job:
    """A job of ``kind`` about ``content``.

    Args:
        kind: One of ``workers.jobs.KINDS``.
        content: chat: a question or a list of messages; summarize, embed: a text or several; translate, complete,
            search: a text; describe: a path or several; ingest: paths, folders, patterns, or a website's
            address. A mapping is taken as the kind's whole input.
        attach: Puts a file into the content store.
        **fields: Fields of the input (``collection``, ``target``…), of the job (``model``, ``lane``…) and generation
            options (``max_tokens``, ``seed``…), told apart by their names. None means "not given". For chat and search
            ``top_k`` is the number of passages; ``sample_top_k`` is the generation option for every kind.

    Raises:
        JobInvalid: when the whole does not fit the contract.
    """
    if kind not in KINDS:
        raise JobInvalid(f"'{kind}' is not a kind of job.", hint=f"Use one of: {', '.join(KINDS)}.", subject=str(kind))
    given = {name: value for name, value in fields.items() if value is not None}
    # collection=None is a wish of its own: answer without documents.
    if kind == "chat" and "collection" in fields:
        given["collection"] = fields["collection"]
    body = dict(content) if isinstance(content, Mapping) else _input(kind, content, attach)
    job: dict[str, Any] = {"kind": kind, "input": body}
    for name, value in given.items():
        if name == "sample_top_k":
            job.setdefault("options", {})["top_k"] = value
        elif name in _OPTIONS and not (kind in ("chat", "search") and name == "top_k"):
            job.setdefault("options", {})[name] = value
        elif name in _COMMON:
            job[name] = value
        else:
            body[name] = value
    return parse_job(_plain(job))


def _input(kind: Kind, content: Any, attach: Attach) -> dict[str, Any]:
    if kind == "chat":
        return {"messages": [{"role": "user", "content": content}] if isinstance(content, str) else list(content)}
    if kind == "summarize":
        return {"texts": [{"text": text} if isinstance(text, str) else text for text in _several(content)]}
    if kind == "embed":
        return {"texts": _several(content)}
    if kind == "describe":
        return {"images": [_attachment(item, attach) for item in _several(content)]}
    if kind == "ingest" and isinstance(content, str) and content.lower().startswith(("http://", "https://")):
        return {"site": {"url": content}}
    if kind == "ingest":
        return {"files": [_document(item, attach) for item in _files(_several(content))]}
    return {{"translate": "text", "complete": "prompt", "search": "query"}[kind]: content}


def _several(content: Any) -> list[Any]:
    if isinstance(content, str | Path | Mapping | tuple) or not isinstance(content, Iterable):
        return [content]
    return list(content)


def _files(items: list[Any]) -> list[Any]:
    """Folders and patterns become the files they stand for."""
    from gateway.files import expand
    from knowledge.load import SUFFIXES

    found: list[Any] = []
    for item in items:
        found += expand([str(item)], SUFFIXES)[0] if isinstance(item, str | Path) else [item]
    return found


def _attachment(item: Any, attach: Attach) -> dict[str, Any]:
    if isinstance(item, Attachment):
        return item.model_dump()
    return attach(Path(item) if isinstance(item, str) else item).model_dump()


def _document(item: Any, attach: Attach) -> dict[str, Any]:
    attached = _attachment(item, attach)
    source = str(Path(item).resolve()) if isinstance(item, str | Path) else attached["name"]
    return {"source": source, **attached}


def _plain(value: Any) -> Any:
    """Models inside a list of messages and the like become mappings, as they would be on the wire."""
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
