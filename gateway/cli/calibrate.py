"""phiq calibrate: fit from where on the chats answer, on your own questions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.command import command
from gateway.cli.io import Io


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "calibrate", rich_help_panel="Documents")(calibrate)


def calibrate(
    io: Io,
    questions: Annotated[
        Path | None,
        typer.Argument(metavar="SET", help='A folder with chat.jsonl: {"question": "…", "answerable": false}.'),
    ] = None,
    collection: Annotated[str, typer.Option("--collection", "-c", help="The collection.")] = "default",
    at_most: Annotated[
        float, typer.Option("--at-most", help="Percent of unanswerable questions that may be answered.", min=0, max=50)
    ] = 10.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be kept.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the thresholds that phiq comes with.")] = False,
) -> None:
    """Fit when chats answer and when they say that the documents don't (docs/answers.md).

    The thresholds are kept with the collection; the next chat uses them.
    """
    from gateway.cli.connection import settings
    from gateway.errors import UsageInvalid
    from workers.calibrate import fit_for, forget, look_up
    from workers.calibrate import questions as read

    if (questions is None) is not reset:
        raise UsageInvalid("Give either a set of questions or --reset.", hint="phiq calibrate SET --collection NAME")
    chosen = settings()
    if questions is None:
        forget(chosen, chosen.tenant, collection)
        io.note(f"'{collection}' has the thresholds that phiq comes with.")
        return
    judged = list(look_up(chosen, chosen.tenant, collection, read(questions)))
    made = fit_for(chosen, chosen.tenant, collection, judged, at_most / 100, keep=not dry_run)
    if io.json:
        io.document(asdict(made))
        return
    rows = [
        ("can be answered", str(made.answerable), f"{made.before.answered:.0%}", f"{made.held_out.answered:.0%}"),
        ("can't be answered", str(made.unanswerable), f"{made.before.falsely:.0%}", f"{made.held_out.falsely:.0%}"),
    ]
    io.table(("questions", "how many", "answered before", "answered now"), rows)
    io.note("'now' is measured on questions that the thresholds were not fitted on.")
    fitted = made.calibration
    where = "would be kept" if dry_run else f"kept with '{collection}'"
    io.note(f"Answers from a support of {fitted.answer_at:.2f} and a cosine of {fitted.near:.2f}: {where}.")
