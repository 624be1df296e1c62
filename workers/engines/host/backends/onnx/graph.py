"""The model's graph and its memory of keys and values: one buffer a layer, a row of it for each run.

Past and present are bound to the same memory, so that a step writes its keys and values where the next one reads
them. A prompt is read on one row's slice, a token is made for all rows of a range at once, each at its own length.

Measured on the builder's graphs: a row's figures are the same bits whether it decodes alone or with others, and
whether its prompt is read in chunks of 2 or of 200; only a chunk of a single token rounds otherwise.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge.ort import session_options
from workers.engines.host.protocol import LoadSpec

Floats = NDArray[np.float32]
_INPUTS = {"input_ids", "attention_mask"}


class NotDrivable(Exception):
    """Why this loop can't run a graph; GenAI may."""


@dataclass(frozen=True)
class Shape:
    """What the configuration says: layers, heads of keys and values, their size, the vocabulary, the file."""

    layers: int
    heads: int
    size: int
    vocabulary: int
    file: str

    @classmethod
    def read(cls, folder: str) -> Shape:
        """Read a folder's configuration.

        Raises:
            NotDrivable: when it is not a plain text decoder.
        """
        model = json.loads((Path(folder) / "genai_config.json").read_text("utf-8"))["model"]
        decoder = model["decoder"]
        if "vision" in model or "speech" in model or "embedding" in model or "pipeline" in decoder:
            raise NotDrivable("the model has more parts than a text decoder")
        return cls(
            layers=int(decoder["num_hidden_layers"]),
            heads=int(decoder.get("num_key_value_heads") or decoder["num_attention_heads"]),
            size=int(decoder["head_size"]),
            vocabulary=int(model["vocab_size"]),
            file=str(decoder["filename"]),
        )

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's keys and values."""
        return 2 * 4 * self.layers * self.heads * self.size


class Graph:
    """A loaded graph with room for ``slots`` rows of ``length`` tokens. Not for several threads.

    Args:
        spec: Which model and how many threads.
        slots: Rows.
        length: Longest row in tokens.

    Raises:
        NotDrivable: when the graph takes or gives other than this loop knows.
    """

    def __init__(self, spec: LoadSpec, slots: int, length: int) -> None:
        import onnxruntime

        self.shape = Shape.read(spec.folder)
        options = session_options(spec.threads)
        options.log_severity_level = 4
        self._session: Any = onnxruntime.InferenceSession(
            str(Path(spec.folder) / self.shape.file), options, providers=["CPUExecutionProvider"]
        )
        self._value = onnxruntime.OrtValue.ortvalue_from_numpy
        self._check()
        self.length = length
        self._rows = (slots, self.shape.heads, length, self.shape.size)
        self._keep: list[mmap.mmap] = []
        self.buffers = [self._buffer() for _ in range(2 * self.shape.layers)]
        names = [(layer, part) for layer in range(self.shape.layers) for part in ("key", "value")]
        self._past = [f"past_key_values.{layer}.{part}" for layer, part in names]
        self._present = [f"present.{layer}.{part}" for layer, part in names]

    def read(self, slot: int, tokens: Sequence[int], start: int) -> Floats:
        """Read a chunk of a row that has ``start`` tokens; returns the logits behind its last token."""
        mask = np.ones((1, start + len(tokens)), np.int64)
        behind: Floats = self._run(slot, slot + 1, np.array([tokens], np.int64), mask)[0, -1]
        return behind

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Floats:
        """Read one more token in each of the first rows; returns logits [rows, vocabulary]."""
        behind = np.array(lengths)[:, None]
        mask = (np.arange(behind.max() + 1)[None, :] <= behind).astype(np.int64)
        return self._run(0, len(tokens), np.array(tokens, np.int64)[:, None], mask)[:, 0]

    def swap(self, one: int, other: int, length: int) -> None:
        """Exchange two rows, of which none is longer than ``length``."""
        for buffer in self.buffers:
            kept = buffer[one, :, :length].copy()
            buffer[one, :, :length] = buffer[other, :, :length]
            buffer[other, :, :length] = kept

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a row over another."""
        for buffer in self.buffers:
            buffer[target, :, :length] = buffer[source, :, :length]

    def release(self, slot: int) -> None:
        """Give the memory of a row back to the system; it must be empty."""
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        stride = self.buffers[0].strides[0]
        start = -(-slot * stride // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (slot + 1) * stride // mmap.PAGESIZE * mmap.PAGESIZE
        if end > start:
            for memory in self._keep:
                memory.madvise(mmap.MADV_DONTNEED, start, end - start)

    def _buffer(self) -> Floats:
        # Fresh pages of the system take no memory until they are written.
        count = int(np.prod(self._rows))
        memory = mmap.mmap(-1, max(4 * count, 1))
        self._keep.append(memory)
        return np.frombuffer(memory, np.float32, count).reshape(self._rows)

    def _run(self, low: int, high: int, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Floats:
        binding = self._session.io_binding()
        # The binding holds no reference to these by itself.
        values = self._value(ids), self._value(mask)
        binding.bind_ortvalue_input("input_ids", values[0])
        binding.bind_ortvalue_input("attention_mask", values[1])
        shape = (high - low, *self._rows[1:])
        for buffer, past, present in zip(self.buffers, self._past, self._present, strict=True):
            address = buffer.ctypes.data + low * buffer.strides[0]
            binding.bind_input(past, "cpu", 0, np.float32, shape, address)
            binding.bind_output(present, "cpu", 0, np.float32, shape, address)
        binding.bind_output("logits", "cpu")
        self._session.run_with_iobinding(binding)
        logits: Floats = binding.get_outputs()[-1].numpy()
        return logits

    def _check(self) -> None:
        wanted = {f"past_key_values.{layer}.{part}" for layer in range(self.shape.layers) for part in ("key", "value")}
        given = {value.name: value for value in self._session.get_inputs()}
        if set(given) != _INPUTS | wanted:
            other = sorted(set(given) ^ (_INPUTS | wanted))
            raise NotDrivable(f"the graph's inputs differ ({', '.join(other[:3])})")
        if any(given[name].type != "tensor(float)" for name in wanted):
            raise NotDrivable(f"its keys and values are {given[next(iter(wanted))].type}")
        outputs = {value.name: value for value in self._session.get_outputs()}
        if "logits" not in outputs or outputs["logits"].type != "tensor(float)":
            raise NotDrivable("the graph gives no plain logits")
        if len(outputs) != 1 + len(wanted):
            raise NotDrivable("the graph's outputs differ")
