"""What goes wrong between a client and the HTTP API."""

from __future__ import annotations

from knowledge.errors import ServiceError, UserError


class GatewayUnreachable(ServiceError):
    """Raised when the HTTP API does not answer; ``details['sent']``: the request may have arrived."""

    code = "gateway_unreachable"
    transient = True


class NotPhiq(UserError):
    """Raised when something answers that is not phiq's HTTP API."""

    code = "not_phiq"


class NotOverHttp(UserError):
    """Raised when a command is given that works only beside Redis, and PHIQ_URL is set."""

    code = "not_over_http"


def not_over_http(command: str = "this") -> NotOverHttp:
    """The error for what works only beside Redis.

    Args:
        command: As it was given.
    """
    return NotOverHttp(
        f"PHIQ_URL is set, and {command} does not work over HTTP.",
        hint="Run it where phiq runs, without PHIQ_URL: unset PHIQ_URL",
        subject="PHIQ_URL",
    )
