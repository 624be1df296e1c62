"""One engine, many threads: what a worker's slots do with it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agents.errors import Interrupted
from workers.engines.registry import Registry
from workers.jobs import GenerationOptions
from workers.settings import Settings


@pytest.fixture
def registry(server, say, tmp_path):
    def echo(parts):
        return lambda request: say.reply(parts=parts(request.body["messages"][-1]["content"].split(" ")))

    server.replies["/api/show"] = say.json(200, {"capabilities": ["completion"]})
    server.replies["/api/chat"] = echo(say.ollama)
    server.replies["/v1/chat/completions"] = echo(say.openai)
    made = Registry(
        Settings(data_dir=tmp_path, allow_fake_engine=True, ollama_url=server.url, openai_base_url=f"{server.url}/v1")
    )
    yield made
    made.close()


@pytest.mark.parametrize("uri", ["ollama:phi3.5", "openai:any", "fake:echo?rate=500"])
def test_threads_that_share_an_engine_get_each_their_own_answer(registry, uri):
    def run(number):
        model = registry.get(uri).chat_model(GenerationOptions(), threading.Event())
        return model.invoke(f"this is number {number}").content.replace(" ", "")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(run, range(24)))
    assert answers == [f"thisisnumber{number}" for number in range(24)]
    assert len(registry.engines()) == 1


@pytest.mark.parametrize("uri", ["ollama:phi3.5", "openai:any", "fake:echo"])
def test_every_engine_keeps_the_contracts_profile(registry, uri):
    engine = registry.get(uri)
    profile = engine.chat_model(GenerationOptions(max_tokens=96), threading.Event()).profile
    assert profile["max_input_tokens"] == 4000
    assert profile["max_output_tokens"] == 96
    assert isinstance(profile["image_inputs"], bool)
    assert engine.status().state in ("ready", "idle")


def test_one_job_stopped_leaves_the_others_alone(registry, server, say):
    reply = server.replies["/api/chat"]

    def answer(request):
        if request.body["messages"][-1]["content"] == "wait":
            return say.reply(stall_after=0)
        return reply(request)

    server.replies["/api/chat"] = answer
    halt = threading.Event()
    engine = registry.get("ollama:phi3.5")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(engine.chat_model(GenerationOptions(), halt).invoke, "wait")
        assert server.stalled.wait(5)
        assert engine.chat_model(GenerationOptions(), threading.Event()).invoke("go on").content == "goon"
        assert not waiting.done()
        halt.set()
        with pytest.raises(Interrupted):
            waiting.result(timeout=5)
