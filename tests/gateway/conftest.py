"""A whole phiq for the front doors' tests: real Redis, Chroma and worker, started once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="session")
def stack(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Settings of a running stack that allows the fake engine, with the handbook ingested as `default`."""
    from gateway.cli.connection import using
    from gateway.cli.documents import ingest_paths
    from gateway.cli.io import Io
    from gateway.client import Client
    from workers.settings import Settings
    from workers.stack import Stack

    settings = Settings(data_dir=tmp_path_factory.mktemp("phiq"), allow_fake_engine=True, slots=2)
    with Stack(settings, parts=("redis", "chroma", "words", "worker")), using(settings):
        ingest_paths(Io(json=True), Client(settings=settings), [str(EXAMPLES / "handbook")], "default")
        yield settings


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(stack: Any) -> Callable[..., Outcome]:
    """Run a command in this process against the stack (or the settings given as ``settings``)."""
    from typer.testing import CliRunner

    from gateway.cli import app
    from gateway.cli.connection import using

    def invoke(*arguments: str | Path, stdin: str | bytes = "", settings: Any = None) -> Outcome:
        with using(settings or stack):
            result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return invoke


@pytest.fixture
def spawn(stack: Any) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``phiq …`` as a process of its own against the stack; ended by its id when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", *map(str, arguments)],
            cwd=ROOT,
            text=True,
            **{
                "env": {**os.environ, "PHIQ_DATA_DIR": str(stack.data_dir), "PHIQ_ALLOW_FAKE_ENGINE": "true"},
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "stdin": subprocess.DEVNULL,
                **options,
            },
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # cancels its job, which would else keep a slot from the next test
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate(timeout=30)
