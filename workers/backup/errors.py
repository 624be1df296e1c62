"""Errors of backup and restore."""

from __future__ import annotations

from knowledge.errors import ServiceError, UserError


class BackupInvalid(UserError):
    """Raised when a file is no whole, unharmed backup, or one of another version."""

    code = "backup_invalid"


class BackupRefused(UserError):
    """Raised when a backup or restore would overwrite something, or something runs that must not."""

    code = "backup_refused"


class BackupFailed(ServiceError):
    """Raised when a consistent backup could not be made; nothing was left where it was to go."""

    code = "backup_failed"
