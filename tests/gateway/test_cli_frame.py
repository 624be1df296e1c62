"""The command line's frame: help, start-up, exit codes, errors; nothing needs to run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli.connection import using
from gateway.errors import error_from, exit_code
from workers.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("pydantic", "celery", "redis", "chromadb", "langchain_core", "onnxruntime", "numpy", "httpx", "PIL")


def phiq(*arguments: str, settings: Settings) -> Any:
    with using(settings):
        return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def nothing_runs(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "nothing")


@pytest.mark.parametrize("arguments", [["--help"], ["ask", "--help"], ["models", "--help"], ["demo", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom gateway.cli import app\n"
        f"try: app({arguments!r}, prog_name='phiq')\nexcept SystemExit as end: assert end.code == 0, end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    # Typer itself reads a command's values with pydantic.
    expected = "[]" if len(arguments) == 1 else "['pydantic']"
    assert done.stderr.strip() == expected, done.stderr
    assert "Usage: phiq" in done.stdout


def test_importing_phiq_is_cheap() -> None:
    code = f"import sys, phiq\nprint([name for name in {HEAVY!r} if name in sys.modules])\nphiq.Client\nphiq.submit"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
    assert done.returncode == 0, done.stderr


def test_the_page_of_the_commands_is_up_to_date() -> None:
    from gateway.cli.page import page

    written = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m gateway.cli.page docs/cli.md"


@pytest.mark.parametrize(
    "arguments",
    [["ask", "hello"], ["jobs"], ["watch", "0" * 32], ["cancel", "0" * 32], ["search", "x"], ["workers"]],
)
def test_without_phiq_running_every_command_says_how_to_start_it(arguments: list[str], nothing_runs: Settings) -> None:
    result = phiq(*arguments, settings=nothing_runs)
    assert result.exit_code == 4
    assert "not_running" in result.stderr
    assert "→ phiq up" in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_an_error_in_json_is_one_document_on_stdout(nothing_runs: Settings) -> None:
    result = phiq("ask", "hello", "--json", settings=nothing_runs)
    assert result.exit_code == 4
    assert json.loads(result.stdout)["error"]["code"] == "not_running"
    assert json.loads(result.stdout)["error"]["hint"] == "phiq up"


@pytest.mark.parametrize("arguments", [["nonsense"], ["ask", "--nonsense"], ["summarize", "--sentences", "many"]])
def test_a_command_line_that_makes_no_sense_is_exit_code_2(arguments: list[str], nothing_runs: Settings) -> None:
    assert phiq(*arguments, settings=nothing_runs).exit_code == 2


def test_usage_errors_are_json_too_when_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "translate", "hello", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"
    assert "--to" in json.loads(done.stdout)["error"]["message"]


def test_the_version_is_told(nothing_runs: Settings) -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        expected = version("phiq")
    except PackageNotFoundError:
        pytest.skip("phiq itself is not installed here, only its dependencies")
    assert expected in phiq("--version", settings=nothing_runs).stdout


def test_a_recorded_error_comes_back_as_its_class_and_keeps_its_words() -> None:
    from agents.errors import NeedsModel

    original = NeedsModel("No.", hint="phiq models list", subject="translate", tokens=3)
    again = error_from(original.to_dict())
    assert type(again) is NeedsModel
    assert again.to_dict() == original.to_dict()


def test_an_error_of_a_newer_version_keeps_its_code() -> None:
    again = error_from({"code": "from_the_future", "fault": "user", "message": "What?"})
    assert again.code == "from_the_future"
    assert exit_code(again) == 3


def test_models_are_listed_without_a_service(nothing_runs: Settings) -> None:
    settings = nothing_runs.model_copy(update={"ollama_url": "http://127.0.0.1:9"})
    weights = settings.data_dir / "models" / "own-weights"
    weights.mkdir(parents=True)
    (weights / "config.json").write_text("{}")
    (weights / "model.safetensors").write_bytes(b"x")
    listed = json.loads(phiq("models", "list", "--json", settings=settings).stdout)
    assert "phi-3.5-mini" in [model["name"] for model in listed["models"]]
    assert listed["ollama_running"] is False
    own = next(model for model in listed["models"] if model["name"] == "own")
    assert (own["weights"], own["onnx"]) == (True, None)
    for scheme, library in (
        ("onnx", "onnxruntime_genai"),
        ("transformers", "transformers"),
        ("openvino", "openvino_genai"),
    ):
        here = importlib.util.find_spec(library) is not None
        assert listed["engines"][scheme]["installed"] is here
        assert (f"{scheme}:own" in own["use"]) is (scheme == "transformers" and here)
    assert "own-weights" not in [model["name"] for model in listed["models"]], "no broken model of the shelf"


def test_a_local_model_is_added_used_by_name_and_removed(nothing_runs: Settings) -> None:
    folder = ROOT / "tests/assets/tiny-phi3"
    added = phiq("models", "add", str(folder), "--name", "tiny", settings=nothing_runs)
    assert added.exit_code == 0
    assert "onnx:tiny" in added.stdout
    assert phiq("models", "path", "tiny", settings=nothing_runs).stdout.strip() == str(folder)
    assert phiq("models", "remove", "tiny", settings=nothing_runs).exit_code == 0
    gone = phiq("models", "path", "tiny", settings=nothing_runs)
    assert gone.exit_code == 3
    assert "model_not_found" in gone.stderr
    assert folder.is_dir()


def test_adding_what_is_no_model_is_the_users_fault(nothing_runs: Settings, tmp_path: Path) -> None:
    assert phiq("models", "add", str(tmp_path / "none"), settings=nothing_runs).exit_code == 3
    (tmp_path / "empty").mkdir()
    result = phiq("models", "add", str(tmp_path / "empty"), settings=nothing_runs)
    assert result.exit_code == 3
    assert "model_broken" in result.stderr


def test_a_settings_mistake_names_the_variable() -> None:
    import os

    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "jobs"],
        cwd=ROOT,
        env={**os.environ, "PHIQ_SLOTS": "many"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3
    assert "settings_invalid" in done.stderr
    assert "PHIQ_SLOTS" in done.stderr


def test_once_text_has_begun_no_moving_line_wipes_it_out() -> None:
    import io

    from rich.console import Console

    from gateway.cli.follow import Status
    from gateway.cli.io import Io

    shown = io.StringIO()
    output = Io()
    output.__dict__["err"] = Console(file=shown, force_terminal=True)
    status = Status(output)
    status.say("[loading] the model")
    status.close()
    assert "[loading] the model" in shown.getvalue()
    before = shown.getvalue()
    status.say("half way", passing=True)
    assert shown.getvalue() == before


def test_down_with_nothing_running_is_fine(nothing_runs: Settings) -> None:
    result = phiq("down", settings=nothing_runs)
    assert result.exit_code == 0
    assert "Nothing runs" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [["models", "path"], ["models", "list", "--json"]])
def test_a_full_disk_behind_stdout_is_told_without_a_trace(arguments: list[str], tmp_path: Path) -> None:
    model = tmp_path / "models" / "tiny"
    model.parent.mkdir()
    model.symlink_to(ROOT / "tests" / "assets" / "tiny-phi3")
    code = f"from gateway.cli import app\napp({arguments!r}, prog_name='phiq')"
    env = {**os.environ, "PHIQ_DATA_DIR": str(tmp_path), "PHIQ_OLLAMA_URL": "http://127.0.0.1:1"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert "storage_full" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_defect(closed: str, tmp_path: Path) -> None:
    command = f'exec "$0" -m gateway.cli models list {closed}'
    env = {**os.environ, "PHIQ_DATA_DIR": str(tmp_path), "PHIQ_OLLAMA_URL": "http://127.0.0.1:1"}
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "internal" not in done.stderr
