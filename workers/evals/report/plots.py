"""The plots of a run, as SVG that stands in a page: figures with their intervals, and risk by coverage."""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING, Any

from workers.evals.report.outcome import Outcome, is_share

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

COLOURS = ("#1f6feb", "#d1590b", "#2a7f46", "#8250df", "#b42318", "#5b6472")
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "phiq",
    "svg.fonttype": "none",
}
_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)


def shares(outcome: Outcome, task: str) -> str:
    """All figures of a task that lie between 0 and 1, a line each, a mark for each model with its interval."""
    rows = [(name, figures) for own, name, figures in outcome.rows() if own == task and is_share(name)]
    if not rows:
        return ""

    def draw(drawing: Drawing) -> None:
        axes = drawing.subplots()
        count = len(outcome.models)
        for at, model in enumerate(outcome.models):
            # The models of a line stand one below the other, so that their intervals don't hide each other.
            off = 0.0 if count == 1 else 0.5 * at / (count - 1) - 0.25
            points = [(place + off, figures[at]) for place, (_, figures) in enumerate(rows)]
            kept = [(y, figure) for y, figure in points if figure is not None]
            axes.errorbar(
                [figure.value for _, figure in kept],
                [y for y, _ in kept],
                xerr=[
                    [max(0.0, figure.value - figure.low) for _, figure in kept],
                    [max(0.0, figure.high - figure.value) for _, figure in kept],
                ],
                fmt="o",
                markersize=5,
                capsize=2.5,
                linewidth=1.3,
                color=COLOURS[at % len(COLOURS)],
                label=model.model,
            )
        worse = {figure.name for _, figures in rows for figure in figures if figure and figure.better == "lower"}
        axes.set_yticks(
            range(len(rows)), [f"{name}{' (lower is better)' if name in worse else ''}" for name, _ in rows]
        )
        axes.invert_yaxis()
        axes.set_xlim(-0.02, 1.02)
        axes.grid(axis="x", color="#d8dee4", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        if count > 1:
            axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.9 / len(rows)), ncols=2, frameon=False)

    return _svg(draw, 1.1 + 0.42 * len(rows) + 0.25 * (len(outcome.models) > 1))


def risks(outcome: Outcome) -> str:
    """The share of wrong answers when only the surest are given, over how many those are."""
    curves = [(model.model, model.scores.curves.get("risk by coverage", [])) for model in outcome.models]
    if not any(len(curve) > 1 for _, curve in curves):
        return ""

    def draw(drawing: Drawing) -> None:
        axes = drawing.subplots()
        for at, (name, curve) in enumerate(curves):
            if curve:
                axes.plot(
                    [x for x, _ in curve], [y for _, y in curve], color=COLOURS[at % len(COLOURS)], label=name, lw=1.6
                )
        axes.set_xlabel("share of the questions that are answered, the surest first")
        axes.set_ylabel("share of these that is wrong")
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.grid(color="#d8dee4", linewidth=0.7)
        if len(curves) > 1:
            axes.legend(frameon=False)

    return _svg(draw, 3.6)


def _svg(draw: Any, height: float) -> str:
    """Draw without pyplot, which keeps figures alive and looks for a screen."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        drawing = Figure(figsize=(8.2, height), layout="constrained")
        draw(drawing)
        out = StringIO()
        drawing.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return _METADATA.sub("", _PROLOGUE.sub("", out.getvalue()))
