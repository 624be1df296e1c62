"""OpenAI's chat protocol over our wire, in the shape langchain-openai expects of its client.

``ChatOpenAI`` asks its client for ``create(**payload)`` and walks over what comes back. Handing it this object
keeps its messages, options and tools, and replaces what phiq needs otherwise: a stream that can be stopped
before its first token, that tells a broken end from a whole one, and a key that no LangChain object holds.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any, Self

import httpx
from pydantic import SecretStr

from knowledge.errors import PhiqError
from workers.engines.presets import PRESETS, key_variable, url_variable
from workers.engines.prompt import Budget
from workers.engines.remote import Server, border, malformed, overflow, shown
from workers.engines.wire import Patience, client
from workers.errors import EngineDenied, EngineDown, EngineProtocolError, EngineTimeout, ModelNotFound

PUBLIC = "https://api.openai.com/v1"


class Parts:
    """A stream of parsed parts that closes its connection on leaving the block."""

    def __init__(self, parts: Iterator[dict[str, Any]]) -> None:
        self._parts = parts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._parts


class Completions:
    """The chat completions of one server, for one job.

    Args:
        url: The server's base address; None is OpenAI's own.
        key: Sent as a bearer token, never shown.
        timeout: Seconds without progress before giving up.
        uri: The engine URI this is for, named in errors.
        stop: Ends the run and the connection.
    """

    def __init__(self, url: str | None, key: SecretStr | None, timeout: float, uri: str, stop: threading.Event) -> None:
        scheme = uri.partition(":")[0]
        preset = PRESETS.get(scheme)
        self._variables = url_variable(scheme), key_variable(scheme)
        self._url = (url or PUBLIC).rstrip("/")
        self._named = url is not None
        self._key = key
        self._timeout = timeout
        self._stop = stop
        secret = key.get_secret_value() if key is not None else ""
        name = preset.title if preset else "The server"
        start = preset.start if preset else f"Start the server at {self._variables[0]}."
        self.server = Server(name, shown(self._url), start, uri, secret)
        self.budget = Budget(4096, 1024)

    def create(self, **payload: Any) -> Parts:
        """Start a chat.

        Returns:
            A context manager that is an iterator of parts.

        Raises (from the iterator):
            Interrupted: when ``stop`` is set.
            EngineDenied, ModelNotFound, EngineDown, EngineTimeout, EngineProtocolError, ContextOverflow: as named.
        """
        if self._named and "max_completion_tokens" in payload:
            # Older compatible servers know only the old name, and would ignore the limit without a word.
            payload["max_tokens"] = payload["max_completion_tokens"]
        payload |= payload.pop("extra_body", None) or {}
        return Parts(self._parts(payload))

    def _parts(self, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        model = str(payload.get("model", ""))
        patience = Patience(self._stop, self._timeout)
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"} if self._key is not None else {}
        finished = False
        with (
            border(self.server, doing="generating"),
            client(patience) as http,
            http.stream("POST", f"{self._url}/chat/completions", json=payload, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                response.read()
                raise self._refused(response.status_code, response.text, model, response.headers.get("retry-after"))
            for line in response.iter_lines():
                if not line.startswith("data:"):
                    if line.strip() and not line.startswith((":", "event:", "id:", "retry:")):
                        raise malformed(self.server, f"no event: {line[:120]}")
                    continue
                data = line[5:].strip()
                if data == "[DONE]":
                    return
                part = self._part(data, model)
                finished = finished or any(choice.get("finish_reason") for choice in part.get("choices", []))
                yield part
                patience.touch()
        if not finished:
            raise EngineProtocolError(
                "The server's answer broke off while generating.", hint="Try again.", subject=self.server.uri
            )

    def _part(self, data: str, model: str) -> dict[str, Any]:
        try:
            part = json.loads(data)
        except ValueError as error:
            raise malformed(self.server, f"no JSON: {data[:120]}") from error
        if isinstance(part, dict) and part.get("error"):
            status = part["error"].get("code") if isinstance(part["error"], dict) else None
            raise self._refused(status if isinstance(status, int) else 500, data, model, None)
        choices = part.get("choices") if isinstance(part, dict) else None
        if not isinstance(choices, list) or not all(
            isinstance(choice, dict) and isinstance(choice.get("delta"), dict | None) for choice in choices
        ):
            raise malformed(self.server, f"a part without choices: {data[:120]}")
        for choice in choices:
            choice.setdefault("delta", None)
            content = (choice["delta"] or {}).get("content")
            if content is not None and not isinstance(content, str):
                raise malformed(self.server, f"content that is no text: {data[:120]}")
        return dict(part)

    def _refused(self, status: int, text: str, model: str, retry_after: str | None) -> PhiqError:
        words, code = _reason(text)
        said = self.server.clean(words) or "no reason given"
        uri = self.server.uri
        too_long = overflow(self.server, f"{code} {words}", self.budget) if 400 <= status < 500 else None
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return EngineDenied(
                f"{self.server.address} refuses the key or the request: {said}.",
                hint=f"Set {self._variables[1]} to a key that may use this model.",
                subject=uri,
            )
        if status == httpx.codes.NOT_FOUND:
            return ModelNotFound(
                f"{self.server.address} has no model '{model}': {said}.",
                hint=f"curl {self.server.address}/models lists what it has; {self._variables[0]} ends in /v1 mostly.",
                subject=uri,
            )
        if too_long is not None and status != httpx.codes.TOO_MANY_REQUESTS:
            return too_long
        if status == httpx.codes.TOO_MANY_REQUESTS or code == "insufficient_quota":
            seconds = _seconds(retry_after)
            return EngineDown(
                f"{self.server.address} asks to wait (HTTP 429): {said}.",
                hint=f"It is tried again after {seconds:g} s." if seconds else "It is tried again later.",
                subject=uri,
                **({"retry_after": seconds} if seconds else {}),
            )
        if status in (httpx.codes.REQUEST_TIMEOUT, httpx.codes.GATEWAY_TIMEOUT):
            return EngineTimeout(f"{self.server.address} timed out: {said}.", hint="Try again.", subject=uri)
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return EngineDown(
                f"{self.server.address} failed (HTTP {status}): {said}.",
                hint="Try again; look into the server's log.",
                subject=uri,
            )
        if 400 <= status < 500:
            return EngineDenied(
                f"{self.server.address} refuses the request (HTTP {status}): {said}.",
                hint="Leave out the option it names; docs/engines.md says which engine honours which.",
                subject=uri,
            )
        return malformed(self.server, f"HTTP {status}: {said}")


def _reason(text: str) -> tuple[str, str]:
    try:
        error = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        return text, ""
    if isinstance(error, dict):
        return str(error.get("message") or error), str(error.get("code") or "")
    return str(error), ""


def _seconds(retry_after: str | None) -> float:
    try:
        return max(0.0, float(retry_after or 0))
    except ValueError:
        return 0.0  # a date: rare enough to be treated as "later"
