"""all-MiniLM-L6-v2 on onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from knowledge.embed.base import Embedder
from knowledge.embed.batches import batches, padded
from knowledge.embed.cache import graph_folder
from knowledge.embed.config import MINILM, EmbedderConfig
from knowledge.embed.graph import GRAPH_VERSION, HIDDEN
from knowledge.errors import EmbedderUnavailable
from knowledge.ort import session_options

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOKENIZE_AT_ONCE = 1024


class MiniLM(Embedder):
    """The default embedder. Safe to share between threads.

    int8 scales activations over a whole batch, so a text's vector varies a little (cosine above .99) with what it
    is embedded together with; f32 does not.

    Raises:
        EmbedderUnavailable: when the weights are missing, not the official ones, or can't be loaded.
    """

    def __init__(self, config: EmbedderConfig) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        folder = graph_folder(config)
        options = session_options(config.thread_count)
        # Plans of memory are kept for each shape, and here nearly every batch has a shape of its own.
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        # onnxruntime's own exceptions derive from Exception directly.
        except Exception as error:
            raise EmbedderUnavailable(
                f"onnxruntime can't load the built embedder: {error}.",
                hint=f"Remove {folder} and try again; `phiq doctor` shows the versions.",
                subject=MINILM,
            ) from error
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        # The file asks for 128; the model was published with 256 (sentence_bert_config.json).
        self._tokenizer.enable_truncation(256)
        self._counter = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._counter.no_padding()
        self._counter.no_truncation()
        self.name = MINILM
        self.version = f"{MINILM}/{config.precision}/{GRAPH_VERSION}"
        self.dimensions = HIDDEN
        self.max_tokens = 256

    def embed_array(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, float32 [texts, 384], each of length 1. Only the first 256 tokens of a text are seen."""
        vectors = np.empty((len(texts), HIDDEN), dtype=np.float32)
        for start in range(0, len(texts), _TOKENIZE_AT_ONCE):
            encodings = self._tokenizer.encode_batch_fast(list(texts[start : start + _TOKENIZE_AT_ONCE]))
            for rows in batches([len(found.ids) for found in encodings]):
                ids = padded([encodings[row].ids for row in rows])
                mask = padded([encodings[row].attention_mask for row in rows])
                out = self._session.run(["embeddings"], {"input_ids": ids, "attention_mask": mask})
                vectors[start + np.array(rows)] = out[0]
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text, without the two markers."""
        return [len(found.ids) for found in self._counter.encode_batch_fast(list(texts), add_special_tokens=False)]
