"""Errors of keys and limits; those of a request itself are in `workers.access.principal`."""

from __future__ import annotations

from knowledge.errors import UserError


class KeyNotFound(UserError):
    """Raised when no key has the id (or none that the asking tenant may see)."""

    code = "key_not_found"


class KeySpecInvalid(UserError):
    """Raised when a key is asked for that can't be."""

    code = "key_spec_invalid"


class OriginRefused(UserError):
    """Raised when a browser asks for a page that may not use this gateway, or by a name that is not this machine's."""

    code = "origin_refused"


class KeysMissing(UserError):
    """Raised when the gateway is to listen beyond this machine and there is no key."""

    code = "keys_missing"
