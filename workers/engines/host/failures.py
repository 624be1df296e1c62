"""A library's exception as the child tells it: what kind of trouble, in few words."""

from __future__ import annotations

from workers.engines.host.protocol import Trouble

_MEMORY_WORDS = ("bad_alloc", "out of memory", "failed to allocate", "bfcarena", "memory exhausted", "bad allocation")


class Unusable(Exception):
    """What a request asks for can't be had here: its sender's to change."""


def trouble_of(error: Exception, otherwise: Trouble) -> Trouble:
    """Whether it is memory that lacks, going by the library's words."""
    if isinstance(error, Unusable):
        return "option"
    text = str(error).lower()
    return "memory" if isinstance(error, MemoryError) or any(word in text for word in _MEMORY_WORDS) else otherwise


def brief(error: Exception) -> str:
    """The library's words, bounded: they name files and shapes, not contents."""
    return " ".join(str(error).split())[:300] or type(error).__name__
