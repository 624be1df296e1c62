"""The ``transformers`` engine: Hugging Face's library on torch, for models no other engine knows. CPU, slow."""

from __future__ import annotations

from workers.engines.weights.engine import WeightsEngine


class TransformersEngine(WeightsEngine):
    """``transformers:NAME``."""

    scheme = "transformers"
    packages = ("torch", "transformers")
