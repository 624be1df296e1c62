"""What may be wrong with a website, and with one of its pages."""

from __future__ import annotations

from knowledge.errors import ServiceError, UserError


class SiteRefused(UserError):
    """Raised when a site may not be read: its robots.txt says so, or its address is none."""

    code = "site_refused"


class SiteUnreachable(ServiceError):
    """Raised when a site as a whole does not answer."""

    code = "site_unreachable"
    transient = True


class PageUnreadable(UserError):
    """Raised when one page of a site can't be had; the others go on."""

    code = "page_unreadable"
