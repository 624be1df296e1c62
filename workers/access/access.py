"""Keys, limits and the audit log of one installation, together."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from workers.access import usage
from workers.access.audit import Audit
from workers.access.gate import Gate
from workers.access.key import ApiKey, KeySpec
from workers.access.keyring import OVERLAP, Keyring
from workers.access.scripts import AccessScripts
from workers.access.usage import Usage

if TYPE_CHECKING:
    import redis


class Access:
    """What front doors and operators ask; what is done to keys goes into the audit log.

    Args:
        client: Decodes replies to ``str``; shared between threads.
        prefix: Before every Redis key, without the colon.
    """

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client, self._prefix = client, prefix
        self._scripts = AccessScripts(client, prefix)
        self.keys = Keyring(self._scripts)
        self.audit = Audit(client, prefix)

    @cached_property
    def gate(self) -> Gate:
        """Remembers for this process which keys it has just looked at."""
        return Gate(self._scripts)

    def usage(self, tenant: str = "", *, key: str = "", month: str = "") -> Usage:
        """What a tenant or a key has used; see `workers.access.usage.read`."""
        return usage.read(self._client, self._prefix, tenant=tenant, key=key, month=month)

    def forget(self, tenant: str) -> int:
        """Delete a tenant's keys and what was counted of it; returns how many keys."""
        ids = [key.id for key in self.keys.list(tenant)]
        usage.forget(self._client, self._prefix, tenant, ids)
        return self.keys.forget(tenant)

    def create(self, spec: KeySpec) -> tuple[ApiKey, str]:
        """Make a key; its text is given this once."""
        key, text = self.keys.make(spec)
        self.audit.did("key.create", f"key {key.id}", tenant=key.tenant)
        return key, text

    def rotate(self, key_id: str, overlap: float = OVERLAP) -> tuple[ApiKey, str]:
        """Give a key a new secret; see `Keyring.rotate`.

        Raises:
            KeyNotFound, KeySpecInvalid: there is none, or it is revoked.
        """
        key, text = self.keys.rotate(key_id, overlap=overlap)
        self.audit.did("key.rotate", f"key {key.id}", tenant=key.tenant)
        return key, text

    def revoke(self, key_id: str) -> ApiKey:
        """End a key.

        Raises:
            KeyNotFound: there is none.
        """
        key = self.keys.revoke(key_id)
        self.audit.did("key.revoke", f"key {key.id}", tenant=key.tenant)
        return key
