"""What the engines for published weights say without torch or MLX: what is missing, and the loop that both share."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from workers.engines.base import EngineURI
from workers.engines.host.backends.alone import Alone
from workers.engines.host.protocol import Delta, Done, Request, RunEvent
from workers.engines.host.scheduler import Scheduler
from workers.engines.hosted.files import quick_digest
from workers.engines.mlx import MLXEngine
from workers.engines.registry import Registry
from workers.engines.transformers import TransformersEngine
from workers.engines.weights.folder import WeightsFolder, locate
from workers.errors import EngineNotInstalled, ModelBroken, ModelNotFound
from workers.settings import Settings

TINY = Path(__file__).resolve().parents[1] / "assets" / "tiny-phi3"


@pytest.mark.parametrize("engine", [TransformersEngine, MLXEngine])
def test_what_is_not_installed_is_named_with_its_command(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "packages", ("json", "no_such_package"))
    registry = Registry(Settings(data_dir=tmp_path))
    with pytest.raises(EngineNotInstalled, match="no_such_package") as caught:
        registry.get(f"{engine.scheme}:phi-3.5-mini")
    assert caught.value.hint == f"pip install 'phiq[{engine.scheme}]'"
    monkeypatch.setattr(engine, "packages", ("json",))
    with pytest.raises(ModelNotFound) as missing:
        registry.get(f"{engine.scheme}:phi3.5")
    folder = tmp_path / "models" / "phi-3.5-mini-weights"
    assert missing.value.hint == f"hf download microsoft/Phi-3.5-mini-instruct --local-dir {folder}"
    registry.close()


def test_folders_are_found_and_read(tmp_path):
    for name in ("../x", "/no/such/folder", "nothing"):
        with pytest.raises(ModelNotFound):
            locate("mlx", name, tmp_path)
    folder = tmp_path / "models" / "own-weights"
    folder.mkdir(parents=True)
    assert locate("mlx", "own", tmp_path) == locate("mlx", str(folder), tmp_path) == folder
    config = json.loads((TINY / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelBroken, match="safetensors"):
        WeightsFolder.read(folder)
    (folder / "model.safetensors").write_bytes(b"x" * 1000)
    read = WeightsFolder.read(folder)
    assert (read.session_limit, read.vocabulary, read.cache_per_token) == (4096, 737, 2 * 4 * 2 * 4 * 32)
    scaled = {**config, "max_position_embeddings": 131072, "rope_scaling": {"type": "longrope"}}
    (folder / "config.json").write_text(json.dumps(scaled), "utf-8")
    assert WeightsFolder.read(folder).session_limit == 4096
    (folder / "config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelBroken, match="lacks"):
        WeightsFolder.read(folder)


class _Next:
    """Says the token behind the last one."""

    def begin(self) -> None:
        self.read_so_far: list[int] = []

    def read(self, tokens):
        self.read_so_far += tokens
        logits = np.zeros(737, np.float32)
        logits[(tokens[-1] + 1) % 737] = 9
        return logits


def _run(request: Request, reader: _Next) -> list[RunEvent]:
    events: list[RunEvent] = []
    scheduler = Scheduler(Alone(str(TINY), reader, 737), events.append)
    scheduler.submit(request)
    while not scheduler.idle:
        scheduler.step()
    return events


def test_a_run_reads_in_chunks_ends_at_its_limit_and_goes_on_where_it_was():
    reader = _Next()
    events = _run(Request(tokens=tuple(range(300, 430)), max_tokens=5), reader)
    assert events[-1] == Done(0, "length", 130, 5)
    said = [number for event in events if isinstance(event, Delta) for number in event.ids]
    assert said == [430, 431, 432, 433, 434]
    assert reader.read_so_far == [*range(300, 434)]
    again = _run(Request(tokens=tuple(range(300, 430)), max_tokens=5, made=(430, 431)), _Next())
    assert "".join(event.text for event in again if isinstance(event, Delta)) == "".join(
        event.text for event in events if isinstance(event, Delta)
    )


def test_an_end_marker_ends_it():
    (done,) = (event for event in _run(Request(tokens=(724,), max_tokens=50), _Next()) if isinstance(event, Done))
    assert (done.finish_reason, done.completion_tokens) == ("stop", 2)


def test_bytes_that_are_no_character_hold_nothing_up():
    stream = Alone(str(TINY), _Next(), 737).text()
    euro = [3 + byte for byte in "€".encode()]
    pieces = [stream.decode(token) for token in [300, 3 + 0xFF, 301, *euro, 302]]
    assert "€" in "".join(pieces)
    assert pieces[3] == pieces[4] == ""


def test_folders_with_other_files_have_other_quick_digests(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(TINY, folder)
    first = quick_digest(folder)
    assert first.startswith("quick:")
    assert first == quick_digest(TINY), "it goes by the files, not by where they lie"
    config = folder / "genai_config.json"
    config.write_bytes(config.read_bytes().replace(b"}", b" }", 1)[:-1])
    assert quick_digest(folder) != first
    assert quick_digest(tmp_path / "nothing") == ""


@pytest.mark.parametrize("engine", [TransformersEngine, MLXEngine])
def test_their_sessions_have_a_setting_of_their_own(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "packages", ("json",))
    folder = tmp_path / "model"
    shutil.copytree(TINY, folder)
    (folder / "model.safetensors").write_bytes(b"x" * 1000)
    settings = Settings(data_dir=tmp_path, weights_max_length=128, weights_threads=2, onnx_max_length=64)
    made = engine.from_settings(EngineURI(engine.scheme, str(folder)), settings)
    spec = made.host.spec
    assert (spec.max_length, spec.threads, spec.length_setting) == (128, 2, "PHIQ_WEIGHTS_MAX_LENGTH")
    made.close()
