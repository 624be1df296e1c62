"""OpenAI's official client against a real gateway and worker."""

from __future__ import annotations

import asyncio
import base64
import io
import json

import httpx
import openai
import pytest
from openai.types import CompletionUsage
from PIL import Image

from workers.jobs import State
from workers.openai.chat import usage

pytestmark = pytest.mark.service
MODEL, TOOLS = "fake:echo", "fake:tools"
SLOW = "fake:words?count=500&rate=20"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def client(gateway, worker):
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0, timeout=60) as made:
        yield made


def ask(client, text="one two three", model=MODEL, **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def test_a_chat(client, gateway):
    answer = ask(client, metadata={"ticket": "17"}, user="u1", temperature=0, seed=1, n=1)
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason, answer.model) == ("one two three", "stop", MODEL)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 3, 6)
    record = gateway.service.get(answer.id.removeprefix("chatcmpl-"))
    assert (record.state, record.metadata) == (State.SUCCEEDED, {"ticket": "17", "user": "u1"})
    assert record.job["input"]["messages"] == [{"role": "user", "content": "one two three"}], "nothing was added"


def test_a_stream_is_the_same_text_with_its_usage_at_the_end(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two three"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 6


def test_an_answer_is_cut_where_it_was_asked_to_be(client):
    assert ask(client, stop="three").choices[0].message.content.strip() == "one two"
    cut = ask(client, max_completion_tokens=2).choices[0]
    assert (cut.message.content, cut.finish_reason) == ("one two", "length")


def test_a_tool_is_called_and_its_answer_taken(client):
    turns = [{"role": "user", "content": "What is the weather in 'Split'?"}]
    first = client.chat.completions.create(model=TOOLS, messages=turns, tools=[WEATHER]).choices[0]
    (call,) = first.message.tool_calls
    assert (first.finish_reason, first.message.content) == ("tool_calls", None)
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Split"})
    turns += [first.message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "sun"}]
    last = client.chat.completions.create(model=TOOLS, messages=turns, tools=[WEATHER]).choices[0]
    assert (last.finish_reason, last.message.tool_calls) == ("stop", None)
    streamed = list(client.chat.completions.create(model=TOOLS, messages=turns[:1], tools=[WEATHER], stream=True))
    (found,) = [c.choices[0].delta.tool_calls[0] for c in streamed if c.choices and c.choices[0].delta.tool_calls]
    assert json.loads(found.function.arguments) == {"city": "Split"}


def test_a_model_that_phiq_hosts_calls_a_tool(client, gateway, tooled):
    """On a real ONNX model with random weights, which calls because it must."""
    from workers.models.shelf import Shelf

    Shelf(gateway.service.settings.data_dir).add(tooled, "tooled")
    day = {"type": "object", "properties": {"day": {"enum": ["today", "tomorrow"]}}, "required": ["day"]}
    tool = {"type": "function", "function": {"name": "forecast", "parameters": day}}
    asked = {
        "model": "onnx:tooled",
        "messages": [{"role": "user", "content": "Will it rain?"}],
        "tools": [tool],
        "tool_choice": "required",
        "max_tokens": 60,
        "temperature": 0,
    }
    choice = client.chat.completions.create(**asked).choices[0]
    (call,) = choice.message.tool_calls
    assert (choice.finish_reason, call.function.name) == ("tool_calls", "forecast")
    assert json.loads(call.function.arguments)["day"] in ("today", "tomorrow")
    streamed = list(client.chat.completions.create(**asked, stream=True))
    (found,) = [c.choices[0].delta.tool_calls[0] for c in streamed if c.choices and c.choices[0].delta.tool_calls]
    assert json.loads(found.function.arguments) == json.loads(call.function.arguments)
    assert not any(c.choices[0].delta.content for c in streamed if c.choices)


def test_a_form_of_the_answer(client):
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    answer = ask(client, "'Ana' is 7", TOOLS, response_format=form)
    assert json.loads(answer.choices[0].message.content) == {"name": "Ana", "age": 7}


def test_a_picture_reaches_a_model_that_sees(client, gateway):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    parts = [{"type": "text", "text": "what is it"}, {"type": "image_url", "image_url": {"url": url}}]
    turns = [{"role": "user", "content": parts}]
    seen = client.chat.completions.create(model="fake:echo?vision=1", messages=turns)
    assert (seen.choices[0].message.content, seen.usage.prompt_tokens) == ("what is it", 4)
    assert gateway.service.get(seen.phiq["job"]).capability == "vision"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=turns)
    assert caught.value.code == "model_cannot_see"


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("n", 2, "n"),
        ("logprobs", True, "logprobs"),
        ("frequency_penalty", 0.5, "frequency_penalty"),
        ("logit_bias", {"17": 5}, "logit_bias"),
        ("audio", {"voice": "alloy", "format": "wav"}, "audio"),
        ("store", True, "store"),
        ("stream_options", {"include_usage": True}, "stream_options"),
        ("tool_choice", "required", "tool_choice"),
        ("tools", [WEATHER], "tools"),
        ("response_format", {"type": "json_object"}, "response_format"),
        ("temperature", "0.5", "temperature"),
        ("phiq", {"collection": "x", "unheard_of": 1}, "phiq.unheard_of"),
        ("messages", [{"role": "user", "content": [{"type": "input_audio"}]}], "messages.0.content.0.type"),
        ("messages", [{"role": "assistant", "content": "x"}], "messages"),
        ("messages", [], "messages"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(client, field, value, param):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]} | {field: value}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body=body, cast_to=object)
    assert caught.value.param == param


def test_pictures_elsewhere_are_not_fetched(client):
    parts = [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    assert caught.value.param == "messages.0.content.0.image_url.url"


def test_errors_of_a_job_keep_their_status_also_before_a_stream(client):
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError):
            ask(client, model="onnx:no-such-model", stream=stream)
        with pytest.raises(openai.BadRequestError) as caught:
            ask(client, "word " * 5000, stream=stream)
        assert caught.value.code == "context_overflow"


def test_an_error_in_the_middle_ends_the_stream_with_an_error(client, gateway):
    with pytest.raises(openai.APIError) as caught:
        list(ask(client, "a b c d e f", "fake:echo?fail=model_misbehaved&at=3&rate=50", stream=True))
    assert not isinstance(caught.value, openai.APIStatusError)
    assert caught.value.code == "model_misbehaved"


def test_who_goes_away_cancels_the_job(client, gateway, wait_until):
    stream = ask(client, model=SLOW, stream=True)
    job_id = next(iter(stream)).id.removeprefix("chatcmpl-")
    stream.close()
    wait_until(lambda: gateway.service.get(job_id).state is State.CANCELLED, 20, "cancelled")
    before = {record.id for record in gateway.service.list()}
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=1), model=SLOW)
    (waited_for,) = {record.id for record in gateway.service.list()} - before
    wait_until(lambda: gateway.service.get(waited_for).state is State.CANCELLED, 20, "cancelled")


def test_the_asynchronous_client(gateway, worker):
    async def run():
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", timeout=60) as client:
            stream = await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "a b"}], stream=True
            )
            return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    assert asyncio.run(run()) == "a b"


def test_completions(client):
    answer = client.completions.create(model=MODEL, prompt="one two")
    assert (answer.choices[0].text, answer.usage.total_tokens) == ("one two", 4)
    stream = client.completions.create(model=MODEL, prompt="one two", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "one two"


def test_embeddings(client):
    as_client_asks = client.embeddings.create(model="default", input=["hello"])  # base64
    plain = client.embeddings.create(model="all-MiniLM-L6-v2", input="hello", encoding_format="float")
    assert len(client.embeddings.create(model="default", input=["hello", "world"]).data) == 2
    assert len(plain.data[0].embedding) == 384
    assert as_client_asks.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="default", input="x", dimensions=64)
    assert caught.value.param == "dimensions"


def test_responses(client):
    answer = client.responses.create(model=MODEL, input="one two", instructions="Be brief.", store=False)
    assert (answer.output_text, answer.status, answer.usage.output_tokens) == ("one two", "completed", 2)
    with client.responses.stream(model=MODEL, input=[{"role": "user", "content": "one two"}]) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == "one two"
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    tool = {"type": "function", **WEATHER["function"], "strict": False}
    asked = client.responses.create(model=TOOLS, input="weather in 'Split'", tools=[tool])
    (call,) = asked.output
    assert (call.type, json.loads(call.arguments)) == ("function_call", {"city": "Split"})
    back = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
    turns = [{"role": "user", "content": "weather"}, call.model_dump(exclude_none=True), back]
    assert client.responses.create(model=TOOLS, input=turns, tools=[tool]).output_text == "weather"
    for field, value in (("previous_response_id", "resp_1"), ("background", True), ("store", True)):
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=MODEL, input="x", **{field: value})
        assert caught.value.param == field


def test_models(client):
    assert "extractive" in {model.id for model in client.models.list()}
    assert client.models.retrieve("extractive").owned_by == "phiq"


@pytest.mark.parametrize("body", [b"{", b'{"model": ""x"}', b"[1"])
def test_a_body_that_is_no_json(gateway, body):
    answer = httpx.post(
        f"{gateway.url}/v1/chat/completions", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", "body")
    assert "The body is not JSON" in error["message"]


def test_who_goes_away_before_the_first_word_cancels_too(client, gateway, wait_until):
    before = {record.id for record in gateway.service.list()}
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=1), model="fake:echo?ttft=60", stream=True)
    (waited_for,) = {record.id for record in gateway.service.list()} - before
    wait_until(lambda: gateway.service.get(waited_for).state is State.CANCELLED, 10, "cancelled")


def test_what_was_kept_of_a_prompt_is_told_as_openai_tells_it():
    counts = {"prompt_tokens": 6, "completion_tokens": 1}
    assert usage({"usage": counts}) == {**counts, "total_tokens": 7}
    kept = usage({"usage": {**counts, "cached_tokens": 4}})
    assert CompletionUsage.model_validate(kept).prompt_tokens_details.cached_tokens == 4
