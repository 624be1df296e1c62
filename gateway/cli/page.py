"""docs/cli.md, made from the commands themselves: ``python -m gateway.cli.page docs/cli.md``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

HEAD = """\
# The command line

Made by `python -m gateway.cli.page docs/cli.md`; don't edit it, a test compares it with the commands.

Results go to stdout; progress, notes and errors go to stderr. Where stdout is no terminal the text is plain, without
colours or control codes. Into a file the text is written when it is whole; everywhere else it streams as it comes.
Every command takes `--json` (one JSON document; where several inputs or events make a stream, a line each) and
`--debug` (stack traces).

## Exit codes

| code | meaning |
|---|---|
| 0 | done; an answer that says "not in the documents" is one |
| 1 | phiq or something it needs is at fault |
| 2 | the command line can't be understood |
| 3 | the input is at fault: a missing or broken file, an unknown model, a job that can't be |
| 4 | not there: phiq does not run, Redis, Chroma, an engine or the model hub does not answer |
| 5 | the job was cancelled or came too late |
| 130 | Ctrl-C; the job that was being followed is cancelled (not by `phiq watch`) |

When several inputs end differently, the smallest code that is not 0 counts.

An error has a code that stays the same from version to version, a sentence, and what to do next:

```
error store_unavailable: Chroma does not answer at http://127.0.0.1:8000.
→ phiq up
```

With `--json` it is `{"error": {"code": …, "message": …, "hint": …, "subject": …, "fault": …, "transient": …}}` on
stdout.
"""


def page() -> str:
    """The whole page."""
    from gateway.cli import app

    root: Any = typer.main.get_command(app)
    return HEAD + "".join(_section(name, command) for name, command in _leaves("phiq", root))


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child, below in children.items():
        yield from _leaves(f"{name} {child}", below)


def _section(name: str, command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    usage = " ".join([name, "[OPTIONS]", *(_argument(parameter) for parameter in arguments)])
    lines = [f"\n## {name}\n", inspect.cleandoc(command.help or ""), "", f"    {usage}", ""]
    rows = [(_argument(parameter), parameter.help or "") for parameter in arguments]
    rows += [
        (", ".join(f"`{flag}`" for flag in parameter.opts) + _value(parameter), _help(parameter))
        for parameter in options
        if parameter.name not in ("as_json", "debug", "help")
    ]
    if rows:
        lines += ["| | |", "|---|---|", *(f"| {left} | {right} |" for left, right in rows), ""]
    return "\n".join(lines)


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    if parameter.metavar:
        return str(name).replace("|", "\\|")
    name = f"{name}..." if parameter.nargs == -1 else name
    return str(name) if parameter.required else f"[{name}]"


def _value(parameter: Any) -> str:
    if parameter.is_flag:
        return ""
    return f" {parameter.name.upper()}"


def _help(parameter: Any) -> str:
    text = str(parameter.help or "")
    default = parameter.default
    known = default is not None and not parameter.is_flag and isinstance(default, str | int | float)
    required = " Required." if parameter.required else ""
    return text + (f" Default: {default}." if known else required)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
