"""Several pictures of one conversation, from the job's input to what Ollama and OpenAI-compatible servers are sent."""

from __future__ import annotations

import base64
import hashlib
import io
import threading

import pytest
from PIL import Image
from pydantic import SecretStr, ValidationError

from agents.contract import Attachment, ChatInput, Message
from agents.converse import build_converse
from agents.errors import ContextOverflow, ModelCannotSee
from tools.errors import ImageTooLarge, ImageUnreadable
from tools.pictures import PictureLimits
from workers.engines.base import EngineURI
from workers.engines.ollama import OllamaEngine
from workers.engines.openai import OpenAIEngine
from workers.jobs import GenerationOptions

OLLAMA, OPENAI = "/api/chat", "/v1/chat/completions"
SECRET = b"what follows a picture's end"
KINDS = [("JPEG", "red", (30, 20)), ("BMP", "blue", (20, 30)), ("GIF", "lime", (16, 16))]


def a_file(kind, colour, size):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue() + SECRET


@pytest.fixture
def files():
    return [a_file(*kind) for kind in KINDS]


@pytest.fixture(params=[OLLAMA, OPENAI])
def path(request, server, say):
    server.replies["/api/show"] = say.json(200, {"capabilities": ["completion", "vision"]})
    server.replies[OLLAMA] = say.reply(parts=say.ollama(["a"]))
    server.replies[OPENAI] = say.reply(parts=say.openai(["a"]))
    return request.param


@pytest.fixture
def ask(server, path):
    def run(files, context=16384, name="seer", limits=None):
        if path == OLLAMA:
            engine = OllamaEngine(EngineURI("ollama", name), server.url, context, 10.0)
        else:
            engine = OpenAIEngine(EngineURI("openai", name), f"{server.url}/v1", SecretStr("none"), context, 10.0)
        store = {f"sha256:{hashlib.sha256(data).hexdigest()}": data for data in files}
        images = [
            Attachment(ref=ref, name=f"{number}.img", size=len(data))
            for number, (ref, data) in enumerate(store.items(), 1)
        ]
        turn = Message(role="user", content="Compare them.", images=images)
        chain = build_converse(
            engine.chat_model(GenerationOptions(), threading.Event()), lambda image: store[image.ref], limits
        )
        return list(chain.stream(ChatInput(messages=[turn], collection=None, verbatim=True)))

    return run


def sent(server, path):
    turn = server.body(path)["messages"][-1]
    if path == OLLAMA:
        return [base64.b64decode(text) for text in turn["images"]], turn["content"]
    urls = [part["image_url"]["url"] for part in turn["content"] if part["type"] == "image_url"]
    assert all(url.startswith("data:image/png;base64,") for url in urls)
    text = "".join(part["text"] for part in turn["content"] if part["type"] == "text")
    return [base64.b64decode(url.partition(",")[2]) for url in urls], text


def asked(server, path):
    return [request for request in server.requests if request.path == path]


def test_all_go_in_one_request_in_their_order_and_written_anew(server, path, ask, files):
    ask(files)
    pictures, text = sent(server, path)
    assert len(asked(server, path)) == 1
    assert text.strip() == "Compare them."
    opened = [Image.open(io.BytesIO(data)) for data in pictures]
    assert [image.format for image in opened] == ["PNG"] * 3
    assert [image.size for image in opened] == [size for _, _, size in KINDS]
    reds, blues, greens = (image.convert("RGB").getpixel((5, 5)) for image in opened)
    assert (reds[0] > 200, blues[2] > 200, greens[1] > 200) == (True, True, True)
    assert not any(SECRET in data for data in pictures)


@pytest.mark.parametrize(
    ("spoil", "limits", "error"),
    [
        (lambda data: data[: len(data) // 3], None, ImageUnreadable),
        (lambda data: data, PictureLimits(max_pixels=599), ImageTooLarge),
        (lambda data: data, PictureLimits(max_bytes=100), ImageTooLarge),
    ],
)
def test_one_bad_picture_is_named_and_nothing_is_sent(server, path, ask, files, spoil, limits, error):
    # Of the three only the second is damaged; 600 pixels have the first two.
    with pytest.raises(error, match=r"[12]\.img"):
        ask([files[0], spoil(files[1]), files[2]], limits=limits)
    assert asked(server, path) == []


def test_more_than_the_context_holds_are_refused_with_both_figures(server, path, ask):
    many = [a_file("PNG", (shade, 0, 0), (8, 8)) for shade in range(20)]
    with pytest.raises(ContextOverflow) as caught:
        ask(many, context=16384)
    assert caught.value.details["tokens"] > caught.value.details["limit"]
    assert asked(server, path) == []


def test_more_than_twenty_a_turn_are_no_job():
    one = Attachment(ref=f"sha256:{'0' * 64}", name="a.png", size=1)
    with pytest.raises(ValidationError, match="at most 20"):
        Message(role="user", content="x", images=[one] * 21)


def test_a_model_that_reads_only_is_refused_naming_some_that_see(server, say, path, ask, files):
    server.replies["/api/show"] = say.json(200, {"capabilities": ["completion"]})
    with pytest.raises(ModelCannotSee) as caught:
        ask(files, name="phi-3.5-mini")
    assert "onnx:phi-3.5-vision" in caught.value.hint
    assert asked(server, path) == []
