"""The root of every error phiq raises, and those of the knowledge layer.

    PhiqError
    ├── UserError      the request, the file or the set-up is at fault: repeating it will not help
    └── ServiceError   phiq or something it needs is at fault; ``transient`` says whether to try again

The root lives in the lowest layer so that each layer above raises members of one family: ``tools.errors``,
``agents.errors`` and ``workers.errors`` only add to it. Foreign exceptions become these at the border where
they appear and nowhere else. ``code`` is stable: programs may match on it, the words may change.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Fault = Literal["user", "service"]


class PhiqError(Exception):
    """Raised when phiq can't do what was asked.

    Args:
        message: What happened, in one sentence.
        hint: What to do next; the exact command where there is one.
        subject: The file, job, model or address it happened to.
        details: Small JSON values a program may want (limits, counts). Never contents, never secrets.
    """

    code: ClassVar[str] = "internal"
    fault: ClassVar[Fault] = "service"
    transient: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", subject: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.subject = subject
        self.details = details

    def to_dict(self) -> dict[str, Any]:
        """The error as it goes into job records and JSON output."""
        return {
            "code": self.code,
            "fault": self.fault,
            "transient": self.transient,
            "message": self.message,
            "hint": self.hint,
            "subject": self.subject,
            "details": self.details,
        }


class UserError(PhiqError):
    """Raised when the request, the file or the configuration is at fault."""

    code = "bad_request"
    fault = "user"


class ServiceError(PhiqError):
    """Raised when phiq itself, or a service it needs, is at fault."""

    code = "internal"
    fault = "service"


class DocumentUnreadable(UserError):
    """Raised when a file is missing, broken, protected or not what its name says."""

    code = "document_unreadable"


class DocumentEmpty(UserError):
    """Raised when a file holds no text."""

    code = "document_empty"


class DocumentTooLarge(UserError):
    """Raised when a file, or what it unpacks to, is above the limit."""

    code = "document_too_large"


class DocumentUnsupported(UserError):
    """Raised when no loader knows a file's kind."""

    code = "document_unsupported"


class CollectionNotFound(UserError):
    """Raised when a collection was never ingested into."""

    code = "collection_not_found"


class CollectionInvalid(UserError):
    """Raised when a collection's name can't be used, or its index belongs to another embedding model."""

    code = "collection_invalid"


class EmbedderUnavailable(UserError):
    """Raised when the embedding model's weights are not on this machine or are not the official ones."""

    code = "embedder_unavailable"


class RerankerUnavailable(UserError):
    """Raised when the model that is to put passages into order can't be used."""

    code = "reranker_unavailable"


class StoreUnavailable(ServiceError):
    """Raised when Chroma's server does not answer."""

    code = "store_unavailable"
    transient = True


class WordsUnavailable(ServiceError):
    """Raised when the word index's server does not answer; searches go on without it."""

    code = "words_unavailable"
    transient = True
