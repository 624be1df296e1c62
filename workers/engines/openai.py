"""Models behind any server that speaks OpenAI's chat protocol (vLLM, llama.cpp's server, LM Studio, OpenAI)."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import Field, SecretStr

from workers.engines.base import Engine, EngineStatus, EngineURI
from workers.engines.estimate import floor, tokens_of
from workers.engines.markers import note_of
from workers.engines.offers import refuse_options
from workers.engines.openai_api import Completions
from workers.engines.presets import PRESETS, key_variable
from workers.engines.prompt import Budget, check_images, count, disarm
from workers.engines.remote import guarded
from workers.engines.thinking import split_thoughts
from workers.errors import EngineDenied, OptionUnsupported, PromptCut
from workers.jobs import GenerationOptions
from workers.models.profiles import lookup
from workers.settings import Settings

_NO_KEY = SecretStr("held by phiq")
"""ChatOpenAI looks into the environment when it has no key; the real one is with ``Completions`` alone."""

_SAID = 200
"""Characters kept of a name that a server gives."""


class OpenAIChatModel(ChatOpenAI):
    """ChatOpenAI on phiq's wire, with the promises of ``workers.engines.base``."""

    budget: Budget = Budget(4096, 1024)
    digest: str = Field(default="", exclude=True, description="what the server said it ran: model, build")
    sees: bool = False
    thinks: bool = Field(default=False, description="the model writes its thoughts before its answer")
    stops: list[str] = Field(default_factory=list)
    uri: str = "openai"

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """No: it holds a job's connection, which means nothing elsewhere."""
        return False

    def get_num_tokens_from_messages(
        self, messages: Sequence[BaseMessage], tools: Sequence[Any] | None = None, **kwargs: Any
    ) -> int:
        """Tokens of the prompt as a server will build it: an estimate that errs high."""
        _ = kwargs
        return count(messages, tools)

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        """LangChain's, with the thoughts that it leaves out: servers name them one way or the other."""
        made = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        delta = next((choice.get("delta") or {} for choice in chunk.get("choices") or ()), {})
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if made is not None and isinstance(thought, str) and thought:
            made.message.additional_kwargs["reasoning_content"] = thought
        return made

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
        check_images(messages, sees=self.sees, uri=self.uri)
        clean, found = disarm(messages)
        tokens = self.budget.check(clean, kwargs.get("tools"), self.uri)
        if self.max_tokens is None:
            kwargs.setdefault("max_tokens", self.budget.context - tokens)
        stops = [*self.stops, *(stop or [])] or None
        if (form := kwargs.pop("response_format", None)) is not None:
            # Under its own name ChatOpenAI would hand it to a client that is not ours.
            kwargs["extra_body"] = {**(self.extra_body or {}), "response_format": form}
        finish, usage, spoken = "", None, 0
        metadata: dict[str, Any] = {}
        chunks = super()._stream(clean, stops, run_manager, stream_usage=True, **kwargs)
        for chunk in guarded(chunks, self.client.server):
            # What belongs into the last chunk comes in two parts here (the reason, then the usage): held back.
            info = chunk.generation_info or {}
            finish = str(info.pop("finish_reason", "")) or finish
            metadata |= {key: info.pop(key) for key in ("model_name", "system_fingerprint") if key in info}
            if isinstance(chunk.message, AIMessageChunk):
                usage = chunk.message.usage_metadata or usage
                chunk.message.usage_metadata = None
                chunk.message.chunk_position = None
            spoken += tokens_of(chunk.text)
            if chunk.text or chunk.message.additional_kwargs or getattr(chunk.message, "tool_call_chunks", None):
                yield chunk
        said = (str(metadata.get("model_name") or ""), str(metadata.get("system_fingerprint") or ""))
        self.digest = " ".join(part[:_SAID] for part in said if part)
        yield self._last(finish, usage, spoken, tokens, metadata, found, clean)

    def _last(
        self,
        finish: str,
        usage: UsageMetadata | None,
        spoken: int,
        tokens: int,
        metadata: dict[str, Any],
        found: list[str],
        sent: list[BaseMessage],
    ) -> ChatGenerationChunk:
        notes = [note] if (note := note_of(found)) else []
        if finish == "content_filter":
            notes.append("The server's content filter ended the answer.")
        if usage is None:
            usage = UsageMetadata(input_tokens=tokens, output_tokens=spoken, total_tokens=tokens + spoken)
            notes.append("The server counted no tokens; the usage is phiq's estimate.")
        elif 0 < usage["input_tokens"] < floor(sent):
            raise PromptCut(
                f"The server read {usage['input_tokens']} tokens of a prompt that has at least {floor(sent)}: "
                "part of it was left out.",
                hint="Give the server a longer context, and PHIQ_OPENAI_CONTEXT the same.",
                subject=self.uri,
            )
        metadata |= {"finish_reason": "length" if finish == "length" else "stop", "notes": notes}
        return ChatGenerationChunk(
            message=AIMessageChunk(content="", usage_metadata=usage, response_metadata=metadata, chunk_position="last")
        )

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
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


class OpenAIEngine(Engine):
    """A model behind an OpenAI-compatible server. Holds no connection."""

    def __init__(self, uri: EngineURI, url: str | None, key: SecretStr | None, context: int, timeout: float) -> None:
        self.uri = uri
        self._url = url
        self._key = key
        self._context = context
        self._timeout = timeout

    @classmethod
    def from_settings(cls, uri: EngineURI, settings: Settings) -> OpenAIEngine:
        """An engine for one URI, ``openai:`` or one of ``workers.engines.presets``.

        Raises:
            EngineDenied: a server that answers nobody without a key, and there is none.
        """
        if (preset := PRESETS.get(uri.scheme)) is not None:
            key = getattr(settings, f"{uri.scheme}_api_key")
            if preset.needs_key and key is None:
                raise EngineDenied(
                    f"{preset.title} needs a key.", hint=f"Set {key_variable(uri.scheme)}.", subject=str(uri)
                )
            url = getattr(settings, f"{uri.scheme}_url") or preset.url
            return cls(uri, url, key, preset.context or settings.openai_context, settings.engine_timeout)
        if settings.openai_base_url is None and settings.openai_api_key is None:
            raise EngineDenied(
                "OpenAI's server needs a key.",
                hint="Set PHIQ_OPENAI_API_KEY, or PHIQ_OPENAI_BASE_URL to a server of your own.",
                subject=str(uri),
            )
        return cls(
            uri, settings.openai_base_url, settings.openai_api_key, settings.openai_context, settings.engine_timeout
        )

    def chat_model(self, options: GenerationOptions, stop: threading.Event, *, batch: bool = False) -> OpenAIChatModel:
        """A chat model for one job; nothing is asked of the server yet.

        Raises:
            OptionUnsupported: for ``top_k``, ``min_p`` and ``repetition_penalty``, which the protocol does not have.
        """
        del batch  # the server knows no order of ours
        refuse_options(options, self.uri, "min_p", "repetition_penalty", "adapter")
        if options.top_k is not None:
            raise OptionUnsupported(
                "The openai engine can't honour top_k: its protocol has no such option.",
                hint="Leave top_k out, or use top_p.",
                subject="top_k",
            )
        profile = lookup(self.uri.name)
        context = min(self._context, profile.context) if profile else self._context
        budget = Budget.of(context, options.max_tokens, str(self.uri))
        completions = Completions(self._url, self._key, self._timeout, str(self.uri), stop)
        completions.budget = budget
        # The protocol can't say whether a model sees; a stranger is believed, and its server refuses if not.
        sees = profile.vision if profile else True
        temperature = profile.sampling.temperature if profile else None
        return OpenAIChatModel(
            model=self.uri.name,
            api_key=_NO_KEY,
            base_url=completions.server.address,
            client=completions,
            async_client=completions,
            max_retries=0,
            use_responses_api=False,
            temperature=options.temperature if options.temperature is not None else temperature,
            top_p=options.top_p if options.top_p is not None else (profile.sampling.top_p if profile else None),
            seed=options.seed,
            # ChatOpenAI's own field takes whole numbers only.
            extra_body={"logit_bias": options.logit_bias} if options.logit_bias else None,
            max_tokens=options.max_tokens,
            budget=budget,
            sees=sees,
            thinks=bool(profile and profile.reasoning),
            stops=list(options.stop),
            uri=str(self.uri),
            profile={
                "max_input_tokens": budget.context - budget.room,
                "max_output_tokens": budget.room,
                "image_inputs": sees,
                "tool_calling": profile.tool_calls if profile else True,
                "structured_output": True,
            },
        )

    def status(self) -> EngineStatus:
        """The server is not asked; a run finds out."""
        return EngineStatus("idle", "a server elsewhere; a run finds out whether it answers")
