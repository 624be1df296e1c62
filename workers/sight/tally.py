"""What this process has counted and not reported yet.

A count has a name and labels, with spaces between them: ``run chat onnx:phi-3.5-mini 7``. There are few names, so
that a process that never reports keeps little too.
"""

from __future__ import annotations

import threading

from workers.sight.histogram import bucket

MODEL = "{model}"
"""Stands for the model in a name; the ledger puts it in, or ``other`` when there are too many."""
_MOST = 5000

Counts = dict[tuple[str, str], int]
"""Amounts by name and model (empty: none)."""


class Tally:
    """Amounts by name. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counts = {}

    def add(self, *name: str, amount: int = 1, model: str = "") -> None:
        """Count something.

        Args:
            *name: What, and its labels.
            amount: How many.
            model: The engine URI, where the name holds `MODEL`.
        """
        key = (" ".join(name), model)
        with self._lock:
            if amount and (key in self._counts or len(self._counts) < _MOST):
                self._counts[key] = self._counts.get(key, 0) + amount

    def time(self, *name: str, seconds: float, model: str = "") -> None:
        """Count a time: in its bucket, and in the sum of milliseconds."""
        seconds = max(0.0, seconds)
        self.add(*name, str(bucket(seconds)), model=model)
        self.add(*name, "ms", amount=round(seconds * 1000), model=model)

    def take(self) -> Counts:
        """All there is, which is then no longer here."""
        with self._lock:
            taken, self._counts = self._counts, {}
        return taken


TALLY = Tally()
"""This process's."""
