"""Get an embedder; a process holds one of each kind."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge.embed.config import MINILM, EmbedderConfig

if TYPE_CHECKING:
    from knowledge.embed.base import Embedder

_loaded: dict[EmbedderConfig, Embedder] = {}
_lock = threading.Lock()


def load_embedder(config: EmbedderConfig | None = None) -> Embedder:
    """The embedder of a config, made at the first call (about half a second; a few seconds when it is built).

    Raises:
        EmbedderUnavailable: when the weights or the extra are missing, or the weights are not the official ones.
    """
    config = config or EmbedderConfig()
    with _lock:
        if config not in _loaded:
            _loaded[config] = _make(config)
        return _loaded[config]


def _make(config: EmbedderConfig) -> Embedder:
    if _is_minilm(config.name):
        from knowledge.embed.minilm import MiniLM

        return MiniLM(config)
    from knowledge.embed.other import SentenceTransformersEmbedder

    return SentenceTransformersEmbedder(config)


def _is_minilm(name: str) -> bool:
    if name == MINILM:
        return True
    folder = Path(name)
    if not folder.is_dir():
        return False
    from knowledge.embed.weights import is_official

    # A folder of that name must hold the official files (it is verified); another one may hold any model.
    return folder.name == MINILM or is_official(folder)
