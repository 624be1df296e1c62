"""What a task does to each document: options of `batch run` and `schedule add`, and the fields of a job they become."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Style = Literal["paragraph", "line", "bullets", "minutes", "handover"]
Length = Literal["short", "medium", "long"]
Form = Literal["description", "alt-text", "long", "screenshot", "chart", "receipt"]
Formality = Literal["formal", "informal"]
Markup = Literal["auto", "plain", "markdown", "html", "srt", "vtt", "json", "po"]


def task_options(into: str, panel: str | None = None) -> dict[str, Any]:
    """The options by the fields of a job.

    Args:
        into: The option for the language of translations: `--to` means something else to some commands.
        panel: Where the help shows them.
    """

    def option(*names: str, **more: Any) -> Any:
        return typer.Option(*names, **more, rich_help_panel=panel)

    return {
        "focus": Annotated[str | None, option(help="summarize: a question that it should answer.")],
        "sentences": Annotated[int | None, option(help="summarize: about how long.", min=1, max=50)],
        "length": Annotated[Length | None, option(help="summarize: goes before --sentences.")],
        "style": Annotated[Style | None, option(help="summarize: minutes of a meeting, handover of a ticket, …")],
        "language": Annotated[str | None, option(help="summarize, describe: in this language, such as de.")],
        "form": Annotated[Form | None, option("--as", help="describe: what it is for.")],
        "mask": Annotated[
            bool | None, option("--mask", help="describe: take out personal data and secrets.", show_default=False)
        ],
        "target": Annotated[str | None, option(into, help="translate: into this language, such as de.")],
        "source": Annotated[str | None, option("--from", help="translate: language of the text; else detected.")],
        "glossary": Annotated[Path | None, option(help="translate: a .csv of term and translation.")],
        "keep": Annotated[list[str] | None, option(help="translate: a word that stays; repeatable.")],
        "formality": Annotated[Formality | None, option(help="translate: how to address the reader.")],
        "question": Annotated[str | None, option("--question", "-q", help="chat, describe: asked of each document.")],
        "prompt": Annotated[
            str | None, option(help="complete: what comes before each text, or around {text}.")
        ],
    }  # fmt: skip


TASK = frozenset(task_options("--to"))


def task_input(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a job's input that the options stand for.

    Raises:
        InputMissing: the glossary can't be read.
    """
    from gateway.cli.translating import read_glossary

    fields = {name: given[name] for name in TASK if given.get(name) not in (None, [], False)}
    if "style" in fields:
        fields["form"] = fields.pop("style")
    if "form" in fields:
        fields["form"] = fields["form"].replace("-", "_")
    if "glossary" in fields:
        fields["glossary"] = read_glossary(fields["glossary"])
    return fields
