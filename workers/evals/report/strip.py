"""Figures as lines of characters, for terminals: where each lies between 0 and 1, and how far its interval goes."""

from __future__ import annotations

from collections.abc import Sequence

from workers.evals.figures import Figure
from workers.evals.report.outcome import Outcome, is_share

WIDEST, _NARROWEST = 51, 21
"""Characters from 0 to 1, where the terminal has the room for them."""

_MARKS = "●○◆◇■□"


def strips(outcome: Outcome, columns: int = 120) -> list[str]:
    """A line for each figure that lies between 0 and 1, under the scale; a legend where there are several models.

    Args:
        outcome: The run.
        columns: Characters a line may have; the plot is the narrower for it.
    """
    rows = [(f"{task}: {name}{_arrow(figures)}", figures) for task, name, figures in outcome.rows() if is_share(name)]
    if not rows:
        return []
    wide = max(len(name) for name, _ in rows)
    room = max(_NARROWEST, min(WIDEST, columns - wide - 2))
    scale = f"0{'0.5':^{room - 2}}1"
    lines = [f"{'':{wide}}  {scale}"]
    lines += [f"{name:{wide}}  {_strip(figures, room)}".rstrip() for name, figures in rows]
    if len(outcome.models) > 1:
        named = (f"{_MARKS[at % len(_MARKS)]} {model.model}" for at, model in enumerate(outcome.models))
        lines.append(f"{'':{wide}}  {'   '.join(named)}")
    return lines


def _arrow(figures: Sequence[Figure | None]) -> str:
    return " ↓" if any(one is not None and one.better == "lower" for one in figures) else ""


def _strip(figures: Sequence[Figure | None], room: int) -> str:
    line = [" "] * room
    for figure in figures:
        if figure is not None:
            low, high = _place(figure.low, room), _place(figure.high, room)
            line[low : high + 1] = "─" * (high - low + 1)
    # The first model's mark is put last: where several are at one place it is the one that shows.
    for at, figure in reversed(list(enumerate(figures))):
        if figure is not None:
            line[_place(figure.value, room)] = _MARKS[at % len(_MARKS)]
    return "".join(line)


def _place(value: float, room: int) -> int:
    return round(min(1.0, max(0.0, value)) * (room - 1))
