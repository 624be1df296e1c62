"""A model in the host's process as a LangChain chat model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field

from agents.checkpoints import TokenLog
from agents.errors import ContextOverflow
from tools.pictures import PictureLimits
from workers.engines.host.crops import Crops
from workers.engines.host.host import Host
from workers.engines.host.protocol import Delta, Done, Guide
from workers.engines.hosted.calls import split_calls
from workers.engines.hosted.encode import PromptEncoder
from workers.engines.hosted.messages import to_turns
from workers.engines.hosted.pictures import Album
from workers.engines.hosted.sampling import OPTIONS, guide_of, make_request, merge
from workers.engines.hosted.structured import by_schema
from workers.engines.hosted.tools import Offer, offer_of
from workers.engines.hosted.waits import Waits
from workers.engines.thinking import split_thoughts
from workers.errors import OptionUnsupported
from workers.jobs import GenerationOptions
from workers.models.profiles import Sampling

_ROOM = 1024
"""Tokens kept for the answer when nobody says, a quarter of the session at most."""


@dataclass(frozen=True)
class Runtime:
    """A model ready to be run: what all chat models of one engine share.

    ``session`` is in tokens. ``thinks`` says that the model writes its thoughts before its answer. ``engine`` is the
    scheme of its URI, and ``length_setting`` what sets the session, for messages. ``guides`` says whether answers can
    be held to a form, ``guides_go_on`` whether such an answer can be gone on with;
    ``pictures`` bounds the pictures that it takes, None: it takes none; ``crops`` is how it cuts
    them up. ``adapters`` are those it can put on.
    """

    name: str
    engine: str
    length_setting: str
    host: Host
    encoder: PromptEncoder
    session: int
    vocabulary: int
    sampling: Sampling
    thinks: bool = False
    guides: bool = False
    guides_go_on: bool = True
    biases: bool = False
    pictures: PictureLimits | None = None
    crops: Crops | None = None
    adapters: tuple[str, ...] = ()


class HostedChatModel(BaseChatModel):
    """Chat with a model that the host's process runs.

    Sampling options are those of a job (``GenerationOptions``); a call may override them. ``interrupt`` ends every
    run of this object: within one step it raises ``agents.errors.Interrupted``. ``streaming`` makes ``invoke`` report
    tokens to callbacks through LangChain's streaming path; the words are the same. With ``behind`` its runs wait
    for those of others. ``told`` takes the place in line of a run that waits, when it changes, and nothing when
    the wait is over.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    runtime: Runtime = Field(exclude=True, repr=False)
    model: str = ""
    digest: str = Field(default="", exclude=True)
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    adapter: str | None = None
    seed: int | None = None
    stop: list[str] | None = None
    logit_bias: dict[str, float] = Field(default_factory=dict)
    streaming: bool = False
    behind: bool = Field(default=False, exclude=True, repr=False)
    told: Callable[[str], None] | None = Field(default=None, exclude=True, repr=False)
    interrupt: threading.Event = Field(default_factory=threading.Event, exclude=True, repr=False)

    def model_post_init(self, context: Any, /) -> None:
        """Check the options once, so that a bad one is refused before any work.

        Raises:
            OptionUnsupported: naming it.
        """
        super().model_post_init(context)
        self.model = self.model or self.runtime.name
        options = self._options()
        self._room(options)
        if options.adapter and options.adapter not in self.runtime.adapters:
            raise self._no_adapter(options.adapter)

    @property
    def resumes(self) -> bool:
        """Whether it goes on from an earlier attempt's tokens; with a seed it could not repeat the same draws."""
        return self.seed is None

    @property
    def _llm_type(self) -> str:
        return f"phiq-{self.runtime.engine}"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, **self._options().model_dump()}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = self.runtime.engine
        return params

    def _resolve_model_profile(self) -> ModelProfile:
        room = self._room(self._options())
        return {
            "name": self.model or self.runtime.name,
            "max_input_tokens": self.runtime.session - room,
            "max_output_tokens": room,
            "text_inputs": True,
            "text_outputs": True,
            "image_inputs": self.runtime.pictures is not None,
            "image_url_inputs": False,
            "image_outputs": False,
            "audio_inputs": False,
            "audio_outputs": False,
            "video_inputs": False,
            "video_outputs": False,
            "pdf_inputs": False,
            "tool_calling": self.runtime.encoder.takes_tools,
            "structured_output": self.runtime.guides,
            "reasoning_output": self.runtime.thinks,
        }

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """How many tokens these messages and tools are, exactly as they would be sent.

        Raises:
            OptionUnsupported: for tools, when the model can't be offered any.
        """
        offer = self._offer([convert_to_openai_tool(tool) for tool in tools or ()], None)
        return len(self._prompt(messages, self._room(self._options()), offer)[0])

    def get_token_ids(self, text: str) -> list[int]:
        """The ids of plain text, without the template."""
        return self.runtime.encoder.encode_text(text) if text else []

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Offer tools with every call.

        Args:
            tools: Functions, pydantic classes, LangChain's tools or OpenAI's dictionaries.
            tool_choice: auto, none, any or required, or a tool's name: then the answer is held to its call.
            kwargs: Further options of calls.

        Raises:
            OptionUnsupported: when the model can't be offered any.
        """
        given = [convert_to_openai_tool(tool) for tool in tools]
        self._offer(given, tool_choice)
        return self.bind(tools=given, tool_choice=tool_choice, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: Literal["function_calling", "json_schema", "json_mode"] | None = None,
        **kwargs: Any,
    ) -> Runnable[Any, Any]:
        """Answers as objects.

        Args:
            schema: A JSON schema, a TypedDict or a pydantic class.
            include_raw: Give ``raw``, ``parsed`` and ``parsing_error`` instead of the object.
            method: ``json_schema`` holds the answer to the schema, ``json_mode`` to any object, ``function_calling``
                asks for a tool's call. None: a schema, where answers can be held to one.
            kwargs: ``strict`` is taken and means nothing: a form is always kept.

        Raises:
            OptionUnsupported: the model can't do that.
        """
        method = method or ("json_schema" if self.runtime.guides else "function_calling")
        if method == "function_calling":
            kwargs.pop("strict", None)
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        if not self.runtime.guides:
            raise self._no_form()
        return by_schema(self, schema, free=method == "json_mode", include_raw=include_raw)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        offer = self._offer(kwargs.pop("tools", None), kwargs.pop("tool_choice", None))
        if kwargs.pop("parallel_tool_calls", None) is False and offer is not None:
            offer = replace(offer, single=True)
        chunks = self._run(messages, stop, kwargs, offer)
        if self.runtime.thinks and not (offer and offer.must):
            chunks = split_thoughts(chunks)
        if offer is not None:
            chunks = split_calls(chunks, offer.names, inside=bool(offer.must))
        for chunk in chunks:
            if run_manager is not None:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def _run(
        self, messages: list[BaseMessage], stop: list[str] | None, call: dict[str, Any], offer: Offer | None
    ) -> Iterator[ChatGenerationChunk]:
        runtime = self.runtime
        log: TokenLog | None = call.pop("resume", None)
        guide = guide_of(call.pop("response_format", None), self.model) if runtime.guides else None
        if offer is not None:
            guide = self._held_to(offer, guide)
        options = merge(self._options(), self.model, stop=stop, **call)
        room = self._room(options)
        tokens, album = self._prompt(messages, room, offer)
        if len(tokens) + room > runtime.session:
            raise self._overflow(len(tokens), runtime.session - room, len(album))
        # Nobody asked for an end: then the answer may use what the prompt leaves free.
        most = room if options.max_tokens is not None else runtime.session - len(tokens)
        request = make_request(tokens, most, options, runtime.sampling, runtime.vocabulary)
        if self.logit_bias:
            request = replace(request, bias=tuple((int(token), more) for token, more in self.logit_bias.items()))
        if guide is not None:
            request = replace(request, guide=guide)
        if log is not None:
            if guide is not None and not runtime.guides_go_on and log.ids:
                log.refuse()
            request = replace(request, made=self._taken_over(log, most))
        if album:
            request = replace(request, pictures=album.pngs())
        if offer is not None:
            request = replace(request, shown=tuple((id_, text) for text, id_ in runtime.encoder.call_marks.items()))
        waits = Waits(self.told) if self.told is not None else None
        told = waits.waiting if waits is not None else None
        for event in runtime.host.generate(request, self.interrupt, batch=self.behind, told=told):
            if waits is not None:
                waits.begun()
            if log is not None and isinstance(event, Delta):
                log.add(event.ids)
            message = (
                _last(event, self.model, runtime.engine, album.notes())
                if isinstance(event, Done)
                else AIMessageChunk(content=event.text)
            )
            yield ChatGenerationChunk(message=message)

    def _prompt(
        self, messages: Sequence[BaseMessage], room: int, offer: Offer | None = None
    ) -> tuple[tuple[int, ...], Album]:
        """The prompt and the pictures in it, cut up as finely as leaves ``room`` tokens for the answer."""
        album = Album(self.model, self.runtime.pictures, *([self.runtime.crops] if self.runtime.crops else []))
        turns = to_turns(messages, self.model, album, tools=self.runtime.encoder.takes_tools)
        tokens = self.runtime.encoder.encode(turns, album.marks, offer)
        return album.place(tokens, self.runtime.session - room), album

    def _taken_over(self, log: TokenLog, most: int) -> tuple[int, ...]:
        """What an earlier attempt made, unless it was another model's or had other limits."""
        if len(log.ids) > most or any(not 0 <= number < self.runtime.vocabulary for number in log.ids):
            log.refuse()
        return log.ids

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _options(self) -> GenerationOptions:
        return merge(
            GenerationOptions(),
            self.model,
            **{name: getattr(self, name) for name in OPTIONS},
        )

    def _room(self, options: GenerationOptions) -> int:
        """Tokens kept for the answer."""
        session = self.runtime.session
        if options.max_tokens is None:
            return min(_ROOM, session // 4)
        if options.max_tokens >= session:
            raise OptionUnsupported(
                f"max_tokens {options.max_tokens} leaves no room for a prompt in a session of {session} tokens.",
                hint=f"Ask for less than {session}; {self.runtime.length_setting} sets it where the model allows.",
                subject=self.model,
                option="max_tokens",
                limit=session - 1,
            )
        return options.max_tokens

    def _overflow(self, tokens: int, limit: int, pictures: int = 0) -> ContextOverflow:
        send = "fewer pictures or less text" if pictures else "less text"
        return ContextOverflow(
            f"The prompt has {tokens} tokens; {self.model} takes {limit} and an answer.",
            hint=f"Send {send}, ask for a shorter answer (max_tokens), or raise {self.runtime.length_setting}.",
            subject=self.model,
            tokens=tokens,
            limit=limit,
        )

    def _offer(self, tools: Sequence[Any] | None, choice: Any) -> Offer | None:
        offer = offer_of(tools, choice, self.model)
        if offer is None or self.runtime.encoder.takes_tools:
            return offer
        raise OptionUnsupported(
            f"{self.model} can't be offered tools: its chat template has no place for them.",
            hint="Use a model that knows tools, such as onnx:phi-4-mini, openvino:phi-4-mini or ollama:phi4-mini.",
            subject=self.model,
            option="tools",
            param="tools",
        )

    def _no_adapter(self, name: str) -> OptionUnsupported:
        known = ", ".join(self.runtime.adapters)
        onnx = "Put its NAME.onnx_adapter into the model's folder" if self.runtime.engine == "onnx" else ""
        return OptionUnsupported(
            f"{self.model} has no adapter '{name}'." if known or onnx else f"{self.model} can't put on adapters.",
            hint=f"It has {known}." if known else f"{onnx or 'Use an onnx: model that has it'}, or leave adapter out.",
            subject=self.model,
            option="adapter",
            param="adapter",
        )

    def _held_to(self, offer: Offer, guide: Guide | None) -> Guide | None:
        """The form of the answer: that of its calls, where it must call."""
        if guide is not None:
            raise OptionUnsupported(
                f"{self.model} can't be held to a response_format while it may call tools.",
                hint='Leave one of the two out, or set tool_choice to "none".',
                subject=self.model,
                option="response_format",
                param="response_format",
            )
        if not offer.must:
            return None
        if not self.runtime.guides:
            raise self._no_form()
        return offer.guide()

    def _no_form(self) -> OptionUnsupported:
        return OptionUnsupported(
            f"{self.model} can't be held to a form, such as that of a call, here.",
            hint='Leave response_format out and set tool_choice to "auto", or: pip install llguidance',
            subject=self.model,
            option="response_format",
            param="response_format",
        )


def _last(done: Done, model: str, engine: str, notes: list[str]) -> AIMessageChunk:
    usage = UsageMetadata(
        input_tokens=done.prompt_tokens,
        output_tokens=done.completion_tokens,
        total_tokens=done.prompt_tokens + done.completion_tokens,
    )
    if done.kept_tokens:
        usage["input_token_details"] = {"cache_read": done.kept_tokens}
    metadata = {"finish_reason": done.finish_reason, "model_name": model, "model_provider": engine, "notes": notes}
    return AIMessageChunk(content="", usage_metadata=usage, response_metadata=metadata, chunk_position="last")
