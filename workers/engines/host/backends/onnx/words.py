"""The model's tokenizer as GenAI has it, without its weights: end markers and streams of text."""

from __future__ import annotations

from typing import Any

from workers.engines.host.backend import TextStream


class Words:
    """A folder's tokenizer.

    Args:
        folder: The model's.

    Raises:
        RuntimeError: the library's, when it has none.
    """

    def __init__(self, folder: str) -> None:
        import onnxruntime_genai as og

        self._tokenizer: Any = og.Tokenizer(og.Config(folder))
        self.ends = frozenset(int(token) for token in self._tokenizer.eos_token_ids)

    def stream(self) -> TextStream:
        """Text of one run."""
        stream: TextStream = self._tokenizer.create_stream()
        return stream
