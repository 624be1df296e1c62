"""What the engines that speak to a server share: its faults in our words, and what is checked before a run."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpcore
import httpx
from langchain_core.messages import BaseMessage

from agents.errors import ContextOverflow, ModelCannotSee
from knowledge.errors import PhiqError, UserError
from workers.engines.estimate import estimate, images_of, tokens_of
from workers.engines.markers import break_markers
from workers.errors import EngineDown, EngineProtocolError, EngineTimeout

Chunk = TypeVar("Chunk")

ROOM = 1024
"""Tokens kept for an answer when nobody says how long it may be; at most a quarter of the context."""


@dataclass(frozen=True)
class Server:
    """Who is spoken to, as people should read it. ``secret`` is taken out of everything that is shown."""

    name: str
    address: str
    start: str
    uri: str
    secret: str = field(default="", repr=False)

    def clean(self, text: str) -> str:
        """A server's own words, short and without the key."""
        if self.secret:
            text = text.replace(self.secret, "***")
        text = re.sub(r"(?i)bearer\s+\S+", "Bearer ***", text)
        return " ".join(text.split())[:300]


@dataclass(frozen=True)
class Budget:
    """Tokens of a model: ``context`` for prompt and answer, ``room`` of them kept for the answer."""

    context: int
    room: int

    @classmethod
    def of(cls, context: int, max_tokens: int | None, uri: str) -> Budget:
        """Share out a context.

        Raises:
            ContextOverflow: when the answer asked for leaves no place for a prompt.
        """
        room = max_tokens if max_tokens is not None else max(1, min(ROOM, context // 4))
        if room >= context:
            raise ContextOverflow(
                f"max_tokens {room} leaves no place for a prompt in a context of {context} tokens.",
                hint="Ask for a shorter answer, or raise PHIQ_OLLAMA_CONTEXT or PHIQ_OPENAI_CONTEXT.",
                subject=uri,
                tokens=room,
                limit=context,
            )
        return cls(context, room)

    def check(self, messages: Sequence[BaseMessage], tools: Sequence[Any] | None, uri: str) -> int:
        """Count a prompt and refuse one that does not fit.

        Returns:
            Its estimated tokens.

        Raises:
            ContextOverflow: before anything is sent.
        """
        tokens = count(messages, tools)
        if tokens > self.context - self.room:
            raise ContextOverflow(
                f"The prompt has about {tokens} tokens, {self.context - self.room} fit.",
                hint="Send less, ask for a shorter answer, or use a longer context (docs/engines.md).",
                subject=uri,
                tokens=tokens,
                limit=self.context - self.room,
            )
        return tokens


def count(messages: Sequence[BaseMessage], tools: Sequence[Any] | None = None) -> int:
    """Tokens of a prompt, rounded up, tools included."""
    return estimate(messages) + sum(tokens_of(str(tool)) for tool in tools or ())


def disarm(messages: Sequence[BaseMessage]) -> tuple[list[BaseMessage], list[str]]:
    """Break the control markers in every message; the originals stay as they are.

    Returns:
        The messages to send, and the markers found.
    """
    found: list[str] = []
    result = []
    for message in messages:
        content, markers = _disarm(message.content)
        found += markers
        result.append(message.model_copy(update={"content": content}) if markers else message)
    return result, list(dict.fromkeys(found))


def _disarm(content: Any) -> tuple[Any, list[str]]:
    if isinstance(content, str):
        return break_markers(content)
    found: list[str] = []
    parts = []
    for part in content:
        new = part
        if isinstance(part, str):
            new, markers = break_markers(part)
        elif isinstance(part.get("text"), str):
            text, markers = break_markers(part["text"])
            new = {**part, "text": text}
        else:
            markers = []
        found += markers
        parts.append(new)
    return parts, found


def check_images(messages: Sequence[BaseMessage], *, sees: bool, uri: str) -> None:
    """Refuse pictures a model can't see, and those that are not in the message itself.

    Raises:
        ModelCannotSee: the model has no vision.
        UserError: a picture is an address; a server that fetched it would leave this machine.
    """
    if not any(images_of(message) for message in messages):
        return
    if not sees:
        raise ModelCannotSee(
            f"The model {uri} can't see pictures.",
            hint="Use a model with vision (phiq models list shows which), or --model extractive, which reads text.",
            subject=uri,
        )
    for message in messages:
        for part in message.content if isinstance(message.content, list) else ():
            if isinstance(part, dict) and part.get("type") in ("image", "image_url"):
                address = part.get("url") or part.get("image_url") or ""
                address = address.get("url", "") if isinstance(address, dict) else address
                if str(address).startswith(("http:", "https:", "file:")):
                    raise UserError("A picture must be sent as base64, not as an address.", subject=uri)


@contextmanager
def border(server: Server, *, doing: str) -> Iterator[None]:
    """Make what the network raises ours.

    Raises:
        EngineDown: nobody listens, or the connection broke before an answer began.
        EngineTimeout: nothing came for too long.
        EngineProtocolError: the answer was cut or is not HTTP.
    """
    try:
        yield
    except (httpx.ConnectError, httpcore.ConnectError, httpx.ConnectTimeout, httpcore.ConnectTimeout) as error:
        raise EngineDown(
            f"{server.name} does not answer at {server.address}.", hint=server.start, subject=server.uri
        ) from error
    except (httpx.TimeoutException, httpcore.TimeoutException) as error:
        raise EngineTimeout(
            f"{server.name} gave nothing for too long while {doing}.",
            hint="Try again; PHIQ_ENGINE_TIMEOUT sets how long phiq waits for the next token.",
            subject=server.uri,
        ) from error
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, UnicodeError) as error:
        raise _broken(server, doing, error) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        raise _broken(server, doing, error) from error


def _broken(server: Server, doing: str, error: Exception) -> EngineProtocolError:
    return EngineProtocolError(
        f"The answer of {server.name} was cut or is not what its protocol says, while {doing}: "
        f"{server.clean(str(error)) or type(error).__name__}.",
        hint="Try again; if it stays, look into the server's own log.",
        subject=server.uri,
    )


def malformed(server: Server, what: str) -> EngineProtocolError:
    """The error for an answer that is HTTP but not the server's protocol."""
    return EngineProtocolError(
        f"{server.name} answered with what its protocol does not know: {server.clean(what)}.",
        hint=f"Is {server.address} really {server.name}? If so, look into its log and update it.",
        subject=server.uri,
    )


def guarded(chunks: Iterator[Chunk], server: Server) -> Iterator[Chunk]:
    """Pass chunks on; a part that LangChain's conversion stumbles over becomes the server's protocol error."""
    try:
        while True:
            try:
                chunk = next(chunks)
            except StopIteration:
                return
            except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
                raise malformed(server, f"a part that can't be read ({type(error).__name__}: {error})") from error
            yield chunk
    finally:
        # Closed here and now, not when the garbage collector comes by: it ends the server's work.
        if isinstance(chunks, Generator):
            chunks.close()


def overflow(server: Server, words: str, budget: Budget, tokens: int | None = None) -> PhiqError | None:
    """The error for a server's complaint that a prompt is too long; None when its words say something else."""
    if not re.search(
        r"(?i)context (size|length|window)|maximum context|exceed_context|too long|context_length", words
    ) and not (tokens):
        return None
    told = re.search(r"(?i)n_prompt_tokens\W+(\d+)|\((\d+) tokens\)|resulted in (\d+) tokens", words)
    number = tokens or (int(next(group for group in told.groups() if group)) if told else budget.context)
    return ContextOverflow(
        f"The prompt has {number} tokens as {server.name} counts them and does not fit its context.",
        hint="Send less, ask for a shorter answer, or use a longer context (docs/engines.md).",
        subject=server.uri,
        tokens=number,
        limit=budget.context - budget.room,
    )


def shown(address: str) -> str:
    """An address without user name and password."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
