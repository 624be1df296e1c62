"""What every command shares: --json, --debug, and the one place where errors become words and exit codes."""

from __future__ import annotations

import errno
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any

import typer

from gateway.cli.io import Io
from knowledge.errors import PhiqError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.", rich_help_panel="Output")]
DebugFlag = Annotated[bool, typer.Option("--debug", help="Show stack traces.", rich_help_panel="Output")]


def command(
    app: typer.Typer,
    name: str | None = None,
    *,
    shared: Mapping[str, Any] | None = None,
    here: bool = False,
    **kwargs: Any,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register ``function(io, …)`` as a command with --json and --debug.

    The function gets an :class:`Io` first; the rest of its parameters are Typer's as usual. It raises
    ``PhiqError`` and leaves showing it to this place.

    Args:
        app: Where to register.
        name: The command's name; None takes the function's.
        shared: Options that several commands have (``gateway.cli.options``); their values come as one mapping, the
            function's second argument.
        here: It is about this machine's own phiq, which PHIQ_URL can't stand for.
        **kwargs: For Typer.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        skip = 1 if shared is None else 2
        own = list(inspect.signature(function, eval_str=True).parameters.values())[skip:]
        common = [_keyword(name, annotation, None) for name, annotation in (shared or {}).items()]
        flags = [_keyword("as_json", JsonFlag, False), _keyword("debug", DebugFlag, False)]

        @functools.wraps(function)
        def run(*, context: typer.Context, as_json: bool, debug: bool, **values: Any) -> None:
            io = Io(json=as_json, debug=debug)
            leading: tuple[Any, ...] = (io,) if shared is None else (io, {key: values.pop(key) for key in shared})
            from gateway.cli.connection import closing

            with border(io), _named(context.command_path), closing():
                if here:
                    _only_here()
                function(*leading, **values)

        flags.append(inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + common + flags
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name, **kwargs)(run)
        return run

    return register


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _only_here() -> None:
    from gateway.cli.connection import settings
    from gateway.remote.errors import not_over_http

    if settings().url:
        raise not_over_http()


@contextmanager
def _named(command_path: str) -> Iterator[None]:
    """Name the command that does not work over HTTP."""
    try:
        yield
    except PhiqError as error:
        if error.code != "not_over_http":
            raise
        from gateway.remote.errors import not_over_http

        raise not_over_http(f"`{command_path}`") from error


@contextmanager
def border(io: Io) -> Iterator[None]:
    """Turn what went wrong into words on stderr (JSON on stdout with --json) and an exit code."""
    from gateway.errors import INTERRUPTED, SERVICE, exit_code

    try:
        yield
    except PhiqError as error:
        if io.debug:
            io.err.print_exception()
        show_error(io, error)
        raise typer.Exit(exit_code(error)) from None
    except KeyboardInterrupt:
        io.note("Interrupted.")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader went away (`phiq … | head`): nothing is wrong; keep the interpreter from saying so at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except (typer.Exit, typer.Abort, typer.TyperException):
        raise
    except Exception as error:
        if io.debug:
            raise
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            # Nothing more can be said on stdout, as JSON neither, and what waits there must not fail again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            show_error(replace(io, json=False), _no_room())
        else:
            show_error(io, _unexpected(error))
        raise typer.Exit(SERVICE) from None


def _no_room() -> PhiqError:
    from workers.errors import StorageFull

    return StorageFull(
        "There is no room left where the output goes.",
        hint="Free some disk space; `phiq jobs` lists the job, and `phiq jobs ID` shows its result again.",
    )


def _unexpected(error: Exception) -> PhiqError:
    return PhiqError(
        f"Something unforeseen happened: {type(error).__name__}: {error}",
        hint="Repeat the command with --debug and report what it shows.",
    )


def show_error(io: Io, error: PhiqError) -> None:
    """An error as people read it, or as JSON."""
    if io.json:
        io.document({"error": error.to_dict()})
        return
    from rich.text import Text

    from gateway.cli.io import clean

    line = Text("error ", style="bold red")
    line.append(error.code, style="red")
    line.append(": " + clean(error.message))
    if error.subject and error.subject not in error.message:
        line.append(f" ({clean(error.subject)})", style="dim")
    io.err.print(line, soft_wrap=not io.err.is_terminal)
    if error.hint:
        io.err.print(Text("→ " + clean(error.hint), style="cyan"), soft_wrap=not io.err.is_terminal)
