"""Finished steps of a job, kept so that its next attempt does only the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from knowledge.types import Passage, Retriever

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


class Checkpoints(Protocol):
    """Where an agent keeps what it has; it outlives the attempt, not the job."""

    def get(self, key: str) -> str | None:
        """What was put under ``key``; None when nothing was."""
        ...

    def put(self, key: str, value: str) -> None:
        """Keep ``value`` under ``key``, in the place of the token ids of the call that made it."""
        ...

    def tokens(self, key: str) -> Sequence[int]:
        """The token ids that an earlier attempt made of a call and did not end; given once, empty else."""
        ...

    def extend(self, key: str, ids: Sequence[int]) -> None:
        """Keep more ids of a call, before their text is shown. Of one call at a time."""
        ...

    def start_over(self) -> None:
        """Say that a call begins anew: what earlier attempts showed of it is void."""
        ...


class NoCheckpoints:
    """Keeps nothing."""

    def get(self, key: str) -> str | None:  # noqa: ARG002 - the protocol's signature
        """Always None."""
        return None

    def put(self, key: str, value: str) -> None:
        """Forget at once."""

    def tokens(self, key: str) -> Sequence[int]:  # noqa: ARG002 - the protocol's signature
        """Always empty."""
        return ()

    def extend(self, key: str, ids: Sequence[int]) -> None:
        """Forget at once."""

    def start_over(self) -> None:
        """There was nothing before."""


class TokenLog:
    """The token ids of one call, as its engine makes them. Engines that ``resumes`` take it as ``resume``.

    An engine reads ``ids``, gives their text again, in the same pieces, and goes on behind them; it calls `add` with
    each further piece's ids before it gives the piece, or `refuse` when it can't go on from ``ids``.

    Args:
        kept: Where they are kept.
        key: The call's.
    """

    def __init__(self, kept: Checkpoints, key: str) -> None:
        self._kept = kept
        self._key = key
        self.ids = tuple(kept.tokens(key))

    def add(self, ids: Sequence[int]) -> None:
        """Keep the ids of the next piece."""
        if ids:
            self._kept.extend(self._key, ids)

    def refuse(self) -> None:
        """Start over."""
        self.ids = ()
        self._kept.start_over()


class FrozenRetriever:
    """A retriever that finds what it found at a job's first attempt, whatever became of the collection since.

    A prompt with other passages would be another prompt: the answer that readers have seen half of could not go on.

    Args:
        retriever: Asked the first time.
        kept: Where the passages are kept.
    """

    def __init__(self, retriever: Retriever, kept: Checkpoints) -> None:
        self._retriever = retriever
        self._kept = kept

    def retrieve(self, query: str, top_k: int = 5, before: Sequence[str] = ()) -> list[Passage]:
        """What the other found, the first time it was asked."""
        asked = "\x00".join([query, *before]).encode("utf-8", "surrogatepass")
        key = f"found:{top_k}:{hashlib.sha256(asked).hexdigest()[:32]}"
        if (known := self._kept.get(key)) is not None:
            return [Passage.model_validate(one) for one in json.loads(known)]
        found = self._retriever.retrieve(query, top_k, before)
        self._kept.put(key, json.dumps([passage.model_dump() for passage in found]))
        return found


def step_key(kind: str, messages: Sequence[BaseMessage]) -> str:
    """A key for the answer to a prompt: another part, focus or wording has another key."""
    digest = hashlib.sha256()
    for message in messages:
        digest.update(f"{message.type}\x00{message.text}\x00".encode())
    return f"{kind}:{digest.hexdigest()[:32]}"
