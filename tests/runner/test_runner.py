"""The runner does each kind of job with real parts: Chroma, MiniLM, a tiny ONNX model; only big weights are missing."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.contract import (
    ChatResult,
    Chunk,
    CompletionResult,
    DescriptionResult,
    EmbedResult,
    IngestResult,
    Result,
    SearchResult,
    SummaryResult,
)
from agents.errors import Interrupted, NeedsModel
from knowledge.errors import CollectionNotFound
from workers.content import open_content
from workers.errors import ContentMissing, EngineRefused, OptionUnsupported
from workers.jobs import parse_job
from workers.runner import Runner
from workers.settings import Settings

pytestmark = pytest.mark.service

TINY = Path(__file__).parents[1] / "assets" / "tiny-phi3"
RESET = "To reset the boiler, hold the red button for seven seconds. The light turns green when it is done."


@pytest.fixture
def configured(settings: Callable[..., Settings], redis_url: str, chroma_server: str) -> Settings:
    return settings(redis_url=redis_url, chroma_url=chroma_server, allow_fake_engine=True)


@pytest.fixture
def runner(configured: Settings) -> Iterator[Runner]:
    runner = Runner(configured)
    yield runner
    runner.close()


def run(runner: Runner, stop: threading.Event | None = None, **job: Any) -> Chunk:
    total = Chunk()
    for chunk in runner.run(parse_job(job), stop or threading.Event()):
        total = total + chunk
    assert total.result is not None
    return total


def result(runner: Runner, **job: Any) -> Result:
    found = run(runner, **job).result
    assert found is not None
    return found


def ingest(runner: Runner, configured: Settings, tenant: str, text: str, **more: Any) -> IngestResult:
    attachment = open_content(configured).put(text.encode(), "boiler.txt")
    files = [{**attachment.model_dump(), "source": "manual/boiler.txt"}]
    found = result(runner, kind="ingest", tenant=tenant, input={"files": files, **more})
    assert isinstance(found, IngestResult)
    return found


def test_ingest_search_and_answer(runner: Runner, configured: Settings) -> None:
    tenant = "answer"
    assert [file.status for file in ingest(runner, configured, tenant, RESET).files] == ["added"]
    assert [file.status for file in ingest(runner, configured, tenant, RESET).files] == ["unchanged"]

    found = result(runner, kind="search", tenant=tenant, input={"query": "reset the boiler"})
    assert isinstance(found, SearchResult)
    assert found.engine == "embedder"
    assert found.passages[0].source == "manual/boiler.txt"

    question = [{"role": "user", "content": "How do I reset the boiler?"}]
    chunk = run(runner, kind="chat", tenant=tenant, input={"messages": question})
    answer = chunk.result
    assert isinstance(answer, ChatResult)
    assert answer.engine == "extractive"
    assert "hold the red button" in answer.text
    assert chunk.delta == answer.text
    passages = {passage.id: passage for passage in answer.passages}
    assert answer.citations
    for citation in answer.citations:
        assert passages[citation.passage_id].text[citation.start : citation.end] == citation.quote
        assert answer.text[citation.answer_start : citation.answer_end] == citation.quote


def test_tenants_do_not_see_each_other(runner: Runner, configured: Settings) -> None:
    ingest(runner, configured, "one", RESET)
    with pytest.raises(CollectionNotFound):
        result(runner, kind="search", tenant="two", input={"query": "boiler"})


def test_a_follow_up_is_put_by_the_model_to_be_looked_up(runner: Runner, configured: Settings) -> None:
    ingest(runner, configured, "talk", RESET)
    turns = ["Does the boiler have a red button?", "Yes, to reset it.", "How long is it held?"]
    messages = [{"role": ("user", "assistant")[at % 2], "content": turn} for at, turn in enumerate(turns)]
    answer = result(runner, kind="chat", tenant="talk", model="fake:faithful", input={"messages": messages})
    assert isinstance(answer, ChatResult)
    assert answer.query == "How long is it held (Does the boiler have a red button)?"
    assert "for seven seconds" in answer.text
    first = result(runner, kind="chat", tenant="talk", model="fake:faithful", input={"messages": messages[:1]})
    assert isinstance(first, ChatResult)
    assert first.query == ""
    assert answer.usage.prompt_tokens > first.usage.prompt_tokens + 100, "the call is paid for"


def test_a_lost_attachment_fails_its_file_and_not_the_others(runner: Runner, configured: Settings) -> None:
    attachment = open_content(configured).put(RESET.encode(), "boiler.txt")
    gone = {"ref": "sha256:" + "0" * 64, "name": "gone.txt", "size": 1, "source": "manual/gone.txt"}
    files = [gone, {**attachment.model_dump(), "source": "manual/boiler.txt"}]
    found = result(runner, kind="ingest", tenant="lost", input={"files": files})
    assert isinstance(found, IngestResult)
    assert {file.source: file.status for file in found.files} == {
        "manual/gone.txt": "failed",
        "manual/boiler.txt": "added",
    }
    assert next(file.error for file in found.files if file.error)["code"] == ContentMissing.code  # type: ignore[index]


def test_embeddings_have_unit_length(runner: Runner) -> None:
    found = result(runner, kind="embed", input={"texts": ["one", "two"]})
    assert isinstance(found, EmbedResult)
    assert (len(found.vectors), found.dimensions) == (2, 384)
    assert sum(value * value for value in found.vectors[0]) == pytest.approx(1.0, abs=1e-3)


def test_summary_in_the_words_of_the_text(runner: Runner) -> None:
    text = "The pump failed on Monday. It was replaced on Tuesday. The weather was fine. Tests passed on Wednesday."
    found = result(runner, kind="summarize", input={"texts": [{"text": text}], "sentences": 2})
    assert isinstance(found, SummaryResult)
    assert found.engine == "extractive"
    assert found.coverage.parts_read == found.coverage.parts


def test_a_picture_is_described(runner: Runner, configured: Settings) -> None:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(out, "PNG")
    image = open_content(configured).put(out.getvalue(), "red.png").model_dump()
    found = result(runner, kind="describe", input={"images": [image]})
    assert isinstance(found, DescriptionResult)
    assert (found.facts[0].width, found.facts[0].height) == (64, 48)
    assert "64" in found.text


@pytest.mark.parametrize(
    ("kind", "value"), [("translate", {"text": "hello", "target": "de"}), ("complete", {"prompt": "Once"})]
)
def test_what_needs_a_model_says_how_to_get_one(runner: Runner, kind: str, value: dict[str, Any]) -> None:
    with pytest.raises(NeedsModel) as caught:
        result(runner, kind=kind, input=value)
    assert "phiq models pull" in caught.value.hint


def test_a_real_onnx_model_completes(runner: Runner) -> None:
    job = {"model": f"onnx:{TINY}", "options": {"max_tokens": 8, "temperature": 0}, "input": {"prompt": "Once upon"}}
    chunk = run(runner, kind="complete", **job)
    found = chunk.result
    assert isinstance(found, CompletionResult)
    assert (found.engine, found.model) == ("onnx", str(TINY))
    assert 0 < found.usage.completion_tokens <= 8
    assert chunk.delta == found.text
    assert runner.hosts() == [f"onnx:{TINY}"]


def test_the_stream_says_that_a_model_is_being_loaded_and_only_then(runner: Runner) -> None:
    job = {"kind": "complete", "model": f"onnx:{TINY}", "options": {"max_tokens": 4}, "input": {"prompt": "Once"}}
    notes = [
        [chunk.progress.note for chunk in runner.run(parse_job(job), threading.Event()) if chunk.progress]
        for _ in range(2)
    ]
    assert notes[0][0] == f"loading onnx:{TINY}"
    assert f"loading onnx:{TINY}" not in notes[1]

    remote = {**job, "model": "fake:echo"}
    assert not any(chunk.progress for chunk in runner.run(parse_job(remote), threading.Event()))


def test_options_the_extractive_engine_has_no_use_for_are_refused_by_name(runner: Runner) -> None:
    with pytest.raises(OptionUnsupported, match="temperature"):
        result(runner, kind="summarize", options={"temperature": 0.5}, input={"texts": [{"text": "a. b."}]})


def test_the_fake_engine_is_not_chosen_by_accident(settings: Callable[..., Settings], redis_url: str) -> None:
    runner = Runner(settings(redis_url=redis_url))
    with pytest.raises(EngineRefused):
        result(runner, kind="complete", model="fake:echo", input={"prompt": "hello"})


def test_stop_ends_a_run_in_the_middle(runner: Runner) -> None:
    stop = threading.Event()
    job = parse_job({"kind": "complete", "model": "fake:echo?rate=20", "input": {"prompt": "word " * 200}})
    chunks = runner.run(job, stop)
    assert next(chunks).delta
    stop.set()
    with pytest.raises(Interrupted):
        next(chunks)


def test_an_ingest_waits_for_the_collections_other_writer(runner: Runner, configured: Settings) -> None:
    import redis

    attachment = open_content(configured).put(RESET.encode(), "boiler.txt")
    files = [{**attachment.model_dump(), "source": "manual/boiler.txt"}]
    job = parse_job({"kind": "ingest", "tenant": "writers", "input": {"files": files}})
    stop = threading.Event()
    done = threading.Event()

    def work() -> None:
        for _ in runner.run(job, stop):
            pass
        done.set()

    assert configured.redis_url is not None
    with redis.Redis.from_url(configured.redis_url.get_secret_value()) as client:
        other = client.lock("phiq:writer:writers:default", timeout=60)
        assert other.acquire()
        thread = threading.Thread(target=work)
        thread.start()
        assert not done.wait(1.0)
        other.release()
        assert done.wait(30)
        thread.join()


def test_results_survive_json(runner: Runner) -> None:
    from workers.jobs import RESULTS

    found = result(runner, kind="embed", input={"texts": ["one"]})
    assert RESULTS["embed"].model_validate(json.loads(found.model_dump_json())) == found


class Kept(dict[str, str]):
    """Checkpoints in memory."""

    def put(self, key: str, value: str) -> None:
        self[key] = value


def test_an_ingest_that_runs_again_does_only_the_rest_and_reports_it_all(runner: Runner, configured: Settings) -> None:
    content = open_content(configured)
    texts = {f"manual/{number}.txt": f"{RESET} It is boiler number {number}." for number in range(3)}
    files = [{**content.put(text.encode(), name).model_dump(), "source": name} for name, text in texts.items()]
    job = parse_job({"kind": "ingest", "tenant": "again", "input": {"files": files, "prune_under": "manual"}})
    kept = Kept()

    def reports() -> list[tuple[str, str]]:
        *_, last = runner.run(job, threading.Event(), kept)  # type: ignore[arg-type]  # all that an ingest uses
        assert isinstance(last.result, IngestResult)
        return [(file.source, file.status) for file in last.result.files]

    expected = [(name, "added") for name in texts]
    assert reports() == expected
    # As if the worker had died after the first two.
    del kept["file:manual/2.txt"]
    result(runner, kind="ingest", tenant="again", input={"files": files[:2], "prune_under": "manual"})
    assert content.delete(files[0]["ref"]), "what was written is not read again"
    assert reports() == expected
    found = result(runner, kind="search", tenant="again", input={"query": "boiler number", "top_k": 5})
    assert isinstance(found, SearchResult)
    assert {passage.source for passage in found.passages} == set(texts)
