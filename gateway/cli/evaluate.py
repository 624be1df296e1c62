"""phiq eval: ask a set of questions whose answers are known, and say how good the answers are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gateway.cli.command import command
from gateway.cli.io import Io

if TYPE_CHECKING:
    from gateway.client import Client
    from workers.evals.answers import Answer
    from workers.evals.load import EvalSet
    from workers.evals.report.outcome import Outcome

_UNSAFE = str.maketrans(dict.fromkeys('/\\:*?"<>| &', "-"))

Tell = Callable[[str, int, int], None]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "eval", rich_help_panel="Work")(evaluate)


def evaluate(
    io: Io,
    name: Annotated[
        str, typer.Argument(metavar="SET", help="A folder with JSONL files, the name of a set, or: example.")
    ],
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="An engine to ask; several are compared. Default: yours.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for answers, JSON and HTML. Default: eval-results/SET.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="Only chat, search, summarize, translate or describe.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many records of each task.", min=0)] = 0,
    here: Annotated[
        bool, typer.Option("--here", help="In a phiq of its own, started for this and ended after it.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again what earlier runs have answered.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the set's passages loaded for the next run.")] = False,
) -> None:
    """Measure the answers to a set of questions, texts or pictures; your own tickets can be one (docs/quality.md).

    Ended in the middle, the same command goes on where it was.
    """
    from gateway.cli.connection import connect, settings
    from workers.evals.errors import need_extra
    from workers.evals.load import find_set, load_set

    need_extra()
    known = "" if Path(name).is_dir() else name
    chosen = load_set(find_set(name, settings().data_dir / "evals"), known, limit, task or ())
    folder = out or Path("eval-results") / chosen.name
    with _private() if here else nullcontext(), _progress(io) as tell, closing(connect()) as client:
        _say_if_nobody_works(io, client)
        made, page = _run(client, chosen, model or [settings().model], folder, tell, fresh=fresh, keep=keep)
    if io.json:
        io.document({**made.model_dump(mode="json"), "report": str(page)})
        return
    show(io, made)
    io.note(f"Saved: {page} and {page.with_suffix('.json').name} beside it.")


def show(io: Io, made: Outcome) -> None:
    """The figures as a table, a column for each model, and on a terminal as a plot."""
    from workers.evals.report.outcome import shown
    from workers.evals.report.strip import strips

    lower = " ↓" if io.out.is_terminal else ""
    asked = {task: next(one.n for one in figures if one) for task, name, figures in made.rows() if name == "failed"}
    rows = [
        [
            task,
            name + lower * any(one is not None and one.better == "lower" for one in figures),
            *(
                "–" if one is None else f"{shown(one.value, name)} [{shown(one.low, name)}, {shown(one.high, name)}]"  # noqa: RUF001 - a dash is meant
                for one in figures
            ),
        ]
        for task, name, figures in made.rows()
        if name != "failed"  # said below the table, with the reasons
    ]
    io.table(["task", "measure", *(model.model for model in made.models)], rows, made.title)
    if io.out.is_terminal:
        for line in strips(made, io.out.width):
            io.text(line)
        records = ", ".join(f"{count} {task}" for task, count in asked.items())
        io.note(f"Records: {records}. In brackets: 95% interval. ↓: lower is better.")
    for model in made.models:
        for failure in model.failures:
            io.note(f"{model.model}, {failure.task}: {failure}", style="yellow")
            if failure.hint:
                io.note(f"  {failure.hint}")
        if model.reused:
            io.note(f"{model.model}: {model.reused} answers are from an earlier run; --fresh asks again.")


def _say_if_nobody_works(io: Io, client: Client) -> None:
    from knowledge.errors import PhiqError

    try:
        found = cast("Sequence[object]", client.service.workers())
    except PhiqError as error:
        if error.fault == "user":  # over HTTP a key may not be allowed to know
            return
        raise
    if not found:
        io.note("No worker runs: phiq up starts one, --here one for this run.", style="yellow")


def _run(
    client: Client, chosen: EvalSet, models: list[str], folder: Path, tell: Tell, *, fresh: bool, keep: bool
) -> tuple[Outcome, Path]:
    from workers.evals.answers import Answers
    from workers.evals.corpus import corpus_of
    from workers.evals.drive import ask_all, load_corpus
    from workers.evals.metrics import measure
    from workers.evals.report.outcome import ModelOutcome, failures, outcome
    from workers.evals.report.page import page

    corpus = corpus_of(chosen)
    if corpus.files:
        load_corpus(client, corpus, lambda done, total: tell("loading", done, total))
    collection = chosen.about.collection or (corpus.collection if corpus.files else "default")
    outcomes, kept = [], []
    for model in dict.fromkeys(models):
        answers = Answers(folder / "answers" / f"{model.translate(_UNSAFE)}.jsonl")
        if fresh:
            answers.clear()
        got: dict[str, Answer] = {}
        for answer in ask_all(client, chosen, collection, model, answers):
            got[answer.id] = answer
            tell(model, len(got), len(chosen.records))
        failed = failures(chosen.records, got)
        scores = measure(chosen.records, got)
        outcomes.append(
            ModelOutcome(model=model, records=len(got), failures=failed, reused=answers.reused, scores=scores)
        )
        kept.append(got)
    made = outcome(chosen, outcomes)
    target = folder / f"{chosen.name}.html"
    _write(target, page(made, chosen, kept))
    _write(target.with_suffix(".json"), made.model_dump_json(indent=1) + "\n")
    if corpus.files and not keep:
        _forget(client, corpus.collection)
    return made, target


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f"{path.suffix}.part")
    part.write_text(text, "utf-8")
    part.replace(path)


def _forget(client: Client, collection: str) -> None:
    """Take the set's passages out again; what can't be done over HTTP is left."""
    from knowledge.errors import PhiqError

    try:
        client.service.documents.drop(client.settings.tenant, collection)
    except PhiqError as error:
        if error.code not in ("not_over_http", "collection_not_found"):
            raise


@contextmanager
def _private() -> Iterator[None]:
    """A phiq of its own in a temporary folder."""
    import tempfile

    from gateway.cli.connection import settings as current
    from gateway.cli.connection import using
    from workers.stack import Stack

    own = {
        "redis_url": None,
        "chroma_url": None,
        "words_url": None,
        "content_url": None,
        "url": None,
        "tenant": "default",
    }
    with tempfile.TemporaryDirectory(prefix="phiq-eval-") as folder:
        settings = current().model_copy(update={**own, "data_dir": Path(folder)})
        with Stack(settings, parts=("redis", "chroma", "words", "worker", "beat")), using(settings):
            yield


@contextmanager
def _progress(io: Io) -> Iterator[Tell]:
    """A bar on a terminal, else a line for each tenth."""
    if not io.lively:
        said: set[tuple[str, int]] = set()

        def line(what: str, done: int, total: int) -> None:
            tenth = 10 * done // max(1, total)
            if (what, tenth) not in said:
                said.add((what, tenth))
                io.note(f"{what}: {done} of {total}")

        yield line
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=io.err, transient=True) as progress:
        bars: dict[str, Any] = {}

        def update(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what)
            progress.update(bars[what], completed=done, total=total)

        yield update
