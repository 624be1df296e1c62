"""Who is asking: the key of a request, or this machine's user where none is needed."""

from __future__ import annotations

from typing import Any

from anyio.to_thread import run_sync
from fastapi import Request

from gateway.http import peer
from knowledge.errors import PhiqError
from workers.access.gate import check_origin, headers
from workers.access.principal import KeyMissing, Principal, RateLimited, ScopeMissing
from workers.access.stamp import asking, collection_allowed
from workers.access.tokens import looks_like_one
from workers.service import Service

VISITOR = "x-phiq-visitor"
FOR_PAGES = {
    ("POST", "/v1/jobs"),
    ("GET", "/v1/jobs/{job_id}"),
    ("GET", "/v1/jobs/{job_id}/events"),
    ("POST", "/v1/jobs/{job_id}/cancel"),
    ("POST", "/v1/search"),
}
"""All that a publishable key reaches, however its scopes read."""


async def identify(request: Request, service: Service) -> Principal:
    """Who is asking; for the rest of the request its jobs are this principal's.

    Raises:
        KeyMissing, KeyInvalid: a key is needed, or the one given is none.
        OriginRefused: a page asks that may not.
        RateLimited: the key has had its requests of this minute.
    """
    try:
        who = await _identify(request, service)
    except PhiqError as error:
        _say(request, error.details.pop("rates", None))
        await refused(request, service, error)
        raise
    asking.set(who)
    return who


async def _identify(request: Request, service: Service) -> Principal:
    settings = service.settings
    text = _bearer(request)
    open_here = peer.is_loopback(settings.http_host) and not settings.require_key
    if not text or (open_here and not looks_like_one(text)):
        # Clients of OpenAI's can't be told to send no key; what is no key of ours says nothing here.
        if open_here and peer.from_this_machine(request.scope):
            peer.check_browser(request.scope, peer.origins(settings.cors_origins))
            return Principal.of_machine(settings.tenant)
        raise KeyMissing(
            "This request needs a key.",
            hint="Send `Authorization: Bearer phiq_sk_…`; `phiq key create` makes one.",
        )
    gate = service.access.gate
    found = gate.recall(text)
    admitted = found if found is not None else await run_sync(gate.admit, text)
    _say(request, headers(admitted.rates))
    who = admitted.principal
    if who.origin_limited:
        check_origin(who, request.headers.get("origin", ""))
    return who


async def permit(request: Request, service: Service, who: Principal, scope: str) -> None:
    """Nothing when the principal may do this.

    Raises:
        ScopeMissing: it lacks the scope, or a publishable key asks for more than pages may.
        JobNotFound: the job is another key's, and this one sees its own only.
        RateLimited: a visitor of a page has had its share.
    """
    try:
        if not who.may(scope):
            raise ScopeMissing(
                f"This key may not do this: it lacks the scope {scope}.",
                hint=f"Ask for a key with the scope {scope}.",
                subject=who.key_id or "",
                scope=scope,
            )
        if who.origin_limited:
            await _page(request, service, who)
        if who.collections is not None:
            await _narrow(request, service, who)
    except PhiqError as error:
        await refused(request, service, error, who)
        raise


async def _page(request: Request, service: Service, who: Principal) -> None:
    if (request.method, route_of(request)) not in FOR_PAGES:
        raise ScopeMissing(
            "Publishable keys may submit and follow chat and search jobs, no more.",
            hint="Use a secret key (phiq_sk_…) on a server.",
            subject=who.key_id or "",
        )
    if request.method == "POST" and "job_id" not in request.path_params:
        address = peer.client_address(request.scope, peer.networks(service.settings.trusted_proxies))
        visitor = request.headers.get(VISITOR, "")[:200] or address
        await run_sync(service.access.gate.visit, who, visitor, address)


async def _narrow(request: Request, service: Service, who: Principal) -> None:
    """A key for some collections sees the jobs it submitted itself: others hold words of other collections."""
    if route_of(request) == "/v1/dead":
        raise ScopeMissing(
            "A key for some collections can't list dead letters.", hint="GET /v1/jobs?state=dead lists its own."
        )
    for name in ("collection", "collection_name"):
        if name in request.path_params:
            collection_allowed(who, str(request.path_params[name]))
    for value in request.query_params.getlist("collection"):
        collection_allowed(who, value)
    job_id = request.path_params.get("job_id")
    if job_id is not None:
        await run_sync(service.check_key, str(job_id), who.tenant, who.key_id)


async def refused(request: Request, service: Service, error: PhiqError, who: Principal | None = None) -> None:
    """Write a refusal into the audit log: who, what, why; never what was sent."""
    if error.code not in ("key_invalid", "scope_missing", "origin_refused") and not isinstance(error, RateLimited):
        return
    address = peer.client_address(request.scope, peer.networks(service.settings.trusted_proxies))
    by = f"key {who.key_id}" if who is not None and who.key_id else f"address {address}"
    what = f"{request.method} {route_of(request)}"
    await run_sync(service.access.audit.denied, by, what, error.code, who.tenant if who is not None else "")


def route_of(request: Request) -> str:
    """The address's pattern: what was asked for, without ids and other words of the caller's."""
    return str(getattr(request.scope.get("route"), "path", ""))


def _bearer(request: Request) -> str:
    kind, _, text = request.headers.get("authorization", "").strip().partition(" ")
    return text.strip() if kind.lower() == "bearer" else ""


def _say(request: Request, headers: Any) -> None:
    if headers:
        request.scope.setdefault("state", {}).setdefault("phiq_headers", {}).update(headers)
