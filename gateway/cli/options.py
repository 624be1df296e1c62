"""Options that several commands share, in groups; the names are the fields of a job."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

_JOB = "Job"
_GENERATION = "Generation"

JOB: dict[str, Any] = {
    "lane": Annotated[
        Literal["interactive", "batch"] | None,
        typer.Option(
            help="Interactive work goes first. Default: interactive for one input, batch for several.",
            rich_help_panel=_JOB,
        ),
    ],
    "deadline": Annotated[
        float | None, typer.Option(help="Seconds until it must have ended.", min=0.001, rich_help_panel=_JOB)
    ],
    "delay": Annotated[float | None, typer.Option(help="Seconds before it may start.", min=0.0, rich_help_panel=_JOB)],
    "idempotency_key": Annotated[
        str | None, typer.Option("--key", help="The same key again gives the same job.", rich_help_panel=_JOB)
    ],
    "no_wait": Annotated[
        bool | None, typer.Option("--no-wait", help="Print the job's id and leave.", rich_help_panel=_JOB)
    ],
}

MODEL: dict[str, Any] = {
    "model": Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="extractive, onnx:NAME, ollama:NAME, openai:NAME…; with commas between: the next when one is down.",
            rich_help_panel=_GENERATION,
        ),
    ],
}

GENERATION: dict[str, Any] = {
    **MODEL,
    "max_tokens": Annotated[
        int | None, typer.Option(help="Longest answer, in tokens.", min=1, rich_help_panel=_GENERATION)
    ],
    "temperature": Annotated[
        float | None, typer.Option(help="0 always takes the likeliest word.", min=0, max=5, rich_help_panel=_GENERATION)
    ],
    "top_p": Annotated[
        float | None, typer.Option(help="Sample from this share of the likeliest.", rich_help_panel=_GENERATION)
    ],
    "sample_top_k": Annotated[
        int | None,
        typer.Option("--top-k", help="Sample from this many of the likeliest.", min=1, rich_help_panel=_GENERATION),
    ],
    "min_p": Annotated[
        float | None,
        typer.Option(
            help="Leave out what is less likely than this share of the likeliest.",
            min=0,
            max=1,
            rich_help_panel=_GENERATION,
        ),
    ],
    "adapter": Annotated[
        str | None, typer.Option(help="Fine-tuning to put on the model (LoRA).", rich_help_panel=_GENERATION)
    ],
    "repetition_penalty": Annotated[
        float | None,
        typer.Option(help="Above 1: say again less of what was said.", min=0.5, max=2, rich_help_panel=_GENERATION),
    ],
    "seed": Annotated[
        int | None, typer.Option(help="The same seed, the same answer.", min=0, rich_help_panel=_GENERATION)
    ],
    "stop": Annotated[
        list[str] | None, typer.Option(help="End the answer before this text.", rich_help_panel=_GENERATION)
    ],
}
