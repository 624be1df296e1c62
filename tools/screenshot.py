"""The fields of a screenshot by rules over the text that was read in it: application, error, what is seen."""

from __future__ import annotations

import re

from tools.read_image_text import rows
from tools.types import TextLine

_ERROR = re.compile(
    r"(?i)\b(errors?|err[-_ ]?\d+|exception|fail(?:ed|ure|s)?|fatal|crash(?:ed)?|denied|refused|forbidden|"
    r"unauthori[sz]ed|invalid|not found|not responding|unable to|can(?:no|')t|could(?: no|n')t|timed? ?out|"
    r"unexpected|traceback|panic|fehler|"
    r"ungültig|nicht gefunden|erreur|échec|introuvable|no se pudo|fallo|greška|neuspješn\w*)\b"
    r"|\b0x[0-9a-f]{4,}\b|\b(?:http )?[45]\d\d (?:error|not|bad|internal|forbidden|service|gateway)\b"
)
_LONGEST = 600


def screenshot_fields(lines: list[TextLine]) -> dict[str, str | None]:
    """The first row as the application (windows name themselves there), rows that tell of an error, and the rest."""
    texts = [" ".join(line.text for line in row) for row in rows(lines)]
    if not texts:
        return {"application": None, "error": None, "seen": None}
    wrong = [at for at, text in enumerate(texts) if _ERROR.search(text)]
    # A message goes on in the row below, as long as it has not come to an end.
    told = [
        at for at in range(len(texts)) if at in wrong or (at - 1 in wrong and not texts[at - 1].rstrip().endswith("."))
    ]
    first = None if 0 in wrong else texts[0]
    rest = [text for at, text in enumerate(texts) if at not in told and not (at == 0 and first)]
    return {
        "application": first,
        "error": " ".join(texts[at] for at in told)[:_LONGEST] or None,
        "seen": "; ".join(rest)[:_LONGEST] or None,
    }
