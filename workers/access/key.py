"""A key as it is kept and shown: everything but the secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from workers.access import tokens
from workers.access.principal import SCOPES
from workers.jobs import Name

PUBLISHABLE_SCOPES = frozenset({"jobs:read", "jobs:write", "documents:read"})
"""What a key in a page has; which jobs and routes it may use is narrower still, see `workers.access.stamp`."""
NARROW_SCOPES = PUBLISHABLE_SCOPES | {"documents:write", "models:read"}
"""What a key for some collections may have: batches and schedules work without it, on whatever they name."""
_COLLECTION = Annotated[str, Field(min_length=1, max_length=200)]
_PLAIN = re.compile(r"[^\x00-\x1f\x7f]*")


class KeySpec(BaseModel):
    """What is asked for when a key is made. Limits: 0 is none."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(default="", max_length=100, description="for people")
    tenant: Name = Field(default="default", description="whose jobs and documents it reaches")
    scopes: frozenset[str] = Field(default=SCOPES - {"admin"}, description=f"of {', '.join(sorted(SCOPES))}")
    collections: frozenset[_COLLECTION] | None = Field(
        default=None, max_length=100, description="the only ones it may use; none: all of its tenant"
    )
    publishable: bool = Field(default=False, description="may be seen in a page: chat and search in one collection")
    origins: tuple[str, ...] = Field(default=(), max_length=20, description="pages that may use a publishable key")
    expires_in: float | None = Field(default=None, gt=0, le=3660 * 86400, description="seconds; none: never")
    requests: int = Field(default=0, ge=0, le=10_000_000, description="requests a minute")
    tokens: int = Field(default=0, ge=0, le=10**12, description="tokens of models a minute")
    jobs: int = Field(default=0, ge=0, le=10_000, description="jobs at a time that have not ended")
    visitor: int = Field(default=10, ge=1, le=100_000, description="publishable: jobs a minute of one visitor")
    address: int = Field(default=60, ge=1, le=100_000, description="publishable: jobs a minute of one address")

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not _PLAIN.fullmatch(value):
            raise ValueError("no control characters")
        return value

    @field_validator("scopes")
    @classmethod
    def _known(cls, value: frozenset[str]) -> frozenset[str]:
        if strange := value - SCOPES:
            raise ValueError(f"there is no scope {min(strange)[:64]}")
        if not value:
            raise ValueError("a key without scopes could do nothing")
        return value

    @field_validator("origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(normal_origin(one) for one in value)

    @model_validator(mode="after")
    def _fits(self) -> KeySpec:
        if self.publishable:
            if self.collections is None or len(self.collections) != 1:
                raise ValueError("a publishable key needs exactly one collection")
            if not self.origins:
                raise ValueError("a publishable key needs the origins of its pages, such as https://shop.example")
            if "scopes" in self.model_fields_set and not self.scopes <= PUBLISHABLE_SCOPES:
                raise ValueError(f"a publishable key has the scopes {', '.join(sorted(PUBLISHABLE_SCOPES))}, no others")
        elif self.origins:
            raise ValueError("only publishable keys have origins")
        if self.collections is not None and "scopes" in self.model_fields_set and (more := self.scopes - NARROW_SCOPES):
            raise ValueError(f"a key for some collections can't have the scope {min(more)}")
        return self


class ApiKey(BaseModel):
    """A key, without its secret. Times are UTC."""

    model_config = ConfigDict(extra="ignore")
    id: str
    prefix: str = Field(description="how the key begins")
    name: str = ""
    tenant: str
    scopes: list[str]
    collections: list[str] | None = None
    publishable: bool = False
    origins: list[str] = Field(default_factory=list)
    state: Literal["active", "expired", "revoked"] = "active"
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    rotated_at: datetime | None = None
    old_until: datetime | None = Field(default=None, description="until then the secret before the last rotation works")
    last_used_at: datetime | None = Field(default=None, description="to the minute")
    old_used_at: datetime | None = Field(default=None, description="when the secret before the rotation was last used")
    requests: int = 0
    tokens: int = 0
    jobs: int = 0
    visitor: int = 0
    address: int = 0


def fields_of(spec: KeySpec) -> dict[str, str]:
    """The hash in Redis, but for what is given by its clock."""
    scopes = spec.scopes if spec.collections is None else spec.scopes & NARROW_SCOPES
    scopes = PUBLISHABLE_SCOPES if spec.publishable else scopes
    return {
        "kind": "pk" if spec.publishable else "sk",
        "tenant": spec.tenant,
        "name": spec.name,
        "scopes": " ".join(sorted(scopes)),
        "collections": json.dumps(sorted(spec.collections)) if spec.collections is not None else "",
        "origins": " ".join(spec.origins),
        "requests": str(spec.requests),
        "tokens": str(spec.tokens),
        "jobs": str(spec.jobs),
        "visitor": str(spec.visitor if spec.publishable else 0),
        "address": str(spec.address if spec.publishable else 0),
    }


def key_of(key_id: str, fields: Mapping[str, str], now: float) -> ApiKey:
    """The key in a hash; ``now`` is Redis' clock in milliseconds."""
    expires = _when(fields.get("expires"))
    revoked = _when(fields.get("revoked"))
    kind: tokens.Kind = "pk" if fields.get("kind") == "pk" else "sk"
    return ApiKey(
        id=key_id,
        prefix=tokens.prefix(kind, key_id),
        name=fields.get("name", ""),
        tenant=fields["tenant"],
        scopes=fields.get("scopes", "").split(),
        collections=json.loads(fields["collections"]) if fields.get("collections") else None,
        publishable=kind == "pk",
        origins=fields.get("origins", "").split(),
        state="revoked" if revoked else "expired" if expires and expires.timestamp() * 1000 <= now else "active",
        created_at=_when(fields.get("created")) or datetime.fromtimestamp(0, UTC),
        expires_at=expires,
        revoked_at=revoked,
        rotated_at=_when(fields.get("rotated")),
        old_until=_when(fields.get("old_until")),
        last_used_at=_when(fields.get("used")),
        old_used_at=_when(fields.get("old_used")),
        **{name: int(fields.get(name) or 0) for name in ("requests", "tokens", "jobs", "visitor", "address")},
    )


def normal_origin(text: str) -> str:
    """An origin as browsers send it: scheme, host and a port that is not the scheme's own.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f"'{text[:100]}' is no origin such as https://shop.example")
    if parts.query or parts.fragment or parts.username or parts.password or "*" in parts.netloc:
        raise ValueError(f"'{text[:100]}' is no origin such as https://shop.example")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    own = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, own) else "")


def _when(text: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(float(text)) / 1000, UTC) if text else None
