"""ask, summarize, translate, describe, complete: the work itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.command import command
from gateway.cli.filters import Languages, Since, Under, Until, filters
from gateway.cli.io import Io
from gateway.cli.options import GENERATION, JOB
from gateway.cli.task_options import Form, Length, Style
from gateway.cli.translating import translate

PANEL = "Work"
SHARED = {**GENERATION, **JOB}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for function in (ask, summarize, translate, describe, complete):
        command(app, function.__name__, shared=SHARED, rich_help_panel=PANEL)(function)


def ask(
    io: Io,
    shared: dict[str, Any],
    question: Annotated[list[str] | None, typer.Argument(help="The question; - reads standard input.")] = None,
    files: Annotated[bool, typer.Option("--files", "-f", help="The arguments are files, a question each.")] = False,
    collection: Annotated[str, typer.Option("--collection", "-c", help="The documents to answer from.")] = "default",
    no_documents: Annotated[bool, typer.Option("--no-documents", help="Let the model answer from itself.")] = False,
    passages: Annotated[int, typer.Option(help="How many passages to look at.", min=1, max=50)] = 5,
    system: Annotated[str | None, typer.Option(help="How the model should behave.")] = None,
    languages: Languages = None,
    under: Under = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Answer a question from your documents, with citations.

    Says so when they hold no answer. Words need no quotes: phiq ask How do I reset it?
    """
    from gateway.cli.connection import connect
    from gateway.cli.dispatch import Wanted, dispatch
    from gateway.cli.inputs import Unreadable, texts

    client = connect()
    bad: list[Unreadable] = []
    found = texts(question or [], client.settings.max_job_bytes, words="never" if files else "always", bad=bad)
    before = [{"role": "system", "content": system}] if system else []
    fields: dict[str, Any] = {"collection": None if no_documents else collection, "top_k": passages}
    fields["filters"] = filters(languages, under, since, until)
    wanted = [Wanted("chat", one.name, [*before, {"role": "user", "content": one.text}], fields) for one in found]
    dispatch(io, client, wanted, shared, bad)


def summarize(
    io: Io,
    shared: dict[str, Any],
    files: Annotated[list[str] | None, typer.Argument(help="Files; - reads standard input.")] = None,
    focus: Annotated[str | None, typer.Option(help="A question that the summary should answer.")] = None,
    sentences: Annotated[int, typer.Option(help="About how long.", min=1, max=50)] = 5,
    language: Annotated[str | None, typer.Option(help="Language of the summary, such as de.")] = None,
    together: Annotated[bool, typer.Option("--together", help="One summary of all files.")] = False,
    form: Annotated[Style, typer.Option("--style", help="minutes: of a meeting; handover: of a ticket.")] = "paragraph",
    length: Annotated[Length | None, typer.Option(help="Goes before --sentences.")] = None,
) -> None:
    """Summarize files; each gets its own summary."""
    from gateway.cli.connection import connect
    from gateway.cli.dispatch import Wanted, dispatch
    from gateway.cli.inputs import Unreadable, texts

    client = connect()
    bad: list[Unreadable] = []
    found = texts(files or [], client.settings.max_file_bytes, bad=None if together else bad)
    fields = {"focus": focus, "sentences": sentences, "language": language, "form": form, "length": length}
    groups = [found] if together else [[one] for one in found]
    wanted = [
        Wanted("summarize", group[0].name, [{"text": one.text, "name": one.name} for one in group], fields)
        for group in groups
    ]
    dispatch(io, client, wanted, shared, bad)


def describe(
    io: Io,
    shared: dict[str, Any],
    pictures: Annotated[list[Path], typer.Argument(help="Pictures: PNG, JPEG, WEBP, GIF, BMP, TIFF; or videos.")],
    question: Annotated[str | None, typer.Option("--question", "-q", help="What to look for.")] = None,
    together: Annotated[bool, typer.Option("--together", help="One description of all pictures.")] = False,
    form: Annotated[Form, typer.Option("--as", help="What it is for.")] = "description",
    mask: Annotated[bool, typer.Option("--mask", help="Take out personal data and secrets.")] = False,
    frames: Annotated[int, typer.Option("--frames", help="Frames to look at of a video.", min=1, max=20)] = 6,
    language: Annotated[str | None, typer.Option(help="Language to write in, such as de.")] = None,
) -> None:
    """Describe pictures: their text, what was measured and, with a vision model, what they show."""
    from gateway.cli.connection import connect
    from gateway.cli.dispatch import Wanted, dispatch
    from gateway.cli.inputs import Unreadable, each, read_bytes

    client = connect()
    bad: list[Unreadable] = []
    limit = client.settings.max_file_bytes
    items = each(pictures, lambda path: (path, (path.name, read_bytes(path, limit))), None if together else bad)
    groups = [items] if together else [[item] for item in items]
    fields = {
        "question": question,
        "form": form.replace("-", "_"),
        "mask": mask,
        "frames": frames,
        "language": language,
    }
    wanted = [Wanted("describe", str(group[0][0]), [content for _, content in group], fields) for group in groups]
    dispatch(io, client, wanted, shared, bad)


def complete(
    io: Io,
    shared: dict[str, Any],
    prompts: Annotated[list[str] | None, typer.Argument(help="Texts or files; - reads standard input.")] = None,
) -> None:
    """Let a generative model go on from a prompt; no documents, no checks."""
    from gateway.cli.connection import connect
    from gateway.cli.dispatch import Wanted, dispatch
    from gateway.cli.inputs import Unreadable, texts

    client = connect()
    bad: list[Unreadable] = []
    found = texts(prompts or [], client.settings.max_job_bytes, words="unless a file", bad=bad)
    dispatch(io, client, [Wanted("complete", one.name, one.text, {}) for one in found], shared, bad)
