"""Errors of batches and of the files they read and write."""

from __future__ import annotations

from knowledge.errors import UserError


class BatchNotFound(UserError):
    """Raised when no batch of this tenant has the id (or it has expired by policy)."""

    code = "batch_not_found"


class BatchInvalid(UserError):
    """Raised when a batch can't be started as it was asked for."""

    code = "batch_invalid"


class BatchEnded(UserError):
    """Raised when a batch is to be cancelled that has ended."""

    code = "batch_ended"


class BatchLineInvalid(UserError):
    """Raised when a line of a batch file is not what it must be; ``details`` has its reason, line and parameter."""

    code = "batch_line_invalid"


class BatchLineExpired(UserError):
    """Raised (in a line of the error file) when the batch's time was over before the line was done."""

    code = "batch_expired"


class BatchLineCancelled(UserError):
    """Raised (in a line of the error file) when the batch was cancelled before the line was done."""

    code = "batch_cancelled"


class FileNotFound(UserError):
    """Raised when no file of this tenant has the id."""

    code = "file_not_found"


class FileTooLarge(UserError):
    """Raised while a file is read that is above the limit."""

    code = "file_too_large"


class FileInvalid(UserError):
    """Raised when a file can't be taken: its purpose or its name can't be meant."""

    code = "file_invalid"


class FileInUse(UserError):
    """Raised when a file is to be deleted that a running batch reads."""

    code = "file_in_use"


class BatchFailed(UserError):
    """Raised when a batch ended without having done all of its lines; ``details`` has the counts."""

    code = "batch_failed"
