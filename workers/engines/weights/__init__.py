"""Engines that run a model's own weights (safetensors), as published: ``transformers`` and ``mlx``."""
