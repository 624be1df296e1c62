"""The answer of the extractive engine to what only a generative model can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from agents.contract import Chunk
from agents.errors import NeedsModel
from agents.runnable import as_runnable

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable


def needs_model(what: str, command: str) -> NeedsModel:
    """The error, with the commands that get a model and use it.

    Args:
        what: What was asked, as the start of a sentence: ``Translation``.
        command: phiq's subcommand to run it with: ``translate``.
    """
    return NeedsModel(
        f"{what} needs a generative model; the extractive engine only quotes and measures.",
        hint=(
            f"Get one with `phiq models pull phi-3.5-mini`, then run `phiq {command} --model onnx:phi-3.5-mini …`; "
            f"with Ollama `ollama pull phi3.5`, then `phiq {command} --model ollama:phi3.5 …`."
        ),
        subject="extractive",
    )


def refuse(what: str, command: str) -> Runnable[Any, Chunk]:
    """A runnable that answers every input with :class:`NeedsModel`."""

    def steps(_: Any) -> Iterator[Chunk]:
        yield from ()
        raise needs_model(what, command)

    return as_runnable(steps, f"extractive_{command}")
