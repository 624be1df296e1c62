"""Passages that stood next to each other become one text again, with offsets that stay true."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from knowledge.types import Passage

if TYPE_CHECKING:
    from knowledge.collection import Collection

LONGEST = 2400
"""Characters of a passage that was put together: a prompt must still take several."""
_LOOKED_AT = 10
_ENDED = re.compile(
    r"[.!?\u2026:;\u3002\uff01\uff1f\uff1b\u061f\u06d4\u0964][\"')\]\u201d\u2019\u00bb\u300d\u300f]*\s*$"
)
_Key = tuple[str, int]


@dataclass(frozen=True)
class Place:
    """A passage among its neighbours.

    Attributes:
        passage: As it was found.
        section: Number of its section in the document.
        ordinal: Its place in the document.
        gap: What stands between the passage before it and it; None where there is none, or it was not kept.
    """

    passage: Passage
    section: int
    ordinal: int
    gap: str | None

    @property
    def key(self) -> _Key:
        """What it is found by."""
        return self.passage.source, self.ordinal


def readable(collection: Collection, passages: Sequence[Passage]) -> list[Passage]:
    """The passages, each together with neighbours that were found too or that hold the rest of a cut sentence.

    A joined passage has the id and score of its best part, and takes its place.
    """
    found = collection.places(passages)
    chosen = [found[one.id] for one in passages if one.id in found]
    hits = {one.key: one for one in chosen}
    rest = {one.key: one for one in collection.beside(_wanted(chosen, hits))}
    joined: list[Passage] = []
    taken: set[str] = set()
    for best in chosen:
        if best.passage.id in taken:
            continue
        first = last = whole = best
        while (after := _after(last, hits, rest, taken)) and (longer := join(whole, after)):
            last, whole = after, longer
            taken.add(after.passage.id)
        while (ahead := _ahead(first, hits, rest, taken)) and (longer := join(ahead, whole)):
            first, whole = ahead, longer
            taken.add(ahead.passage.id)
        taken.add(best.passage.id)
        joined.append(whole.passage.model_copy(update={"id": best.passage.id, "score": best.passage.score}))
    return joined


def join(one: Place, other: Place) -> Place | None:
    """Two neighbours as one; None where they are none, or would be too long."""
    a, b = one.passage, other.passage
    if other.gap is None or one.section != other.section or (a.source, a.page) != (b.source, b.page):
        return None
    text = f"{a.text}{other.gap}{b.text}"
    # Only parts of one version of a text fit together by their offsets.
    if a.end + len(other.gap) != b.start or len(text) > LONGEST:
        return None
    return Place(a.model_copy(update={"text": text, "end": b.end}), one.section, one.ordinal, one.gap)


def _after(last: Place, hits: Mapping[_Key, Place], rest: Mapping[_Key, Place], taken: set[str]) -> Place | None:
    key = (last.passage.source, last.ordinal + 1)
    other = hits.get(key) or rest.get(key)
    if other is None or other.passage.id in taken:
        return None
    return other if key in hits or _goes_on(last, other) else None


def _ahead(first: Place, hits: Mapping[_Key, Place], rest: Mapping[_Key, Place], taken: set[str]) -> Place | None:
    key = (first.passage.source, first.ordinal - 1)
    other = hits.get(key) or rest.get(key)
    if other is None or other.passage.id in taken:
        return None
    return other if key in hits or _goes_on(other, first) else None


def _goes_on(one: Place, other: Place) -> bool:
    """Whether a sentence goes on from one passage into the next."""
    return other.gap is not None and "\n" not in other.gap and not _ENDED.search(one.passage.text)


def _wanted(chosen: Sequence[Place], hits: Mapping[_Key, Place]) -> list[_Key]:
    """Where the rest of a sentence may be that a passage begins or ends in."""
    wanted: set[_Key] = set()
    for one in chosen[:_LOOKED_AT]:
        if not _ENDED.search(one.passage.text):
            wanted.add((one.passage.source, one.ordinal + 1))
        if one.gap is not None and "\n" not in one.gap:
            wanted.add((one.passage.source, one.ordinal - 1))
    return sorted(wanted - set(hits))
