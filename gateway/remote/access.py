"""Keys, use and the audit log over HTTP, with the methods of `workers.access.access.Access` that commands use."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from gateway.remote.calls import Call, quoted
from workers.access.audit import AuditEntry
from workers.access.key import ApiKey, KeySpec
from workers.access.keyring import OVERLAP
from workers.access.tokens import id_of
from workers.access.usage import Usage

T = TypeVar("T")
_ROOT = "/v1/keys"
_Keys = list[ApiKey]
_Entries = list[AuditEntry]


class Ask(Protocol):
    """Sends a call and reads its answer."""

    def __call__(self, call: Call[T]) -> T:
        """The answer."""
        ...


class HttpAccess:
    """What a key with the scope admin may; ``keys`` and ``audit`` are read through it too.

    Args:
        ask: How calls are sent.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    @property
    def keys(self) -> HttpAccess:
        """Has `get` and `list`."""
        return self

    @property
    def audit(self) -> HttpAccess:
        """Has `read`."""
        return self

    def create(self, spec: KeySpec) -> tuple[ApiKey, str]:
        """Make a key. Not sent again when the reply was lost: nobody would know the first one's text."""
        body = spec.model_dump(mode="json", exclude_unset=True)
        return self._ask(Call("POST", _ROOT, _with_text, json=body, repeatable=False))

    def list(self, tenant: str | None = None) -> _Keys:
        """The keys, the newest first."""
        return self._ask(
            Call("GET", _ROOT, lambda found: [_key(one) for one in found["data"]], params={"tenant": tenant})
        )

    def get(self, key_id: str) -> ApiKey:
        """A key."""
        return self._ask(Call("GET", _path(key_id), _key))

    def rotate(self, key_id: str, overlap: float = OVERLAP) -> tuple[ApiKey, str]:
        """Give a key a new secret."""
        body = {"overlap": overlap}
        return self._ask(Call("POST", _path(key_id, "/rotate"), _with_text, json=body, repeatable=False))

    def revoke(self, key_id: str) -> ApiKey:
        """End a key."""
        return self._ask(Call("POST", _path(key_id, "/revoke"), _key))

    def read(self, limit: int = 50, *, denied: bool = False, tenant: str | None = None) -> _Entries:
        """The latest entries of the audit log."""
        params = {"limit": min(limit, 1000), "denied": str(denied).lower(), "tenant": tenant}
        return self._ask(
            Call(
                "GET",
                "/v1/audit",
                lambda found: [AuditEntry.model_validate(one) for one in found["data"]],
                params=params,
            )
        )

    def usage(self, tenant: str = "", *, key: str = "", month: str = "") -> Usage:
        """What a tenant or a key has used."""
        params = {"tenant": tenant or None, "key": key or None, "month": month or None}
        return self._ask(Call("GET", "/v1/usage/of", Usage.model_validate, params=params))


def _path(key_id: str, more: str = "") -> str:
    # The id alone: a whole key that somebody pasted has no place in an address.
    return f"{_ROOT}/{quoted(id_of(key_id) or key_id[:64])}{more}"


def _key(answer: Any) -> ApiKey:
    return ApiKey.model_validate(answer)


def _with_text(answer: Any) -> tuple[ApiKey, str]:
    return _key(answer), str(answer["key"])
