"""Models that an Ollama server runs.

Messages, options and tools become Ollama's as langchain-ollama does it; the wire is ours (``ollama_api``).
Ollama cuts a prompt that is too long without a word, so that is prevented three times over: the prompt is
counted before it is sent, the server is told not to cut, and its own count is compared afterwards.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_ollama import ChatOllama
from pydantic import Field, model_validator

from agents.errors import ContextOverflow
from knowledge.errors import PhiqError
from workers.engines.base import Engine, EngineStatus, EngineURI
from workers.engines.estimate import floor
from workers.engines.markers import note_of
from workers.engines.offers import refuse_logit_bias, refuse_options
from workers.engines.ollama_api import ModelFacts, OllamaAPI
from workers.engines.prompt import Budget, check_images, count, disarm
from workers.engines.remote import guarded
from workers.engines.thinking import split_thoughts
from workers.errors import EngineDown, ModelNotFound, OptionUnsupported, PromptCut
from workers.jobs import GenerationOptions
from workers.models.profiles import Sampling, lookup
from workers.settings import Settings

_SERVERS_OWN = Sampling(temperature=None)


class OllamaChatModel(ChatOllama):
    """ChatOllama on phiq's wire, with the promises of ``workers.engines.base``."""

    api: OllamaAPI = Field(
        default_factory=lambda: OllamaAPI("http://127.0.0.1:11434", 120.0, "ollama"), exclude=True, repr=False
    )
    budget: Budget = Budget(4096, 1024)
    max_tokens: int | None = None
    digest: str = ""
    sees: bool = False
    thinks: bool = Field(default=False, description="the model writes its thoughts before its answer")
    stops: list[str] = Field(default_factory=list)
    halt: threading.Event = Field(default_factory=threading.Event, exclude=True, repr=False)

    @model_validator(mode="after")
    def _set_clients(self) -> OllamaChatModel:
        # Replaces ChatOllama's: its two clients would never be used, and each reads the environment and builds
        # a TLS context.
        return self

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        if isinstance(kwargs.get("model"), str):
            params["ls_model_name"] = kwargs["model"]
        return params

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Tokens of the prompt as Ollama will build it: an estimate that errs high."""
        return count(messages, tools)

    def _create_chat_stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, **kwargs: Any
    ) -> Iterator[Mapping[str, Any] | str]:
        check_images(messages, sees=self.sees, uri=self.api.server.uri)
        clean, found = disarm(messages)
        tokens = self.budget.check(clean, kwargs.get("tools"), self.api.server.uri)
        if (form := kwargs.pop("response_format", None)) is not None:
            kwargs["format"] = form["json_schema"]["schema"] if form["type"] == "json_schema" else "json"
        if kwargs.pop("tool_choice", None) not in (None, "auto"):
            raise OptionUnsupported(
                "Ollama can't be told to call a tool: its protocol has no tool_choice.",
                hint="Leave tool_choice out, or give the one tool that is meant and ask for it in words.",
                subject=self.api.server.uri,
                option="tool_choice",
                param="tool_choice",
            )
        params = self._chat_params(clean, [*self.stops, *(stop or [])] or None, **kwargs)
        params["options"] = {
            **params["options"],
            "num_ctx": self.budget.context,
            "num_predict": self.max_tokens or self.budget.context - tokens,
        }
        body = {key: value for key, value in params.items() if value is not None}
        # Since 0.12.6 Ollama refuses what does not fit when it is told so; older ones ignore both.
        body |= {"stream": True, "truncate": False, "shift": False}
        notes = [note] if (note := note_of(found)) else []
        for part in self.api.chat(body, self.budget, self.model, self.halt):
            if part.get("done") is not True:
                yield part
                continue
            notes += self._check_count(part, clean)
            finish = "length" if part.get("done_reason") == "length" else "stop"
            yield {**part, "done_reason": finish, "finish_reason": finish, "notes": notes}

    def _check_count(self, part: Mapping[str, Any], sent: list[BaseMessage]) -> list[str]:
        """Compare what Ollama says it read with what was sent."""
        read = part.get("prompt_eval_count")
        uri = self.api.server.uri
        if not isinstance(read, int) or read <= 0:
            return ["Ollama did not say how many tokens it read, so that it read all can't be checked."]
        if read >= self.budget.context - 1:
            raise ContextOverflow(
                f"Ollama read {read} tokens and then its context was full: the prompt was cut.",
                hint="Send less, or raise PHIQ_OLLAMA_CONTEXT.",
                subject=uri,
                tokens=read,
                limit=self.budget.context - self.budget.room,
            )
        least = floor(sent)
        if read < least:
            raise PromptCut(
                f"Ollama read {read} tokens of a prompt that has at least {least}: part of it was left out.",
                hint="Update Ollama (0.12.6 or newer can be told not to cut), or raise PHIQ_OLLAMA_CONTEXT.",
                subject=uri,
            )
        return []

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
        chunks = self._run(messages, stop, run_manager, **kwargs)
        yield from split_thoughts(chunks) if self.thinks else chunks

    def _run(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        run_manager: CallbackManagerForLLMRun | None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in guarded(super()._stream(messages, stop, run_manager, **kwargs), self.api.server):
            if (chunk.generation_info or {}).get("done") is True and isinstance(chunk.message, AIMessageChunk):
                chunk.message.chunk_position = "last"
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        # In a thread, over the one wire that can be stopped.
        async for chunk in BaseChatModel._astream(self, messages, stop, run_manager, **kwargs):  # noqa: SLF001
            yield chunk

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await BaseChatModel._agenerate(self, messages, stop, run_manager, **kwargs)  # noqa: SLF001


class OllamaEngine(Engine):
    """A model on an Ollama server. Holds no connection: Ollama loads and unloads models itself."""

    def __init__(self, uri: EngineURI, url: str, context: int, timeout: float) -> None:
        self.uri = uri
        self._api = OllamaAPI(url, timeout, str(uri))
        # Asked for between two runs: a job waits two seconds for it at most, once.
        self._quick = OllamaAPI(url, min(timeout, 2.0), str(uri))
        self._digest: tuple[str, str] | None = None
        self._context = context
        self._status = EngineStatus("idle", "not asked yet")

    @classmethod
    def from_settings(cls, uri: EngineURI, settings: Settings) -> OllamaEngine:
        """An engine for one URI."""
        return cls(uri, settings.ollama_url, settings.ollama_context, settings.engine_timeout)

    def chat_model(self, options: GenerationOptions, stop: threading.Event, *, batch: bool = False) -> OllamaChatModel:
        """A chat model for one job; asks the server what the model can do.

        Raises:
            OptionUnsupported: for ``logit_bias`` and ``min_p``, which its client does not have.
            ModelNotFound: with the exact pull command.
            EngineDown, EngineTimeout, EngineProtocolError: as the names say.
        """
        del batch  # the server knows no order of ours
        refuse_logit_bias(options, self.uri)
        refuse_options(options, self.uri, "min_p", "adapter")
        facts = self._show(stop)
        profile = lookup(self.uri.name)
        known = [limit for limit in (facts.context, profile.context if profile else 0) if limit]
        budget = Budget.of(min([self._context, *known]), options.max_tokens, str(self.uri))
        # A stranger's defaults are its server's business.
        sampling = profile.sampling if profile else _SERVERS_OWN
        can = facts.capabilities
        sees = "vision" in can if can is not None else bool(profile and profile.vision)
        tools = "tools" in can if can is not None else bool(profile and profile.tool_calls)
        return OllamaChatModel(
            model=self.uri.name,
            base_url=self._api.server.address,
            temperature=options.temperature if options.temperature is not None else sampling.temperature,
            top_p=options.top_p if options.top_p is not None else sampling.top_p,
            top_k=options.top_k if options.top_k is not None else sampling.top_k,
            repeat_penalty=options.repetition_penalty if options.repetition_penalty != 1.0 else None,
            seed=options.seed,
            num_ctx=budget.context,
            reasoning=True if can is not None and "thinking" in can else None,
            api=self._api,
            budget=budget,
            max_tokens=options.max_tokens,
            digest=self._digest_of(facts, stop),
            sees=sees,
            thinks=bool(profile and profile.reasoning),
            stops=list(options.stop),
            halt=stop,
            profile={
                "max_input_tokens": budget.context - budget.room,
                "max_output_tokens": budget.room,
                "image_inputs": sees,
                "tool_calling": tools,
                "structured_output": True,
            },
        )

    def status(self) -> EngineStatus:
        """What the server last said; it is not asked now."""
        return self._status

    def _digest_of(self, facts: ModelFacts, stop: threading.Event) -> str:
        """The model's digest, asked for once and again when Ollama says that the model changed."""
        kept = self._digest
        if kept is None or kept[0] != facts.since:
            found = ""
            with contextlib.suppress(PhiqError):
                listed = self._quick.digests(stop)
                found = listed.get(self.uri.name) or listed.get(f"{self.uri.name}:latest", "")
            kept = self._digest = (facts.since, found)
        return kept[1]

    def _show(self, stop: threading.Event) -> ModelFacts:
        try:
            facts = self._api.show(self.uri.name, stop)
        except (EngineDown, ModelNotFound) as error:
            self._status = EngineStatus("down", error.message)
            raise
        self._status = EngineStatus("ready", "Ollama has the model")
        return facts
