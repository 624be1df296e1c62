"""Finished steps of a job, kept so that its next attempt does only the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


class Checkpoints(Protocol):
    """Where an agent keeps its finished steps; it outlives the attempt, not the job."""

    def get(self, key: str) -> str | None:
        """What was put under ``key``; None when nothing was."""
        ...

    def put(self, key: str, value: str) -> None:
        """Keep ``value`` under ``key``."""
        ...


class NoCheckpoints:
    """Keeps nothing."""

    def get(self, key: str) -> str | None:  # noqa: ARG002 - the protocol's signature
        """Always None."""
        return None

    def put(self, key: str, value: str) -> None:
        """Forget at once."""


def step_key(kind: str, messages: Sequence[BaseMessage]) -> str:
    """A key for the answer to a prompt: another part, focus or wording has another key."""
    digest = hashlib.sha256()
    for message in messages:
        digest.update(f"{message.type}\x00{message.text}\x00".encode())
    return f"{kind}:{digest.hexdigest()[:32]}"
