"""Ollama's HTTP API, as far as phiq speaks it: show, chat, pull, delete, list.

ollama's own client lacks what matters here: it has no switch against cutting a long prompt, can't be stopped
while it waits for a first token, and takes a stream that breaks off for one that ended.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from knowledge.errors import PhiqError
from workers.engines.prompt import Budget
from workers.engines.remote import Server, border, malformed, overflow, shown
from workers.engines.wire import Patience, client
from workers.errors import (
    EngineDenied,
    EngineDown,
    EngineLost,
    EngineOutOfMemory,
    EngineProtocolError,
    ModelNotFound,
)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ModelFacts:
    """What Ollama says of a model: 0, None or empty where it says nothing. ``since`` changes with its files."""

    context: int = 0
    capabilities: frozenset[str] | None = None
    since: str = ""


class OllamaAPI:
    """One Ollama server.

    Args:
        url: Its address; a user name and password in it are sent as basic authentication and never shown.
        timeout: Seconds without progress before giving up.
        uri: The engine URI this is for, named in errors.
    """

    def __init__(self, url: str, timeout: float, uri: str) -> None:
        self._url = shown(url).rstrip("/")
        self._timeout = timeout
        parts = httpx.URL(url)
        # Sent as a header of its own: httpx logs addresses as they are, password and all.
        self._auth = httpx.BasicAuth(parts.username, parts.password) if parts.username else None
        self.server = Server("Ollama", self._url, "ollama serve", uri, parts.password)

    def show(self, model: str, stop: threading.Event) -> ModelFacts:
        """What a model can do.

        Raises:
            ModelNotFound: with the exact pull command.
            EngineDown, EngineTimeout, EngineProtocolError: as the names say.
        """
        answer = self._ask("POST", "/api/show", {"model": model}, model, stop)
        info = answer.get("model_info")
        context = 0
        if isinstance(info, dict):
            context = next((v for k, v in info.items() if k.endswith(".context_length") and isinstance(v, int)), 0)
        capabilities = answer.get("capabilities")
        can = frozenset(map(str, capabilities)) if isinstance(capabilities, list) else None
        return ModelFacts(context, can, str(answer.get("modified_at") or ""))

    def models(self, stop: threading.Event) -> list[str]:
        """Names of the models Ollama has."""
        return list(self.digests(stop))

    def digests(self, stop: threading.Event) -> dict[str, str]:
        """The models Ollama has: names, and the SHA-256 of each one's manifest (empty where it says none)."""
        listed = self._ask("GET", "/api/tags", None, "", stop).get("models")
        if not isinstance(listed, list):
            raise malformed(self.server, "a list of models without models")
        return {
            str(entry["name"]): str(entry.get("digest") or "").removeprefix("sha256:")
            for entry in listed
            if isinstance(entry, dict) and "name" in entry
        }

    def chat(
        self, body: Mapping[str, Any], budget: Budget, model: str, stop: threading.Event
    ) -> Iterator[dict[str, Any]]:
        """Stream a chat; the last part has ``done``. Closing the iterator closes the connection.

        Raises:
            Interrupted: when ``stop`` is set.
            ContextOverflow: when the server finds the prompt too long.
            PhiqError: see ``show``; EngineProtocolError also when the stream breaks off.
        """
        for part in self._stream("/api/chat", body, budget, model, stop, doing="generating"):
            message = part.get("message")
            if not isinstance(message, dict) or not isinstance(message.get("content", ""), str):
                raise malformed(self.server, f"a part without a message: {json.dumps(part)[:120]}")
            yield part
            if part.get("done") is True:
                return
        raise self._cut("generating")

    def pull(self, model: str, progress: Progress, stop: threading.Event) -> None:
        """Let Ollama fetch a model.

        Args:
            model: Its name in Ollama.
            progress: Called with bytes done, bytes in all, and the layer (or what Ollama does).
            stop: Ends the pull; Ollama keeps what it has and goes on from there next time.

        Raises:
            ModelNotFound: when the library has no such model.
            PhiqError: see ``show``.
        """
        for part in self._pull_parts(model, stop):
            status = part.get("status")
            if not isinstance(status, str):
                raise malformed(self.server, f"a part without a status: {json.dumps(part)[:120]}")
            total, done = part.get("total"), part.get("completed")
            progress(
                done if isinstance(done, int) else 0,
                total if isinstance(total, int) else 0,
                str(part.get("digest") or status),
            )
            if status == "success":
                return
        raise self._cut(f"pulling {model}")

    def _pull_parts(self, model: str, stop: threading.Event) -> Iterator[dict[str, Any]]:
        try:
            body = {"model": model, "stream": True}
            yield from self._stream("/api/pull", body, None, model, stop, doing=f"pulling {model}")
        except ModelNotFound as error:
            raise ModelNotFound(
                f"Ollama's library has no model '{model}'.",
                hint="phiq models list names those of the Phi family.",
                subject=self.server.uri,
            ) from error

    def delete(self, model: str, stop: threading.Event) -> None:
        """Remove a model from Ollama.

        Raises:
            ModelNotFound: when Ollama has no such model.
        """
        self._ask("DELETE", "/api/delete", {"model": model}, model, stop)

    def _ask(self, method: str, path: str, body: Any, model: str, stop: threading.Event) -> dict[str, Any]:
        patience = Patience(stop, min(self._timeout, 30.0))
        with border(self.server, doing=f"asking {path}"), client(patience, auth=self._auth) as http:
            response = http.request(method, self._url + path, json=body)
            if response.status_code != httpx.codes.OK:
                raise self._refused(response.status_code, response.text, model, None)
            if not response.content:
                return {}
            return self._object(response.text)

    def _stream(
        self, path: str, body: Any, budget: Budget | None, model: str, stop: threading.Event, *, doing: str
    ) -> Iterator[dict[str, Any]]:
        patience = Patience(stop, self._timeout)
        with (
            border(self.server, doing=doing),
            client(patience, auth=self._auth) as http,
            http.stream("POST", self._url + path, json=body) as response,
        ):
            if response.status_code != httpx.codes.OK:
                response.read()
                raise self._refused(response.status_code, response.text, model, budget)
            for line in response.iter_lines():
                if not line.strip():
                    continue
                part = self._object(line)
                if "error" in part:
                    raise self._refused(response.status_code, line, model, budget)
                patience.check()
                yield part
                patience.touch()  # only now: the caller's own time is not the server's

    def _object(self, text: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise malformed(self.server, f"no JSON: {text[:120]}") from error
        if not isinstance(value, dict):
            raise malformed(self.server, f"no JSON object: {text[:120]}")
        return value

    def _refused(self, status: int, text: str, model: str, budget: Budget | None) -> PhiqError:
        try:
            words = str(json.loads(text)["error"])
        except (ValueError, KeyError, TypeError):
            words = text
        said = self.server.clean(words)
        lower = words.lower()
        if status == httpx.codes.NOT_FOUND or "not found" in lower or "file does not exist" in lower:
            return missing(model, self.server.uri)
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return EngineDenied(
                f"Ollama refuses the request: {said}.",
                hint="Put USER:PASSWORD@ into PHIQ_OLLAMA_URL, as the server's proxy asks.",
                subject=self.server.uri,
            )
        if budget is not None and (too_long := overflow(self.server, words, budget)) is not None:
            return too_long
        if "memory" in lower and ("more" in lower or "out of" in lower or "available" in lower):
            return EngineOutOfMemory(
                f"Ollama has too little memory for {model}: {said}.",
                hint="Use a smaller model, or lower PHIQ_OLLAMA_CONTEXT.",
                subject=self.server.uri,
            )
        if "runner" in lower and ("terminated" in lower or "stopped" in lower or "crash" in lower):
            return EngineLost(f"Ollama's runner ended: {said}.", hint="Try again.", subject=self.server.uri)
        if status in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.BAD_GATEWAY):
            return EngineDown(f"Ollama is busy: {said}.", hint="Try again later.", subject=self.server.uri)
        return EngineProtocolError(
            f"Ollama failed (HTTP {status}): {said or 'no reason given'}.",
            hint="Look into Ollama's own log; updating it may help.",
            subject=self.server.uri,
        )

    def _cut(self, doing: str) -> EngineProtocolError:
        return EngineProtocolError(
            f"Ollama's answer broke off while {doing}.", hint="Try again.", subject=self.server.uri
        )


def missing(model: str, uri: str) -> ModelNotFound:
    """The error for a model Ollama does not have."""
    return ModelNotFound(
        f"Ollama has no model '{model}'.",
        hint=f"ollama pull {model}   (or: phiq models pull ollama:{model})",
        subject=uri,
    )
