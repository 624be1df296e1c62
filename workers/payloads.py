"""Large jobs and results lie in the content store; their records in Redis hold a reference in their place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from knowledge.errors import PhiqError
from workers.errors import ContentMissing

if TYPE_CHECKING:
    from workers.content import ContentStore
    from workers.settings import Settings

INLINE_VERSION, REFERRED_VERSION = 1, 2
"""Versions of a record: one whose job or result lies elsewhere can't be read by who knows only the first."""

_CARRIERS = {"describe": "images", "ingest": "files", "chat": "messages"}
"""Kinds of jobs with attachments, and where in their input these are; a chat's are in its messages' images."""


class Payloads:
    """Puts away what is too large for Redis, and fetches it.

    Args:
        open_store: Opens the content store, at the first use: most jobs are small.
        inline_bytes: What is larger than this goes to the store.
    """

    def __init__(self, open_store: Callable[[], ContentStore], inline_bytes: int) -> None:
        self._open = open_store
        self._inline = inline_bytes

    @classmethod
    def of(cls, settings: Settings) -> Payloads:
        """As the settings say."""

        def open_store() -> ContentStore:
            from workers.content import open_content

            return open_content(settings)

        return cls(open_store, settings.inline_bytes)

    @cached_property
    def store(self) -> ContentStore:
        """The content store."""
        return self._open()

    def put_away(self, text: str, what: str) -> str:
        """The reference to a payload that is too large for Redis; empty when it is not.

        Args:
            text: The payload, JSON.
            what: What to call it in an error.

        Raises:
            StorageFull: no room; nothing was kept.
            ContentUnavailable: the store does not answer.
        """
        # A character is a byte at least, so most texts need not be encoded to be found small.
        if len(text) * 4 <= self._inline:
            return ""
        data = text.encode()
        if len(data) <= self._inline:
            return ""
        return self.store.put(data, what, limit=len(data)).ref

    def fetch(self, ref: str) -> str:
        """A payload that was put away.

        Raises:
            ContentMissing: it is not there any more, or damaged.
            ContentUnavailable: the store does not answer.
        """
        return self.store.get(ref).decode()

    def whole(self, fields: Mapping[str, str]) -> dict[str, str]:
        """A record's fields with its payloads in their places; ``missing`` is the error of one that can't be read."""
        found = dict(fields)
        for name in ("job", "result"):
            ref = found.get(f"{name}_ref")
            if ref and name not in found:
                try:
                    found[name] = self.fetch(ref)
                except PhiqError as error:
                    found["missing"] = json.dumps(error.to_dict(), default=str)
        return found

    def attached(self, fields: Mapping[str, Any]) -> set[str]:
        """The references of everything that a record needs in the content store.

        Args:
            fields: ``kind``, ``refs``, ``kept``, ``job_ref`` and ``result_ref`` of the record, as far as it has them.

        Raises:
            ContentUnavailable: a job that was put away can't be read now.
        """
        both = (str(fields.get(name) or "").split(",") for name in ("refs", "kept"))
        found = {ref for refs in both for ref in refs if ref}
        found |= {str(fields[name]) for name in ("job_ref", "result_ref") if fields.get(name)}
        if fields.get("job_ref") and fields.get("kind") in _CARRIERS:
            try:
                found |= set(attachments(str(fields["kind"]), json.loads(self.fetch(str(fields["job_ref"])))))
            except (ContentMissing, ValueError):
                pass  # such a job can't run any more; what it had attached serves nobody
        return found


def attachments(kind: str, job: Mapping[str, Any]) -> Iterable[str]:
    """The references of a job's attachments, given the job as JSON."""
    items = job.get("input", {}).get(_CARRIERS.get(kind, ""), [])
    if kind == "chat":
        items = [image for turn in items if isinstance(turn, dict) for image in turn.get("images", [])]
    return list(dict.fromkeys(str(item["ref"]) for item in items if isinstance(item, dict) and "ref" in item))
