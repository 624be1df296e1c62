"""Which documents may be used: options of ask and search."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

_PANEL = "Which documents"
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
Languages = Annotated[
    list[str] | None,
    typer.Option("--language", help="Only passages in this language, such as de; repeatable.", rich_help_panel=_PANEL),
]
Under = Annotated[
    list[str] | None,
    typer.Option(help="Only sources that begin so: a folder, a site; repeatable.", rich_help_panel=_PANEL),
]
Since = Annotated[
    datetime | None,
    typer.Option(formats=_FORMATS, help="Only what was written since then (UTC).", rich_help_panel=_PANEL),
]
Until = Annotated[
    datetime | None,
    typer.Option(formats=_FORMATS, help="Only what was written until then (UTC).", rich_help_panel=_PANEL),
]


def filters(
    languages: list[str] | None, under: list[str] | None, since: datetime | None, until: datetime | None
) -> dict[str, Any] | None:
    """The field of a job; None where nothing restricts, so that older workers can do it."""
    given = {"languages": languages, "under": under, "since": since, "until": until}
    chosen = {name: value for name, value in given.items() if value}
    return chosen or None
