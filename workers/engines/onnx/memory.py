"""What a model will take of the memory, reckoned before it is loaded: weights, sessions, kept prefixes."""

from __future__ import annotations

from dataclasses import dataclass

from workers.engines.onnx.folder import ModelFolder

_LIBRARY = 60_000_000
_UNPACKED = 1.15
"""Memory of weights against their files: the library packs some of them anew."""
_SEEING = 17 * (16 * 577**2 * 4 + 3 * 336**2 * 4)
"""Bytes of one layer's attention in Phi-3's vision encoder for a picture and its 16 parts, and of their pixels."""


@dataclass(frozen=True)
class Plan:
    """Bytes for the weights and the library, for the sessions of all slots together, and for kept prefixes."""

    weights: int
    sessions: int
    prefixes: int

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.sessions + self.prefixes

    @classmethod
    def of(
        cls, folder: ModelFolder, session: int, slots: int, free: int, sessions: int = 0, prefixes: int | None = None
    ) -> Plan:
        """Share out what is free.

        Args:
            folder: The model.
            session: Longest session in tokens.
            slots: Runs at once.
            free: Bytes to be had now.
            sessions: Bytes wanted for the sessions; 0: a whole one for each slot, or as many as fit in half of what
                the weights leave free, and one at least. Runs beyond that wait for each other.
            prefixes: Bytes wanted for kept prefixes; None: as much as a session, or an eighth of what is left.
        """
        weights = int(folder.weights * _UNPACKED) + _LIBRARY + (_SEEING if folder.sees else 0)
        one = folder.cache_per_token * session
        if not sessions:
            sessions = min(one * slots, (free - weights) // 2)
        sessions = max(one, sessions)
        if prefixes is None:
            prefixes = max(0, min(one, (free - weights - sessions) // 8))
        return cls(weights, sessions, prefixes)

    def words(self) -> str:
        """For people."""
        return (
            f"{_gigabytes(self.weights)} for its weights, {_gigabytes(self.sessions)} for sessions, "
            f"{_gigabytes(self.prefixes)} for kept prefixes"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
