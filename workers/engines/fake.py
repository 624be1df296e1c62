"""The public fake engine, for tests and load tests: settable latency, rate and failures, no model.

    fake:echo                       the last user turn, word by word
    fake:tools                      calls the first tool, fills forms by their schema; echo where there is neither
    fake:words?count=200            the same 200 words each time, or others with ?seed=7
    fake:echo?ttft=0.2&rate=50      0.2 s to the first token, then 50 tokens a second
    fake:echo?fail=engine_lost&at=3 fails after three tokens; without ``at`` before the first
    fake:echo?context=512           the context it claims, in tokens (a word is a token)
    fake:echo?resume=0              starts over where other engines go on from the tokens of an earlier attempt
    fake:echo?witness=/x/y.witness  each answer that runs to its end appends a line to that file, see `_testify`
    fake:faithful                   quotes passages with their markers, quotes texts as a summary, pretends translations
    fake:faithful?corrupt=number    the same, spoilt: placeholder, number, unsupported, marker, language, cut, limit (or
                                    several, with commas); `workers.engines.fake_faithful` says what each does
    fake:faithful?corrupt=cut&mends=1  does it right when told that an earlier answer was wrong

It answers only where PHIQ_ALLOW_FAKE_ENGINE is true, so that nobody takes its words for a model's.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field

from agents.checkpoints import TokenLog
from agents.errors import ContextOverflow, Interrupted, ModelMisbehaved
from knowledge.errors import PhiqError
from workers.engines import fake_faithful, fake_tools
from workers.engines.base import Engine, EngineStatus, EngineURI
from workers.engines.offers import refuse_logit_bias, refuse_options
from workers.errors import (
    EngineDown,
    EngineLost,
    EngineOutOfMemory,
    EngineProtocolError,
    EngineTimeout,
    EngineUnknown,
)
from workers.jobs import GenerationOptions
from workers.settings import Settings

_FAILURES: dict[str, type[PhiqError]] = {
    error.code: error
    for error in (EngineDown, EngineLost, EngineOutOfMemory, EngineProtocolError, EngineTimeout, ModelMisbehaved)
}
_WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma".split()  # noqa: SIM905


@dataclass(frozen=True)
class Script:
    """What the fake does: ``ttft`` in seconds, ``rate`` in tokens a second (0: as fast as it can)."""

    text: str = "echo"
    count: int = 50
    ttft: float = 0.0
    rate: float = 0.0
    fail: str = ""
    at: int = 0
    seed: int = 0
    context: int = 4096
    vision: bool = False
    witness: str = ""
    resume: bool = True
    corrupt: str = ""
    mends: bool = False

    @classmethod
    def parse(cls, name: str) -> Script:
        """Read the part of the URI behind ``fake:``.

        Raises:
            EngineUnknown: naming what can't be read.
        """
        text, _, query = name.partition("?")
        values: dict[str, Any] = {}
        try:
            for key, value in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)):
                kind = type(getattr(cls, key))
                values[key] = value.lower() in ("1", "true", "yes") if kind is bool else kind(value)
            script = cls(text=text, **values)
        except (ValueError, TypeError, AttributeError) as error:
            raise _unreadable(name, str(error)) from error
        if text not in ("echo", "words", "tools", "faithful"):
            raise _unreadable(name, f"'{text}' is none of echo, words, tools, faithful")
        if script.corrupt and (text != "faithful" or set(script.corrupt.split(",")) - set(fake_faithful.CORRUPTIONS)):
            known = ", ".join(fake_faithful.CORRUPTIONS)
            raise _unreadable(name, f"corrupt belongs to fake:faithful and must be one or more of {known}")
        if script.fail and script.fail not in _FAILURES:
            raise _unreadable(name, f"fail must be one of {', '.join(sorted(_FAILURES))}")
        if min(script.count, script.ttft, script.rate, script.at) < 0 or script.context < 1:
            raise _unreadable(name, "numbers can't be negative")
        if script.witness and not (Path(script.witness).is_absolute() and script.witness.endswith(".witness")):
            # Whoever may submit a job could else append to any file of the worker's user.
            raise _unreadable(name, "witness must be an absolute path that ends in .witness")
        return script


class FakeChatModel(BaseChatModel):
    """A chat model that follows a script and keeps the contract's promises."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: str = "fake"
    script: Script = Script()
    options: GenerationOptions = GenerationOptions()
    halt: threading.Event = Field(default_factory=threading.Event, exclude=True, repr=False)

    @property
    def _llm_type(self) -> str:
        return "phiq-fake"

    @property
    def resumes(self) -> bool:
        """Whether it goes on from an earlier attempt's tokens; their ids are the places of the words."""
        return self.script.resume and self.options.seed is None

    def get_num_tokens(self, text: str) -> int:
        """Words: the fake's tokens."""
        return len(text.split())

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Words of all turns and tools; a picture is one."""
        parts = [part for message in messages for part in message.content if isinstance(part, dict)]
        pictures = sum(part.get("type") == "image" for part in parts)
        texts = [*(message.text for message in messages), *(str(tool) for tool in tools or ())]
        return int(pictures + sum(map(self.get_num_tokens, texts)))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        log: TokenLog | None = kwargs.get("resume")
        prompt = self.get_num_tokens_from_messages(messages)
        room = self.script.context - (self.options.max_tokens or 1)
        if prompt > room:
            raise ContextOverflow(
                f"The prompt has {prompt} tokens, {room} fit.", hint="Send less.", tokens=prompt, limit=room
            )
        if tools := kwargs.get("tools"):
            tool = fake_tools.chosen(messages, tools, kwargs.get("tool_choice"))
            if tool is not None:
                yield from self._call_tool(messages, tool, prompt, run_manager)
                return
        words, finish = self._answer(messages, [*(stop or []), *self.options.stop], kwargs.get("response_format"))
        made = self._taken_over(log, words)
        started = time.monotonic()
        for number, word in enumerate(words):
            if number >= made:
                due = started + self.script.ttft + ((number - made) / self.script.rate if self.script.rate else 0.0)
                self._wait(due - time.monotonic())
                self._maybe_fail(number)
                if log is not None:
                    log.add([number])
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk
        self._wait(started + self.script.ttft - time.monotonic() if not words else 0.0)
        self._maybe_fail(len(words))
        if self.script.witness:
            _testify(self.script.witness, messages, words)
        yield self._last(prompt, len(words), finish)

    def _last(self, prompt: int, made: int, finish: str) -> ChatGenerationChunk:
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                usage_metadata={"input_tokens": prompt, "output_tokens": made, "total_tokens": prompt + made},
                response_metadata={"finish_reason": finish, "notes": [], "model_name": self.model},
                chunk_position="last",
            )
        )

    def _call_tool(
        self,
        messages: list[BaseMessage],
        tool: Mapping[str, Any],
        prompt: int,
        run_manager: CallbackManagerForLLMRun | None,
    ) -> Iterator[ChatGenerationChunk]:
        self._wait(self.script.ttft)
        self._maybe_fail(0)
        text = fake_tools.arguments(messages, tool["parameters"])
        call = {"name": tool["name"], "args": text, "id": f"call_{uuid.uuid4().hex[:24]}", "index": 0}
        chunk = ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[call]))
        if run_manager:
            run_manager.on_llm_new_token("", chunk=chunk)
        yield chunk
        yield self._last(prompt, self.get_num_tokens(text), "stop")

    def _taken_over(self, log: TokenLog | None, words: list[str]) -> int:
        """How many words an earlier attempt has said."""
        if log is None or not log.ids:
            return 0
        if log.ids != tuple(range(len(log.ids))) or len(log.ids) > len(words):
            log.refuse()
        return len(log.ids)

    def _answer(self, messages: list[BaseMessage], stops: list[str], form: Any = None) -> tuple[list[str], str]:
        if form is not None:
            schema = (form.get("json_schema") or {}).get("schema")
            text = fake_tools.any_object(messages) if schema is None else fake_tools.arguments(messages, schema)
            words = text.split(" ")
        elif self.script.text in ("echo", "tools"):
            turns = [message.text for message in messages if isinstance(message, HumanMessage)]
            words = (turns[-1] if turns else "").split()
        elif self.script.text == "faithful":
            return self._faithful(messages, stops)
        else:
            seed = self.options.seed if self.options.seed is not None else self.script.seed
            words = random.Random(seed).choices(_WORDS, k=self.script.count)  # noqa: S311 - filler, no secret
        return self._within(" ".join(words), stops, "stop")

    def _faithful(self, messages: list[BaseMessage], stops: list[str]) -> tuple[list[str], str]:
        text, finish = fake_faithful.reply(messages, self.script.corrupt, mends=self.script.mends)
        return self._within(text, stops, finish)

    def _within(self, text: str, stops: list[str], finish: str) -> tuple[list[str], str]:
        """The words, each with the space before it, up to a stop word or the limit."""
        cut = min((at for stop in stops if (at := text.find(stop)) >= 0), default=None)
        words = re.findall(r"\s*\S+", text[:cut].rstrip())
        limit = self.options.max_tokens
        return (words[:limit], "length") if limit is not None and len(words) > limit else (words, finish)

    def _wait(self, seconds: float) -> None:
        # Waits on the event, not on the clock: a cancel is answered at once and not at the next token.
        if self.halt.wait(max(0.0, seconds)) if seconds > 0 else self.halt.is_set():
            raise Interrupted

    def _maybe_fail(self, number: int) -> None:
        if self.script.fail and number == self.script.at:
            raise _FAILURES[self.script.fail]("The fake engine failed as its URI asked.", hint="Leave out fail=.")


class FakeEngine(Engine):
    """The engine of ``fake:`` URIs."""

    def __init__(self, uri: EngineURI) -> None:
        self.uri = uri
        self.script = Script.parse(uri.name)

    @classmethod
    def from_settings(cls, uri: EngineURI, settings: Settings) -> FakeEngine:
        """An engine for one URI; whether it may be used at all is the registry's to say."""
        _ = settings
        return cls(uri)

    def chat_model(self, options: GenerationOptions, stop: threading.Event, *, batch: bool = False) -> FakeChatModel:
        """A model that follows the URI's script."""
        del batch  # each run is on its own here
        refuse_logit_bias(options, self.uri)
        refuse_options(options, self.uri, "min_p", "repetition_penalty", "adapter")
        room = options.max_tokens or max(1, self.script.context // 4)
        return FakeChatModel(
            model=str(self.uri),
            script=self.script,
            options=options,
            halt=stop,
            profile={
                "max_input_tokens": max(1, self.script.context - room),
                "max_output_tokens": room,
                "image_inputs": self.script.vision,
                "tool_calling": self.script.text == "tools",
                "structured_output": self.script.text == "tools",
            },
        )

    def status(self) -> EngineStatus:
        """Always ready."""
        return EngineStatus("ready", "the fake engine: its answers are made up")


def _testify(path: str, messages: list[BaseMessage], words: list[str]) -> None:
    """Append that an answer ran to its end: the last user turn's first word, the instant, the process, the text's hash.

    In one write to a file opened for appending, so that lines of several workers never mix. It is a record of what
    ran that no ledger had a hand in: the chaos run counts by it.
    """
    turns = [message.text for message in messages if isinstance(message, HumanMessage)]
    marker = next(iter(turns[-1].split()), "-") if turns else "-"
    digest = hashlib.sha256("".join(words).encode()).hexdigest()
    line = f"{marker}\t{time.time():.3f}\t{os.getpid()}\t{digest}\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def _unreadable(name: str, why: str) -> EngineUnknown:
    return EngineUnknown(
        f"'fake:{name[:80]}' can't be read: {why[:200]}.",
        hint="Write fake:echo?ttft=0.2&rate=50 or fake:words?count=200; docs/engines.md has every parameter.",
        subject=f"fake:{name[:80]}",
    )
