from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.engines.base import EngineURI
from workers.engines.host.backend import Backend
from workers.engines.host.host import Host
from workers.engines.host.protocol import LoadSpec, Request, RunEvent, Waiting
from workers.engines.host.scheduler import Scheduler
from workers.engines.onnx import OnnxEngine
from workers.engines.onnx.folder import ModelFolder
from workers.jobs import GenerationOptions

ASSETS = Path(__file__).resolve().parents[1] / "assets"


@pytest.fixture(scope="session")
def tiny() -> Path:
    return ASSETS / "tiny-phi3"


@pytest.fixture(scope="session")
def longrope() -> Path:
    return ASSETS / "tiny-phi3-longrope"


@pytest.fixture(scope="session")
def eyes_folder() -> Path:
    return ASSETS / "tiny-phi3v"


@pytest.fixture
def broken_copy(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to break."""
    return Path(shutil.copytree(tiny, tmp_path / "model"))


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Iterator[OnnxEngine]:
    engine = OnnxEngine(EngineURI("onnx", "tiny"), ModelFolder.read(tiny), threads=1)
    yield engine
    engine.close()


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def chat(engine: OnnxEngine, stop: threading.Event) -> Callable[..., object]:
    return lambda **options: engine.chat_model(GenerationOptions(**options), stop)


@pytest.fixture
def host(tiny: Path) -> Iterator[Host]:
    host = Host(LoadSpec(str(tiny), threads=1, max_length=4096))
    yield host
    host.close()


@pytest.fixture
def single(tiny: Path) -> Iterator[Host]:
    """A host with one slot: the second run waits."""
    host = Host(LoadSpec(str(tiny), threads=1, max_length=4096, slots=1))
    yield host
    host.close()


def _drive(backend: Backend, request: Request, cancelled: Callable[[], bool] = lambda: False) -> Iterator[RunEvent]:
    events: list[RunEvent] = []
    scheduler = Scheduler(backend, events.append, clock=lambda: 0.0)
    scheduler.submit(request)
    while not scheduler.idle:
        if cancelled():
            scheduler.cancel(request.id)
        else:
            scheduler.step()
        yield from (event for event in events if not isinstance(event, Waiting))
        events.clear()
    yield from (event for event in events if not isinstance(event, Waiting))


@pytest.fixture(scope="session")
def drive() -> Callable[..., Iterator[RunEvent]]:
    """Runs one request in this process: a backend, a request and whether it is cancelled, asked before each step."""
    return _drive
