"""Texts in, unit-length vectors out.

all-MiniLM-L6-v2 runs on onnxruntime, from a graph that is built once out of the official weights; every other
model runs on sentence-transformers, which is an extra.
"""

from __future__ import annotations

from knowledge.embed.config import EmbedderConfig
from knowledge.embed.load import load_embedder

__all__ = ["EmbedderConfig", "load_embedder"]
