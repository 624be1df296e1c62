"""An optional cross-encoder: a model that reads question and passage together and says how well they fit.

It takes what sentence-transformers and Hugging Face's exporters write: a folder with ``model.onnx`` (or
``onnx/model.onnx``) and ``tokenizer.json``, of a model with one number for each pair, such as the
cross-encoders/ms-marco-MiniLM family. Slower than a comparison of vectors by far, so only the best candidates are read.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from knowledge.embed.batches import batches, padded
from knowledge.embed.config import EmbedderConfig
from knowledge.errors import RerankerUnavailable
from knowledge.ort import session_options
from knowledge.types import Passage

if TYPE_CHECKING:
    from numpy.typing import NDArray

CANDIDATES = 20
"""Passages that are read at least, where so many were found: one that stands deeper is seldom the answer."""
_TOKENS = 512
_COLUMNS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
_HINT = "Set PHIQ_RERANKER to a folder with model.onnx and tokenizer.json of a cross-encoder, or unset it."


class Reranker:
    """A loaded cross-encoder. Safe to share between threads.

    Args:
        folder: Where its files lie.
        threads: Threads of one run; 0: the cores that this process may use.

    Raises:
        RerankerUnavailable: when a file is missing or broken, or is no cross-encoder's.
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self._folder = folder
        model = next((path for name in ("", "onnx") if (path := folder / name / "model.onnx").is_file()), None)
        if model is None or not (folder / "tokenizer.json").is_file():
            raise self._broken("it must hold model.onnx and tokenizer.json")
        import onnxruntime
        from tokenizers import Tokenizer

        options = session_options(EmbedderConfig(threads=threads).thread_count)
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        # Both libraries' own exceptions derive from Exception directly.
        except Exception as error:
            raise self._broken(f"its files can't be loaded: {error}") from error
        self._tokenizer.no_padding()
        truncation: dict[str, Any] = self._tokenizer.truncation or {}
        self._tokenizer.enable_truncation(min(_TOKENS, int(truncation.get("max_length", _TOKENS))))
        self._inputs = [given.name for given in self._session.get_inputs()]
        if "input_ids" not in self._inputs or set(self._inputs) - set(_COLUMNS):
            raise self._broken(f"its model takes {', '.join(self._inputs)}")
        self.scores("What is it?", ["It is a lamp.", "It is."])

    def reorder(self, query: str, passages: Sequence[Passage], top_k: int) -> list[Passage]:
        """The passages with the best of them by its own measure first; their scores stay.

        Args:
            query: What was asked.
            passages: As they were found, best first.
            top_k: How many will be used: at least so many are read, and `CANDIDATES`.
        """
        read = passages[: max(top_k, CANDIDATES)]
        scores = self.scores(query, [_text(passage) for passage in read])
        order = np.argsort(-scores, kind="stable")
        return [*(read[place] for place in order), *passages[len(read) :]]

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """How well each text answers the query, float32 [texts]; only their order means something.

        Raises:
            RerankerUnavailable: when the model gives something else than one number for each.
        """
        made = np.empty(len(texts), dtype=np.float32)
        encodings = self._tokenizer.encode_batch_fast([(query, text) for text in texts])
        for rows in batches([len(found.ids) for found in encodings]):
            given = {name: padded([getattr(encodings[row], _COLUMNS[name]) for row in rows]) for name in self._inputs}
            try:
                out = np.asarray(self._session.run(None, given)[0], dtype=np.float32)
            # onnxruntime's own again.
            except Exception as error:
                raise self._broken(f"its model fails: {error}") from error
            if out.shape not in ((len(rows),), (len(rows), 1)) or not np.isfinite(out).all():
                raise self._broken(f"its model gives numbers of the shape {out.shape} for {len(rows)} pairs")
            made[rows] = out.reshape(-1)
        return made

    def _broken(self, why: str) -> RerankerUnavailable:
        return RerankerUnavailable(
            f"The reranker in {self._folder} can't be used: {why}.", hint=_HINT, subject=str(self._folder)
        )


_loaded: dict[Path, Reranker] = {}
_lock = threading.Lock()


def load_reranker(folder: Path) -> Reranker:
    """The cross-encoder of a folder, loaded at the first call; a process holds one of each.

    Raises:
        RerankerUnavailable: when it can't be used.
    """
    with _lock:
        if folder not in _loaded:
            _loaded[folder] = Reranker(folder)
        return _loaded[folder]


def _text(passage: Passage) -> str:
    head = passage.heading if passage.heading.startswith(passage.title) else f"{passage.title} {passage.heading}"
    return f"{head.strip()}\n{passage.text}"
