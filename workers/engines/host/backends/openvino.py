"""OpenVINO GenAI's continuous batching: many rows in each step, prompts in pieces between them, prefixes kept.

Traps of version 2026.4 that this honours (measured): a prompt's ids are not checked, one beyond the vocabulary is
taken for another; a handle that was cancelled can't be read; an error in a step (a guide that can't be compiled, for
one) leaves the pipeline unusable, so it is made anew; ``add_request`` silently ignores adapters.
"""

from __future__ import annotations

import gc
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workers.engines.host.backend import Ended, Made, Read, Refused, Step, TextStream
from workers.engines.host.backends.forms import check_form
from workers.engines.host.failures import Unusable
from workers.engines.host.protocol import FinishReason, Guide, LoadSpec, Request

CHUNK = 256
"""Tokens of a step, those that rows make and those that are read: it bounds how long a step holds up a cancel."""
_SHARED = 96
"""Tokens at the start of two prompts, three blocks of the cache, for which the second waits until the first is read."""
_AHEAD = 128
"""Tokens of an answer for which there must be room before a row is admitted; most answers are shorter than they may
be, and where the cache fills up after all, the library itself makes a row wait and reads it again."""


class OpenVINO:
    """A model with as many slots as its specification says.

    Args:
        spec: Which and how. Its options: ``cache``, the size of the cache in GiB, ``cache_per_token`` in bytes,
            ``vocabulary``, and ``chunk`` and ``properties``, which are for measuring.

    Raises:
        RuntimeError: the library's, when the folder can't be loaded.
    """

    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec
        self._rows: dict[int, _Row] = {}
        self._room = int(spec.options["cache"]) * 2**30 // int(spec.options["cache_per_token"])
        self._chunk = int(spec.options.get("chunk", CHUNK))
        self._load()
        self.slots = spec.slots
        self.note = f"up to {spec.slots} runs in each step, prefixes kept in {spec.options['cache']} GiB"

    def admit(self, request: Request) -> None:
        """Add a row.

        Raises:
            ValueError: a token that the model has not.
            RuntimeError: the library's.
            Unusable: it wants an adapter.
        """
        if request.adapter:
            raise Unusable("adapters can't be given to it: the library would ignore them without a word")
        ids = [*request.tokens, *request.made]
        vocabulary = int(self._spec.options["vocabulary"])
        if not ids or min(ids) < 0 or max(ids) >= vocabulary:
            raise ValueError(f"the prompt is empty or holds a token that is not below {vocabulary}")
        row = _Row(request, self._config(request), ids)
        self._rows[request.id] = row
        self._begin(row)

    def step(self) -> list[Step]:
        """One step of the library's scheduler."""
        for row in self._rows.values():
            self._begin(row)
        try:
            self._pipe.step()
        except Exception as error:
            self._rows.clear()
            self._load()  # an error leaves the old one unusable
            if "isnan" in str(error):
                raise ValueError("the model gives no numbers (NaN): its weights are damaged") from error
            raise
        steps: list[Step] = [*self._reading()]
        for number, row in list(self._rows.items()):
            steps += self._take(number, row)
        return steps

    def cancel(self, number: int) -> None:
        """Drop a row; its part of the cache is free for the next step."""
        row = self._rows.pop(number, None)
        if row is None:
            return
        if row.handle is not None:
            row.handle.cancel()
        if not self._rows:  # nobody else makes steps, and only a step frees what was cancelled
            self._pipe.step()

    def room(self, request: Request) -> bool:
        """Whether the cache holds all prompts and a good piece of each answer."""
        return not self._rows or sum(map(_need, [request, *(row.request for row in self._rows.values())])) <= self._room

    def pausable(self, request: Request) -> bool:
        """With a temperature, what is drawn later would differ; a guide knows nothing of what was made."""
        return request.temperature == 0 and request.guide is None

    def text(self) -> TextStream:
        """A stream over the folder's own tokenizer.json, with which the prompt was encoded too."""
        from workers.engines.host.backends.words import Words

        return Words(self._words)

    def _load(self) -> None:
        import openvino_genai as genai  # only ever in the child
        from tokenizers import Tokenizer

        self._pipe: Any = None
        gc.collect()  # two would not fit
        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = int(self._spec.options["cache"])
        scheduler.max_num_batched_tokens = self._chunk
        scheduler.max_num_seqs = self._spec.slots
        scheduler.dynamic_split_fuse = True
        scheduler.enable_prefix_caching = True
        device = self._spec.provider.upper()
        _check_device(device)
        properties: dict[str, Any] = dict(self._spec.options.get("properties", {}))
        if device == "CPU":
            # Some folders ask for 16-bit caches; the memory that was asked for is of 8-bit ones.
            properties = {"INFERENCE_NUM_THREADS": self._spec.threads, "KV_CACHE_PRECISION": "u8", **properties}
        self._genai = genai
        self._pipe = genai.ContinuousBatchingPipeline(self._spec.folder, scheduler, device, properties)
        base = self._pipe.get_config()
        self.ends = frozenset(int(token) for token in {*base.stop_token_ids, base.eos_token_id} if token >= 0)
        self._words = Tokenizer.from_file(str(Path(self._spec.folder) / "tokenizer.json"))

    def _begin(self, row: _Row) -> None:
        """Hand a row over, unless one that is being read begins as it does: then it finds that in the cache later.

        Handed over at once each would read it for itself.
        """
        if row.handle is not None or any(
            other.handle is not None and not other.made and _alike(other.ids, row.ids) for other in self._rows.values()
        ):
            return
        import openvino

        tensor = openvino.Tensor(np.array([row.ids], dtype=np.int64))
        row.handle = self._pipe.add_request(row.request.id, tensor, row.config)

    def _config(self, request: Request) -> Any:
        config = self._genai.GenerationConfig()
        config.apply_chat_template = False
        config.max_new_tokens = request.max_tokens - len(request.made)
        config.stop_token_ids = set(self.ends)
        config.logprobs = 1  # the library then sees when a model gives no numbers
        config.repetition_penalty = request.repetition_penalty
        if request.temperature > 0:
            config.do_sample = True
            config.temperature = request.temperature
            config.top_p = request.top_p
            config.min_p = request.min_p
            config.rng_seed = request.seed
            if request.top_k:
                config.top_k = request.top_k
        if request.guide is not None:
            config.structured_output_config = self._guide(request.guide)
        config.validate()
        return config

    def _guide(self, guide: Guide) -> Any:
        check_form(guide)
        form = self._genai.StructuredOutputConfig
        if guide.kind == "json_schema":
            return form(json_schema=guide.text)
        if guide.kind == "regex":
            return form(regex=guide.text)
        choices = [form.ConstString(choice) for choice in json.loads(guide.text)]
        whole = choices[0]
        for choice in choices[1:]:
            whole = whole | choice
        return form(structural_tags_config=whole)

    def _take(self, number: int, row: _Row) -> list[Step]:
        if row.handle is None:
            return [Read(number, 0)]
        steps: list[Step] = []
        reason: Any = None
        while row.handle.can_read():
            for output in row.handle.read().values():
                row.made += len(output.generated_ids)
                steps.append(Made(number, tuple(int(token) for token in output.generated_ids)))
                reason = output.finish_reason
        status = row.handle.get_status()
        if status == self._genai.GenerationStatus.FINISHED:
            del self._rows[number]
            steps.append(Ended(number, self._reason(reason)))
        elif status == self._genai.GenerationStatus.IGNORED:
            del self._rows[number]
            steps.append(Refused(number, "memory", "the prompt does not fit into the cache"))
        return steps

    def _reason(self, reason: Any) -> FinishReason:
        return "stop" if reason == self._genai.GenerationFinishReason.STOP else "length"

    def _reading(self) -> list[Read]:
        """How far rows must have read by now: the library doesn't say, but gives each step's tokens in order.

        What it found in its cache is read at once, so a row may be further than this.
        """
        reads = []
        left = self._chunk - sum(1 for row in self._rows.values() if row.made)
        for number, row in self._rows.items():
            total = len(row.request.tokens) + len(row.request.made)
            if row.handle is None or row.made or row.handle.can_read():
                continue
            took = max(0, min(left, total - row.read))
            left -= took
            row.read += took
            reads.append(Read(number, row.read))
        return reads


@dataclass
class _Row:
    request: Request
    config: Any
    ids: list[int]
    handle: Any = None
    read: int = 0
    made: int = 0


def _alike(one: list[int], other: list[int]) -> bool:
    """Whether two prompts begin alike for long enough that waiting pays, a few blocks of the cache."""
    return len(one) > _SHARED and one[:_SHARED] == other[:_SHARED]


def _need(request: Request) -> int:
    return len(request.tokens) + len(request.made) + min(_AHEAD, request.max_tokens - len(request.made))


def _check_device(device: str) -> None:
    """The library would name a driver's file instead."""
    if device == "CPU":
        return
    from openvino import Core

    here = Core().available_devices
    if device not in here and not any(name.startswith(f"{device}.") for name in here):
        raise RuntimeError(f"OpenVINO finds no {device} here (PHIQ_OPENVINO_DEVICE), only {', '.join(here)}")


def load(spec: LoadSpec) -> OpenVINO:
    """Load a model."""
    return OpenVINO(spec)
