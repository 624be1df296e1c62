"""The demo from beginning to end, as CI runs it: without a terminal, on the extractive default."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from gateway.cli import demo as module
from workers.models.shelf import Shelf

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "assets" / "tiny-phi3"


def demo(temporary: Path, **options: Any) -> subprocess.Popen[str]:
    # Its folder in ours, so that what it leaves behind can be seen; no Ollama, so that it is the same everywhere.
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "PHIQ_OLLAMA_URL": "http://127.0.0.1:9"}
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "demo"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


@pytest.mark.service
def test_the_demo_runs_through_and_leaves_nothing(tmp_path: Path) -> None:
    process = demo(tmp_path / "t")
    out, _ = process.communicate(timeout=170)
    assert process.returncode == 0, out
    assert "hold the ring for twelve seconds" in out
    assert "The warranty lasts three years" in out
    assert "Nothing in the documents answers this question" in out
    assert "E-31" in out
    assert out.count("succeeded: ") == 7
    assert "needs_model" in out
    assert "Next:" in out
    assert "\x1b" not in out
    assert list((tmp_path / "t").glob("phiq-demo-*")) == []


@pytest.mark.service
def test_a_demo_that_is_interrupted_stops_everything(tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    process = demo(tmp_path / "t")
    assert process.stdout is not None
    line = next(line for line in process.stdout if line.startswith(("Running:", "error")))
    assert line.startswith("Running: redis, chroma, words, worker, beat")
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 4
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    # Interrupted inside a lazy import, CPython ends by the signal although it was handled; a shell says 130 too.
    assert process.returncode in (130, -signal.SIGINT), out
    assert "Interrupted." in out
    wait_until(lambda: not any(child.is_running() for child in children), 10, "all parts ended")
    assert list((tmp_path / "t").glob("phiq-demo-*")) == []


@pytest.fixture
def ollama() -> Iterator[str]:
    """An Ollama that lists a stranger's model and two of the Phi family."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            names = ["mistral:latest", "phi3.5:latest", "phi4:latest"] if self.path == "/api/tags" else []
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"models": [{"name": name} for name in names]}).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_the_demo_takes_a_phi_of_a_running_ollama(
    settings: Callable[..., Any], tmp_path: Path, ollama: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy")
    monkeypatch.delenv("NO_PROXY")
    chosen, words = module._settings(settings(ollama_url=ollama), tmp_path / "demo", None)
    assert chosen.model == "ollama:phi3.5:latest"
    assert "ollama:phi3.5:latest" in words
    assert module._eyes(chosen) == {"model": "extractive"}
    none, words = module._settings(settings(ollama_url="http://127.0.0.1:9"), tmp_path / "demo", None)
    assert none.model == "extractive"
    assert "No generative model" in words
    assert module._eyes(none) == {}


def test_the_demo_prefers_a_text_model_on_the_shelf(settings: Callable[..., Any], tmp_path: Path, ollama: str) -> None:
    base = settings(ollama_url=ollama)
    shelf = Shelf(base.data_dir)
    shelf.add(TINY, "my-own")
    shelf.add(TINY, "phi-3.5-vision")
    assert module._find_model(base) == "ollama:phi3.5:latest"
    shelf.add(TINY, "phi-3.5-mini")
    chosen, _ = module._settings(base, tmp_path / "demo", None)
    assert chosen.model == "onnx:phi-3.5-mini"
    assert (Shelf(tmp_path / "demo").path("phi-3.5-mini") / "genai_config.json").is_file()


def test_the_demo_asks_no_ollama_elsewhere_while_words_stay_here(
    settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cli.models.ollama_names", lambda _settings: pytest.fail("it was asked"))
    assert module._find_model(settings(ollama_url="http://ollama.example:11434")) is None
