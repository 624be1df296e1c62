"""Minutes and hand-overs without a model: sentences put under headings by the words they use (English cues).

Cues miss what is said in other words, and other languages altogether; the result says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agents.contract.summarize import SummaryForm

CUES_NOTE = "Sentences stand under their headings by words they use (English ones), verbatim: some may be missing."
_EACH = 5
"""Points under a heading at most."""


def _cue(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b", re.IGNORECASE)


_DAY = r"tomorrow|today|tonight|next week|(?:mon|tues|wednes|thurs|fri|satur|sun)day|end of (?:the )?(?:day|week|month)"
_WHEN = re.compile(rf"\b(?:(?:by|until|on|before) )?((?:{_DAY})|\d{{4}}-\d\d-\d\d)\b", re.IGNORECASE)
_DECIDED = _cue(
    "we(?:'ve| have)? (?:decided|agreed)|(?:it (?:is|was) )?(?:decided|agreed) (?:to|that|on)|let's go with|"
    "we(?:'ll| will) go with|decision is|settled on|approved"
)
_ACTION = _cue(
    "i(?:'ll| will)|(?:he|she|they|you)(?:'ll| will)|can you|could you|please|action item|to do|needs? to|will send|"
    "is going to|follow up|take care of"
)
_TRIED = _cue(
    "tried|attempted|restarted|reinstalled|rebooted|reset|checked|updated|replaced|already (?:did|done)|tested"
)
_STATE = _cue(
    "still|now (?:works|fails)|works again|working again|fixed|resolved|waiting|pending|escalated|refunded|no longer|"
    "not yet|on hold|closed"
)
_NEXT = _cue("will|i'll|we'll|next|please|follow up|going to|until|call back|get back")
_HEADS: dict[str, tuple[tuple[str, re.Pattern[str]], ...]] = {
    "minutes": (("Decisions", _DECIDED), ("Actions", _ACTION)),
    "handover": (("Tried", _TRIED), ("State", _STATE), ("Next step", _NEXT)),
}


def headed(form: SummaryForm, sentences: Sequence[str], chosen: Sequence[int]) -> str:
    """Minutes or a hand-over out of a text's own sentences.

    Args:
        form: ``minutes`` or ``handover``.
        sentences: All of the text's, turns with their speakers.
        chosen: Those that stand for the whole, as indexes; they come first.
    """
    first = "Summary" if form == "minutes" else "Problem"
    lines = [f"{first}:", *(f"- {_flat(sentences[at])}" for at in chosen)]
    taken: set[int] = set()
    for heading, cue in _HEADS[form]:
        fits = [
            at
            for at, one in enumerate(sentences)
            if at not in taken and (heading == "Actions" or not one.rstrip().endswith("?")) and cue.search(one)
        ]
        # What was said last holds: states and next steps of a ticket change on the way.
        picked = fits[-_EACH:] if heading in ("State", "Next step") else fits[:_EACH]
        taken.update(picked)
        lines += ["", f"{heading}:", *([f"- {_flat(sentences[at])}" for at in picked] or ["- none"])]
    return "\n".join(lines)


def when(text: str) -> str:
    """The day that a sentence names; empty when none."""
    match = _WHEN.search(text)
    return match[1] if match else ""


def _flat(sentence: str) -> str:
    return " ".join(sentence.split())
