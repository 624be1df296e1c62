"""Bring a word index in step with Chroma: by ids, which are made of what the passages hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from knowledge.words.client import Words
from knowledge.words.index import Entry

_AT_ONCE = 500


def reconcile(
    words: Words, name: str, there: Callable[[], Collection[str]], fetch: Callable[[Sequence[str]], list[Entry]]
) -> int:
    """Write what is missing and take out what is gone; returns how many passages that were.

    What is written to Chroma meanwhile is written to the index by who writes it.

    Args:
        words: The server.
        name: Of the index.
        there: Gets the ids that Chroma holds.
        fetch: Gets passages from Chroma; those that are gone are left out.

    Raises:
        WordsUnavailable: the server does not answer as it should.
    """
    # In this order: whoever writes puts into Chroma first, so what is only in the index is gone, not new.
    have = words.ids(name)
    wanted = set(there())
    missing, gone = sorted(wanted - have), sorted(have - wanted)
    for at in range(0, len(missing), _AT_ONCE):
        words.put(name, fetch(missing[at : at + _AT_ONCE]))
    words.remove(name, gone)
    words.mark(name, checked=True)
    return len(missing) + len(gone)
