"""What a stack tells whoever started it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PartState = Literal["external", "starting", "ready", "restarting", "stopped"]


@dataclass(frozen=True)
class Part:
    """One row of what runs where. ``pid`` is None while no process of ours runs it; ``address`` holds no secret."""

    name: str
    address: str
    pid: int | None
    log: Path | None
    state: PartState
    detail: str = ""


@dataclass(frozen=True)
class StackEvent:
    """Something that happened to the stack; ``message`` is a sentence for people."""

    kind: Literal["cleaned", "starting", "ready", "warned", "died", "stopping", "stopped"]
    part: str
    message: str


OnEvent = Callable[[StackEvent], None]
