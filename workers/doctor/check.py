"""What a look at one thing found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One finding. ``fix`` is the exact next step; empty when there is nothing to do."""

    name: str
    status: Status
    message: str
    fix: str = ""


def ok(name: str, message: str, fix: str = "") -> Check:
    """All is well, or not needed."""
    return Check(name, "ok", message, fix)


def warn(name: str, message: str, fix: str) -> Check:
    """It works, but something should be known."""
    return Check(name, "warn", message, fix)


def fail(name: str, message: str, fix: str) -> Check:
    """Something that phiq needs does not work."""
    return Check(name, "fail", message, fix)
