"""The command line. ``phiq --help`` imports only Typer, Rich and the standard library."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from gateway.cli import (
    backup,
    batches,
    calibrate,
    dead,
    demo,
    documents,
    erase,
    evaluate,
    fleet,
    jobs,
    key,
    machine,
    models,
    schedule,
    serve,
    stats,
    tenants,
    webhook,
    work,
)
from gateway.cli.interruption import bring_again

app = typer.Typer(
    name="phiq",
    help="Small language models as a job service: ask your documents, summarize, translate, describe pictures.",
    epilog="Start with: phiq up (in one terminal), phiq ingest FOLDER, phiq ask QUESTION.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for family in (
    work,
    documents,
    calibrate,
    jobs,
    batches,
    schedule,
    webhook,
    models,
    fleet,
    stats,
    evaluate,
    dead,
    tenants,
    machine,
    serve,
    backup,
    erase,
    demo,
    key,
):
    family.register(app)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"phiq {version('phiq')}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version and leave.", callback=_version),
) -> None:
    pass


def _said(error: typer.TyperException) -> str:
    say = getattr(error, "format_message", None)
    return str(say()) if say is not None else str(error)


def main() -> None:
    """The entry point ``phiq``."""
    arguments = sys.argv[1:]
    # Started with a stream closed (`>&-`), Python has none: what would go there goes nowhere.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the life of the process
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the life of the process
    bring_again()
    try:
        sys.exit(
            typer.main.get_command(app).main(arguments, prog_name="phiq", standalone_mode="--json" not in arguments)
        )
    except typer.TyperException as error:
        # Only with --json: usage errors too are JSON then.
        from gateway.cli.command import show_error
        from gateway.cli.io import Io
        from gateway.errors import USAGE, UsageInvalid

        show_error(Io(json=True), UsageInvalid(_said(error), hint="phiq --help"))
        sys.exit(USAGE)
