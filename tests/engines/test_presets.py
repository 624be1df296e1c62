"""Servers that are known by name: each against a server that speaks the protocol, and fails as it is told."""

from __future__ import annotations

import threading
import traceback

import pytest
from langchain_core.messages import HumanMessage

from agents.errors import ContextOverflow
from workers.engines.openai import OpenAIEngine
from workers.engines.presets import PRESETS, key_variable, url_variable
from workers.engines.registry import Registry
from workers.errors import (
    EngineDenied,
    EngineDown,
    EngineProtocolError,
    EngineRefused,
    EngineTimeout,
    ModelNotFound,
    SettingsInvalid,
)
from workers.jobs import GenerationOptions
from workers.settings import Settings

CHAT = "/v1/chat/completions"
KEY = "secret-0123456789-key"


@pytest.fixture
def model(server, tmp_path):
    def make(scheme, timeout=10.0):
        own = {f"{scheme}_url": f"{server.url}/v1", f"{scheme}_api_key": KEY}
        settings = Settings(data_dir=tmp_path, engine_timeout=timeout, **own)
        engine = Registry(settings).get(f"{scheme}:{PRESETS[scheme].models[0]}")
        assert isinstance(engine, OpenAIEngine)
        return engine.chat_model(GenerationOptions(), threading.Event())

    return make


@pytest.mark.parametrize("scheme", PRESETS)
def test_each_streams_with_its_own_key_and_name(server, say, model, scheme):
    server.replies[CHAT] = say.reply(parts=say.openai(["Hel", "lo"]))
    chunks = list(model(scheme).stream([HumanMessage("Say hello")]))
    assert "".join(chunk.text for chunk in chunks) == "Hello"
    assert chunks[-1].response_metadata["finish_reason"] == "stop"
    request = server.requests[-1]
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.body["model"] == PRESETS[scheme].models[0]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ({"status": 401, "parts": [b'{"error": {"message": "bad key secret-0123456789-key"}}']}, EngineDenied),
        ({"status": 404, "parts": [b'{"error": {"message": "no such model"}}']}, ModelNotFound),
        (
            {"status": 429, "headers": {"Retry-After": "7"}, "parts": [b'{"error": {"message": "slow down"}}']},
            EngineDown,
        ),
        ({"status": 503, "parts": [b"overloaded"]}, EngineDown),
        ({"status": 400, "parts": [b'{"error": {"code": "context_length_exceeded"}}']}, ContextOverflow),
        ({"stall_before_headers": True}, EngineTimeout),
        ({"parts": [b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n'], "cut": True}, EngineProtocolError),
        ({"parts": [b"data: {no json\n\n"]}, EngineProtocolError),
    ],
)
@pytest.mark.parametrize("scheme", ["github", "vllm"])
def test_faults_are_named_and_keep_the_key(server, say, model, scheme, reply, error):
    server.replies[CHAT] = say.reply(**reply)
    with pytest.raises(error) as caught:
        list(model(scheme, timeout=0.5).stream([HumanMessage("Say hello")]))
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.to_dict())
    assert KEY not in shown
    assert caught.value.hint
    if error is EngineDenied:
        assert key_variable(scheme) in caught.value.hint
    if reply.get("status") == 429:
        assert caught.value.details["retry_after"] == 7


@pytest.mark.parametrize("scheme", [scheme for scheme, preset in PRESETS.items() if preset.needs_key])
def test_what_lies_elsewhere_is_refused_while_words_stay_here_and_wants_a_key(tmp_path, scheme):
    url = {f"{scheme}_url": "https://models.example.org/v1"}
    uri = f"{scheme}:phi"
    with pytest.raises(EngineRefused, match=r"models\.example\.org"):
        Registry(Settings(data_dir=tmp_path, **url)).check(uri)
    away = Registry(Settings(data_dir=tmp_path, local_only=False, **url))
    away.check(uri)
    with pytest.raises(EngineDenied) as caught:
        away.get(uri)
    assert key_variable(scheme) in caught.value.hint


def test_the_usual_addresses(tmp_path):
    here = Registry(Settings(data_dir=tmp_path))
    for scheme, preset in PRESETS.items():
        if preset.url is None:
            with pytest.raises(SettingsInvalid) as caught:
                here.check(f"{scheme}:phi")
            assert url_variable(scheme) in caught.value.hint
        elif preset.needs_key:
            with pytest.raises(EngineRefused):
                here.check(f"{scheme}:phi")
        else:
            assert here.check(f"{scheme}:phi").scheme == scheme
