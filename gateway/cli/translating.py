"""translate: texts and files of many formats, with a glossary, back into files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.io import Io
from gateway.cli.task_options import Formality, Markup
from gateway.errors import InputMissing

_HEADS = {"term", "source", "from", "translation", "target", "to"}


def translate(
    io: Io,
    shared: dict[str, Any],
    inputs: Annotated[list[str] | None, typer.Argument(help="Files or a text; - reads standard input.")] = None,
    target: Annotated[str, typer.Option("--to", "-t", help="Language to translate to, such as de.")] = ...,  # type: ignore[assignment]
    source: Annotated[
        str | None, typer.Option("--from", help="Language of the text; detected when it is not given.")
    ] = None,
    form: Annotated[
        Markup, typer.Option("--format", help="What the text is; auto: by the file's name, else as it looks.")
    ] = "auto",
    glossary: Annotated[
        Path | None,
        typer.Option(help="Terms that have one translation: a .csv or .tsv file of term and translation."),
    ] = None,
    keep: Annotated[list[str] | None, typer.Option(help="A word that is not translated; repeatable.")] = None,
    formality: Annotated[
        Formality | None, typer.Option(help="How to address the reader, where the language tells.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write each translation into this folder, under its file's name.")
    ] = None,
) -> None:
    """Translate texts and files, keeping their structure. Needs a generative model."""
    from gateway.cli.connection import connect
    from gateway.cli.dispatch import Wanted, dispatch
    from gateway.cli.inputs import Unreadable, texts

    client = connect()
    bad: list[Unreadable] = []
    fields: dict[str, Any] = {"target": target, "source": source, "formality": formality, "keep": keep or None}
    fields["glossary"] = read_glossary(glossary) if glossary is not None else None
    found = texts(inputs or [], client.settings.max_file_bytes, words="unless a file", bad=bad, markup=True)
    wanted = [Wanted("translate", one.name, one.text, {**fields, "format": _format(form, one.name)}) for one in found]
    dispatch(io, client, wanted, shared, bad, out)


def _format(form: str, name: str) -> str | None:
    """The format of an input; None where nobody said, so that workers of an older version can do the job too."""
    if form != "auto":
        return form
    from agents.formats import format_of

    return format_of(name) if Path(name).is_file() else None


def read_glossary(path: Path) -> dict[str, str]:
    """Terms and their translations from a file of two columns, with or without a line of headings.

    Raises:
        InputMissing: when it can't be read, or a line has not two columns.
    """
    import csv

    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
        raise InputMissing(
            f"The glossary {path} can't be read: {why}.", hint="Name a .csv or .tsv file.", subject=str(path)
        ) from error
    first = text.partition("\n")[0]
    # Spreadsheets of countries with a decimal comma separate by semicolons.
    delimiter = "\t" if "\t" in first else ";" if ";" in first and "," not in first else ","
    found: dict[str, str] = {}
    for number, row in enumerate(csv.reader(text.splitlines(), delimiter=delimiter), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and len(cells) > 1 and {cells[0].lower(), cells[1].lower()} <= _HEADS):
            continue
        if len(cells) < 2 or not cells[0] or not cells[1]:
            raise InputMissing(
                f"Line {number} of the glossary {path} has no term and translation: {','.join(cells)[:80]!r}.",
                hint="Write one term a line: term,translation. A word that stays as it is: --keep WORD",
                subject=str(path),
            )
        found[cells[0]] = cells[1]
    return found
