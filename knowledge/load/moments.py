"""Points in time as files write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.{0,25})?\Z")
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def moment(words: object) -> datetime | None:
    """A time in UTC, from ISO 8601 or the form of mails; None when it is neither or no plausible time.

    A time without a zone counts as UTC: it says the day well enough.
    """
    from email.utils import parsedate_to_datetime

    if not isinstance(words, str) or not words.strip():
        return None
    try:
        text = words.strip()
        found = datetime.fromisoformat(text) if _ISO.match(text) else parsedate_to_datetime(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found if _EARLIEST <= found <= _LATEST else None
