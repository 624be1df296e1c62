"""Look at everything a user may have wrong on this machine, and say how to mend each."""

from __future__ import annotations

from workers.doctor.check import Check
from workers.doctor.looks import run

__all__ = ["Check", "run"]
