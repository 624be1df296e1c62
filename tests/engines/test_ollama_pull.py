"""Pulling and removing models through Ollama's API."""

from __future__ import annotations

import json
import threading

import pytest

from agents.errors import Interrupted
from workers.errors import EngineProtocolError, ModelNotFound
from workers.models.pull import pull, remove
from workers.settings import Settings


@pytest.fixture
def ollama(server, tmp_path):
    return Settings(data_dir=tmp_path, ollama_url=server.url)


def lines(*values):
    return [json.dumps(value).encode() + b"\n" for value in values]


def test_an_ollama_name_is_pulled_by_ollama_with_its_progress(server, say, ollama):
    server.replies["/api/pull"] = say.reply(
        parts=lines(
            {"status": "pulling manifest"},
            {"status": "pulling abc", "digest": "sha256:abc", "total": 100, "completed": 40},
            {"status": "pulling abc", "digest": "sha256:abc", "total": 100, "completed": 100},
            {"status": "success"},
        )
    )
    seen = []
    pulled = pull("ollama:phi3.5", ollama, lambda *step: seen.append(step))
    assert (pulled.uri, pulled.path) == ("ollama:phi3.5", None)
    assert (40, 100, "sha256:abc") in seen
    assert server.body("/api/pull")["model"] == "phi3.5"


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ([{"error": "pull model manifest: file does not exist"}], ModelNotFound),
        ([{"status": "pulling manifest"}], EngineProtocolError),
        ([{"nothing": 1}], EngineProtocolError),
        ([{"status": "pulling"}, {"error": "write: no space left on device"}], EngineProtocolError),
    ],
)
def test_a_pull_that_ollama_did_not_finish_is_an_error(server, say, ollama, parts, error):
    server.replies["/api/pull"] = say.reply(parts=lines(*parts))
    with pytest.raises(error):
        pull("ollama:phi3.5", ollama)


def test_stopping_a_pull_through_ollama_ends_its_work(server, say, ollama):
    server.replies["/api/pull"] = say.reply(parts=lines({"status": "pulling manifest"}), stall_after=1)
    stop = threading.Event()
    with pytest.raises(Interrupted):
        pull("ollama:phi3.5", ollama, lambda *_: stop.set(), stop)
    assert server.client_gone.wait(5)


def test_remove_asks_ollama(server, say, ollama):
    server.replies["/api/delete"] = say.reply()
    remove("ollama:phi3.5", ollama)
    assert (server.requests[0].method, server.requests[0].body) == ("DELETE", {"model": "phi3.5"})
    server.replies["/api/delete"] = say.json(404, {"error": "model 'phi3.5' not found"})
    with pytest.raises(ModelNotFound):
        remove("ollama:phi3.5", ollama)
