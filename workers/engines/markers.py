"""Control markers of the Phi family's chat templates, and how to take their power inside people's text.

A server that tokenizes for us turns ``<|end|>`` in a user's text into the control token that ends the turn.
Where the tokenizer is at hand it is told not to; where it is not, the marker is broken before it is sent.
"""

from __future__ import annotations

import re

MARKERS: tuple[str, ...] = (
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|endoftext|>",
    "<|endofprompt|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|im_sep|>",
    "<|tool|>",
    "<|/tool|>",
    "<|tool_call|>",
    "<|/tool_call|>",
    "<|tool_response|>",
    "<|placeholder1|>",
    "<|placeholder2|>",
    "<|placeholder3|>",
    "<|placeholder4|>",
    "<|placeholder5|>",
    "<|placeholder6|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|image_1|>",
    "<|audio_1|>",
    "<|endoftext10|>",
    "<|endoftext11|>",
    "<|dummy_0|>",
    "<s>",
    "</s>",
    "<unk>",
)
"""Known by name, for tests and documents; breaking goes by form, so a new ``<|…|>`` is broken as well."""

# Any <|word|>, and the three of Llama's tokenizer, which Phi-3 keeps. The lookahead makes nested ones,
# such as <|<|end|>, fall apart from the inside too.
_MARKER = re.compile(r"<(?=\|/?[A-Za-z0-9_.:-]{1,40}\|>)|<(?=/?s>|unk>)", re.IGNORECASE)
_WHOLE = re.compile(r"<\|/?[A-Za-z0-9_.:-]{1,40}\|>|</?s>|<unk>", re.IGNORECASE)

BREAK = "< "
"""A space goes behind the bracket: it stays readable, and no normalizer drops it (some drop zero-width ones)."""


def break_markers(text: str) -> tuple[str, list[str]]:
    """Break every control marker in a text.

    Returns:
        The text, in which no control marker is left, and those found, each once, in order of appearance.
    """
    found = list(dict.fromkeys(_WHOLE.findall(text)))
    if not found:
        return text, []
    return _MARKER.sub(BREAK, text), found


def note_of(found: list[str]) -> str:
    """The sentence that tells people which markers were broken; empty for none."""
    if not found:
        return ""
    names = ", ".join(found[:8]) + (", …" if len(found) > 8 else "")
    return f"Control markers in the text were broken so that the model reads them as text: {names}."
