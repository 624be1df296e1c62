"""Keeps Python's full garbage collections short in a worker.

A full collection looks at every object and holds the GIL meanwhile: with the engines' libraries loaded, 0.1 to 0.5 s in
which no stream is written, no cancel heard and no lease renewed. Nearly all of those objects are modules' own and live
as long as the process, so they are taken out of what is looked at.
"""

from __future__ import annotations

import gc
import sys


class Garbage:
    """Notices when modules were loaded, and sets aside what they brought."""

    def __init__(self) -> None:
        self._modules = 0

    def tidy(self, idle: bool) -> bool:
        """Set aside what there is, once after modules were loaded and no job runs; returns whether it did.

        Args:
            idle: Whether no job runs: a last full collection comes first.
        """
        modules = len(sys.modules)
        if not idle or modules == self._modules:
            return False
        self._modules = modules
        gc.collect()
        gc.freeze()
        return True
