"""Logs: as text for people or a JSON object a line for machines, and never with what people wrote.

The message of a foreign exception may quote a document or a prompt, so only its class and the places in the code are
logged; with PHIQ_LOG_LEVEL=debug the message too.
"""

from __future__ import annotations

import json
import logging
import os
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workers.sight.about import current

if TYPE_CHECKING:
    from workers.settings import Settings

_TEXT = "[%(asctime)s: %(levelname)s/{part}] %(message)s"
_LONGEST = 10_000
"""Characters of one value."""


class Discreet(logging.Filter):
    """Takes the messages out of exceptions, whatever the format; passes every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record passes: always."""
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = places(record.exc_info[1])
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: when, how grave, who, what, and about which job.

    Args:
        part: Which of our parts speaks: worker, beat, gateway.
    """

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": self._part,
            "pid": os.getpid(),
            "logger": record.name,
            "message": record.getMessage()[:_LONGEST],
            **current(),
            **getattr(record, "about", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = type(record.exc_info[1]).__name__
            line["places"] = (record.exc_text or self.formatException(record.exc_info))[-_LONGEST:]
        return json.dumps(line, ensure_ascii=False, default=str)


def places(error: BaseException) -> str:
    """The class of an exception and of those that led to it, and where in the code, without their messages."""
    parts: list[str] = []
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        parts.append("".join(traceback.format_tb(one.__traceback__)) + type(one).__name__)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "\n... because of ...\n".join(parts)


def dress(logger: logging.Logger, settings: Settings, part: str) -> None:
    """Give the handlers that somebody (Celery) has set up our form.

    Args:
        logger: Whose handlers.
        settings: Say the form.
        part: Which of our parts speaks.
    """
    if settings.log_format == "json":
        logging.captureWarnings(True)
    for handler in logger.handlers:
        if settings.log_format == "json":
            handler.setFormatter(JsonFormatter(part))
        if settings.log_level != "debug":
            handler.addFilter(Discreet())


def configure(settings: Settings, part: str) -> None:
    """Set up the logs of a process of ours: to standard error, other libraries' calls over HTTP left out."""
    logging.basicConfig(level=settings.log_level.upper(), format=_TEXT.format(part=part))
    dress(logging.getLogger(), settings, part)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
