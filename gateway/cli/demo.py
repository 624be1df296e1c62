"""phiq demo: the whole of phiq on the handbook in examples/, in a temporary folder, with the commands people type."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gateway.cli.command import command, show_error
from gateway.cli.io import Io
from knowledge.errors import PhiqError

if TYPE_CHECKING:
    from workers.models.folder import Form
    from workers.settings import Settings

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUESTIONS = (
    "How do I reset the Loop to its factory settings?",
    "How long does the warranty last?",
    "Is there a discount for students?",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "demo", here=True, rich_help_panel="This machine")(demo)


def demo(
    io: Io,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Engine to use; else a Phi found here.")] = None,
) -> None:
    """Try everything on an invented company's handbook; takes less than a minute and leaves nothing behind."""
    from gateway.cli.connection import settings as current
    from gateway.cli.connection import using
    from gateway.errors import InputMissing
    from workers.stack import Stack

    if not EXAMPLES.is_dir():
        raise InputMissing("The examples are not here.", hint="Run the demo from a clone of the repository.")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="phiq-demo-") as folder:
        settings, found = _settings(current(), Path(folder), model)
        _say(io, f"phiq demo: on this machine only, in {folder}. {found}")
        with Stack(settings, parts=("redis", "chroma", "words", "worker", "beat")) as stack, using(settings):
            parts = ", ".join(part.name for part in stack.parts())
            _say(io, f"Running: {parts} (after {time.monotonic() - began:.1f} s).")
            _tour(io, settings)
    _say(io, f"\nDone in {time.monotonic() - began:.0f} s; everything is stopped and the folder is gone.")
    _next(io, settings.model)


def _tour(io: Io, settings: Settings) -> None:
    from gateway.cli import documents, records, translating, work

    shared: dict[str, Any] = {}
    with _step(io, "Load a handbook: pages, a table, a Word file and a PDF", f"ingest {_near('handbook')}"):
        documents.ingest(io, [str(EXAMPLES / "handbook")])
    for number, question in enumerate(QUESTIONS):
        title = ("Ask it", "", "Ask it what it does not say")[number]
        with _step(io, title, f"ask {shlex.quote(question)}"):
            work.ask(io, shared, [question])
    report = EXAMPLES / "field-trial-report.md"
    with _step(io, "Summarize a long report", f"summarize {_near(report.name)}"):
        work.summarize(io, shared, [str(report)])
    eyes = _eyes(settings)
    typed = f"describe {_near('screenshot.png')}" + "".join(f" --{name} {value}" for name, value in eyes.items())
    with _step(io, "Describe a screenshot", typed):
        work.describe(io, eyes, [EXAMPLES / "screenshot.png"])
    tickets = sorted(str(path) for path in (EXAMPLES / "tickets").glob("*.txt"))
    with _step(io, "A batch: a line for each support ticket", f"summarize --sentences 1 {_near('tickets')}/*.txt"):
        work.summarize(io, shared, tickets, sentences=1)
    sentence = "Hold the ring for twelve seconds until it flashes red three times."
    without = settings.model == "extractive"
    title = "Translate: needs a generative model, and says so" if without else "Translate"
    with _step(io, title, f"translate {shlex.quote(sentence)} --to German", expected="needs_model" if without else ""):
        translating.translate(io, shared, [sentence], target="German")
    with _step(io, "What the queue did", "jobs --limit 5"):
        records.list_jobs(io, limit=5)


def _settings(base: Settings, folder: Path, model: str | None) -> tuple[Settings, str]:
    """The demo's own settings, and a sentence on the model."""
    from workers.models.shelf import Shelf

    own = {
        "data_dir": folder,
        "redis_url": None,
        "chroma_url": None,
        "words_url": None,
        "content_url": None,
        "tenant": "default",
    }
    uri = model or _find_model(base) or "extractive"
    scheme, _, name = uri.partition(":")
    if scheme in ("onnx", "openvino") and not Path(name).is_absolute():
        # The demo's data folder has a shelf of its own: link the model into it.
        Shelf(folder).add(Shelf(base.data_dir).path(name, cast("Form", scheme)), name)
    settings = base.model_copy(update={**own, "model": uri})
    if uri == "extractive":
        return settings, "No generative model is here, so answers are sentences picked from the documents."
    return settings, f"Everything runs on {uri}."


def _find_model(settings: Settings) -> str | None:
    """A Phi on the shelf, else one in a running Ollama that the settings allow."""
    from gateway.cli.models import ollama_names
    from workers.engines.registry import Registry
    from workers.models.profiles import lookup
    from workers.models.shelf import Shelf

    for entry in Shelf(settings.data_dir).list():
        profile = lookup(entry.name)
        # The onnx engine runs no model for pictures yet.
        if not entry.problem and profile is not None and not profile.vision:
            return f"onnx:{entry.name}"
    try:
        Registry(settings).check("ollama:phi3.5")
    except PhiqError:
        return None
    return next((f"ollama:{name}" for name in ollama_names(settings) or () if lookup(name) is not None), None)


def _eyes(settings: Settings) -> dict[str, Any]:
    """A text model can't see: the picture is then measured and read without one."""
    from workers.models.profiles import lookup

    profile = lookup(settings.model.partition(":")[2])
    sees = settings.model == "extractive" or (profile is not None and profile.vision)
    return {} if sees else {"model": "extractive"}


def _near(name: str) -> str:
    return f"examples/{name}"


@contextmanager
def _step(io: Io, title: str, line: str, expected: str = "") -> Iterator[None]:
    """A heading, the command as people type it, and what it prints; an expected error is shown and passes."""
    if title:
        _say(io, f"\n{title}", style="bold")
    else:
        _say(io, "")
    _say(io, f"$ phiq {line}", style="cyan")
    try:
        yield
    except PhiqError as error:
        if error.code != expected:
            raise
        show_error(io, error)


def _say(io: Io, text: str, style: str = "") -> None:
    if not io.json:
        io.out.print(text, style=style or None, soft_wrap=not io.out.is_terminal)


def _next(io: Io, model: str) -> None:
    lines = [
        "\nNext:",
        "  phiq up                        start it for yourself, then in another terminal:",
        "  phiq ingest FOLDER             load your own documents",
        '  phiq ask "…"                   ask them',
    ]
    if model == "extractive":
        lines += [
            "  phiq models pull phi-3.5-mini  get a generative model (about 2.8 GB), then phiq up -m onnx:phi-3.5-mini",
            "  ollama pull phi3.5             or, where Ollama runs, phiq up -m ollama:phi3.5",
        ]
    lines += ["  phiq doctor                    when something does not work"]
    for line in lines:
        _say(io, line)
