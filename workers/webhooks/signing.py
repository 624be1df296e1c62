"""Signatures as Standard Webhooks describes them: HMAC-SHA256 over id, timestamp and body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets as random
import time
from collections.abc import Iterable

from pydantic import SecretStr

from workers.webhooks.records import Secret

_PREFIX = "whsec_"


def new_secret() -> Secret:
    """A secret of 32 random bytes."""
    return Secret(value=SecretStr(_PREFIX + base64.b64encode(random.token_bytes(32)).decode()))


def rotated(secrets: Iterable[Secret], overlap: float) -> list[Secret]:
    """A new secret before the old ones, which sign too for ``overlap`` seconds, so that receivers can change over."""
    now = time.time()
    until = now + overlap
    old = [one.model_copy(update={"until": min(one.until or until, until)}) for one in secrets]
    return [new_secret(), *[one for one in old if one.until is None or one.until > now]][:4]


def headers(secrets: Iterable[Secret], message: str, body: bytes) -> dict[str, str]:
    """The three headers, with a signature for each secret that is in force."""
    now = time.time()
    stamp = str(int(now))
    signed = f"{message}.{stamp}.".encode() + body
    signatures = [_sign(one, signed) for one in secrets if one.until is None or one.until > now]
    return {"webhook-id": message, "webhook-timestamp": stamp, "webhook-signature": " ".join(signatures)}


def _sign(secret: Secret, signed: bytes) -> str:
    key = base64.b64decode(secret.value.get_secret_value().removeprefix(_PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
