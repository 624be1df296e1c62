"""Figures as lines of characters, for terminals: where each lies between 0 and 1, and how far its interval goes."""

from __future__ import annotations

from collections.abc import Sequence

from workers.evals.figures import Figure
from workers.evals.report.outcome import Outcome, is_share

WIDTH = 51
"""Characters from 0 to 1."""

_MARKS = "●○◆◇■□"


def strips(outcome: Outcome) -> list[str]:
    """A line for each figure that lies between 0 and 1, under the scale; a legend where there are several models."""
    rows = [(f"{task}: {name}", figures) for task, name, figures in outcome.rows() if is_share(name)]
    if not rows:
        return []
    wide = max(len(name) for name, _ in rows)
    scale = f"0{'0.5':^{WIDTH - 2}}1"
    lines = [f"{'':{wide}}  {scale}"]
    lines += [f"{name:{wide}}  {_strip(figures)}".rstrip() for name, figures in rows]
    if len(outcome.models) > 1:
        named = (f"{_MARKS[at % len(_MARKS)]} {model.model}" for at, model in enumerate(outcome.models))
        lines.append(f"{'':{wide}}  {'   '.join(named)}")
    return lines


def _strip(figures: Sequence[Figure | None]) -> str:
    line = [" "] * WIDTH
    for figure in figures:
        if figure is not None:
            line[_place(figure.low) : _place(figure.high) + 1] = "─" * (_place(figure.high) - _place(figure.low) + 1)
    # The first model's mark is put last: where several are at one place it is the one that shows.
    for at, figure in reversed(list(enumerate(figures))):
        if figure is not None:
            line[_place(figure.value)] = _MARKS[at % len(_MARKS)]
    return "".join(line)


def _place(value: float) -> int:
    return round(min(1.0, max(0.0, value)) * (WIDTH - 1))
