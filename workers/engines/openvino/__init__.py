"""The ``openvino`` engine: OpenVINO GenAI's continuous batching in a child process, as a LangChain chat model."""

from __future__ import annotations

from workers.engines.openvino.engine import OpenVINOEngine

__all__ = ["OpenVINOEngine"]
