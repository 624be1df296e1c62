"""The profiles as a table for docs/engines.md; a test checks that the page is current.

``python -m workers.models.table docs/engines.md`` writes it anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from workers.engines.presets import PRESETS, Preset, key_variable, url_variable
from workers.models.profiles import PROFILES, UNVERIFIED, Profile

BEGIN = "<!-- profiles: made by `python -m workers.models.table docs/engines.md`, don't edit -->"
END = "<!-- /profiles -->"


def markdown() -> str:
    """The table, with a line of sources a model."""
    lines = [
        "| Model | Size | Context | Sees | Languages | Tools | Reasons | Ollama | ONNX | OpenVINO | Licence |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_row(profile) for profile in PROFILES),
        "",
        "Where the figures were read; what is `unverified` was taken from general knowledge of the model:",
        "",
        *(f"- `{profile.name}`: {_sources(profile)}" for profile in PROFILES),
        "",
        "Servers with OpenAI's protocol that are known by name; which models one has is its own affair:",
        "",
        "| Engine | Server | Address | Address from | Key from | Longest | Some names there | Source |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_server(scheme, preset) for scheme, preset in PRESETS.items()),
    ]
    return "\n".join(lines)


def _server(scheme: str, preset: Preset) -> str:
    cells = (
        f"`{scheme}:NAME`",
        preset.title,
        f"`{preset.url}`" if preset.url else "each account's own",
        f"`{url_variable(scheme)}`",
        f"`{key_variable(scheme)}`" + ("" if preset.needs_key else ", if it wants one"),
        f"{preset.context:,} ({preset.models_source})" if preset.context else "`PHIQ_OPENAI_CONTEXT`",
        ", ".join(f"`{name}`" for name in preset.models) + f" ({preset.models_source})",
        preset.source if preset.source == UNVERIFIED else f"<{preset.source}>",
    )
    return f"| {' | '.join(cells)} |"


def refresh(text: str) -> str:
    """A page with its table made anew.

    Raises:
        ValueError: when the page has no place for it.
    """
    before, found, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError("the page has no place for the table")
    return f"{before}{BEGIN}\n\n{markdown()}\n\n{END}{after}"


def _row(profile: Profile) -> str:
    onnx = f"`{profile.onnx_repo}/{profile.onnx_folder}`" if profile.onnx_repo else "none known"
    if profile.onnx_provider != "cpu":
        onnx += f" ({profile.onnx_provider} only)"
    languages = ", ".join(profile.languages) if len(profile.languages) < 4 else f"{len(profile.languages)}"
    cells = (
        f"`{profile.name}`",
        profile.parameters,
        f"{profile.context:,}",
        _yes(profile.vision),
        languages,
        _yes(profile.tool_calls),
        _yes(profile.reasoning),
        f"`{profile.ollama}`" if profile.ollama else "none",
        onnx,
        f"`{profile.openvino_repo}`" if profile.openvino_repo else "none known",
        profile.licence,
    )
    return f"| {' | '.join(cells)} |"


def _sources(profile: Profile) -> str:
    pages: dict[str, list[str]] = {}
    for figure in profile.figures:
        pages.setdefault(profile.source(figure), []).append(figure.replace("_", " "))
    unread = pages.pop(UNVERIFIED, [])
    told = [f"{', '.join(figures)}: <{page}>" for page, figures in pages.items()]
    return "; ".join(told + ([f"`{UNVERIFIED}`: {', '.join(unread)}"] if unread else []))


def _yes(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(refresh(page.read_text(encoding="utf-8")), encoding="utf-8")
