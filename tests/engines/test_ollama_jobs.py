"""Jobs on an Ollama server, through queue, worker and stream."""

from __future__ import annotations

import threading

import pytest

from workers.jobs import State, parse_job
from workers.service import Service
from workers.stack import Stack

pytestmark = pytest.mark.service

CHAT, SHOW, TAGS = "/api/chat", "/api/show", "/api/tags"


@pytest.fixture
def service(server, say, settings, redis_binary):
    """A service whose worker knows the server as its Ollama, which has phi3.5 and nothing else."""

    def show(request):
        if request.body["model"] != "phi3.5":
            return say.json(404, {"error": "model not found"})
        return say.json(200, {"model_info": {"phi3.context_length": 131072}, "capabilities": ["completion"]})

    server.replies[SHOW] = show
    # The name without a tag is the one of :latest.
    server.replies[TAGS] = say.json(200, {"models": [{"name": "phi3.5:latest", "digest": "61819fb370a3"}]})
    ours = settings(ollama_url=server.url, slots=2)
    with Stack(ours, parts=["redis", "worker"]):
        made = Service.connect(ours)
        yield made
        made.close()


def asked(server) -> int:
    """How often the model was asked for words."""
    return sum(request.path == CHAT for request in server.requests)


def test_jobs_on_ollama(server, say, service, wait_until):
    def submit(prompt="Say hello", model="ollama:phi3.5"):
        return service.submit(parse_job({"kind": "complete", "model": model, "input": {"prompt": prompt}})).id

    # What the server counts, and what was changed in the prompt, is told.
    server.replies[CHAT] = say.reply(parts=say.ollama(["Hel", "lo"], prompt_eval_count=11))
    result = service.wait(submit("Say <|end|> hello"), 30).parsed_result()
    assert (result.text, result.engine, result.model) == ("Hello", "ollama", "phi3.5")
    assert result.digest == "61819fb370a3"
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (11, 2)
    assert any("<|end|>" in note for note in result.notes)
    assert "<|end|>" not in server.body(CHAT)["messages"][-1]["content"]

    # The user's faults: at once, with the next step, and without a word sent.
    before = asked(server)
    missing = service.wait(submit(model="ollama:phi4"), 30)
    assert (missing.state, missing.attempt, missing.error["code"]) == (State.FAILED, 1, "model_not_found")
    assert "ollama pull phi4" in missing.error["hint"]
    long = service.wait(submit("word " * 6000), 30)
    assert (long.state, long.attempt, long.error["code"]) == (State.FAILED, 1, "context_overflow")
    assert asked(server) == before

    # An answer that breaks off is asked for again, and what was shown of it is void.
    halves = iter([say.reply(parts=say.ollama(["Wro", "ng"])[:2], cut=True), say.reply(parts=say.ollama(["Right"]))])
    server.replies[CHAT] = lambda _request: next(halves)
    broken = submit()
    record = service.wait(broken, 30)
    assert [attempt.outcome for attempt in record.attempts] == ["failed", "succeeded"]
    assert record.attempts[0].error["code"] == "engine_protocol"
    events = list(service.events(broken, follow=False))
    kinds = [event.type for event in events]
    assert "".join(event.text for event in events[kinds.index("restarted") :]) == "Right" == record.result["text"]

    # Words come while the server still works, and a cancel ends its work.
    server.client_gone.clear()
    server.replies[CHAT] = say.reply(parts=say.ollama(["Once ", "upon ", "a time"]), stall_after=2)
    endless = submit()
    wait_until(
        lambda: "".join(event.text for event in service.events(endless, follow=False)).startswith("Once "),
        10,
        "words of a running job",
    )
    assert service.get(endless).state is State.RUNNING
    service.cancel(endless)
    assert server.client_gone.wait(5), "Ollama goes on for nobody"
    assert service.wait(endless, 10).state is State.CANCELLED

    # Before its first word, too.
    gone = server.client_gone = threading.Event()
    server.stalled.clear()
    server.replies[CHAT] = say.reply(stall_before_headers=True)
    silent = submit()
    assert server.stalled.wait(10)
    service.cancel(silent)
    assert gone.wait(5)
    assert service.wait(silent, 10).state is State.CANCELLED
