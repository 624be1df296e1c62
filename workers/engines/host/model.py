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
        total = len(request.tokens) + len(request.made)
        for start in range(0, len(request.tokens), CHUNK):
            if cancelled():
                yield Cancelled(request.id)
                return
            chunk = request.tokens[start : start + CHUNK]
            generator.append_tokens(list(chunk))
            yield Prefilled(request.id, start + len(chunk), total)
        yield from self._decode(generator, request, cancelled)

    def _decode(self, generator: Any, request: Request, cancelled: Callable[[], bool]) -> Iterator[RunEvent]:
        stream, stops = self._tokenizer.create_stream(), StopFinder(request.stop)
        yield from self._go_on(generator, request, stream, stops, cancelled)
        made, ended = len(request.made), stops.found
        ids: list[int] = []
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
            ids.append(token)
            if text := stops.feed(stream.decode(token)):
                yield Delta(request.id, text, tuple(ids))
                ids.clear()
            ended = stops.found
        if tail := stops.flush():
            yield Delta(request.id, tail, tuple(ids))
        yield Done(request.id, "stop" if ended else "length", len(request.tokens), made)

    def _go_on(
        self, generator: Any, request: Request, stream: Any, stops: StopFinder, cancelled: Callable[[], bool]
    ) -> Iterator[RunEvent]:
        """Read the tokens that an earlier run made and say their text again.

        Greedy runs read them one by one, as they were made: in chunks the sums round otherwise, and of two tokens that
        are all but equally likely the other one may come next (3 to 7 of 100 runs of the test models). Runs with a
        temperature have no such one answer; they take the faster way.
        """
        size = CHUNK if request.temperature > 0 else 1
        for start in range(0, len(request.made), CHUNK):
            chunk = request.made[start : start + CHUNK]
            for place in range(0, len(chunk), size):
                if cancelled():
                    return  # which whoever decodes is told next
                generator.append_tokens(list(chunk[place : place + size]))
            done = len(request.tokens) + start + len(chunk)
            yield Prefilled(request.id, done, len(request.tokens) + len(request.made))
            # Piece by piece as they came: what is made of them (characters, sentences) may depend on the cuts.
            for token in chunk:
                if text := stops.feed(stream.decode(token)):
                    yield Delta(request.id, text)

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
