"""What the engines that speak to a server share: its faults, in our words."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpcore
import httpx

from agents.errors import ContextOverflow
from knowledge.errors import PhiqError
from workers.engines.prompt import Budget
from workers.errors import EngineDown, EngineProtocolError, EngineTimeout

Chunk = TypeVar("Chunk")


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
        hint=f"Is that at {server.address} the right one? If so, look into its log and update it.",
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
