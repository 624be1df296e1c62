"""The ``mlx`` engine: mlx-lm, made for Macs with Apple's chips; on Linux it runs on the CPU."""

from __future__ import annotations

from workers.engines.weights.engine import WeightsEngine


class MLXEngine(WeightsEngine):
    """``mlx:NAME``."""

    scheme = "mlx"
    packages = ("mlx", "mlx_lm")
