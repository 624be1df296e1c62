"""One run at a time over any library that turns tokens into logits: sampling, forms and text are the same for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from workers.engines.host.backend import Ended, Made, Read, Refused, Step, TextStream
from workers.engines.host.backends.onnx.graph import Floats
from workers.engines.host.backends.onnx.guides import Form, Guides
from workers.engines.host.backends.onnx.sampling import pick
from workers.engines.host.failures import Unusable
from workers.engines.host.protocol import Request

CHUNK = 64
"""Prompt tokens read in one step: the longest that a cancel waits."""


class Reader(Protocol):
    """A loaded model that reads one text."""

    def begin(self) -> None:
        """Forget the text."""
        ...

    def read(self, tokens: Sequence[int]) -> Floats:
        """Read on; the logits of what may come next, as many as the vocabulary has."""
        ...


class Alone:
    """A backend with one slot.

    Args:
        folder: Holds tokenizer.json and the configuration.
        reader: The model.
        vocabulary: Tokens that it knows.
    """

    slots = 1
    note = "one run at a time"

    def __init__(self, folder: str, reader: Reader, vocabulary: int) -> None:
        from tokenizers import Tokenizer

        self._reader = reader
        self._vocabulary = vocabulary
        self._tokenizer: Any = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self.ends = ends_of(Path(folder))
        self._guides = Guides(folder, vocabulary, self.ends)
        self._row: _Row | None = None

    def admit(self, request: Request) -> None:
        """Take the one slot.

        Raises:
            Unusable: a token the model has not, pictures, or a form that can't be compiled.
        """
        if request.pictures or request.adapter:
            raise Unusable("pictures and adapters can't be given to it")
        if not all(0 <= token < self._vocabulary for token in (*request.tokens, *request.made)):
            raise Unusable(f"a token is none of the model's {self._vocabulary}")
        form = self._guides.make(request.guide, request.made) if request.guide is not None else None
        self._reader.begin()
        self._row = _Row(request, form)

    def step(self) -> list[Step]:
        """Read a chunk, or make a token."""
        row = self._row
        if row is None:
            return []
        steps = row.step(self._reader)
        if any(isinstance(step, Refused | Ended) for step in steps):
            self._row = None
        return steps

    def cancel(self, number: int) -> None:
        """Drop the run."""
        if self._row is not None and self._row.request.id == number:
            self._row = None

    def room(self, request: Request) -> bool:
        """There is: one run is all there ever is."""
        del request
        return True

    def pausable(self, request: Request) -> bool:
        """Always: draws go by their place in the answer."""
        del request
        return True

    def text(self) -> TextStream:
        """A stream of the tokenizer's."""
        return _Stream(self._tokenizer)


class _Row:
    def __init__(self, request: Request, form: Form | None) -> None:
        self.request = request
        self._form = form
        self._tokens = [*request.tokens, *request.made]
        # What was made greedily is read again as it was made, one by one: in chunks the sums round otherwise.
        self._bulk = len(self._tokens) if request.temperature > 0 else len(request.tokens)
        self._done = 0

    def step(self, reader: Reader) -> list[Step]:
        size = min(CHUNK, self._bulk - self._done) if self._done < self._bulk else 1
        logits = reader.read(self._tokens[self._done : self._done + size])
        self._done += size
        number = self.request.id
        if self._done < len(self._tokens):
            return [Read(number, self._done)]
        if not np.isfinite(logits.max()):
            return [Refused(number, "nonsense", "the model gave numbers that are none (NaN)")]
        if self._form is not None:
            logits = self._form.forbid(logits)
        token = pick(logits, self.request, self._tokens, len(self._tokens) - len(self.request.tokens))
        self._tokens.append(token)
        made: list[Step] = [Made(number, (token,))]
        if self._form is not None:
            self._form.take(token)
            if self._form.full:
                made.append(Ended(number, "stop"))
        return made


class _Stream:
    """Text of tokens, whole characters only.

    Each time the last tokens are decoded with and without the new one: what a token means depends on those before it,
    and the tokenizers' own stream raises when bytes that were no character become part of other text.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._before = 0
        self._said = 0

    def decode(self, token: int) -> str:
        self._ids.append(token)
        before = self._text(self._ids[self._before : self._said])
        text = self._text(self._ids[self._before :])
        if len(text) <= len(before) or text.endswith("\ufffd"):
            return ""
        self._before, self._said = self._said, len(self._ids)
        return text[len(before) :]

    def _text(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))


def ends_of(folder: Path) -> frozenset[int]:
    """The tokens that end an answer, as the folder's configurations name them."""
    found: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        file = folder / name
        value = json.loads(file.read_text("utf-8")).get("eos_token_id") if file.is_file() else None
        found |= {int(token) for token in (value if isinstance(value, list) else [value]) if token is not None}
    return frozenset(found)
