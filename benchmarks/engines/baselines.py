"""The engines that are compared, with every setting that matters, decided before ours were tuned.

- ``genai``: ONNX Runtime GenAI as its own examples run it: one request at a time, each prompt read in one piece,
  nothing kept between them.
- ``genai8``: its generator's own batches, up to eight requests that wait together.
- ``onnx`` and ``openvino``: ours, through the host's process, as a worker starts them.
- ``llama4`` and ``llama8``: llama.cpp's server with 4 and 8 slots, continuous batching and its prompt cache on, the
  settings that its own documentation recommends for that (unified cache, batches of 2048 and 512).
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx
import psutil

from benchmarks.engines.genai import Plain
from workers.engines.base import EngineURI
from workers.engines.host.host import Host, HostLimits
from workers.engines.host.protocol import Delta, Request
from workers.engines.hosted.engine import HostedEngine
from workers.engines.onnx import OnnxEngine
from workers.engines.onnx.folder import ModelFolder
from workers.engines.openvino import OpenVINOEngine
from workers.engines.openvino.folder import OpenVINOFolder
from workers.settings import Settings

SESSION = 2560
"""Tokens: the longest prompt that is measured, and its answer."""
NAMES = ("genai", "genai8", "onnx", "openvino", "llama4", "llama8")


class Contender(Protocol):
    """A loaded engine."""

    name: str
    slots: int
    """Runs that go at once."""
    token_bytes: int
    """Keys and values of a token; 0: not known."""

    def run(self, prompt: tuple[int, ...], tokens: int, stop: threading.Event) -> Iterator[int]:
        """The number of tokens each time some come."""
        ...

    def process(self) -> psutil.Process:
        """What holds the model."""
        ...

    def close(self) -> None:
        """End it."""
        ...


@dataclass
class Hosted:
    """One of the host's backends."""

    name: str
    host: Host
    slots: int
    token_bytes: int

    def run(self, prompt: tuple[int, ...], tokens: int, stop: threading.Event) -> Iterator[int]:
        """Through the host, as a job does."""
        for event in self.host.generate(Request(tokens=prompt, max_tokens=tokens), stop):
            if isinstance(event, Delta):
                yield len(event.ids)

    def process(self) -> psutil.Process:
        """The child."""
        return psutil.Process(self.host.status().pid)

    def close(self) -> None:
        """End the child."""
        self.host.close()


@dataclass
class Llama:
    """llama.cpp's server."""

    name: str
    program: Path
    model: Path
    slots: int
    threads: int
    token_bytes: int = 0
    _popen: subprocess.Popen[bytes] = field(init=False)
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            *(self.program, "-m", self.model, "--host", "127.0.0.1", "--port", port, "--no-webui"),
            *("-t", self.threads, "-tb", self.threads, "-np", self.slots, "-c", SESSION * self.slots),
            *("--cont-batching", "-b", 2048, "-ub", 512, "--cache-prompt", "--kv-unified", "-fa", "auto"),
            *("--threads-http", 64),  # a connection that waits takes one
        ]
        self._popen = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=600, trust_env=False, headers={"Connection": "close"}
        )
        limit = time.monotonic() + 60
        while True:
            try:
                if self._client.get("/health").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if time.monotonic() > limit or self._popen.poll() is not None:
                raise SystemExit(f"{self.program} does not start")
            time.sleep(0.1)  # between two looks: llama.cpp's server tells nobody when it is ready
        list(self.run((300,) * 65, 2, threading.Event()))

    def run(self, prompt: tuple[int, ...], tokens: int, stop: threading.Event) -> Iterator[int]:
        """Its own protocol, which takes token ids."""
        body = {
            "prompt": list(prompt),
            "n_predict": tokens,
            "temperature": 0,
            "stream": True,
            "cache_prompt": True,
            "ignore_eos": True,
            "return_tokens": True,
        }
        with self._client.stream("POST", "/completion", json=body) as answer:
            for line in answer.iter_lines():
                if stop.is_set():
                    return
                if line.startswith("data: ") and '"stop":false' in line:
                    yield 1

    def process(self) -> psutil.Process:
        """The server."""
        return psutil.Process(self._popen.pid)

    def close(self) -> None:
        """End the server."""
        self._client.close()
        self._popen.kill()
        self._popen.wait()


def start(
    name: str, folder: Path, threads: int, llama: Path | None, prefixes: int | None = None, slots: int = 0
) -> Contender:
    """Load an engine and run a little, so that nothing late is measured.

    ``prefixes`` bytes are kept by ``onnx``; ``slots`` are those of ours, 0: as a worker has them.
    """
    if name.startswith("llama"):
        if llama is None:
            raise SystemExit("llama.cpp's server is compared where --llama names it")
        return Llama(name, llama, folder / "gguf" / "model.gguf", int(name.removeprefix("llama")), threads)
    if name.startswith("genai"):
        return Plain(name, folder / "onnx", threads, int(name.removeprefix("genai") or 1))
    engine: HostedEngine
    limits = HostLimits(waiting=4096)
    if name == "openvino":
        found = OpenVINOFolder.read(folder / "openvino")
        uri = EngineURI("openvino", "bench")
        slots = slots or int(Settings.model_fields["openvino_slots"].default)
        engine = OpenVINOEngine(uri, found, session=SESSION, threads=threads, limits=limits, slots=slots)
        token = found.cache_per_token
    else:
        shape = ModelFolder.read(folder / "onnx")
        uri = EngineURI("onnx", "bench")
        slots = slots or int(Settings.model_fields["onnx_slots"].default)
        engine = OnnxEngine(
            uri, shape, session=SESSION, threads=threads, prefix_bytes=prefixes, limits=limits, slots=slots
        )
        token = shape.cache_per_token
    host = engine.host
    host.load(threading.Event())
    return Hosted(name, host, host.spec.slots, token)
