"""A command with subcommands of which one is meant when none is named: ``phiq jobs`` lists, ``phiq jobs ID`` shows."""

from __future__ import annotations

from typing import Any, ClassVar

from typer.core import TyperGroup


class DefaultGroup(TyperGroup):
    """A group that puts in the name of the command that is meant.

    Subclasses set ``bare``, for nothing or only options, and ``named``, for a word that is no subcommand; empty: the
    word stays the mistake that it is.
    """

    bare: ClassVar[str] = "list"
    named: ClassVar[str] = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with the name of the subcommand in front."""
        first = args[0] if args else ""
        helps = first in ctx.help_option_names
        if not first or (first.startswith("-") and not helps):
            args = [self.bare, *args]
        elif self.named and not helps and first not in self.commands:
            args = [self.named, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


class JobsGroup(DefaultGroup):
    """``phiq jobs ID`` is ``phiq jobs show ID``."""

    named = "show"


def bare_list(**kwargs: Any) -> Any:
    """A Typer application whose ``list`` is meant when no subcommand is named."""
    import typer

    return typer.Typer(cls=DefaultGroup, **kwargs)
