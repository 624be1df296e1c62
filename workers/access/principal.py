"""Who is asking, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

from knowledge.errors import UserError

SCOPES = frozenset(
    {
        "jobs:read",
        "jobs:write",
        "documents:read",
        "documents:write",
        "batches",
        "schedules",
        "webhooks",
        "models:read",
        "admin",
    }
)
"""What a key may be allowed. ``admin`` is everything of the installation: keys, workers, other tenants, metrics."""


class KeyMissing(UserError):
    """Raised when a request needs a key and has none."""

    code = "key_missing"


class KeyInvalid(UserError):
    """Raised when a key is unknown, expired or revoked."""

    code = "key_invalid"


class ScopeMissing(UserError):
    """Raised when a key lacks the scope that a request needs."""

    code = "scope_missing"


class RateLimited(UserError):
    """Raised when a key asks too often; ``details['retry_after']`` is seconds to come back."""

    code = "rate_limited"


@dataclass(frozen=True)
class Principal:
    """Whoever stands behind a request.

    Attributes:
        tenant: Whose jobs and documents these are.
        key_id: Of the API key; None without one.
        scopes: Of `SCOPES`.
        name: Of the key, for people.
        collections: The only ones it may use; None: all of its tenant.
        origin_limited: A publishable key, seen by everybody who opens a page.
        origins: The pages that may use it then.
        visitor: Jobs a minute of one visitor then.
        address: Jobs a minute of one network address then.
    """

    tenant: str
    key_id: str | None
    scopes: frozenset[str]
    name: str = ""
    collections: frozenset[str] | None = None
    origin_limited: bool = False
    origins: frozenset[str] = frozenset()
    visitor: int = 0
    address: int = 0

    @classmethod
    def of_machine(cls, tenant: str) -> Principal:
        """The user of this machine: one-machine mode on loopback, without a key."""
        return cls(tenant=tenant, key_id=None, scopes=SCOPES, name="this machine")

    def may(self, scope: str) -> bool:
        """Whether it has a scope."""
        return scope in self.scopes
