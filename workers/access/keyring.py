"""The keys there are: make, list, show, rotate, revoke."""

from __future__ import annotations

from typing import Any

from workers.access import tokens
from workers.access.errors import KeyNotFound, KeySpecInvalid
from workers.access.key import ApiKey, KeySpec, fields_of, key_of
from workers.access.scripts import AccessScripts
from workers.ledger.scripts import redis_errors

_Keys = list[ApiKey]

OVERLAP = 86400.0
"""Seconds that the secret before a rotation goes on working."""


class Keyring:
    """All keys of an installation. ``tenant`` narrows to one tenant's: the others' do not exist then.

    All methods raise `RedisUnavailable` when Redis does not answer.
    """

    def __init__(self, scripts: AccessScripts) -> None:
        self._scripts = scripts

    def make(self, spec: KeySpec) -> tuple[ApiKey, str]:
        """A new key, and the text that is shown this once."""
        kind: tokens.Kind = "pk" if spec.publishable else "sk"
        while True:
            key_id = tokens.new_id()
            text, digest = tokens.make(kind, key_id)
            life = "" if spec.expires_in is None else round(spec.expires_in * 1000)
            flat = [part for pair in fields_of(spec).items() for part in pair]
            if self._scripts.run("make", key_id, digest, life, *flat):
                return self.get(key_id), text

    def get(self, key_id: str, tenant: str | None = None) -> ApiKey:
        """A key by its id or prefix.

        Raises:
            KeyNotFound: there is none.
        """
        key_id = self._id(key_id)
        with redis_errors():
            fields: Any = self._scripts.client.hgetall(self._scripts.key("key", key_id))
        if not fields or (tenant is not None and fields["tenant"] != tenant):
            raise _not_found(key_id)
        return key_of(key_id, fields, self._scripts.now())

    def list(self, tenant: str | None = None) -> _Keys:
        """The keys, the newest first."""
        now = self._scripts.now()
        with redis_errors():
            ids: Any = self._scripts.client.zrevrange(self._scripts.key("key", "all"), 0, -1)
            pipe = self._scripts.client.pipeline(transaction=False)
            for key_id in ids:
                pipe.hgetall(self._scripts.key("key", key_id))
            found = pipe.execute()
        keys = [key_of(key_id, fields, now) for key_id, fields in zip(ids, found, strict=True) if fields]
        return [key for key in keys if tenant is None or key.tenant == tenant]

    def rotate(self, key_id: str, tenant: str | None = None, overlap: float = OVERLAP) -> tuple[ApiKey, str]:
        """A new secret for a key; the one before works for ``overlap`` seconds more.

        The id, the limits and what is counted stay: a rotation gives nobody a second helping.

        Raises:
            KeyNotFound: there is none.
            KeySpecInvalid: it is revoked.
        """
        key = self.get(key_id, tenant)
        text, digest = tokens.make("pk" if key.publishable else "sk", key.id)
        said = self._scripts.run("rotate", key.id, digest, max(0, round(overlap * 1000)), tenant or "")
        if said is None:
            raise _not_found(key.id)
        if said == "revoked":
            raise KeySpecInvalid(
                f"The key {key.prefix} is revoked.", hint="Make a new one: phiq key create", subject=key.id
            )
        return self.get(key.id), text

    def revoke(self, key_id: str, tenant: str | None = None) -> ApiKey:
        """End a key at once, both of its secrets.

        Raises:
            KeyNotFound: there is none.
        """
        key_id = self._id(key_id)
        if self._scripts.run("revoke", key_id, tenant or "") is None:
            raise _not_found(key_id)
        return self.get(key_id)

    def any(self) -> bool:
        """Whether some key works."""
        return any(key.state == "active" for key in self.list())

    def origins(self) -> frozenset[str]:
        """The origins of all publishable keys that work."""
        return frozenset(
            origin for key in self.list() if key.publishable and key.state == "active" for origin in key.origins
        )

    def forget(self, tenant: str) -> int:
        """Delete a tenant's keys with all their records; returns how many."""
        found = self.list(tenant)
        with redis_errors():
            for key in found:
                pipe = self._scripts.client.pipeline(transaction=True)
                pipe.delete(
                    *(self._scripts.key(*kind, key.id) for kind in (("key",), ("key", "rate"), ("key", "jobs")))
                )
                pipe.zrem(self._scripts.key("key", "all"), key.id)
                pipe.execute()
        return len(found)

    def _id(self, text: str) -> str:
        found = tokens.id_of(text)
        if not found:
            raise _not_found(text)
        return found


def _not_found(key_id: str) -> KeyNotFound:
    # Somebody may have pasted a whole key: its secret goes into no message and no log.
    shown = "_".join(key_id[:64].split("_")[:3])
    return KeyNotFound(f"There is no key {shown}.", hint="phiq key list", subject=shown)
