"""Continuous batching: rows come and go between steps, each step brings all that decode one token forward."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from workers.engines.host.backend import Ended, Made, Paused, Read, Refused, Step, TextStream
from workers.engines.host.backends.onnx.graph import Floats, Graph
from workers.engines.host.backends.onnx.guides import Form, Guides
from workers.engines.host.backends.onnx.prefixes import Prefixes
from workers.engines.host.backends.onnx.sampling import pick
from workers.engines.host.backends.onnx.words import Words
from workers.engines.host.failures import Unusable
from workers.engines.host.protocol import Request

CHUNK = 64
"""Prompt tokens read in one step: the longest that others, and a cancel, wait."""


class TooLong(Exception):
    """A request beyond the longest session."""


class UnknownToken(Exception):
    """A token the model has not."""


@dataclass(eq=False)
class _Row:
    request: Request
    tokens: list[int]
    """Prompt and answer so far."""
    bulk: int
    """How many of them are read in chunks. What an earlier run made greedily is read one by one, as it was made: in
    chunks the sums round otherwise, and of two tokens that are all but equally likely the other one may come next."""
    done: int = 0
    """How many are in the row's keys and values."""
    form: Form | None = None
    looked: bool = False

    @property
    def reads(self) -> bool:
        return self.done < self.bulk

    @property
    def place(self) -> int:
        return len(self.tokens) - len(self.request.tokens)


class Loop:
    """A model on plain ONNX Runtime.

    Rows that decode lie in the first slots, in one piece, so that a step computes nothing for empty ones; those whose
    prompt is being read lie behind them.

    Args:
        graph: The model.
        words: Its tokenizer.
        budget: Tokens of keys and values that all rows may have together; at least one row of full length fits.
        prefixes: What is kept of texts read before.
        guides: Makes forms of answers.
    """

    def __init__(self, graph: Graph, words: Words, slots: int, budget: int, prefixes: Prefixes, guides: Guides) -> None:
        self._graph = graph
        self._words = words
        self._budget = max(budget, graph.length)
        self._prefixes = prefixes
        self._guides = guides
        self._rows: list[_Row] = []
        self._decoding = 0
        self._read_last = False
        self._touched = [0] * slots
        self.slots = slots
        self.ends = words.ends
        self.note = f"sessions of {self._budget} tokens together"

    def admit(self, request: Request) -> None:
        """Make a row; nothing is read yet.

        Raises:
            TooLong: prompt and answer are more than a session.
            UnknownToken: a token the model has not.
            Unusable: the form of its answer, or an adapter.
        """
        # Behind the last slot lies other memory.
        assert len(self._rows) < self.slots
        if request.adapter:
            raise Unusable(f"the model's graph has no inputs for the adapter '{request.adapter}'")
        tokens = [*request.tokens, *request.made]
        if len(request.tokens) + request.max_tokens > self._graph.length:
            raise TooLong(
                f"{len(request.tokens)} tokens and {request.max_tokens} more are beyond a session of "
                f"{self._graph.length}"
            )
        if not all(0 <= token < self._graph.shape.vocabulary for token in tokens):
            raise UnknownToken(f"a token is none of the model's {self._graph.shape.vocabulary}")
        bulk = len(tokens) if request.temperature > 0 else len(request.tokens)
        form = self._guides.make(request.guide, request.made) if request.guide is not None else None
        self._rows.append(_Row(request, tokens, bulk, form=form))

    def room(self, request: Request) -> bool:
        """Whether its prompt fits beside what the others have and are about to read."""
        taken = sum(max(len(row.tokens), row.bulk) + 1 for row in self._rows)
        return not self._rows or taken + len(request.tokens) + len(request.made) + CHUNK <= self._budget

    def pausable(self, request: Request) -> bool:
        """Always: draws go by place, and what was read is kept as a prefix."""
        del request
        return True

    def text(self) -> TextStream:
        """A stream of the model's tokenizer."""
        return self._words.stream()

    def cancel(self, number: int) -> None:
        """Drop a row."""
        for slot, row in enumerate(self._rows):
            if row.request.id == number:
                self._drop(slot)
                return

    def step(self) -> list[Step]:
        """Read a chunk or make a token for every row that decodes: by turns, where there is both to do."""
        steps: list[Step] = self._make_room()
        waiting = [row for row in self._rows if row.reads]
        if waiting and (not self._decoding or not self._read_last):
            self._read_last = True
            # Those that people wait for first, then the one that came first.
            row = min(waiting, key=lambda row: row.request.batch)
            return steps + self._read(row)
        self._read_last = False
        if self._decoding:
            steps += self._decode()
        return steps

    def _read(self, row: _Row) -> list[Step]:
        slot, kept = self._rows.index(row), 0
        if not row.looked:
            row.looked = True
            # Two tokens at least are left to read: a chunk of one rounds otherwise.
            row.done = kept = self._prefixes.fill(self._graph.buffers, slot, row.tokens, row.bulk - 2)
        left = row.bulk - row.done
        size = min(left, CHUNK)
        if left - size == 1 and size > 2:
            size -= 1
        logits = self._graph.read(slot, row.tokens[row.done : row.done + size], row.done)
        row.done += size
        self._touched[slot] = max(self._touched[slot], row.done)
        steps: list[Step] = [Read(row.request.id, row.done, kept)]
        if row.reads:
            return steps
        # At once, so that the next row with the same beginning finds it.
        self._prefixes.keep(self._graph.buffers, slot, row.tokens[: row.done])
        self._swap(slot, self._decoding)
        self._decoding += 1
        return steps + self._next([(row, logits)])

    def _decode(self) -> list[Step]:
        rows = self._rows[: self._decoding]
        logits = self._graph.decode([row.tokens[row.done] for row in rows], [row.done for row in rows])
        for slot, row in enumerate(rows):
            row.done += 1
            self._touched[slot] = max(self._touched[slot], row.done)
        return self._next(zip(rows, logits, strict=True))

    def _next(self, found: Iterable[tuple[_Row, Floats]]) -> list[Step]:
        steps: list[Step] = []
        for row, logits in found:
            number = row.request.id
            if row.done < len(row.tokens):  # what was made before is read again, token by token
                steps.append(Read(number, row.done))
                continue
            if not np.isfinite(logits.max()):
                steps.append(Refused(number, "nonsense", "the model gave numbers that are none (NaN)"))
                continue
            left = logits if row.form is None else row.form.forbid(logits)
            if left.max() == -np.inf:  # a form that grew too large for its library
                steps.append(Refused(number, "option", "no token fits the form of the answer here"))
                continue
            token = pick(left, row.request, row.tokens, row.place)
            row.tokens.append(token)
            steps.append(Made(number, (token,)))
            if row.form is not None:
                row.form.take(token)
                if row.form.full:
                    steps.append(Ended(number, "stop"))
        for step in steps:
            if isinstance(step, Refused | Ended):
                self.cancel(step.id)
        return steps

    def _make_room(self) -> list[Step]:
        """Let rows give way whose next token would be beyond the budget, batch ones and the youngest first."""
        steps: list[Step] = []
        while len(self._rows) > 1 and sum(max(len(row.tokens), row.bulk) for row in self._rows) > self._budget:
            ages = {id(row): age for age, row in enumerate(self._rows)}
            row = max(self._rows, key=lambda row: (row.request.batch, row.reads, ages[id(row)]))
            self._drop(self._rows.index(row))
            steps.append(Paused(row.request.id))
        return steps

    def _drop(self, slot: int) -> None:
        row = self._rows[slot]
        self._prefixes.keep(self._graph.buffers, slot, row.tokens[: row.done])
        if slot < self._decoding:
            self._decoding -= 1
            self._move(self._decoding, slot)
            slot = self._decoding
        last = len(self._rows) - 1
        self._move(last, slot)
        self._rows.pop()
        if sum(self._touched) > self._budget:
            for free in range(last, self.slots):
                if self._touched[free]:
                    self._graph.release(free)
                    self._touched[free] = 0

    def _move(self, source: int, target: int) -> None:
        if source != target:
            row = self._rows[target] = self._rows[source]
            self._graph.move(source, target, row.done)
            self._touched[target] = max(self._touched[target], row.done)

    def _swap(self, one: int, other: int) -> None:
        if one == other:
            return
        first, second = self._rows[one], self._rows[other]
        self._graph.swap(one, other, max(first.done, second.done))
        self._rows[one], self._rows[other] = second, first
        for slot in (one, other):
            self._touched[slot] = max(self._touched[slot], first.done, second.done)
