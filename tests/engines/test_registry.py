"""Which engines may be used, and that each is made once."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from workers.engines import registry as registry_module
from workers.engines.base import Engine, EngineStatus
from workers.engines.fake import FakeEngine
from workers.engines.registry import ENGINES, EngineSpec, Registry, is_loopback
from workers.errors import EngineDown, EngineNotInstalled, EngineRefused, EngineUnknown, SettingsInvalid
from workers.settings import Settings


def make(tmp_path, **values):
    return Registry(Settings(data_dir=tmp_path, **values))


@pytest.mark.parametrize(
    ("uri", "settings", "error"),
    [
        ("phi-3.5-mini", {}, EngineUnknown),
        ("", {}, EngineUnknown),
        ("onnx:", {}, EngineUnknown),
        ("llama:phi", {}, EngineUnknown),
        ("fake:echo", {}, EngineRefused),
        ("ollama:phi3.5", {"ollama_url": "http://10.0.0.8:11434"}, EngineRefused),
        ("ollama:phi3.5", {"ollama_url": "http://ollama:11434"}, EngineRefused),
        ("ollama:phi3.5", {"ollama_url": "http://127.0.0.1.example.org:11434"}, EngineRefused),
        ("ollama:phi3.5", {"ollama_url": "http://127.0.0.1@example.org/"}, EngineRefused),
        ("ollama:phi3.5", {"ollama_url": "127.0.0.1:11434"}, SettingsInvalid),
        ("ollama:phi3.5", {"ollama_url": "http://127.0.0.1:port"}, SettingsInvalid),
        ("openai:gpt", {}, EngineRefused),
        ("openai:gpt", {"openai_base_url": "https://api.example.org/v1"}, EngineRefused),
    ],
)
def test_what_may_not_be_used_is_refused_before_anything_loads(tmp_path, uri, settings, error):
    with pytest.raises(error) as caught:
        make(tmp_path, **settings).check(uri)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("uri", "settings"),
    [
        ("extractive", {}),
        ("onnx:phi-3.5-mini", {}),
        ("ollama:phi3.5", {}),
        ("ollama:phi3.5", {"ollama_url": "http://localhost:1"}),
        ("ollama:phi3.5", {"ollama_url": "http://[::1]:1"}),
        ("ollama:phi3.5", {"ollama_url": "http://ollama:11434", "local_only": False}),
        ("openai:m", {"openai_base_url": "http://127.0.0.1:8000/v1"}),
        ("openai:m", {"local_only": False}),
        ("fake:echo", {"allow_fake_engine": True}),
    ],
)
def test_check_passes_what_could_be_used_without_loading_it(tmp_path, uri, settings):
    registry = make(tmp_path, **settings)
    assert str(registry.check(uri)) == uri
    assert registry.engines() == {}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *[(host, True) for host in ("localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1")],
        *[(host, False) for host in ("0.0.0.0", "10.0.0.1", "192.168.1.4", "localhost.example.org", "::", "")],
    ],
)
def test_loopback_is_told_by_name_alone(host, expected):
    assert is_loopback(host) is expected


class Slow(Engine):
    made: ClassVar[list[str]] = []
    gate = threading.Event()

    def __init__(self, uri):
        self.uri = uri
        self.closed = 0

    @classmethod
    def from_settings(cls, uri, settings):
        cls.made.append(str(uri))
        if uri.name == "slow":
            assert cls.gate.wait(10)
        return cls(uri)

    def chat_model(self, options, stop):
        raise NotImplementedError

    def status(self):
        return EngineStatus("ready")

    def close(self):
        self.closed += 1


@pytest.fixture
def slow(monkeypatch):
    Slow.made, Slow.gate = [], threading.Event()
    monkeypatch.setattr(registry_module, "ENGINES", {**ENGINES, "slow": EngineSpec(f"{__name__}:Slow", "-", "-")})
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Slow.__module__])
    return Slow


def test_threads_that_want_one_engine_share_it_and_others_are_not_held_up(tmp_path, slow):
    registry = make(tmp_path)
    with ThreadPoolExecutor(9) as pool:
        waiting = [pool.submit(registry.get, "slow:slow") for _ in range(8)]
        other = pool.submit(registry.get, "slow:other").result(timeout=5)
        assert not any(future.done() for future in waiting)
        slow.gate.set()
        engines = {id(future.result(timeout=5)) for future in waiting}
    assert len(engines) == 1
    assert id(other) not in engines
    assert sorted(slow.made) == ["slow:other", "slow:slow"]


def test_close_closes_each_engine_once_and_gives_none_afterwards(tmp_path, slow):
    registry = make(tmp_path)
    engine = registry.get("slow:other")
    registry.close()
    registry.close()
    assert engine.closed == 1
    with pytest.raises(EngineDown):
        registry.get("slow:other")


def test_an_engine_that_was_being_made_while_all_closed_is_closed_too(tmp_path, slow):
    registry = make(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(registry.get, "slow:slow")
        while not slow.made:
            pass
        registry.close()
        slow.gate.set()
        with pytest.raises(EngineDown):
            made.result(timeout=5)
    assert registry.engines() == {}


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain_ollama", None)
    monkeypatch.delitem(sys.modules, "workers.engines.ollama", raising=False)
    with pytest.raises(EngineNotInstalled) as caught:
        make(tmp_path).get("ollama:phi3.5")
    assert caught.value.hint == "pip install langchain-ollama"


def test_the_fake_is_given_where_it_is_allowed(tmp_path):
    assert isinstance(make(tmp_path, allow_fake_engine=True).get("fake:echo"), FakeEngine)


def test_extractive_is_not_an_engine(tmp_path):
    with pytest.raises(EngineUnknown):
        make(tmp_path).get("extractive")
