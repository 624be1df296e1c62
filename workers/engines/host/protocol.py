"""What goes over the pipe between a worker and its model's process: token ids in, text out.

Both ends import this and little else, so the child starts fast. Nothing here is meant for a network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length"]
Trouble = Literal["broken", "memory", "refused", "nonsense", "option"]
"""What kind of failure: ``option`` is the user's to change, ``nonsense`` are logits that are no numbers."""


@dataclass(frozen=True)
class LoadSpec:
    """Which model to load and how.

    ``backend`` names what runs it (`workers.engines.host.backends`), ``options`` are that backend's own, JSON-able.
    ``threads`` is always explicit: left to itself the library takes one on some machines. ``max_length`` bounds a
    session in tokens (prompt and answer); left to itself the library allocates for the model's whole context.
    ``slots`` is how many runs may share the model. ``bos`` is any valid token id, for the warm-up.
    """

    folder: str
    threads: int
    max_length: int
    provider: str = "cpu"
    bos: int = 1
    backend: str = "onnx"
    slots: int = 4
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def length_setting(self) -> str:
        """The setting that sets ``max_length``, for messages."""
        family = {"openvino": "OPENVINO", "transformers": "WEIGHTS", "mlx": "WEIGHTS"}.get(self.backend, "ONNX")
        return f"PHIQ_{family}_MAX_LENGTH"


@dataclass(frozen=True)
class Guide:
    """What an answer must be: ``text`` is a JSON schema, a regular expression, or a JSON list of choices."""

    kind: Literal["json_schema", "regex", "choice"]
    text: str


@dataclass(frozen=True)
class Request:
    """One run. ``temperature`` 0 is greedy; ``top_k`` 0, ``top_p`` 1, ``min_p`` 0 and ``repetition_penalty`` 1 are off.

    ``seed`` is below 2**31. ``made`` are tokens of the answer that an earlier run made: this one goes on behind them.
    They count as its own. ``batch`` runs let all others go first. ``pictures`` are PNG files made by the worker, of the
    size that `workers.engines.host.crops` brings them to; the token -1 stands for each place of the first, and so on.
    ``shown`` are control tokens whose text belongs to the answer; others give none. ``adapter`` names a file of the
    model's folder, NAME.onnx_adapter; empty: the model as it is.
    ``bias`` is added to the logits of some tokens.
    """

    tokens: tuple[int, ...]
    max_tokens: int
    made: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    id: int = 0
    batch: bool = False
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    guide: Guide | None = None
    pictures: tuple[bytes, ...] = ()
    shown: tuple[tuple[int, str], ...] = ()
    adapter: str = ""
    bias: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Cancel:
    """Asks the child to end a run at its next step; unknown ids are ignored."""

    id: int


@dataclass(frozen=True)
class Retire:
    """Tells the child, from its owner, to take no more runs of other workers and to send them away."""


@dataclass(frozen=True)
class Ready:
    """The model is loaded and warm. ``slots`` runs go at once; ``note`` is what people should know of how."""

    slots: int = 1
    note: str = ""


@dataclass(frozen=True)
class LoadFailed:
    """The model can't be loaded; the child ends after this."""

    trouble: Trouble
    message: str


@dataclass(frozen=True)
class Waiting:
    """A sign of life of a run that has no slot: its ``place`` in line, from 1, and about how many seconds it waits.

    None seconds: nothing has run yet from which to tell.
    """

    id: int
    place: int
    seconds: float | None = None


@dataclass(frozen=True)
class Prefilled:
    """A sign of life: ``done`` of ``total`` tokens are read, those of the prompt and those that were made before."""

    id: int
    done: int
    total: int


@dataclass(frozen=True)
class Delta:
    """A piece of the answer. Never empty, never part of a stop string.

    ``ids`` are the tokens made since the piece before, so that all ids so far give all text so far and what is held
    back. A run that goes on first gives the pieces made before again, without their ids.
    """

    id: int
    text: str
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Done:
    """The run's end. ``completion_tokens`` counts every token the model made, its end marker included.

    ``kept_tokens`` of the prompt were not read, since they had been read for an earlier run.
    """

    id: int
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    kept_tokens: int = 0


@dataclass(frozen=True)
class Cancelled:
    """The run ended because it was asked to."""

    id: int


@dataclass(frozen=True)
class Failed:
    """The run failed; the child goes on with the next."""

    id: int
    trouble: Trouble
    message: str


@dataclass(frozen=True)
class Others:
    """What is not this worker's: how many other workers use the model, and their runs by lane."""

    workers: int = 0
    people: int = 0
    batch: int = 0


@dataclass(frozen=True)
class Retiring:
    """The child takes no more runs of joined workers; those it has go on to their end."""


RunEvent = Waiting | Prefilled | Delta | Done | Cancelled | Failed
Event = RunEvent | Others | Retiring
