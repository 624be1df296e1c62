"""The table of engines: from a URI to an engine, made once per worker and shared by its threads."""

from __future__ import annotations

import importlib
import ipaddress
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast
from urllib.parse import urlsplit

from knowledge.errors import PhiqError
from workers.engines.base import Engine, EngineURI
from workers.engines.presets import PRESETS, url_variable
from workers.engines.route import parse_route
from workers.errors import EngineDown, EngineNotInstalled, EngineRefused, EngineUnknown, SettingsInvalid
from workers.models.folder import Form
from workers.models.shelf import Shelf
from workers.settings import Settings


@dataclass(frozen=True)
class EngineSpec:
    """Where an engine's class is, and the command that installs what it needs."""

    target: str
    install: str
    names_model: str


ENGINES: Mapping[str, EngineSpec] = MappingProxyType(
    {
        "onnx": EngineSpec("workers.engines.onnx:OnnxEngine", "pip install onnxruntime-genai", "onnx:phi-3.5-mini"),
        "openvino": EngineSpec(
            "workers.engines.openvino:OpenVINOEngine", "pip install 'phiq[openvino]'", "openvino:phi-3.5-mini"
        ),
        "transformers": EngineSpec(
            "workers.engines.transformers:TransformersEngine",
            "pip install 'phiq[transformers]'",
            "transformers:phi-3.5-mini",
        ),
        "mlx": EngineSpec("workers.engines.mlx:MLXEngine", "pip install 'phiq[mlx]'", "mlx:phi-3.5-mini"),
        "ollama": EngineSpec("workers.engines.ollama:OllamaEngine", "pip install langchain-ollama", "ollama:phi3.5"),
        "openai": EngineSpec("workers.engines.openai:OpenAIEngine", "pip install langchain-openai", "openai:NAME"),
        **{
            scheme: EngineSpec(
                "workers.engines.openai:OpenAIEngine", "pip install langchain-openai", f"{scheme}:{preset.models[0]}"
            )
            for scheme, preset in PRESETS.items()
        },
        "fake": EngineSpec("workers.engines.fake:FakeEngine", "pip install langchain-core", "fake:echo"),
    }
)


class Registry:
    """The engines of one worker.

    ``get`` may be called from any thread: an engine is made by the first caller while the others wait, one lock
    a URI, so that loading one model holds up nobody who wants another.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._engines: dict[str, Engine] = {}
        self._closed = False

    def check(self, uri: str) -> EngineURI:
        """Say at once whether a URI could be used here, loading nothing.

        Raises:
            EngineUnknown: no such engine.
            EngineRefused: a setting forbids it.
            SettingsInvalid: a setting it needs is missing or no address.
        """
        parsed = EngineURI.parse(uri)
        if parsed.scheme in ("extractive", "auto"):
            return parsed
        if parsed.scheme not in ENGINES:
            known = ", ".join(spec.names_model for scheme, spec in ENGINES.items() if scheme != "fake")
            raise EngineUnknown(
                f"There is no engine '{parsed.scheme}'.",
                hint=f"Write extractive, or one of: {known}. phiq models list shows what is here.",
                subject=uri[:80],
            )
        if parsed.scheme == "fake" and not self._settings.allow_fake_engine:
            raise EngineRefused(
                "The fake engine is for tests and load tests: it makes its answers up.",
                hint="Name a real model (phiq models list), or set PHIQ_ALLOW_FAKE_ENGINE=true for a load test.",
                subject=uri[:80],
            )
        if parsed.scheme == "ollama":
            self._check_address(uri, "PHIQ_OLLAMA_URL", self._settings.ollama_url)
        elif parsed.scheme == "openai":
            self._check_address(uri, "PHIQ_OPENAI_BASE_URL", self._settings.openai_base_url)
        elif (preset := PRESETS.get(parsed.scheme)) is not None:
            address = getattr(self._settings, f"{parsed.scheme}_url") or preset.url
            if address is None:
                raise SettingsInvalid(
                    f"{preset.title} has no address that is the same for everybody.",
                    hint=f"Set {url_variable(parsed.scheme)}, such as https://NAME.services.ai.azure.com/openai/v1",
                    subject=uri[:80],
                )
            self._check_address(uri, url_variable(parsed.scheme), address)
        return parsed

    def check_route(self, model: str) -> tuple[EngineURI, ...]:
        """The engines that a job's model names, in order; each could be used here.

        Raises:
            PhiqError: what `check` raises of any of them.
        """
        return tuple(self.check(str(uri)) for uri in parse_route(model))

    def get(self, uri: str) -> Engine:
        """The engine behind a URI.

        Raises:
            EngineNotInstalled: naming the command that installs what is missing.
            PhiqError: what ``check`` raises, and what keeps the engine from being made.
        """
        parsed = self.check(uri)
        if parsed.scheme == "extractive":
            raise EngineUnknown(
                "The extractive engine runs no model.", hint="The runner answers it itself.", subject=uri
            )
        key = self._key(parsed)
        with self._guard:
            if self._closed:
                raise _stopping(uri)
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            engine = self._engines.get(key)
            if engine is None:
                engine = _load(parsed).from_settings(parsed, self._settings)
                self._keep(key, engine)
            return engine

    def _keep(self, key: str, engine: Engine) -> None:
        with self._guard:
            if not self._closed:
                self._engines[key] = engine
                return
        engine.close()  # closed while it was being made: nobody else would close it
        raise _stopping(key)

    def engines(self) -> dict[str, Engine]:
        """What is loaded now, by URI."""
        with self._guard:
            return dict(self._engines)

    def close(self) -> None:
        """Close every engine; safe to call twice. The first error is raised after all were closed."""
        with self._guard:
            self._closed = True
            engines, self._engines = list(self._engines.values()), {}
        first: PhiqError | None = None
        for engine in engines:
            try:
                engine.close()
            except PhiqError as error:
                first = first or error
        if first is not None:
            raise first

    def _key(self, uri: EngineURI) -> str:
        """One key for a model's several names, so that its weights are loaded once."""
        if uri.scheme in ("onnx", "openvino") and not Path(uri.name).is_absolute():
            form = cast("Form", uri.scheme)
            return f"{form}:{Shelf(self._settings.data_dir).canonical(uri.name, form)}"
        return str(uri)

    def _check_address(self, uri: str, variable: str, address: str | None) -> None:
        if address is None and self._settings.local_only:
            raise EngineRefused(
                f"{variable} names no server, and the public one is not on this machine.",
                hint=f"Set {variable} to a server here, or PHIQ_LOCAL_ONLY=false to let words leave this machine.",
                subject=uri[:80],
            )
        if address is None:
            return
        try:
            parts = urlsplit(address)
            host = parts.hostname or ""
            _ = parts.port
        except ValueError:
            host = ""
        if not host or parts.scheme not in ("http", "https"):
            raise SettingsInvalid(
                f"{variable} is no http address.",
                hint=f"Write {variable}=http://HOST:PORT",
                subject=variable,
            )
        if self._settings.local_only and not is_loopback(host):
            raise EngineRefused(
                f"{uri} would send words to {host}, which is not this machine.",
                hint="Set PHIQ_LOCAL_ONLY=false to allow it.",
                subject=uri[:80],
            )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name: no resolver is asked, which could say anything."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _stopping(uri: str) -> EngineDown:
    return EngineDown("The worker is stopping.", hint="The job runs again on another worker.", subject=uri)


class _Made(Engine):
    """What every engine's class offers beside the contract."""

    @classmethod
    def from_settings(cls, uri: EngineURI, settings: Settings) -> Engine:
        """An engine for one URI."""
        raise NotImplementedError


def _load(uri: EngineURI) -> type[_Made]:
    spec = ENGINES[uri.scheme]
    module, _, name = spec.target.partition(":")
    try:
        return cast("type[_Made]", getattr(importlib.import_module(module), name))
    except ImportError as error:
        if (error.name or "").split(".")[0] in ("workers", "agents", "tools", "knowledge"):
            raise  # our own mistake, not a missing package
        raise EngineNotInstalled(
            f"The engine '{uri.scheme}' needs a package that is not installed ({error.name or error}).",
            hint=spec.install,
            subject=str(uri),
        ) from error
