"""What a backup says of itself: versions, counts, and the hash of every file in it."""

from __future__ import annotations

import re
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workers.backup.errors import BackupInvalid
from workers.jobs import RECORD_VERSION

FORMAT = 1
NAME = "manifest.json"
REDIS = "redis.dump"

_NAMES = re.compile(
    r"^(?:redis\.dump|chroma/\d{4,6}\.jsonl|content/[0-9a-f]{2}/[0-9a-f]{64}|models/(?:[^/\x00-\x1f\\]+/)*[^/\x00-\x1f\\]+)$"
)


class Entry(BaseModel):
    """A file in the archive."""

    model_config = ConfigDict(extra="forbid")
    size: int = Field(ge=0, description="bytes")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """The last file of the archive: one that was cut off has none."""

    model_config = ConfigDict(extra="ignore")
    format: int = FORMAT
    phiq: str = ""
    redis: str = ""
    chroma: str = ""
    record_version: int = RECORD_VERSION
    key_prefix: str
    created_at: datetime
    running: bool = Field(default=False, description="workers were at work while it was made")
    jobs: int = 0
    keys: int = 0
    passages: int = 0
    contents: int = 0
    models: bool = False
    notes: list[str] = Field(default_factory=list)
    files: dict[str, Entry] = Field(default_factory=dict)


def parse(text: bytes, subject: str) -> Manifest:
    """A manifest, checked.

    Raises:
        BackupInvalid: it is none, of a newer version, or names files that a backup never holds.
    """
    try:
        found = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise BackupInvalid(
            f"{subject} has no readable manifest.", hint="Take another backup.", subject=subject
        ) from error
    if found.format > FORMAT or found.record_version > RECORD_VERSION:
        raise BackupInvalid(
            f"{subject} was made by a newer phiq ({found.phiq}).",
            hint="Restore it with that version or a later one.",
            subject=subject,
        )
    for name in found.files:
        if not allowed(name):
            raise BackupInvalid(
                f"{subject} names a file that no backup holds: {name[:80]!r}.",
                hint="Don't restore it: somebody changed it.",
                subject=subject,
            )
    return found


def allowed(name: str) -> bool:
    """Whether a backup may hold a file of this name: nothing that could be written outside its place."""
    parts = name.split("/")
    return bool(_NAMES.match(name)) and ".." not in parts and "." not in parts
