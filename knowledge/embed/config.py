"""What an embedder is made from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Precision = Literal["int8", "f32"]

MINILM = "all-MiniLM-L6-v2"
"""The embedder that needs no extra."""


@dataclass(frozen=True)
class EmbedderConfig:
    """Which embedder, how exact, and where its built graph lies.

    Attributes:
        name: ``all-MiniLM-L6-v2``, a folder that holds it, or another model's name or folder
            (then sentence-transformers runs it).
        precision: Of MiniLM's matrix products. int8 is faster; benchmarks/bench_embed.py says what it costs.
        cache_dir: Where the graph is kept after it was built; None: below the user's cache folder.
        threads: Threads of one run; 0 means the cores this process may use.
        hub_url: Address of the model hub; empty: huggingface_hub's own.
    """

    name: str = MINILM
    precision: Precision = "int8"
    cache_dir: Path | None = None
    threads: int = 0
    hub_url: str = ""

    @property
    def thread_count(self) -> int:
        """The number of threads to use, at least 1."""
        if self.threads > 0:
            return self.threads
        # A container's or taskset's share, not the machine's cores, where the system tells.
        affinity = getattr(os, "sched_getaffinity", None)
        return max(1, len(affinity(0)) if affinity else os.cpu_count() or 1)

    @property
    def cache_path(self) -> Path:
        """The folder for built graphs."""
        if self.cache_dir is not None:
            return self.cache_dir
        from platformdirs import user_cache_path

        return user_cache_path("phiq") / "embed"
