"""The command line where PHIQ_URL is set: nothing but the HTTP API is reached."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import UNAVAILABLE, USER
from workers.settings import Settings
from workers.stack.ports import free_port

pytestmark = pytest.mark.service

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def http_settings(redis_server: str, chroma_server: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """With Chroma and a tenant of our own."""
    return Settings(
        data_dir=tmp_path_factory.mktemp("http"),
        redis_url=redis_server,
        chroma_url=chroma_server,
        key_prefix=f"h{secrets.token_hex(4)}",
        tenant=f"t{secrets.token_hex(4)}",
        allow_fake_engine=True,
        slots=2,
    )


@pytest.fixture
def phiq(gateway: Any, worker: object, tmp_path: Path) -> Callable[..., Any]:
    """Run a command: its exit code, what it printed, and that on stderr."""
    assert worker
    return runner(Settings(data_dir=tmp_path / "nothing", url=gateway.url))


def python(url: str, folder: Path, *arguments: str) -> str:
    """What a process of its own prints that knows phiq by PHIQ_URL alone."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PHIQ_")}
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**clean, "PYTHONPATH": str(ROOT), "PHIQ_URL": f"{url}/", "PHIQ_DATA_DIR": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def example(url: str, name: str, *arguments: str) -> str:
    """What an example prints."""
    return python(url, Path(tempfile.gettempdir()), str(ROOT / "examples" / name), *arguments)


def runner(settings: Settings) -> Callable[..., Any]:
    from typer.testing import CliRunner

    from gateway.cli import app
    from gateway.cli.connection import using

    def run(*arguments: str | Path, code: int = 0) -> Any:
        with using(settings):
            result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == code, (result.stdout, result.stderr)
        return json.loads(result.stdout) if "--json" in arguments else result.stdout + result.stderr

    return run


def test_the_day_of_a_user(phiq: Callable[..., Any], gateway: Any, tmp_path: Path) -> None:
    (tmp_path / "lamp.md").write_text("# Lamp\n\nTo reset the lamp or the Loop, hold the button for ten seconds.\n")
    assert "1 added" in phiq("ingest", tmp_path)
    assert "1 unchanged" in phiq("ingest", tmp_path)
    assert "ten seconds" in phiq("ask", "How do I reset the lamp?")
    assert "lamp.md" in phiq("search", "reset the lamp")
    assert "ten seconds" in example(gateway.url, "five_lines.py")
    assert "ten seconds" in example(gateway.url, "many_questions.py", "How do I reset the lamp?", "Reset the lamp?")
    assert phiq("complete", "one two three", "-m", "fake:echo").strip()
    text = tmp_path / "text.txt"
    text.write_text("The lamp is red. It stands in the hall. Nobody has seen it burn. It was made in 1950.")
    assert "lamp" in phiq("summarize", text)
    from PIL import Image

    picture = tmp_path / "red.png"
    Image.new("RGB", (40, 30), "red").save(picture)
    assert "40" in phiq("describe", picture)
    (tmp_path / "lamp.md").unlink()
    assert "1 deleted" in phiq("ingest", tmp_path, "--prune")


def test_jobs_are_listed_shown_watched_and_cancelled(phiq: Callable[..., Any]) -> None:
    job_id = phiq("complete", "later", "-m", "fake:echo", "--delay", "600", "--no-wait", "--json")["id"]
    assert phiq("jobs", "--json")[0]["id"] == job_id
    shown = phiq("jobs", job_id, "--json")
    assert (shown["state"], shown["waiting"]["reason"]) == ("delayed", "delayed")
    assert "cancelled" in phiq("cancel", job_id)
    assert "job_cancelled" in phiq("watch", job_id, code=5)
    done = phiq("submit", json.dumps({"kind": "complete", "input": {"prompt": "a b c"}, "model": "fake:echo"}), "-w")
    assert done.strip()
    assert "job_not_found" in phiq("jobs", "0" * 32, code=USER)


def test_what_operators_ask(phiq: Callable[..., Any]) -> None:
    assert phiq("workers", "--json")[0]["name"] == "w1"
    assert phiq("queues", "--json")["paused"] == []
    assert "paused" in phiq("pause", "generate.batch")
    assert phiq("queues", "--json")["paused"] == ["generate.batch"]
    assert "resumed" in phiq("resume", "generate.batch")
    phiq("tenants", "limit", "somebody", "--queued", "3")
    assert [one["limits"]["queued"] for one in phiq("tenants", "--json") if one["name"] == "somebody"] == [3]
    assert phiq("stats", "--json")["slots"] >= 2
    phiq("complete", "die", "-m", "fake:echo?fail=engine_down", "--json", code=UNAVAILABLE)
    letters = phiq("dead", "list", "--json")
    assert letters[0]["state"] == "dead"
    assert letters[0]["id"] in phiq("dead", "replay", letters[0]["id"])  # its state is the worker's next try by now
    phiq("cancel", letters[0]["id"])


@pytest.mark.parametrize(
    "command",
    [
        ("up",),
        ("down",),
        ("doctor",),
        ("serve",),
        ("demo",),
        ("backup", "x"),
        ("erase", "--subject", "x", "--yes"),
        ("models", "list"),
        ("models", "pull", "phi-3.5-mini"),
    ],
)
def test_what_needs_the_machine_says_so_by_name(phiq: Callable[..., Any], command: tuple[str, ...]) -> None:
    said = " ".join(phiq(*command, code=USER).split())
    assert "not_over_http" in said
    assert f"`phiq {' '.join(command[:2] if command[0] == 'models' else command[:1])}`" in said
    assert "unset PHIQ_URL" in said


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [("not an address", USER, "settings_invalid"), ("http://127.0.0.1:PORT", UNAVAILABLE, "gateway_unreachable")],
)
def test_where_nothing_is(url: str, code: int, words: str, tmp_path: Path) -> None:
    # A free port is found here: in the parameters it would change the test's name from run to run.
    here = url.replace("PORT", str(free_port()))
    said = runner(Settings(data_dir=tmp_path, url=here))("jobs", code=code)
    assert words in said
    assert "PHIQ_URL" in said


def test_by_the_variables_alone(gateway: Any, worker: object, tmp_path: Path) -> None:
    assert worker
    done = python(gateway.url, tmp_path, "-m", "gateway.cli", "complete", "one two", "-m", "fake:echo")
    assert done.strip()
