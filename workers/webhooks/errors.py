"""What can go wrong with webhooks."""

from __future__ import annotations

from knowledge.errors import UserError


class WebhookInvalid(UserError):
    """Raised when an endpoint's name, address, events or filters can't be used."""

    code = "webhook_invalid"


class WebhookNotFound(UserError):
    """Raised when the tenant has no endpoint of that name."""

    code = "webhook_not_found"


class WebhookExists(UserError):
    """Raised when the tenant has an endpoint of that name already."""

    code = "webhook_exists"


class DeliveryNotFound(UserError):
    """Raised when the tenant has no delivery with that id, or no longer."""

    code = "delivery_not_found"
