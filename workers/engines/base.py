"""The contract of an engine: how a model is run, apart from which model (profile) and what for (chain)."""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from workers.errors import EngineUnknown

if TYPE_CHECKING:
    # Over a second to import: `phiq submit` checks a URI without ever making a model.
    from langchain_core.language_models import BaseChatModel

    from workers.jobs import GenerationOptions

_URI = re.compile(r"^(?P<scheme>[a-z][a-z0-9]*):(?P<name>\S{1,512})$")


@dataclass(frozen=True)
class EngineURI:
    """``scheme:name``, such as ``onnx:phi-3.5-mini``; ``extractive`` has no name, ``auto`` needs none."""

    scheme: str
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> EngineURI:
        """Read a URI.

        Raises:
            EngineUnknown: when the text has not the form.
        """
        if text in ("extractive", "auto"):
            return cls(text)
        match = _URI.match(text)
        if match is None:
            raise EngineUnknown(
                f"'{text[:80]}' is not an engine: write ENGINE:MODEL, such as onnx:phi-3.5-mini, or extractive.",
                hint="phiq models list",
                subject=text[:80],
            )
        return cls(match["scheme"], match["name"])

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}" if self.name else self.scheme


@dataclass(frozen=True)
class EngineStatus:
    """Whether an engine would take a run now. ``message`` is for people.

    ``joined`` says that the model is in memory once, for this worker and the one that loaded it.
    """

    state: Literal["ready", "loading", "idle", "down"]
    message: str = ""
    joined: bool = False


class Engine(ABC):
    """A model that can be run, shared by the threads of a worker.

    What the chat models it makes promise the agents:

    - ``profile["max_input_tokens"]`` is the longest prompt that leaves room for the answer,
      ``profile["max_output_tokens"]`` that room; ``profile["image_inputs"]`` says whether it sees.
    - ``get_num_tokens_from_messages`` counts the prompt as it will be sent, template included (exactly where the
      tokenizer is at hand, else an estimate that errs high).
    - ``profile["tool_calling"]`` says whether ``stream`` takes ``tools`` and ``tool_choice``, and
      ``profile["structured_output"]`` whether it takes ``response_format``, all in OpenAI's forms.
    - A prompt that does not fit raises ``agents.errors.ContextOverflow`` before anything runs: nothing is cut.
    - The last chunk of a stream carries ``usage_metadata`` and ``response_metadata["finish_reason"]`` (``stop``
      or ``length``); ``response_metadata["notes"]`` is a list of sentences people must know.
    - Control markers in contents never become control tokens.
    - Where ``resumes`` is true, ``stream`` takes ``resume``, an `agents.checkpoints.TokenLog`, and goes on from the
      tokens in it; elsewhere a call of an earlier attempt starts over.
    - Where there is a ``digest``, it says which weights they run: known from the start, or once a server has answered.
    - Where there is a ``told``, it can be set to what takes a run's place in line, in words, while it waits.
    - When ``stop`` is set the run ends within one step and raises ``agents.errors.Interrupted``; closing the
      stream ends the run too.
    """

    uri: EngineURI
    loads_here: ClassVar[bool] = False
    """Whether a run may first have to wait until this process has loaded the model."""

    @abstractmethod
    def chat_model(self, options: GenerationOptions, stop: threading.Event, *, batch: bool = False) -> BaseChatModel:
        """A chat model for one job.

        Args:
            options: How to generate.
            stop: Ends every run of the model.
            batch: Its runs let those that people wait for go first, where the engine decides on the order.

        Raises:
            OptionUnsupported: naming an option this engine can't honour.
            PhiqError: what keeps the model from being used (not found, down, broken).
        """

    @abstractmethod
    def status(self) -> EngineStatus:
        """Where the engine stands, without waiting."""

    def line(self, *, batch: bool = False) -> str:
        """What a run that came now would wait for, for people; empty: it would start at once."""
        del batch
        return ""

    def close(self) -> None:  # noqa: B027 - most engines hold nothing
        """Free what the engine holds; safe to call twice."""
