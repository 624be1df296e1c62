"""The border where the content store's libraries end: what they raise becomes ours."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from knowledge.errors import PhiqError
from workers.errors import ContentUnavailable, SettingsInvalid, StorageFull

_CLIENTS = ("botocore", "aiobotocore", "aiohttp")
_FULL = ("QuotaExceeded", "InsufficientStorage", "StorageFull")
"""What S3 servers call a bucket that takes no more; it comes as an OSError without a number."""


@contextlib.contextmanager
def storage_errors(subject: str) -> Iterator[None]:
    """Turn what a store raises inside into our errors; a missing file stays FileNotFoundError.

    Raises:
        StorageFull: there is no room.
        ContentUnavailable: it does not answer, or refuses.
    """
    try:
        yield
    except (PhiqError, FileNotFoundError, IsADirectoryError):
        raise
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__module__.split(".")[0] not in _CLIENTS:
            raise
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or any(mark in str(error) for mark in _FULL):
            raise StorageFull(
                f"No room left in the content store for {subject}.",
                hint="Free disk space, or point PHIQ_CONTENT_URL elsewhere; nothing was accepted and nothing lost.",
                subject=subject,
            ) from error
        raise ContentUnavailable(
            f"The content store can't be used: {getattr(error, 'strerror', None) or error}.",
            hint="Check PHIQ_CONTENT_URL and the permissions of PHIQ_DATA_DIR (`phiq doctor`).",
            subject=subject,
        ) from error


@contextlib.contextmanager
def extra_missing(url: str) -> Iterator[None]:
    """Turn the failure to open an address into what to do about it.

    Raises:
        SettingsInvalid: the library for it is not installed, or nothing speaks such an address.
    """
    scheme = url.split("://", 1)[0]
    try:
        yield
    except ImportError as error:
        extra = "pip install s3fs" if scheme in ("s3", "s3a") else f"Install what fsspec needs for {scheme}://"
        raise SettingsInvalid(
            f"PHIQ_CONTENT_URL is an address of {scheme}, and the library that speaks it is not installed.",
            hint=extra,
            subject="PHIQ_CONTENT_URL",
        ) from error
    except ValueError as error:
        raise SettingsInvalid(
            f"PHIQ_CONTENT_URL can't be used: {error}.",
            hint="Name a folder, or an address such as s3://BUCKET/FOLDER.",
            subject="PHIQ_CONTENT_URL",
        ) from error
