"""Webhooks: tells addresses of a tenant's own what happened, signed, until they have taken it or for a day."""

from workers.webhooks.events import emit
from workers.webhooks.records import Delivery, Endpoint, EndpointNew, Filters
from workers.webhooks.webhooks import Webhooks

__all__ = ["Delivery", "Endpoint", "EndpointNew", "Filters", "Webhooks", "emit"]
