"""The Lua scripts of keys and limits, run as the ledger's are."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from workers.ledger.scripts import Scripts, redis_errors


@cache
def _source(name: str) -> str:
    folder = resources.files("workers.access") / "lua"
    return "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in ("prelude", name))


class AccessScripts(Scripts):
    """The scripts beside this module."""

    def now(self) -> float:
        """Redis' clock, in milliseconds."""
        with redis_errors():
            at: Any = self.client.time()
        return float(at[0]) * 1000 + float(at[1]) / 1000

    def _text(self, name: str) -> str:
        return _source(name)
