"""ONNX Runtime GenAI, as the child process drives it: load, warm up, run one request.

Traps of version 0.18 that this honours (measured): threads and ``max_length`` are always set; prompts are read in
chunks of 64 tokens, since a call holds the GIL and can't be ended; a new generator is made for each run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from workers.engines.host.protocol import Cancelled, Delta, Done, LoadSpec, Prefilled, Request, RunEvent
from workers.engines.host.stops import StopFinder

CHUNK = 64
"""Prompt tokens read in one call: the longest a cancel waits before the first token."""


class Model:
    """A loaded model. Not for several threads.

    Args:
        spec: Which and how.

    Raises:
        RuntimeError: the library's, when the folder can't be loaded.
    """

    def __init__(self, spec: LoadSpec) -> None:
        import onnxruntime_genai as og  # only ever in the child

        config = og.Config(spec.folder)
        if spec.provider != "cpu":
            config.clear_providers()
            config.append_provider(spec.provider)
        options = {"intra_op_num_threads": spec.threads}
        overlay = {"model": {"decoder": {"session_options": options}}, "search": {"max_length": spec.max_length}}
        config.overlay(json.dumps(overlay))
        self._og = og
        self._model = og.Model(config)
        self._tokenizer = og.Tokenizer(self._model)
        self._ends = {int(token) for token in self._tokenizer.eos_token_ids}
        self._bos = spec.bos

    def warm_up(self) -> None:
        """Run a little, so that the first request does not pay for the library's late initialisation."""
        request = Request(tokens=(self._bos,) * (CHUNK + 1), max_tokens=2)
        for _ in self.run(request, lambda: False):
            pass

    def run(self, request: Request, cancelled: Callable[[], bool]) -> Iterator[RunEvent]:
        """Run a request to its end.

        Args:
            request: What to run.
            cancelled: Asked before every chunk of the prompt and every token.

        Yields:
            Prefilled and Delta, then one Done or Cancelled.

        Raises:
            RuntimeError: the library's.
        """
        generator = self._generator(request)
        total = len(request.tokens)
        for start in range(0, total, CHUNK):
            if cancelled():
                yield Cancelled(request.id)
                return
            generator.append_tokens(list(request.tokens[start : start + CHUNK]))
            yield Prefilled(request.id, min(start + CHUNK, total), total)
        yield from self._decode(generator, request, cancelled)

    def _decode(self, generator: Any, request: Request, cancelled: Callable[[], bool]) -> Iterator[RunEvent]:
        stream, stops = self._tokenizer.create_stream(), StopFinder(request.stop)
        made, ended = 0, False
        while made < request.max_tokens and not ended and not generator.is_done():
            if cancelled():
                yield Cancelled(request.id)
                return
            generator.generate_next_token()
            token = int(generator.get_next_tokens()[0])
            made += 1
            if token in self._ends:
                ended = True
                break
            if text := stops.feed(stream.decode(token)):
                yield Delta(request.id, text)
            ended = stops.found
        if tail := stops.flush():
            yield Delta(request.id, tail)
        yield Done(request.id, "stop" if ended else "length", len(request.tokens), made)

    def _generator(self, request: Request) -> Any:
        params = self._og.GeneratorParams(self._model)
        search: dict[str, Any] = {
            # As much as this run can need and no more: the cache is allocated for it.
            "max_length": len(request.tokens) + request.max_tokens,
            "do_sample": request.temperature > 0,
        }
        if request.temperature > 0:
            search |= {
                "temperature": request.temperature,
                "top_p": request.top_p,
                "top_k": request.top_k,
                "random_seed": request.seed,
            }
        params.set_search_options(**search)
        return self._og.Generator(self._model, params)
