"""Errors of the tools."""

from __future__ import annotations

from knowledge.errors import UserError


class ImageUnreadable(UserError):
    """Raised when a picture is missing, truncated or of a kind that can't be decoded."""

    code = "image_unreadable"


class ImageTooLarge(UserError):
    """Raised when a picture has more bytes or pixels than allowed (a decompression bomb, for one)."""

    code = "image_too_large"


class VideoUnsupported(UserError):
    """Raised when a video comes where nothing is installed that decodes videos."""

    code = "video_unsupported"
