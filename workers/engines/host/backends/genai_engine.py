"""ONNX Runtime GenAI's own engine: many runs share each step, their keys and values in pages.

For folders that were built for it (``engine.dynamic_batching`` in genai_config.json, the builder's
``use_paged_attention``), whose attention only CUDA and WebGPU have. Folders without it the engine can run as well, in
batches of four that are only filled when they are empty: on a CPU our own loop is better, and the tests run it so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from workers.engines.host.backend import Ended, Made, Read, Refused, Step, TextStream
from workers.engines.host.backends.genai import configured, form_of
from workers.engines.host.failures import Unusable
from workers.engines.host.protocol import FinishReason, LoadSpec, Request, Trouble

_EVENTS = 256
"""Events taken from the engine at once; those that find no room wait there."""


def batches(folder: str) -> bool:
    """Whether a folder was built for this."""
    try:
        config = json.loads(Path(folder, "genai_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False  # whoever loads it says so
    engine = config.get("engine") if isinstance(config, dict) else None
    return isinstance(engine, dict) and bool(engine.get("dynamic_batching"))


class GenAIEngine:
    """A model whose library batches runs itself.

    Args:
        spec: Which and how; ``slots`` bounds those that the engine takes at once.

    Raises:
        Unusable: the installed library has not the provider.
        RuntimeError: the library's, when the folder can't be loaded.
    """

    def __init__(self, spec: LoadSpec) -> None:
        import onnxruntime_genai as og  # only ever in the child

        config = configured(og, spec)
        # The engine knows neither of these, and refuses models that set them.
        config.overlay(json.dumps({"search": {"min_length": 0, "num_beams": 1}}))
        self._og = og
        self._model = og.Model(config)
        self._tokenizer = og.Tokenizer(self._model)
        self._dynamic = batches(spec.folder)
        self._vocabulary = int(
            json.loads(Path(spec.folder, "genai_config.json").read_text("utf-8"))["model"]["vocab_size"]
        )
        self._begin()
        self.slots = max(1, min(spec.slots, int(self._engine.get_capabilities().configured_max_batch_size)))
        self.note = "" if self._dynamic else "the library fills a batch only when it is empty"
        self.ends = frozenset(int(token) for token in self._tokenizer.eos_token_ids)

    def admit(self, request: Request) -> None:
        """Hand a run over.

        Raises:
            Unusable: it asks for what the engine has not.
            RuntimeError: the library's.
        """
        read = (*request.tokens, *request.made)
        if request.pictures or request.adapter:
            raise Unusable("pictures and adapters can't be given to it")
        if not all(0 <= token < self._vocabulary for token in read):
            raise Unusable(f"a token is none of the model's {self._vocabulary}")
        options = self._og.RequestOptions()
        options.set_max_session_tokens(len(request.tokens) + request.max_tokens)
        handle = self._engine.create_request(options=options)
        try:
            turn = self._turn(handle, request)
            number = handle.begin_turn(np.array(read, dtype=np.int32), turn)
        except Exception:
            handle.close()
            raise
        self._rows[request.id] = (handle, number)
        self._ids[handle] = request.id

    def step(self) -> list[Step]:
        """Bring every run forward that the engine has room for."""
        steps: list[Step] = []
        try:
            events = list(self._engine.run(self._buffer))
        except RuntimeError:
            self._begin()  # an engine that failed once refuses all work; the weights stay loaded
            raise
        heard = set()
        for event in events:
            number = self._ids.get(event.request)
            if number is None:  # cancelled meanwhile
                continue
            heard.add(number)
            steps += self._told(number, event)
        # Those that are read, or wait for pages, live: their parent takes silence for a hung process.
        return steps + [Read(number, 0) for number in self._rows if number not in heard]

    def cancel(self, number: int) -> None:
        """Take a run back."""
        if (row := self._rows.pop(number, None)) is not None:
            handle, turn = row
            del self._ids[handle]
            handle.cancel_turn(turn)
            handle.close()

    def room(self, request: Request) -> bool:
        """There is: one that finds no pages waits for them in the engine."""
        del request
        return True

    def pausable(self, request: Request) -> bool:
        """With a seed, what is drawn later would differ."""
        return request.temperature == 0 and request.guide is None

    def text(self) -> TextStream:
        """The library's stream."""
        stream: TextStream = self._tokenizer.create_stream()
        return stream

    def _begin(self) -> None:
        self._engine = self._og.Engine(self._model)
        self._buffer = self._engine.create_event_buffer(_EVENTS)
        self._rows: dict[int, tuple[Any, int]] = {}
        self._ids: dict[Any, int] = {}

    def _turn(self, handle: Any, request: Request) -> Any:
        if request.min_p > 0:
            raise Unusable("min_p is no option of ONNX Runtime GenAI")
        if request.bias:
            raise Unusable("ONNX Runtime GenAI can't be given a logit_bias")
        turn = self._og.TurnOptions(handle)
        turn.set_max_generated_tokens(request.max_tokens - len(request.made))
        turn.set_repetition_penalty(request.repetition_penalty)
        turn.set_do_sample(request.temperature > 0)
        if request.temperature > 0:
            turn.set_temperature(request.temperature)
            turn.set_top_k(request.top_k)
            turn.set_top_p(request.top_p)
            if not self._dynamic:
                raise Unusable("a temperature needs a folder built for dynamic batching: without it no seed is kept")
            turn.set_seed(request.seed)
        if request.guide is not None:
            turn.set_guidance(*form_of(request.guide))
        return turn

    def _told(self, number: int, event: Any) -> list[Step]:
        flags, told = self._og.EngineEventFlags, int(event.flags)
        steps: list[Step] = []
        if told & int(flags.TOKEN):
            steps.append(Made(number, (int(event.token),)))
        if told & int(flags.FAILED):
            self._drop(number)
            full = event.error_code == self._og.EngineErrorCode.EXECUTION_CAPACITY_EXCEEDED
            trouble: Trouble = "memory" if full else "refused"
            steps.append(Refused(number, trouble, f"GenAI's engine failed it ({event.error_code.name})"))
        elif told & int(flags.TURN_FINISHED):
            self._drop(number)
            ended = (self._og.FinishReason.EOS, self._og.FinishReason.STOP_STRING)
            reason: FinishReason = "stop" if event.finish_reason in ended else "length"
            steps.append(Ended(number, reason))
        return steps

    def _drop(self, number: int) -> None:
        handle, _ = self._rows.pop(number)
        del self._ids[handle]
        handle.close()


def load(spec: LoadSpec) -> GenAIEngine:
    """Load a model."""
    return GenAIEngine(spec)
