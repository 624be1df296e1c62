"""Where a command's words go: results to stdout, everything about them to stderr, and JSON instead when asked."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gateway.cli.wrap import Wrapper

if TYPE_CHECKING:
    from rich.console import Console

# Documents and models may hold terminal escapes; shown raw they could rewrite what the reader sees.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Text without control characters, newlines and tabs apart."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


@dataclass
class Io:
    """One command's output.

    Args:
        json: Print JSON on stdout and nothing for people.
        debug: Show stack traces.
    """

    json: bool = False
    debug: bool = False

    @cached_property
    def out(self) -> Console:
        """stdout; soft-wrapped, never coloured when it is not a terminal."""
        from rich.console import Console

        return Console(highlight=False, markup=False)

    @cached_property
    def err(self) -> Console:
        """stderr, for progress, notes and errors."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, markup=False)

    @property
    def lively(self) -> bool:
        """Whether moving displays make sense: a person watches stderr."""
        return not self.json and self.err.is_terminal

    @cached_property
    def streams(self) -> bool:
        """Whether text goes out as it comes: always, but not into a file, where it could not be taken back."""
        try:
            return not stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
        except (OSError, ValueError):
            return True

    def wrapper(self, indent: str = "") -> Wrapper:
        """For text that streams: broken between words on a terminal, elsewhere as it is."""
        return Wrapper(lambda text: self.text(text, end=""), self.out.width if self.out.is_terminal else 0, indent)

    def prose(self, text: str, indent: str = "") -> None:
        """A whole text on stdout."""
        wrapper = self.wrapper(indent)
        wrapper.feed(text.rstrip("\n"))
        wrapper.finish()
        self.text("")

    def text(self, text: str, end: str = "\n") -> None:
        """Plain words on stdout, at once."""
        sys.stdout.write(clean(text) + end)
        sys.stdout.flush()

    def note(self, text: str, style: str = "dim") -> None:
        """A line about the result, on stderr."""
        if not self.json:
            self.err.print(clean(text), style=style, soft_wrap=not self.err.is_terminal)

    def document(self, value: Any, *, line: bool = False) -> None:
        """A JSON document on stdout; on one line where more follow."""
        sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=None if line else 2, default=str) + "\n")
        sys.stdout.flush()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
        """Rows on stdout: a table on a terminal, else tab-separated lines under a line of names."""
        if not self.out.is_terminal:
            for row in (columns, *rows):
                self.text("\t".join(clean(cell).replace("\t", " ").replace("\n", " ") for cell in row))
            return
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold", no_wrap=column in ("id", "state", "age", "kind"))
        for row in rows:
            table.add_row(*(Text(clean(cell), style=_style(cell)) for cell in row))
        self.out.print(table)


_STYLES = {
    **dict.fromkeys(("succeeded", "ready", "ok", "running", "added", "replaced", "yes"), "green"),
    **dict.fromkeys(("failed", "dead", "error", "down"), "red"),
    **dict.fromkeys(("cancelled", "expired", "warning", "delayed", "missing"), "yellow"),
}


def _style(cell: str) -> str:
    return _STYLES.get(cell.lower(), "")
