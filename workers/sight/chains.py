"""Spans for what a chain asks of the outside: the model's calls and the searches. Counts and times, no words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from knowledge.errors import PhiqError
from workers.sight import tracing

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from knowledge.types import Passage, Retriever


class Generations(BaseCallbackHandler):
    """A span for each call of a model, with its tokens and the moment of the first one.

    Args:
        model: Its engine URI.
        parent: The ``traceparent`` of the span that the calls belong to.
    """

    def __init__(self, model: str, parent: str | None) -> None:
        self._model = model
        self._parent = parent
        self._open: dict[UUID, tracing.Span] = {}
        self._spoken: set[UUID] = set()

    def on_chat_model_start(self, *_asked: Any, run_id: UUID, **_: Any) -> None:
        """A call begins; what is asked is not looked at."""
        engine, name = self._model.split(":", 1) if ":" in self._model else (self._model, "")
        facts = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": engine, "gen_ai.request.model": name}
        self._open[run_id] = tracing.start(f"generate {self._model}", "client", self._parent, facts)

    def on_llm_new_token(self, *_text: Any, run_id: UUID, **_: Any) -> None:
        """Some text has come."""
        if run_id not in self._spoken and run_id in self._open:
            self._spoken.add(run_id)
            self._open[run_id].event("first text")

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """The call has ended well."""
        span = self._open.pop(run_id, None)
        self._spoken.discard(run_id)
        if span is None:
            return
        try:
            message = response.generations[0][0].message
        except (AttributeError, IndexError):
            message = None
        usage = getattr(message, "usage_metadata", None) or {}
        reason = (getattr(message, "response_metadata", None) or {}).get("finish_reason")
        span.set(
            {
                "gen_ai.usage.input_tokens": usage.get("input_tokens"),
                "gen_ai.usage.output_tokens": usage.get("output_tokens"),
                "gen_ai.response.finish_reasons": [str(reason)] if reason else None,
            }
        )
        span.end()

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """It has failed, or nobody wanted the rest."""
        span = self._open.pop(run_id, None)
        self._spoken.discard(run_id)
        if span is not None:
            if not isinstance(error, GeneratorExit):
                span.fail(error.code if isinstance(error, PhiqError) else type(error).__name__)
            span.end()


class TracedRetriever:
    """A retriever, with a span for each search."""

    def __init__(self, inner: Retriever, parent: str | None) -> None:
        self._inner = inner
        self._parent = parent

    def retrieve(self, query: str, top_k: int = 5, before: Sequence[str] = ()) -> list[Passage]:
        """What the inner one finds."""
        with tracing.span("retrieve", parent=self._parent, facts={"phiq.top_k": top_k}) as span:
            found = self._inner.retrieve(query, top_k, before)
            span.set({"phiq.passages": len(found)})
            return found


def traced_model(model: BaseChatModel, uri: str, parent: str | None) -> None:
    """Let the calls of a model be seen."""
    given = model.callbacks if isinstance(model.callbacks, list) else []
    model.callbacks = [*given, Generations(uri, parent)]
