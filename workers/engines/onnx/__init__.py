"""The ``onnx`` engine: ONNX Runtime GenAI in a child process, as a LangChain chat model."""

from __future__ import annotations

from workers.engines.onnx.engine import OnnxEngine

__all__ = ["OnnxEngine"]
