"""The ``transformers`` and ``mlx`` engines on a tiny Phi-3 with random weights, made here. Needs `make test-extras`."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage

from agents.errors import ContextOverflow, Interrupted
from workers.engines.base import EngineURI
from workers.engines.mlx import MLXEngine
from workers.engines.transformers import TransformersEngine
from workers.engines.weights.engine import WeightsEngine
from workers.engines.weights.folder import WeightsFolder
from workers.errors import ModelBroken
from workers.jobs import GenerationOptions

pytestmark = pytest.mark.extras
CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
if not CI:
    pytest.importorskip("torch")
ENGINES = {"transformers": TransformersEngine, "mlx": MLXEngine}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "assets"))
    try:
        from make_tiny_phi3 import make_weights
    finally:
        sys.path.pop(0)
    folder = tmp_path_factory.mktemp("weights")
    make_weights(folder, longrope=False)
    return folder


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request: pytest.FixtureRequest, weights: Path) -> Iterator[WeightsEngine]:
    kind = ENGINES[request.param]
    if kind.missing() and not CI:
        # Each is an extra, and mlx has no wheel everywhere; CI has both.
        pytest.skip(f"{request.param} is not installed")
    made = kind(EngineURI(request.param, "tiny"), WeightsFolder.read(weights), threads=1)
    yield made
    made.close()


def _say(engine: WeightsEngine, text: str = "the customer asks", **options: object):
    return engine.chat_model(GenerationOptions(**{"max_tokens": 24, **options}), threading.Event()).invoke(text)


def test_it_streams_and_counts(engine):
    model = engine.chat_model(GenerationOptions(max_tokens=24), threading.Event())
    chunks = list(model.stream("the customer asks"))
    assert len([chunk for chunk in chunks if chunk.text]) > 5
    whole = _say(engine)
    assert "".join(chunk.text for chunk in chunks) == whole.content
    assert whole.usage_metadata["input_tokens"] == model.get_num_tokens_from_messages(
        [HumanMessage("the customer asks")]
    )
    assert engine.status().state == "ready"
    assert "one run at a time" in engine.status().message


def test_greedy_words_are_those_of_the_librarys_own_generate(engine, weights):
    import torch
    from transformers import AutoModelForCausalLM

    tokens = engine._runtime.encoder.encode_text("the customer asks about the broken kettle")
    from workers.engines.host.protocol import Delta, Request

    events = engine._runtime.host.generate(Request(tokens=tuple(tokens), max_tokens=20), threading.Event())
    made = [number for event in events if isinstance(event, Delta) for number in event.ids]
    model = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32)
    with torch.inference_mode():
        expected = model.generate(torch.tensor([tokens]), max_new_tokens=20, do_sample=False)[0, len(tokens) :].tolist()
    assert len(made) > 5
    assert made == expected[: len(made)]


def test_seeds_and_options_are_honoured(engine):
    drawn = {seed: _say(engine, temperature=1.5, seed=seed).content for seed in (1, 2)}
    assert drawn[1] != drawn[2]
    assert _say(engine, temperature=1.5, seed=1).content == drawn[1]
    greedy = _say(engine).content
    assert _say(engine, temperature=1.5, top_k=1, seed=3).content == greedy
    assert _say(engine, temperature=1.5, top_p=0.0001, seed=3).content == greedy
    assert _say(engine, repetition_penalty=2.0).content != greedy
    middle = greedy[len(greedy) // 2 :][:4]
    assert _say(engine, stop=[middle]).content == greedy[: greedy.index(middle)]


def test_a_bias_brings_a_token_and_bans_it(engine):
    model = engine.chat_model(GenerationOptions(), threading.Event())
    kettle = model.get_token_ids("kettle")[-1]
    assert _say(engine, max_tokens=4, logit_bias={str(kettle): 100}).content.count("kettle") == 4
    greedy = _say(engine).content
    last = model.get_token_ids(greedy)[-1]
    assert _say(engine, logit_bias={str(last): -100}).content != greedy


def test_cancel_ends_a_run_between_tokens_and_the_next_one_is_well(engine):
    stop = threading.Event()
    stream = engine.chat_model(GenerationOptions(max_tokens=3000), stop).stream("the customer asks")
    next(stream)
    stop.set()
    with pytest.raises(Interrupted):
        list(stream)
    assert _say(engine, max_tokens=3).usage_metadata["output_tokens"] == 3


def test_a_prompt_that_does_not_fit_is_refused_before_it_runs(engine):
    with pytest.raises(ContextOverflow):
        _say(engine, "kettle " * 5000)


def test_damaged_weights_are_said(engine, weights, tmp_path):
    for file in weights.iterdir():
        data = file.read_bytes()
        (tmp_path / file.name).write_bytes(data[:5000] if file.suffix == ".safetensors" else data)
    made = type(engine)(EngineURI(engine.scheme, "cut"), WeightsFolder.read(tmp_path), threads=1)
    try:
        with pytest.raises(ModelBroken):
            _say(made)
    finally:
        made.close()
