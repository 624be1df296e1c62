"""Several engines for one job: who takes over when one is down, and when that one is tried again."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.errors import ModelCannotSee, NeedsModel
from knowledge.errors import PhiqError
from workers.engines.base import EngineURI
from workers.errors import (
    EngineDenied,
    EngineDown,
    EngineLost,
    EngineNotInstalled,
    EngineOutOfMemory,
    EngineProtocolError,
    EngineTimeout,
    EngineUnknown,
    ModelBroken,
    ModelNotFound,
    ModelTooLarge,
    OptionUnsupported,
)

MOST = 8
"""Engines of one job."""

# A name may hold commas (a folder's path); a comma before what begins like an engine separates.
_SEPARATOR = re.compile(r"\s*,\s*(?=(?:[a-z][a-z0-9]*:|extractive\s*(?:,|$)))")
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0

MOVES = (
    EngineDown,
    EngineTimeout,
    EngineLost,
    EngineOutOfMemory,
    EngineProtocolError,
    EngineDenied,
    EngineNotInstalled,
    ModelNotFound,
    ModelBroken,
    ModelTooLarge,
)
"""What is wrong with an engine and not with the job: the next one may do better."""

CANNOT = (NeedsModel, ModelCannotSee, OptionUnsupported)
"""What an engine that stands in for another can't do: then it is passed over."""


def parse_route(text: str) -> tuple[EngineURI, ...]:
    """Engines in the order in which they are asked, from ``onnx:phi-4-mini, ollama:phi4-mini, extractive``.

    Raises:
        EngineUnknown: a part has not the form, or there are more than `MOST`.
    """
    parts = _SEPARATOR.split(text.strip())
    if len(parts) > MOST:
        raise EngineUnknown(
            f"{len(parts)} engines are named; a job takes {MOST} at most.", hint="Name fewer.", subject=text[:80]
        )
    return tuple(dict.fromkeys(EngineURI.parse(part) for part in parts))


@dataclass
class _Circuit:
    until: float = 0.0
    pause: float = 0.0
    probing: bool = False
    error: PhiqError | None = None


class Breakers:
    """Which engines of a process were down lately. Safe for several threads.

    An engine that failed is left alone for a while, twice as long each time in a row; then one run may see whether it
    is back (the probe), while others still pass it over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._circuits: dict[EngineURI, _Circuit] = {}

    def blocked(self, uri: EngineURI) -> PhiqError | None:
        """What an engine failed with, while it is to be left alone; None lets the caller try it."""
        with self._lock:
            circuit = self._circuits.get(uri)
            if circuit is None or circuit.error is None:
                return None
            if time.monotonic() < circuit.until or circuit.probing:
                return circuit.error
            circuit.probing = True
            return None

    def failed(self, uri: EngineURI, error: PhiqError) -> None:
        """An engine did not work."""
        with self._lock:
            circuit = self._circuits.setdefault(uri, _Circuit())
            circuit.pause = min(max(2 * circuit.pause, _FIRST_PAUSE), _LONGEST_PAUSE)
            asked = error.details.get("retry_after")
            wait = max(circuit.pause, float(asked)) if isinstance(asked, int | float) else circuit.pause
            circuit.until, circuit.error, circuit.probing = time.monotonic() + wait, error, False

    def worked(self, uri: EngineURI) -> None:
        """An engine gave something."""
        with self._lock:
            self._circuits.pop(uri, None)

    def left(self, uri: EngineURI) -> None:
        """A run ended without saying anything about the engine: the next one may probe."""
        with self._lock:
            if (circuit := self._circuits.get(uri)) is not None:
                circuit.probing = False


@dataclass(frozen=True)
class Passed:
    """An engine of a route that was not used, and why."""

    uri: EngineURI
    error: PhiqError


def order(route: Sequence[EngineURI], breakers: Breakers) -> Iterator[tuple[EngineURI, PhiqError | None]]:
    """The engines to ask in turn, with what keeps one from being asked; when all are blocked the first is asked.

    The caller tells ``breakers`` how each one fared before it asks for the next.
    """
    asked = False
    for uri in route:
        error = breakers.blocked(uri)
        asked = asked or error is None
        yield uri, error
    if not asked:
        yield route[0], None


def fault(passed: Sequence[Passed]) -> PhiqError:
    """What a job fails with when none of its engines could do it: the first that may pass by itself, else the first."""
    return next((one.error for one in passed if getattr(one.error, "transient", False)), passed[0].error)
