"""ONNX Runtime GenAI, one run at a time: for whatever graph and provider the library knows.

Traps of version 0.18 that this honours (measured): threads and ``max_length`` are always set; prompts are read in
chunks of 64 tokens, since a call holds the GIL and can't be ended; a new generator is made for each run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.engines.host.backend import Made, Read, Refused, Step, TextStream
from workers.engines.host.failures import Unusable
from workers.engines.host.forms import choice, compact
from workers.engines.host.protocol import Guide, LoadSpec, Request

if TYPE_CHECKING:
    from workers.engines.host.pictures import Eyes
    from workers.engines.host.pictures4 import Eyes4

CHUNK = 64
"""Prompt tokens read in one call: the longest a cancel waits before the first token."""

_WHEELS = {
    "cuda": "onnxruntime-genai-cuda",
    "dml": "onnxruntime-genai-directml",
    "qnn": "onnxruntime-genai-qnn",
    "openvino": "onnxruntime-genai, then register OpenVINO's provider",
    "webgpu": "onnxruntime-genai-webgpu",
}


class GenAI:
    """A model with one slot.

    Args:
        spec: Which and how.

    Raises:
        Unusable: the installed library has not the provider.
        RuntimeError: the library's, when the folder can't be loaded.
    """

    def __init__(self, spec: LoadSpec) -> None:
        import onnxruntime_genai as og  # only ever in the child

        from workers.engines.host.pictures import Eyes
        from workers.engines.host.pictures4 import Eyes4

        config = configured(og, spec)
        self._og = og
        self._model = og.Model(config)
        self._tokenizer = og.Tokenizer(self._model)
        self._eyes = Eyes4(og, self._model) if self._model.type == "phi4mm" else Eyes(og, self._model)
        self._folder = Path(spec.folder)
        self._adapters: Any = None
        self._read: set[str] = set()
        self._row: _Row | None = None
        self.slots = 1
        self.note = "one run at a time"
        self.ends = frozenset(int(token) for token in self._tokenizer.eos_token_ids)

    def admit(self, request: Request) -> None:
        """Take the one slot.

        Raises:
            Unusable: it asks for what the library has not.
            RuntimeError: the library's.
        """
        self._row = _Row(request, self._generator(request), self._eyes)

    def step(self) -> list[Step]:
        """Read a chunk, or make a token."""
        row = self._row
        if row is None:
            return []
        try:
            return row.step()
        except (RuntimeError, ValueError) as error:
            self._row = None
            return [Refused(row.request.id, "refused", str(error))]

    def cancel(self, number: int) -> None:
        """Drop the run."""
        if self._row is not None and self._row.request.id == number:
            self._row = None

    def room(self, request: Request) -> bool:
        """There is: the cache is allocated for each run."""
        del request
        return True

    def pausable(self, request: Request) -> bool:
        """With a seed, what is drawn later would differ."""
        return request.temperature == 0 and request.guide is None

    def text(self) -> TextStream:
        """The library's stream."""
        stream: TextStream = self._tokenizer.create_stream()
        return stream

    def _generator(self, request: Request) -> Any:
        params = self._og.GeneratorParams(self._model)
        search: dict[str, Any] = {
            # As much as this run can need and no more: the cache is allocated for it.
            "max_length": len(request.tokens) + request.max_tokens,
            "do_sample": request.temperature > 0,
            "repetition_penalty": request.repetition_penalty,
        }
        if request.min_p > 0:
            raise Unusable("min_p is no option of ONNX Runtime GenAI")
        if request.bias:
            raise Unusable("ONNX Runtime GenAI can't be given a logit_bias")
        if request.temperature > 0:
            search |= {
                "temperature": request.temperature,
                "top_p": request.top_p,
                "top_k": request.top_k,
                "random_seed": request.seed,
            }
        params.set_search_options(**search)
        if (guide := request.guide) is not None:
            params.set_guidance(*form_of(guide))
        generator = self._og.Generator(self._model, params)
        if request.adapter:
            generator.set_active_adapter(self._with(request.adapter), request.adapter)
        return generator

    def _with(self, adapter: str) -> Any:
        """The adapters read so far, this one among them."""
        if self._adapters is None:
            self._adapters = self._og.Adapters(self._model)
        if adapter not in self._read:
            try:
                self._adapters.load(str(self._folder / f"{adapter}.onnx_adapter"), adapter)
            except RuntimeError as error:
                raise Unusable(f"the adapter '{adapter}' can't be used: {error}") from error
            self._read.add(adapter)
        return self._adapters


class _Row:
    def __init__(self, request: Request, generator: Any, eyes: Eyes | Eyes4) -> None:
        self.request = request
        self._eyes = eyes
        self._generator = generator
        self._done = 0

    def step(self) -> list[Step]:
        request, start = self.request, self._done
        prompt = len(request.tokens)
        if start < prompt and request.pictures:
            # In one piece: the library takes pictures with the prompt that they are in.
            self._generator.set_inputs(self._eyes.inputs(request))
            self._done = prompt
            return [Read(request.id, prompt)]
        if start < prompt:
            chunk = request.tokens[start : start + CHUNK]
        elif start < prompt + len(request.made):
            # Greedy runs read these one by one, as they were made: in chunks the sums round otherwise, and of two
            # tokens that are all but equally likely the other one may come next (3 to 7 of 100 runs of the test
            # models). Runs with a temperature have no such one answer; they take the faster way.
            size = CHUNK if request.temperature > 0 else 1
            chunk = request.made[start - prompt : start - prompt + size]
        else:
            self._generator.generate_next_token()
            return [Made(request.id, (int(self._generator.get_next_tokens()[0]),))]
        self._generator.append_tokens(list(chunk))
        self._done += len(chunk)
        return [Read(request.id, self._done)]


def form_of(guide: Guide) -> tuple[str, str]:
    """A form by the names that the library has for it.

    Raises:
        Unusable: it is no JSON object, where it should be.
    """
    if guide.kind == "json_schema":
        return "json_schema", compact(guide.text)
    return "regex", guide.text if guide.kind == "regex" else choice(guide.text)


def configured(og: Any, spec: LoadSpec) -> Any:
    """A folder's configuration, with provider, threads and length as a spec says.

    Raises:
        Unusable: the installed library has not the provider.
    """
    config = og.Config(spec.folder)
    if spec.provider != "cpu":
        _check(og, spec.provider)
        config.clear_providers()
        config.append_provider(spec.provider)
        for name, value in spec.options.get("provider_options", {}).items():
            config.set_provider_option(spec.provider, name, str(value))
    options = {"intra_op_num_threads": spec.threads}
    overlay = {"model": {"decoder": {"session_options": options}}, "search": {"max_length": spec.max_length}}
    config.overlay(json.dumps(overlay))
    return config


def _check(og: Any, provider: str) -> None:
    """Say that a provider is missing: the library itself only fails somewhere later."""
    wheel = _WHEELS.get(provider)
    if wheel is None:
        raise Unusable(f"there is no execution provider '{provider}'; there are cpu, {', '.join(_WHEELS)}")
    if not getattr(og, f"is_{provider}_available")():
        raise Unusable(f"the installed ONNX Runtime GenAI has no provider '{provider}' (pip install {wheel})")


def load(spec: LoadSpec) -> GenAI:
    """Load a model."""
    return GenAI(spec)
