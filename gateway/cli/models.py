"""models list, pull, remove, path, add: what generates, and how to get it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.command import command
from gateway.cli.io import Io

if TYPE_CHECKING:
    from workers.models.shelf import Shelf
    from workers.settings import Settings

ModelName = Annotated[str, typer.Argument(metavar="NAME", help="Such as phi-3.5-mini.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="List, get and remove models.", no_args_is_help=True)
    command(group, "list", here=True)(list_models)
    command(group, "pull", here=True)(pull)
    command(group, "add", here=True)(add)
    command(group, "remove", here=True)(remove)
    command(group, "path", here=True)(path)
    app.add_typer(group, name="models", rich_help_panel="Models")


def list_models(io: Io) -> None:
    """List the Phi family and which of it is on this machine."""
    from workers.connections import default_model
    from workers.engines.here import LIBRARIES, installed, weights_here
    from workers.engines.registry import ENGINES
    from workers.models.profiles import PROFILES, lookup

    settings, shelf = _shelf()
    here = {entry.name: entry for entry in shelf.list()}
    ollama = ollama_names(settings)
    in_ollama = {profile.name: name for name in ollama or () if (profile := lookup(name)) is not None}
    engines = {scheme: {"installed": installed(scheme), "install": ENGINES[scheme].install} for scheme in LIBRARIES}
    weights = weights_here(settings.data_dir)
    names = [profile.name for profile in PROFILES]
    names += [name for name in weights if name not in names]
    names += [name for name, entry in here.items() if name not in names and entry.model not in names]
    rows: list[dict[str, object]] = []
    for name in names:
        profile, entry = lookup(name), here.get(name)
        rows.append(
            {
                "name": name,
                "title": profile.title if profile else "",
                "parameters": profile.parameters if profile else "",
                "context": profile.context if profile else None,
                "vision": profile.vision if profile else None,
                "licence": profile.licence if profile else "",
                "onnx": None if entry is None else {"path": str(entry.path), "problem": entry.problem},
                "ollama": in_ollama.get(name),
                "weights": name in weights,
                "use": [
                    *(one.uri for one in (entry, here.get(f"{name}-ov")) if one is not None and not one.problem),
                    *([f"ollama:{in_ollama[name]}"] if name in in_ollama else []),
                    *(
                        f"{scheme}:{name}"
                        for scheme in ("transformers", "mlx")
                        if name in weights and installed(scheme)
                    ),
                ],
                "ollama_name": profile.ollama if profile else None,
                "has_onnx": bool(profile and profile.onnx_repo),
            }
        )
    if io.json:
        io.document(
            {
                "default": default_model(settings),
                "ollama_running": ollama is not None,
                "engines": engines,
                "models": rows,
            }
        )
        return
    io.table(
        ("model", "size", "context", "sees", "on this machine as", "get it with"),
        [
            (
                str(row["name"]),
                str(row["parameters"]),
                f"{int(str(row['context'])) // 1024}k" if row["context"] else "",
                "yes" if row["vision"] else "",
                " ".join(row["use"]) if isinstance(row["use"], list) else "",
                _get(row, ollama is not None),
            )
            for row in rows
        ],
    )
    for entry in here.values():
        if entry.problem:
            io.note(f"{entry.name} can't be used: {entry.problem}", style="yellow")
    for scheme, about in engines.items():
        how = "installed" if about["installed"] else f"not installed ({about['install']})"
        io.note(f"The engine {scheme} is {how}.")
    from workers.engines.auto import choose

    choice = choose(settings)
    io.note(f"auto is {choice.uri} here: {choice.why}.")
    io.note(
        f"Jobs that name no model run on {default_model(settings)} (phiq up -m MODEL, or PHIQ_MODEL). "
        + ("Ollama runs." if ollama is not None else f"No Ollama answers at {settings.ollama_url}.")
    )


def _get(row: dict[str, object], ollama_runs: bool) -> str:
    if row["use"]:
        return ""
    if row["ollama_name"] and (ollama_runs or not row["has_onnx"]):
        return f"phiq models pull ollama:{row['ollama_name']}"
    return f"phiq models pull {row['name']}" if row["has_onnx"] else "phiq models add FOLDER"


def add(
    io: Io,
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="A folder with an ONNX model.")],
    name: Annotated[str | None, typer.Option("--name", help="Its name here; else the folder's.")] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files instead of linking to them.")] = False,
) -> None:
    """Take a local folder as a model."""
    _, shelf = _shelf()
    entry = shelf.add(folder, name, copy=copy)
    if io.json:
        io.document({"name": entry.name, "path": str(entry.path)})
    else:
        io.text(f"Added {entry.name}. Use it with: --model onnx:{entry.name}")


def remove(io: Io, name: ModelName) -> None:
    """Take a model (NAME, or ollama:NAME) from this machine; a linked folder itself is left alone."""
    from workers.models.pull import remove as take_away

    settings, shelf = _shelf()
    linked = next((entry for entry in shelf.list() if entry.name == name and entry.kind == "linked"), None)
    take_away(name, settings)
    if io.json:
        io.document({"removed": name})
    else:
        io.text(f"Removed {name}." + (f" Its folder {linked.path} is left as it is." if linked else ""))


def path(io: Io, name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A model.")] = None) -> None:
    """Print where a model lies, or all of them."""
    _, shelf = _shelf()
    found = shelf.root if name is None else shelf.path(name)
    if io.json:
        io.document({"path": str(found)})
    else:
        io.text(str(found))


def pull(
    io: Io,
    name: Annotated[str, typer.Argument(metavar="NAME", help="phi-3.5-mini, ollama:phi3.5, OWNER/REPOSITORY/FOLDER.")],
) -> None:
    """Get a model from the hub, or through Ollama. Goes on where it was interrupted."""
    from workers.models.pull import pull as fetch

    settings, _ = _shelf()
    with _bytes_bar(io) as progress:
        pulled = fetch(name, settings, progress)
    if io.json:
        io.document({"uri": pulled.uri, "path": pulled.path, "size": pulled.size, "fetched": pulled.fetched})
        return
    io.text(("Ready: " if pulled.fetched else "Here already: ") + pulled.uri)
    io.note(f"Use it: phiq ask --model {pulled.uri} QUESTION, or for every job: phiq up --model {pulled.uri}")


@contextmanager
def _bytes_bar(io: Io) -> Iterator[Callable[[int, int, str], None] | None]:
    """A callable that moves a bar; on a plain stderr a line for each thing that is fetched."""
    if not io.lively:
        told: set[str] = set()

        def line(_done: int, total: int, what: str) -> None:
            if what not in told:
                told.add(what)
                io.note(f"fetching {what}" + (f" ({total / 1e6:,.0f} MB in all)" if total else ""))

        yield line
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=30), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=io.err, transient=True) as bar:
        task = bar.add_task("asking", total=None)

        def move(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total or None, description=what)

        yield move


def _shelf() -> tuple[Settings, Shelf]:
    from gateway.cli.connection import settings as current
    from workers.models.shelf import Shelf

    settings = current()
    return settings, Shelf(settings.data_dir)


def ollama_names(settings: Settings) -> list[str] | None:
    """The models that a running Ollama has; None when none answers."""
    from workers.engines.here import ollama_names as ask

    return ask(settings)
