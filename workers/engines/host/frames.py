"""Frames between a model's process and workers that joined it: the pipe's messages, and nothing else.

The other side is a process of the same user, yet of another worker, perhaps of another version or broken: what comes
is read as one of our messages or not at all, and nothing in it is run.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from dataclasses import fields
from typing import Any

from workers.engines.host import protocol
from workers.engines.host.protocol import (
    Cancel,
    Cancelled,
    Delta,
    Done,
    Event,
    Failed,
    Guide,
    LoadFailed,
    Others,
    Prefilled,
    Ready,
    Request,
    Retiring,
    Waiting,
)

LONGEST = 2**28
"""Bytes of a frame: a request with pictures is the longest by far."""
HELLO = 2**16
"""Bytes of a greeting."""
_TO_CHILD = (Request, Guide, Cancel)
_FROM_CHILD = (Ready, LoadFailed, Waiting, Prefilled, Delta, Done, Cancelled, Failed, Others, Retiring)
_KINDS = {kind.__name__: kind for kind in (*_TO_CHILD, *_FROM_CHILD)}


class BadFrame(Exception):
    """Raised when a frame is none of ours."""


def protocol_id() -> str:
    """A name for the messages and their fields: versions of phiq that don't understand each other differ in it."""
    shape = [(kind.__name__, [(part.name, part.type) for part in fields(kind)]) for kind in _KINDS.values()]
    return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:12]


def pack(message: object) -> bytes:
    """A message as bytes."""
    return pickle.dumps(message, protocol=5)


def unpack_event(data: bytes) -> Event | Ready | LoadFailed:
    """What a model's process said.

    Raises:
        BadFrame: it is no message of this version.
    """
    message = _unpack(data)
    if not isinstance(message, _FROM_CHILD):
        raise BadFrame(type(message).__name__)
    return message


def unpack_order(data: bytes) -> Request | Cancel:
    """What a worker asked for.

    Raises:
        BadFrame: it is no message of this version, or one with fields of another kind.
    """
    message = _unpack(data)
    try:
        if isinstance(message, Cancel) and _small(message.id):
            return message
        if isinstance(message, Request) and _sound(message):
            return message
    except AttributeError:
        pass  # a field is missing
    raise BadFrame(type(message).__name__)


def greeting(**facts: Any) -> bytes:
    """A first frame, in a form that all versions can read."""
    return json.dumps({"protocol": protocol_id(), **facts}).encode()


def read_greeting(data: bytes) -> dict[str, Any]:
    """The other side's first frame.

    Raises:
        BadFrame: it is none.
    """
    try:
        facts = json.loads(data)
    except ValueError as error:
        raise BadFrame(str(error)) from error
    if not isinstance(facts, dict):
        raise BadFrame("no object")
    return facts


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module != protocol.__name__ or name not in _KINDS:
            raise BadFrame(f"{module}.{name}")
        return _KINDS[name]


def _unpack(data: bytes) -> object:
    try:
        return _Reader(io.BytesIO(data)).load()
    except BadFrame:
        raise
    except Exception as error:  # bytes from elsewhere raise nearly anything there
        raise BadFrame(type(error).__name__) from error


def _small(number: object) -> bool:
    """Whether it is a number that the libraries can take, be it the wrong one."""
    return type(number) is int and -(2**31) <= number < 2**31


def _sound(request: Request) -> bool:
    """Whether the fields are what the scheduler and the libraries rely on."""
    lists = (request.tokens, request.made, request.stop, request.pictures, request.shown)
    if any(type(many) is not tuple for many in lists):
        return False
    whole = (request.max_tokens, request.top_k, request.seed, request.id, *request.tokens, *request.made)
    real = (request.temperature, request.top_p, request.min_p, request.repetition_penalty)
    return (
        all(map(_small, whole))
        and all(type(one) in (int, float) for one in real)
        and all(type(one) is str for one in request.stop)
        and all(type(one) is bytes for one in request.pictures)
        and type(request.batch) is bool
        and type(request.adapter) is str
        and all(type(one) is tuple and [type(part) for part in one] == [int, str] for one in request.shown)
        and (request.guide is None or _sound_guide(request.guide))
    )


def _sound_guide(guide: object) -> bool:
    return isinstance(guide, Guide) and all(type(one) is str for one in (guide.kind, guide.text))
